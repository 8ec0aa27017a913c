#pragma once
// Answers: what the caller of an action is told, made from the entry that settled it. The texts are
// for a model: what happened, why, and what it may do next.

#include <string>
#include <string_view>

#include "core/entry.hpp"
#include "core/state.hpp"
#include "runtime/harness.hpp"

namespace gavel {

// `settled` is an Outcome, an aborting Decision, or a Probed that could not tell what became of an
// unknown outcome; `result` the bytes of its payload.
CallAnswer answer_of(const LogId& session, const std::string& tool, const Entry& settled,
                     std::string result);

// Its outcome is unknown, and nobody is finding out.
CallAnswer lost_answer(const LogId& session, const OpenIntent& open);

// The caller's patience ended first.
CallAnswer pending_answer(const LogId& session, const OpenIntent& intent);

// The store failed after it was sent; `why` is the store's error.
CallAnswer unrecorded_answer(const LogId& session, IntentId intent, const Error& why);

// The store did not say in time whether the intent is durable, or failed: nothing is told of it.
CallAnswer undurable_answer(const LogId& session, IntentId intent, ErrorCode why);

// A refusal that left no intent.
CallAnswer refusal(ErrorCode code, std::string text);

// How a JSON-RPC error stands in the log as an outcome's result, and back; empty where the result
// is none.
std::string refusal_payload(std::string_view rpc_error);
std::string_view refusal_in(std::string_view result);

// "refund-42#17"
std::string intent_name(const LogId& session, IntentId intent);

}  // namespace gavel
