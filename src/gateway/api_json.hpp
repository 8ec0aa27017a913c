#pragma once
// The objects of docs/api.md, made from the harness's views.

#include <string>
#include <vector>

#include "base/json.hpp"
#include "core/codec.hpp"
#include "gateway/transcript.hpp"
#include "runtime/harness.hpp"

namespace gavel {

json::object session_json(const SessionView& session);
json::object pending_json(const PendingView& pending, const PayloadReader& read);
json::object transcript_item_json(const TranscriptItem& item, const PayloadReader& read);
json::object halt_json(const HaltView& halt);
json::object policy_change_json(const PolicyChange& change);
json::object tool_json(const ToolView& tool);
json::object upstream_json(const std::string& name, const UpstreamStatus& status);
json::object explanation_json(const Explanation& explanation);

// As text, because the tool's result goes in byte for byte.
std::string answer_json(const CallAnswer& answer);

// {"error":{"code":...,"message":...}}
std::string error_json(const Error& error);

}  // namespace gavel
