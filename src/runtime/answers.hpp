#pragma once
// Answers: what the caller of an action is told, made from the entry that settled it. The texts are
// for a model: what happened, why, and what it may do next.

#include <string>

#include "core/entry.hpp"
#include "core/state.hpp"
#include "runtime/harness.hpp"

namespace gavel {

// `settled` is an Outcome or an aborting Decision; `result` the bytes of its payload.
CallAnswer answer_of(const LogId& session, const std::string& tool, const Entry& settled,
                     std::string result);

// The caller's patience ended first.
CallAnswer pending_answer(const LogId& session, const OpenIntent& intent);

// A refusal that left no intent.
CallAnswer refusal(ErrorCode code, std::string text);

// "refund-42#17"
std::string intent_name(const LogId& session, IntentId intent);

}  // namespace gavel
