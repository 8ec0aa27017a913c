#include "runtime/answers.hpp"

#include <fmt/format.h>

#include "base/assert.hpp"
#include "protocol/json_text.hpp"

namespace gavel {
namespace {

std::string text_result(const std::string& text) {
  return write_json(
      json::object{{"content", json::array{json::object{{"type", "text"}, {"text", text}}}}});
}

// The text of a probe's CallToolResult, or nothing.
std::string evidence_text(const std::string& result) {
  const auto parsed = parse_json(result);
  if (!parsed) return {};
  const auto* content = find_array(*parsed, "content");
  if (content == nullptr || content->empty()) return {};
  return std::string(string_or(content->front(), "text"));
}

CallAnswer of_outcome(const std::string& name, const std::string& tool, const Outcome& outcome,
                      std::string result) {
  CallAnswer answer;
  answer.intent = outcome.intent;
  if (outcome.kind == OutcomeKind::unknown) {
    answer.code = outcome.code.empty() ? ErrorCode::timeout : error_code_from(outcome.code);
    answer.text = fmt::format(
        "It is unknown whether {} happened ({}): {}. Gavel will not repeat it, and neither should "
        "you by another "
        "way. A person resolves it with: gavel resolve {} ok|failed. Call the same tool again with "
        "the same "
        "arguments to learn the outcome.",
        tool, name, outcome.reason, name);
    return answer;
  }
  if (outcome.kind == OutcomeKind::failed) {
    if (outcome.source == OutcomeSource::call) answer.rpc_error = refusal_in(result);
    const bool too_large = outcome.code == to_string(ErrorCode::too_large);
    if (answer.rpc_error.empty() && !result.empty() && !too_large &&
        outcome.source == OutcomeSource::call) {
      answer.kind = AnswerKind::result;
      answer.result = std::move(result);
      return answer;
    }
    answer.code = outcome.code.empty() ? ErrorCode::unavailable : error_code_from(outcome.code);
    answer.text =
        outcome.source == OutcomeSource::call
            ? fmt::format("{} failed ({}): {}", tool, name, outcome.reason)
            : fmt::format("{} did not happen ({}, found by {}): {}. It may be called again.", tool,
                          name, to_string(outcome.source), outcome.reason);
    return answer;
  }
  if (outcome.source == OutcomeSource::call) {
    if (outcome.code == to_string(ErrorCode::too_large)) {
      answer.kind = AnswerKind::result;
      answer.result = text_result(fmt::format(
          "{} acted ({}), and {}. Gavel does not pass it on. Ask for less, if the tool can: fewer "
          "rows, a range, a filter, a page. A person finds the whole with: gavel show {}",
          tool, name, outcome.reason, name));
      return answer;
    }
    if (!outcome.reason.empty()) {
      answer.code = ErrorCode::invalid_argument;
      answer.text = fmt::format(
          "{} acted ({}), but its output was stopped: {}. Do not repeat the call; the whole output "
          "is in the log: "
          "gavel show {}",
          tool, name, outcome.reason, name);
      return answer;
    }
    answer.kind = AnswerKind::result;
    answer.result = std::move(result);
    return answer;
  }
  answer.kind = AnswerKind::result;
  answer.result = text_result(fmt::format(
      "{} happened once ({}). Its own answer was lost; that it happened was found by {}: {}\n{}",
      tool, name, to_string(outcome.source), outcome.reason, evidence_text(result)));
  return answer;
}

}  // namespace

std::string refusal_payload(std::string_view rpc_error) {
  return fmt::format("{{\"error\":{}}}", rpc_error);
}

std::string_view refusal_in(std::string_view result) {
  // A CallToolResult is never an error alone.
  JsonObjectReader reader(result);
  const auto first = reader.next();
  if (!first || !first->is("error") || !first->value.starts_with('{')) return {};
  return reader.next() || !reader.status() ? std::string_view{} : first->value;
}

std::string intent_name(const LogId& session, IntentId intent) {
  return fmt::format("{}#{}", session.value, intent.value);
}

CallAnswer answer_of(const LogId& session, const std::string& tool, const Entry& settled,
                     std::string result) {
  if (const auto* outcome = std::get_if<Outcome>(&settled.body)) {
    return of_outcome(intent_name(session, outcome->intent), tool, *outcome, std::move(result));
  }
  if (const auto* probed = std::get_if<Probed>(&settled.body)) {
    // The probe could not tell: it stays unknown.
    Outcome unknown;
    unknown.intent = probed->intent;
    unknown.reason = probed->reason;
    return of_outcome(intent_name(session, probed->intent), tool, unknown, {});
  }
  const auto* decision = std::get_if<Decision>(&settled.body);
  ASSERT(decision != nullptr && decision->ruling == Ruling::abort);
  CallAnswer answer;
  answer.intent = decision->intent;
  answer.code = error_code_from(decision->code);
  answer.text = fmt::format(
      "Gavel refused {} ({}){}: {}", tool, intent_name(session, decision->intent),
      decision->rule.empty() ? "" : fmt::format(", rule \"{}\"", decision->rule), decision->reason);
  return answer;
}

CallAnswer lost_answer(const LogId& session, const OpenIntent& open) {
  Entry unknown;
  Outcome outcome;
  outcome.intent = open.id;
  outcome.reason = open.proposal.elsewhere
                       ? "the client never said what came of it"
                       : "its outcome was lost earlier, and no probe could tell";
  unknown.body = outcome;
  return answer_of(session, open.proposal.tool, unknown, {});
}

CallAnswer pending_answer(const LogId& session, const OpenIntent& intent) {
  const std::string name = intent_name(session, intent.id);
  CallAnswer answer;
  answer.kind = AnswerKind::pending;
  answer.intent = intent.id;
  if (intent.proposal.elsewhere && intent.phase == Phase::in_flight) {
    answer.kind = AnswerKind::refused;
    answer.code = ErrorCode::conflict;
    answer.text = fmt::format(
        "leave for this call of {} was given already, as {}, and is given once; what came of it is "
        "not known yet",
        intent.proposal.tool, name);
    return answer;
  }
  if (intent.phase == Phase::held && intent.hold) {
    const std::string_view why =
        intent.hold->reason == HoldReason::settling ? "until the session's last write has settled"
        : intent.hold->reason == HoldReason::two_step
            ? "for a delay and a confirmation by somebody else (a two-step operation)"
            : "for approval";
    if (intent.proposal.elsewhere) {
      answer.text = fmt::format(
          "{} is held {}, as {}. It was not done. A person decides with: gavel approve {} | gavel "
          "deny {}. Then repeat exactly the same call.",
          intent.proposal.tool, why, name, name, name);
      return answer;
    }
    answer.text = fmt::format(
        "{} is held {}, as {}. Nothing has been done yet. Call the same tool again with the same "
        "arguments to "
        "collect the outcome; it will not act twice. A person decides with: gavel approve {} | "
        "gavel deny {}",
        intent.proposal.tool, why, name, name, name);
  } else {
    answer.text = fmt::format(
        "{} is still running, as {}. Call the same tool again with the same arguments to collect "
        "the outcome; it "
        "will not act twice.",
        intent.proposal.tool, name);
  }
  return answer;
}

CallAnswer unrecorded_answer(const LogId& session, IntentId intent, const Error& why) {
  const std::string name = intent_name(session, intent);
  CallAnswer answer;
  answer.intent = intent;
  answer.code = why.code;
  answer.text = fmt::format(
      "{} was sent to its server and may have happened, but what came of it is not recorded: {}. "
      "Gavel finds out, or asks a person, once its store works again; do not repeat it by another "
      "way. Then call the same tool again with the same arguments to learn the outcome.",
      name, why.message);
  return answer;
}

CallAnswer undurable_answer(const LogId& session, IntentId intent, ErrorCode why) {
  return refusal(why,
                 fmt::format("whether {} was recorded is not known: the store does not answer; "
                             "call again with the same arguments",
                             intent_name(session, intent)));
}

CallAnswer refusal(ErrorCode code, std::string text) {
  CallAnswer answer;
  answer.code = code;
  answer.text = std::move(text);
  return answer;
}

}  // namespace gavel
