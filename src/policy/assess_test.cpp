#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/compiled_policy.hpp"
#include "policy/parse.hpp"

namespace gavel {
namespace {

using testing::HasSubstr;

constexpr std::string_view kServers = R"(
servers:
  pg:
    command: [pg]
    timeout: 10s
    tools:
      query: {effect: read, sql: sql, retries: 3}
      execute: {effect: write, sql: sql, timeout: 3s}
      list: {effect: read}
      refund: {effect: write, idempotent: true, retries: 2}
      wipe: {effect: irreversible}
      unknown: {}
      archive: {effect: write, probe: {tool: pg__query, happened: true}}
)";

std::shared_ptr<const Policy> policy_of(std::string_view rest) {
  const PolicyCheck check = check_policy(std::string(kServers) + std::string(rest), "gavel.yaml");
  EXPECT_NE(check.policy, nullptr) << check.text();
  return check.policy;
}

// A call that owns its arguments.
struct Asked {
  json::value arguments;
  Call call;
  Asked(std::string_view tool, std::string_view text = "{}", std::string_view who = "agent",
        std::string_view session = "s1") {
    arguments = parse_json(text).value();
    call.tool = tool;
    call.principal = Principal{std::string(who)};
    call.session = LogId{std::string(session)};
    call.arguments = &arguments;
  }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;
};

Verdict verdict(const Policy& policy, const Asked& asked) {
  const Assessment assessment = policy.assess(asked.call);
  EXPECT_EQ(policy.explain(asked.call).assessment, assessment);
  return assessment.verdict;
}

TEST(Assess, DefaultsFollowTheEffect) {
  const auto policy = policy_of("");
  const auto expect = [&](const Asked& asked, Effect effect, Verdict expected,
                          std::string_view rule) {
    const Assessment assessment = policy->assess(asked.call);
    EXPECT_EQ(assessment.effect, effect) << asked.call.tool;
    EXPECT_EQ(assessment.verdict, expected) << asked.call.tool;
    EXPECT_EQ(assessment.rule, rule) << asked.call.tool;
    EXPECT_EQ(assessment.policy_version, policy->version());
  };
  expect(Asked("pg__list"), Effect::read, Verdict::allow, "defaults.read");
  expect(Asked("pg__refund"), Effect::write, Verdict::ask, "defaults.write");
  expect(Asked("pg__wipe"), Effect::irreversible, Verdict::two_step, "defaults.irreversible");
  expect(Asked("pg__unknown"), Effect::destructive, Verdict::two_step, "defaults.destructive");
  expect(Asked("pg__unlisted"), Effect::destructive, Verdict::two_step, "defaults.destructive");
  expect(Asked("other__tool"), Effect::destructive, Verdict::two_step, "defaults.destructive");
  expect(Asked("plain"), Effect::destructive, Verdict::two_step, "defaults.destructive");
}

TEST(Assess, SqlIsClassedByWhatItDoes) {
  const auto policy = policy_of("");
  const auto effect = [&](std::string_view tool, std::string_view arguments) {
    return policy->assess(Asked(tool, arguments).call).effect;
  };
  EXPECT_EQ(effect("pg__query", R"({"sql":"SELECT 1"})"), Effect::read);
  EXPECT_EQ(effect("pg__query", R"({"sql":"DELETE FROM t WHERE id = 1"})"), Effect::write);
  EXPECT_EQ(effect("pg__query", R"({"sql":"DROP SCHEMA public CASCADE"})"), Effect::irreversible);
  EXPECT_EQ(effect("pg__execute", R"({"sql":"SELECT 1"})"), Effect::write);
  EXPECT_EQ(effect("pg__execute", R"({"sql":"DELETE FROM t"})"), Effect::destructive);
  EXPECT_EQ(effect("pg__query", "{}"), Effect::destructive);
  EXPECT_EQ(effect("pg__query", R"({"sql":7})"), Effect::destructive);
  EXPECT_EQ(effect("pg__query", R"({"SQL":"SELECT 1"})"), Effect::destructive);
  Call bare = Asked("pg__query").call;
  bare.arguments = nullptr;
  EXPECT_EQ(policy->assess(bare).effect, Effect::destructive);
  const auto why = policy->explain(Asked("pg__query", R"({"sql":"DELETE FROM t"})").call);
  EXPECT_EQ(why.effect_reason, "SQL: DELETE without WHERE");
  EXPECT_THAT(why.assessment.reason, HasSubstr("destructive (SQL: DELETE without WHERE)"));
}

TEST(Assess, HintsTightenAndNeverLoosen) {
  const auto policy = policy_of("");
  const auto effect = [&](std::string_view tool, ToolHints hints,
                          std::string_view arguments = "{}") {
    Asked asked(tool, arguments);
    asked.call.hints = hints;
    return policy->assess(asked.call).effect;
  };
  ToolHints writes;
  writes.read_only = false;
  ToolHints destroys;
  destroys.destructive = true;
  ToolHints reads;
  reads.read_only = true;
  reads.destructive = true;  // means nothing beside readOnlyHint
  EXPECT_EQ(effect("pg__list", writes), Effect::write);
  EXPECT_EQ(effect("pg__list", destroys), Effect::write);
  EXPECT_EQ(effect("pg__list", reads), Effect::read);
  EXPECT_EQ(effect("pg__refund", reads), Effect::write);
  EXPECT_EQ(effect("pg__unlisted", reads), Effect::destructive);
  EXPECT_EQ(effect("pg__refund", destroys), Effect::write);
  EXPECT_EQ(effect("pg__query", writes, R"({"sql":"SELECT 1"})"), Effect::read);
}

TEST(Assess, RetriesTimeoutsAndProbesComeFromTheCatalogue) {
  const auto policy = policy_of("");
  const Assessment read = policy->assess(Asked("pg__query", R"({"sql":"SELECT 1"})").call);
  EXPECT_TRUE(read.idempotent);
  EXPECT_EQ(read.attempts_max, 4u);
  EXPECT_EQ(read.timeout, Duration{10'000});
  const Assessment written =
      policy->assess(Asked("pg__query", R"({"sql":"CREATE SCHEMA a"})").call);
  EXPECT_FALSE(written.idempotent);
  EXPECT_EQ(written.attempts_max, 1u);
  const Assessment refund = policy->assess(Asked("pg__refund").call);
  EXPECT_TRUE(refund.idempotent);
  EXPECT_EQ(refund.attempts_max, 3u);
  Asked denied("pg__refund");
  denied.call.hints.idempotent = false;
  EXPECT_FALSE(policy->assess(denied.call).idempotent);
  EXPECT_EQ(policy->assess(denied.call).attempts_max, 1u);
  EXPECT_EQ(policy->assess(Asked("pg__execute").call).timeout, Duration{3'000});
  EXPECT_EQ(policy->assess(Asked("pg__unlisted").call).timeout, Duration{10'000});
  EXPECT_TRUE(policy->assess(Asked("pg__archive").call).has_probe);
  EXPECT_FALSE(read.has_probe);
}

TEST(Assess, TheWorstOfTheMatchingRulesWins) {
  const auto policy = policy_of(R"(
rules:
  - {name: all may read, tools: ["pg__*"], verdict: allow}
  - {name: asked, tools: ["pg__refund"], verdict: ask}
  - {name: no wipe, tools: ["*__wipe"], verdict: deny, reason: nobody wipes}
  - {name: slow, tools: ["pg__wi*"], verdict: two_step}
)");
  EXPECT_EQ(verdict(*policy, Asked("pg__list")), Verdict::allow);
  EXPECT_EQ(verdict(*policy, Asked("pg__unlisted")), Verdict::allow);
  EXPECT_EQ(verdict(*policy, Asked("pg__refund")), Verdict::ask);
  const Assessment wipe = policy->assess(Asked("pg__wipe").call);
  EXPECT_EQ(wipe.verdict, Verdict::deny);
  EXPECT_EQ(wipe.rule, "no wipe");
  EXPECT_EQ(wipe.reason, "nobody wipes");
  EXPECT_EQ(verdict(*policy, Asked("other__list")), Verdict::two_step);
}

TEST(Assess, TheFirstOfEquallyStrictRulesIsNamed) {
  const auto policy = policy_of(R"(
rules:
  - {name: allowed, verdict: allow}
  - {name: first, verdict: ask}
  - {name: second, verdict: ask}
)");
  EXPECT_EQ(policy->assess(Asked("pg__list").call).rule, "first");
}

TEST(Assess, AllConditionsOfARuleMustHold) {
  const auto policy = policy_of(R"(
rules:
  - name: exact
    tools: ["pg__refund", "pg__re?und2"]
    principals: ["agent*"]
    sessions: ["night-*"]
    effects: [write]
    arguments: {required: [amount], properties: {amount: {type: number, maximum: 10}}}
    utc_time: "22:00-06:00"
    verdict: deny
)");
  const auto at = [](Asked& asked, int hour) -> Asked& {
    asked.call.now = Timestamp{std::int64_t{hour} * 3'600'000};
    return asked;
  };
  Asked matching("pg__refund", R"({"amount":5})", "agent-7", "night-1");
  EXPECT_EQ(verdict(*policy, at(matching, 23)), Verdict::deny);
  EXPECT_EQ(verdict(*policy, at(matching, 5)), Verdict::deny);
  EXPECT_EQ(verdict(*policy, at(matching, 6)), Verdict::ask);
  EXPECT_EQ(verdict(*policy, at(matching, 12)), Verdict::ask);
  const auto differs = [&](Asked asked, std::string_view why) {
    at(asked, 23);
    const Explanation explanation = policy->explain(asked.call);
    EXPECT_NE(explanation.assessment.verdict, Verdict::deny);
    ASSERT_EQ(explanation.rules.size(), 1u);
    EXPECT_FALSE(explanation.rules[0].matched);
    EXPECT_THAT(explanation.rules[0].why, HasSubstr(why));
  };
  differs(Asked("pg__execute", "{}", "agent", "night-1"),
          "tool does not match pg__refund, pg__re?und2");
  differs(Asked("pg__refund", "{}", "bob", "night-1"), "principal does not match agent*");
  differs(Asked("pg__refund", "{}", "agent", "day-1"), "session does not match night-*");
  differs(Asked("pg__re_und2", "{}", "agent", "night-1"), "effect destructive is not among");
  differs(Asked("pg__refund", "{}", "agent", "night-1"), "arguments: `amount` is missing");
  differs(Asked("pg__refund", R"({"amount":11})", "agent", "night-1"),
          "arguments/amount: 11 is over the maximum, 10");
  Asked day("pg__refund", R"({"amount":5})", "agent", "night-1");
  EXPECT_THAT(policy->explain(at(day, 12).call).rules[0].why,
              HasSubstr("not between 22:00 and 06:00 UTC"));
}

TEST(Assess, AWindowWithinADayDoesNotWrap) {
  const auto policy = policy_of("rules: [{name: a, verdict: deny, utc_time: \"09:30-17:00\"}]\n");
  const auto at = [&](int minute) {
    Asked asked("pg__list");
    asked.call.now = Timestamp{1'795'000'000'000 / 86'400'000 * 86'400'000 + minute * 60'000};
    return verdict(*policy, asked);
  };
  EXPECT_EQ(at(9 * 60 + 29), Verdict::allow);
  EXPECT_EQ(at(9 * 60 + 30), Verdict::deny);
  EXPECT_EQ(at(16 * 60 + 59), Verdict::deny);
  EXPECT_EQ(at(17 * 60), Verdict::allow);
}

TEST(Assess, AConditionThatCannotBeToldFailsClosed) {
  // Each level asks twice for the one below.
  std::string defs = "{d20: {type: object}";
  for (int i = 0; i < 20; ++i) {
    const std::string next = "{$ref: \"#/$defs/d" + std::to_string(i + 1) + "\"}";
    defs += ", d" + std::to_string(i) + ": {allOf: [" + next + ", " + next + "]}";
  }
  const std::string condition = "{$ref: \"#/$defs/d0\", $defs: " + defs + "}}";
  for (const auto* word : {"allow", "ask", "two_step", "deny"}) {
    const auto policy = policy_of("rules: [{name: a, verdict: " + std::string(word) +
                                  ", arguments: " + condition + "}]\n");
    const Explanation explanation = policy->explain(Asked("pg__wipe").call);
    const bool loosens = std::string_view(word) == "allow";
    EXPECT_EQ(explanation.rules[0].matched, !loosens) << word;
    EXPECT_EQ(explanation.assessment.rule, loosens ? "defaults.irreversible" : "a");
  }
}

TEST(Assess, ARuleWhoseSchemaDoesNotCompileFailsClosed) {
  PolicyContent content;
  content.rules.resize(2);
  content.rules[0].name = "loosens";
  content.rules[0].verdict = Verdict::allow;
  content.rules[0].arguments = json::object{{"type", "nonsense"}};
  content.rules[1].name = "tightens";
  content.rules[1].verdict = Verdict::deny;
  content.rules[1].arguments = json::object{{"type", "nonsense"}};
  const CompiledPolicy policy(std::move(content));
  const Explanation explanation = policy.explain(Asked("a__b").call);
  EXPECT_FALSE(explanation.rules[0].matched);
  EXPECT_TRUE(explanation.rules[1].matched);
  EXPECT_EQ(explanation.assessment.rule, "tightens");
}

TEST(Assess, ExplainsWhichRuleDecides) {
  const auto policy = policy_of(R"(
rules:
  - {name: loose, verdict: allow}
  - {name: strict, verdict: deny}
  - {name: strict too, verdict: deny}
)");
  const Explanation explanation = policy->explain(Asked("pg__list").call);
  ASSERT_EQ(explanation.rules.size(), 3u);
  EXPECT_EQ(explanation.rules[0].why, "matches, but \"strict\" is stricter");
  EXPECT_EQ(explanation.rules[1].why, "decides");
  EXPECT_EQ(explanation.rules[2].why, "matches too, after \"strict\"");
  EXPECT_GT(explanation.rules[1].line, explanation.rules[0].line);
  EXPECT_EQ(explanation.effect_reason, "as the catalogue states");
}

TEST(Assess, ReasonsSayWhatWouldBeAllowed) {
  const auto policy = policy_of("defaults: {write: deny, destructive: deny, irreversible: deny}\n");
  EXPECT_EQ(policy->assess(Asked("pg__refund").call).reason,
            "write (as the catalogue states): denied; not denied are: read");
  const auto asking = policy_of("rules: [{name: careful, verdict: ask}]\n");
  EXPECT_EQ(asking->assess(Asked("pg__refund").call).reason,
            "write (as the catalogue states): rule \"careful\" says ask");
  EXPECT_THAT(policy_of("")->assess(Asked("pg__wipe").call).reason,
              HasSubstr("a delay and a confirmation by somebody else"));
}

TEST(Assess, OneToolIsForbiddenInEveryPolicy) {
  for (const std::string_view rest :
       {"", "rules: [{name: all, tools: [\"*\"], verdict: allow}]",
        "  own: {tools: {forbidden: {effect: read}}}\ndefaults: {read: allow}"}) {
    const auto policy = policy_of(rest);
    const Assessment assessment = policy->assess(Asked("own__forbidden").call);
    EXPECT_EQ(assessment.verdict, Verdict::deny) << rest;
    EXPECT_EQ(assessment.rule, "forbidden by Gavel itself");
    EXPECT_EQ(policy->explain(Asked("own__forbidden").call).assessment, assessment);
  }
}

TEST(Assess, DelaysAreOfTwoStepOperationsOnly) {
  const auto policy = policy_of("defaults: {two_step_delay: 5s, hold_for: 10m}\n");
  EXPECT_EQ(policy->assess(Asked("pg__wipe").call).delay, Duration{5'000});
  EXPECT_EQ(policy->assess(Asked("pg__refund").call).delay, Duration{0});
  EXPECT_EQ(policy->assess(Asked("pg__refund").call).hold_for, Duration{600'000});
}

TEST(Assess, BudgetsAreClaimedInTheLogOfTheirScope) {
  const auto policy = policy_of(R"(
budgets:
  - {name: mine, calls: 5}
  - {name: everyone, scope: everything, wall_clock: 1h}
  - {name: each, scope: agent, calls: 7}
  - {name: server, scope: toolset, calls: 9, tools: ["pg__re*"]}
)");
  const auto claims = policy->assess(Asked("pg__refund", "{}", "agent 7").call).budgets;
  ASSERT_EQ(claims.size(), 4u);
  EXPECT_EQ(claims[0].budget, "mine");
  EXPECT_TRUE(claims[0].log.empty());
  EXPECT_EQ(claims[0].calls_limit, 5u);
  EXPECT_EQ(claims[1].log.value, "control/budget/everyone");
  EXPECT_EQ(claims[1].wall_clock_limit, Duration{3'600'000});
  EXPECT_EQ(claims[2].log.value, "control/budget/each/sha256:" + sha256("agent 7").hex());
  EXPECT_EQ(claims[3].log.value, "control/budget/server/pg");
  const auto others = policy->assess(Asked("pg__list").call).budgets;
  ASSERT_EQ(others.size(), 3u);
  EXPECT_EQ(others[2].log.value, "control/budget/each/agent");
}

TEST(MayEverCall, IsFalseOnlyWhereEveryCallIsDenied) {
  const auto may = [](std::string_view rest, const std::string& tool,
                      const std::string& who = "agent") {
    return policy_of(rest)->may_ever_call(Principal{who}, tool);
  };
  EXPECT_TRUE(may("", "pg__wipe"));
  EXPECT_TRUE(may("", "pg__unlisted"));
  const auto deny = [](const std::string& more) {
    return "rules: [{name: a, verdict: deny" + more + "}]\n";
  };
  EXPECT_FALSE(may(deny(""), "pg__list"));
  EXPECT_FALSE(may(deny(", tools: [\"pg__*\"]"), "pg__list"));
  EXPECT_TRUE(may(deny(", tools: [\"pg__*\"]"), "other__list"));
  EXPECT_FALSE(may(deny(", principals: [\"agent*\"]"), "pg__list"));
  EXPECT_TRUE(may(deny(", principals: [\"agent*\"]"), "pg__list", "bob"));
  EXPECT_FALSE(may(deny(", sessions: [\"*\"]"), "pg__list"));
  EXPECT_TRUE(may(deny(", sessions: [\"s*\"]"), "pg__list"));
  EXPECT_TRUE(may(deny(", utc_time: \"01:00-02:00\""), "pg__list"));
  EXPECT_TRUE(may(deny(", arguments: {required: [a]}"), "pg__list"));
  EXPECT_FALSE(may(deny(", effects: [irreversible]"), "pg__wipe"));
  EXPECT_TRUE(may(deny(", effects: [write, destructive, irreversible]"), "pg__query"));
  EXPECT_TRUE(may(deny(", effects: [read]"), "pg__query"));
  // Unlisted tools are destructive, whatever they do.
  EXPECT_FALSE(may("defaults: {destructive: deny}\n", "pg__unlisted"));
  EXPECT_TRUE(
      may("defaults: {destructive: deny}\nrules: [{name: a, verdict: ask}]\n", "pg__unlisted"));
  EXPECT_FALSE(
      may("defaults: {destructive: deny}\nrules: [{name: a, verdict: ask}, {name: b, verdict: "
          "deny}]\n",
          "pg__unlisted"));
  EXPECT_TRUE(may("defaults: {irreversible: deny}\n", "pg__execute"));
}

constexpr std::string_view kFromData = R"(
rules:
  - name: no orders from data
    effects: [destructive, irreversible]
    arguments_from: [untrusted]
    verdict: deny
    reason: ask the person first
)";

// A trace that says this, and how often it was asked for.
struct Origins {
  std::vector<ArgumentOrigin> parts;
  int asked = 0;
  Assessment assess(const Policy& policy, Asked& call) {
    call.call.trace = [this](const auto&) {
      ++asked;
      return parts;
    };
    return policy.assess(call.call);
  }
};

TEST(Assess, ARuleMayBeAboutWhereArgumentsComeFrom) {
  const auto policy = policy_of(kFromData);
  Asked wipe("pg__wipe", R"({"table":"users"})");
  Origins origins{{{"table", Origin::untrusted, Position{12}, "tickets__read", "users"}}};
  const Assessment denied = origins.assess(*policy, wipe);
  EXPECT_EQ(denied.verdict, Verdict::deny);
  EXPECT_EQ(denied.rule, "no orders from data");
  EXPECT_EQ(denied.reason,
            "ask the person first [argument `table`: \"users\" first appeared in the result of #12 "
            "(tickets__read, untrusted)]");
  EXPECT_EQ(denied.provenance, origins.parts);
  origins.parts[0].origin = Origin::lost;
  EXPECT_EQ(origins.assess(*policy, wipe).verdict, Verdict::deny);
  for (const auto origin : {Origin::person, Origin::trusted, Origin::model}) {
    origins.parts[0].origin = origin;
    const Assessment held = origins.assess(*policy, wipe);
    EXPECT_EQ(held.rule, "defaults.irreversible");
    EXPECT_EQ(held.provenance, origins.parts);  // for whoever decides
  }
  // What cannot be told holds.
  wipe.call.trace = nullptr;
  EXPECT_EQ(policy->assess(wipe.call).verdict, Verdict::deny);
}

TEST(Assess, TrustOfAnAgentsOwnToolsIsSaidForAllAndForEach) {
  const auto policy = parse_policy(
      "servers: {own: {trusted: true, tools: {fetch: {effect: write, trusted: false}}}}", "f");
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_TRUE((*policy)->trusts_results("own__read"));
  EXPECT_TRUE((*policy)->trusts_results("own__cursor.New"));
  EXPECT_FALSE((*policy)->trusts_results("own__fetch"));
}

TEST(Assess, OnlyTheTracedArgumentsCount) {
  const auto policy = policy_of(
      "rules: [{name: a, arguments_from: [untrusted, model], traced: [to], verdict: deny}]");
  Asked send("pg__refund");
  Origins origins{{{"body", Origin::untrusted, Position{12}, "t", "x"},
                   {"tokens", Origin::untrusted, Position{12}, "t", "x"}}};
  EXPECT_EQ(origins.assess(*policy, send).verdict, Verdict::ask);
  const auto explained = policy->explain(send.call);
  EXPECT_EQ(explained.rules[0].why, "no argument among to comes from: untrusted, model");
  origins.parts.push_back({"to/0", Origin::model, {}, "", "x"});
  EXPECT_EQ(origins.assess(*policy, send).verdict, Verdict::deny);
}

TEST(Assess, NothingIsTracedThatNoRuleAsksFor) {
  Asked wipe("pg__wipe");
  Asked list("pg__list");
  Origins origins;
  origins.assess(*policy_of(""), wipe);
  origins.assess(*policy_of(kFromData), list);
  EXPECT_EQ(origins.asked, 0);
  origins.assess(*policy_of(kFromData), wipe);
  EXPECT_EQ(origins.asked, 1);
  EXPECT_TRUE(policy_of(kFromData)->may_ever_call(Principal{"agent"}, "pg__wipe"));
}

TEST(Assess, AgreesWithTryingEachRule) {
  std::string rules = "rules:\n";
  const std::vector<std::string> globs = {"*",     "pg__*",  "*__list", "pg__li?t", "p?__*",
                                          "pg__l", "other*", "?g__*t",  "pg__list", "**__*"};
  int number = 0;
  for (const auto& tool : globs) {
    for (const auto* who : {"agent", "a*", "*t", "bob"}) {
      ++number;
      rules += "  - {name: r" + std::to_string(number) + ", tools: [\"" + tool +
               "\"], principals: [" + std::string(who[0] == '*' ? "\"*t\"" : who) + "], verdict: " +
               (number % 3 == 0   ? "ask"
                : number % 7 == 0 ? "deny"
                                  : "allow") +
               "}\n";
    }
  }
  const auto policy = policy_of(rules);
  for (const auto* tool : {"pg__list", "pg__refund", "other__list", "x", ""}) {
    for (const auto* who : {"agent", "bob", "a", ""}) {
      const Explanation explanation = policy->explain(Asked(tool, "{}", who).call);
      std::optional<Verdict> worst;
      for (const RuleTrace& trace : explanation.rules) {
        if (trace.matched) worst = std::max(worst.value_or(Verdict::allow), trace.verdict);
      }
      if (worst) {
        EXPECT_EQ(explanation.assessment.verdict, *worst) << tool << " " << who;
      } else {
        EXPECT_THAT(explanation.assessment.rule, HasSubstr("defaults.")) << tool << " " << who;
      }
    }
  }
}

TEST(ToolNames, SplitAtTheFirstTwoUnderscores) {
  EXPECT_EQ(tool_name("pg", "query"), "pg__query");
  EXPECT_EQ(split_tool_name("pg__a__b"),
            (std::pair<std::string_view, std::string_view>("pg", "a__b")));
  EXPECT_EQ(split_tool_name("plain"), (std::pair<std::string_view, std::string_view>("", "plain")));
}

}  // namespace
}  // namespace gavel
