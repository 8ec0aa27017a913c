#include "gateway/api_json.hpp"

#include <fmt/format.h>

#include "core/codec.hpp"

namespace gavel {
namespace {

std::string quoted(std::string_view text) {
  return write_json(json::value(text));
}

json::value time_or_null(Timestamp at) {
  if (at.ms == 0) return nullptr;
  return json::value(to_iso8601(at));
}

std::string_view to_string(AnswerKind kind) {
  switch (kind) {
    case AnswerKind::result:
      return "result";
    case AnswerKind::pending:
      return "pending";
    case AnswerKind::refused:
      return "refused";
    case AnswerKind::granted:
      return "granted";
  }
  return "refused";
}

}  // namespace

json::object session_json(const SessionView& s) {
  return {
      {"session", s.session.value},
      {"tail", s.tail.value},
      {"epoch", s.epoch.value},
      {"agent", s.agent.value},
      {"driver", s.driver.value},
      {"client", s.client},
      {"opened_at", time_or_null(s.opened_at)},
      {"last_at", time_or_null(s.last_at)},
      {"held", s.held},
      {"in_flight", s.in_flight},
      {"unknown", s.unknown},
      {"counters", json::object{{"intents", s.counters.intents},
                                {"committed", s.counters.committed},
                                {"aborted", s.counters.aborted},
                                {"ok", s.counters.ok},
                                {"failed", s.counters.failed},
                                {"unknown", s.counters.unknown},
                                {"replayed", s.counters.replayed},
                                {"refused", s.counters.refused},
                                {"skipped", s.counters.skipped}}},
  };
}

json::object pending_json(const PendingView& pending, const PayloadReader& read) {
  const auto& open = pending.intent;
  const auto& proposal = open.proposal;
  json::array votes;
  json::array approved_by;
  json::array provenance;
  std::string reason;
  std::string rule;
  for (const auto& vote : open.votes) {
    for (auto& origin : to_json(vote.provenance)) provenance.push_back(std::move(origin));
    if (rule.empty() && !vote.rule.empty()) {
      rule = vote.rule;
      reason = vote.reason;
    }
    if (is_confirmed(open) && vote.verdict == Verdict::allow && vote.voter != kPolicyVoter) {
      approved_by.emplace_back(vote.voter.value);
    }
    votes.push_back(json::object{{"voter", vote.voter.value},
                                 {"verdict", to_string(vote.verdict)},
                                 {"reason", vote.reason}});
  }
  json::object out{
      {"session", pending.session.value},
      {"intent", open.id.value},
      {"phase", to_string(open.phase)},
      {"tool", proposal.tool},
      {"effect", to_string(proposal.effect)},
      {"arguments", to_json(proposal.arguments, read)},
      {"digest", proposal.digest.hex()},
      {"requester", proposal.requester.value},
      {"reason", reason},
      {"rule", rule},
      {"hold", open.hold ? json::value(to_string(open.hold->reason)) : json::value(nullptr)},
      {"proposed_at", time_or_null(open.proposed_at)},
      {"not_before", open.hold ? time_or_null(open.hold->not_before) : json::value(nullptr)},
      {"expires_at", open.hold ? time_or_null(open.hold->expires_at) : json::value(nullptr)},
  };
  out["approved_by"] = std::move(approved_by);
  out["provenance"] = std::move(provenance);
  out["votes"] = std::move(votes);
  return out;
}

json::object transcript_item_json(const TranscriptItem& item, const PayloadReader& read) {
  return {
      {"intent", item.intent.value},
      {"tool", item.tool},
      {"arguments", to_json(item.arguments, read)},
      {"effect", to_string(item.effect)},
      {"key", item.key},
      {"proposed_at", time_or_null(item.proposed_at)},
      {"phase", item.phase},
      {"reason", item.reason},
      {"result", to_json(item.result, read)},
      {"replays", item.replays},
  };
}

json::object policy_change_json(const PolicyChange& change) {
  const auto list = [](const std::vector<std::string>& names) {
    return json::array(names.begin(), names.end());
  };
  return {{"before", change.before},
          {"after", change.after},
          {"servers", json::object{{"added", list(change.added)},
                                   {"removed", list(change.removed)},
                                   {"changed", list(change.changed)}}},
          {"takes_restart", list(change.takes_restart)}};
}

json::object halt_json(const HaltView& view) {
  return {
      {"scope", view.scope},
      {"mode", to_string(view.halt.mode)},
      {"by", view.halt.by.value},
      {"reason", view.halt.reason},
      {"since", time_or_null(view.halt.since)},
  };
}

json::object tool_json(const ToolView& tool) {
  json::object made{
      {"name", tool.name},
      {"toolset", tool.toolset},
      {"effect", to_string(tool.effect)},
      {"verdict", to_string(tool.verdict)},
      {"rule", tool.rule},
      {"listed", tool.listed_in_catalogue},
      {"definition", tool.definition},
  };
  if (tool.pin_log.empty()) return made;
  made["standing"] = to_string(tool.standing);
  made["digest"] = tool.digest.hex();
  json::array flags;
  for (const auto& flag : tool.flags) {
    flags.push_back(
        json::object{{"kind", to_string(flag.kind)}, {"where", flag.where}, {"text", flag.text}});
  }
  made["flags"] = std::move(flags);
  if (!tool.pin.digest.is_zero()) {
    made["accepted"] = json::object{{"digest", tool.pin.digest.hex()},
                                    {"by", tool.pin.by.value},
                                    {"since", to_iso8601(tool.pin.since)}};
  }
  return made;
}

json::object upstream_json(const std::string& name, const UpstreamStatus& status) {
  return {
      {"name", name},
      {"health", to_string(status.health)},
      {"era", status.era},
      {"server", status.server_name},
      {"version", status.server_version},
      {"in_flight", status.in_flight},
      {"queued", status.queued},
      {"restarts", status.restarts},
      {"pid", status.pid},
      {"last_error", status.last_error},
      {"stderr", status.stderr_tail},
  };
}

json::object explanation_json(const Explanation& explanation) {
  const auto& assessment = explanation.assessment;
  json::array rules;
  for (const auto& rule : explanation.rules) {
    rules.push_back(json::object{{"rule", rule.rule},
                                 {"line", rule.line},
                                 {"matched", rule.matched},
                                 {"verdict", to_string(rule.verdict)},
                                 {"why", rule.why}});
  }
  json::object out{
      {"verdict", to_string(assessment.verdict)},
      {"effect", to_string(assessment.effect)},
      {"effect_reason", explanation.effect_reason},
      {"rule", assessment.rule},
      {"reason", assessment.reason},
      {"policy_version", assessment.policy_version},
  };
  out["provenance"] = to_json(assessment.provenance);
  out["rules"] = std::move(rules);
  return out;
}

std::string answer_json(const CallAnswer& answer) {
  const bool has_result = answer.kind == AnswerKind::result && !answer.result.empty();
  return fmt::format(
      R"({{"kind":"{}","intent":{},"result":{},"text":{},"code":"{}","replayed":{}}})",
      to_string(answer.kind), answer.intent.value, has_result ? answer.result : "null",
      quoted(answer.text), answer.kind == AnswerKind::refused ? to_string(answer.code) : "",
      answer.replayed);
}

std::string error_json(const Error& error) {
  return write_json(json::object{
      {"error", json::object{{"code", to_string(error.code)}, {"message", error.message}}}});
}

}  // namespace gavel
