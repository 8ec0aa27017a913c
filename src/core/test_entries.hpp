#pragma once
// One body of every kind. Test support only.

#include "core/codec.hpp"

namespace gavel {

// Every member away from its default, so that one that a list of fields forgot is noticed.
inline Digest digest_of(std::string_view text) {
  return sha256(text);
}

inline std::vector<Body> sample_bodies() {
  IntentProposed intent;
  intent.tool = "pg__query";
  intent.toolset = "pg";
  intent.arguments = Payload::of(R"({"sql":"select 1"})");
  intent.digest = digest_of("arguments");
  intent.effect = Effect::destructive;
  intent.idempotent = true;
  intent.key = "k-1";
  intent.key_source = KeySource::call_id;
  intent.requester = Principal{"agent"};
  intent.call_id = "call-1";
  intent.policy_version = "v1";
  intent.timeout = Duration{60'000};
  intent.attempts_max = 3;
  intent.has_probe = true;
  intent.occurrence = 2;
  intent.elsewhere = true;
  Vote vote;
  vote.intent = IntentId{3};
  vote.voter = Principal{"operator"};
  vote.verdict = Verdict::two_step;
  vote.rule = "drops";
  vote.reason = "it drops";
  vote.digest = digest_of("arguments");
  vote.effect = Effect::write;
  vote.policy_version = "v1";
  vote.provenance = {{"sql", Origin::untrusted, Position{12}, "tickets__read", "drop table users"},
                     {"note", Origin::model, Position{}, "", "by hand"}};
  Decision decision;
  decision.intent = IntentId{3};
  decision.ruling = Ruling::commit;
  decision.code = "halted";
  decision.reason = "because";
  decision.rule = "r";
  decision.control = {{LogId{"control/everything"}, 4}, {LogId{"control/agent/a"}, 0}};
  decision.budgets = {{LogId{}, "calls"}, {LogId{"control/budget/x"}, "x"}};
  Outcome outcome;
  outcome.intent = IntentId{3};
  outcome.attempt = 2;
  outcome.kind = OutcomeKind::failed;
  outcome.source = OutcomeSource::person;
  outcome.result = Payload::of("[1]");
  outcome.reason = "gone";
  outcome.took = Duration{-5};
  outcome.resolver = Principal{"operator"};
  Payload elsewhere;
  elsewhere.digest = digest_of("big");
  elsewhere.size = 1u << 20;
  return {
      SessionOpened{Principal{"agent"}, "opencode 1"},
      EpochElected{Epoch{7}, Principal{"agent"}, "wake"},
      intent,
      vote,
      Held{IntentId{3}, HoldReason::settling, Timestamp{5}, Timestamp{-6}},
      decision,
      Attempt{IntentId{3}, 2, Timestamp{9}, 4},
      outcome,
      Delivered{IntentId{3}},
      Replayed{IntentId{3}, 2, "call:8", true},
      Probed{IntentId{3}, ProbeVerdict::absent, "not there", elsewhere},
      TaskStarted{IntentId{3}, 2, "task-9", "2025-11-25", Duration{500}},
      Refused{Principal{"zombie"}, Epoch{1}, "propose", "stale_epoch", "older"},
      Prompted{Payload::of(R"("delete the old backups")")},
      HaltRaised{HaltMode::freeze, "incident"},
      HaltLifted{"over"},
      PolicyActivated{"v2", Payload::of("version: 1\n")},
      BudgetReserved{"b", LogId{"s"}, IntentId{3}, 1, Duration{60'000}},
      BudgetSettled{"b", LogId{"s"}, IntentId{3}, 1, Duration{30}},
      ToolPinned{"query", digest_of("definition"), Payload::of(R"({"name":"query"})")},
      ToolRefused{"query", digest_of("definition"), "it asks for keys"},
      UnknownEntry{4242,
                   std::string("\x0a\x03"
                               "abc",
                               5),
                   3},
  };
}

inline Entry sample_entry(Body body) {
  Entry entry;
  entry.position = Position{17};
  entry.epoch = Epoch{2};
  entry.at = Timestamp{1'763'700'180'123};
  entry.author = Principal{"somebody"};
  entry.role = Role::approver;
  entry.body = std::move(body);
  if (auto* unknown = std::get_if<UnknownEntry>(&entry.body)) {
    entry.role = static_cast<Role>(unknown->role);
  }
  return entry;
}

}  // namespace gavel
