#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/entry_text.hpp"
#include "cli/explanation_text.hpp"
#include "cli/session_text.hpp"
#include "cli/watch_view.hpp"
#include "core/codec.hpp"

namespace gavel {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Style kPlain(false);
constexpr Timestamp kNow{1'795'236'180'123};  // 2026-11-21T04:43:00.123Z

json::value entry_json(std::uint64_t position, std::int64_t seconds_ago, Role role, Body body) {
  Entry entry;
  entry.position = Position{position};
  entry.epoch = Epoch{1};
  entry.at = Timestamp{kNow.ms - seconds_ago * 1000};
  entry.author = Principal{"agent"};
  entry.role = role;
  entry.body = std::move(body);
  // As a client gets it: numbers that were written and read again.
  return parse_json(write_json(to_json(entry))).value();
}

json::value intent_entry() {
  IntentProposed intent;
  intent.tool = "pg__execute";
  intent.toolset = "pg";
  intent.arguments = Payload::of(R"({"sql":"DELETE FROM accounts"})");
  intent.digest = canonical_digest(json::object{{"sql", "DELETE FROM accounts"}});
  intent.effect = Effect::destructive;
  intent.key = "k1";
  intent.requester = Principal{"agent"};
  return entry_json(17, 60, Role::driver, intent);
}

json::value outcome_entry(OutcomeKind kind) {
  Outcome outcome;
  outcome.intent = IntentId{17};
  outcome.kind = kind;
  outcome.source = OutcomeSource::call;
  outcome.took = Duration{1500};
  outcome.result = Payload::of(R"({"content":[]})");
  outcome.reason = kind == OutcomeKind::ok ? "" : "no answer";
  return entry_json(20, 50, Role::executor, outcome);
}

TEST(EntrySummary, SaysWhatEachKindSays) {
  EXPECT_EQ(entry_summary(intent_entry()),
            R"(pg__execute destructive {"sql":"DELETE FROM accounts"})");
  EXPECT_EQ(entry_summary(outcome_entry(OutcomeKind::ok)),
            R"(#17 ok by call in 1.5s: {"content":[]})");
  Vote vote;
  vote.intent = IntentId{17};
  vote.voter = Principal{"ann"};
  vote.verdict = Verdict::deny;
  vote.reason = "production";
  EXPECT_EQ(entry_summary(entry_json(18, 1, Role::approver, vote)), "#17 ann deny: production");
  vote.verdict = Verdict::ask;
  vote.provenance = {{"sql", Origin::untrusted, Position{12}, "tickets__read", "users"},
                     {"note", Origin::model, {}, "", "by hand"}};
  EXPECT_EQ(entry_summary(entry_json(18, 1, Role::approver, vote)),
            "#17 ann ask: production; sql from untrusted #12");
  Outcome said;
  said.intent = IntentId{17};
  said.kind = OutcomeKind::ok;
  said.result = Payload::of(R"({"content":[{"type":"text","text":"3 rows"}]})");
  EXPECT_EQ(entry_summary(entry_json(20, 1, Role::executor, said)),
            "#17 ok by call in 0ms: 3 rows");
  Held held;
  held.intent = IntentId{17};
  held.expires_at = kNow;
  EXPECT_EQ(entry_summary(entry_json(21, 1, Role::decider, held)), "#17 ask, expires 04:43:00.123");
  Decision decision;
  decision.intent = IntentId{17};
  decision.ruling = Ruling::abort;
  decision.code = "denied";
  decision.reason = "production";
  EXPECT_EQ(entry_summary(entry_json(19, 1, Role::decider, decision)),
            "#17 abort denied: production");
  HaltRaised halt;
  halt.mode = HaltMode::freeze;
  halt.reason = "release";
  EXPECT_EQ(entry_summary(entry_json(1, 1, Role::admin, halt)), "freeze: release");
  Refused refused;
  refused.who = Principal{"zombie"};
  refused.what = "propose pg__query";
  refused.code = "stale_epoch";
  EXPECT_EQ(entry_summary(entry_json(1, 1, Role::driver, refused)),
            "zombie: propose pg__query (stale_epoch)");
}

TEST(EntrySummary, NeverThrowsOnKindsAndFieldsThatItDoesNotKnow) {
  EXPECT_THAT(entry_summary(json::object{{"kind", "unknown(99)"}, {"bytes", "00"}}),
              HasSubstr("unknown(99)"));
  for (const auto* kind : {"intent", "vote", "outcome", "held", "budget_settled", "refused"}) {
    EXPECT_NO_THROW(entry_summary(json::object{{"kind", kind}, {"intent", "x"}, {"tool", 7}}));
  }
  EXPECT_NO_THROW(entry_summary(json::value(nullptr)));
}

TEST(EntryLine, FitsTheTerminal) {
  const auto line = entry_line(intent_entry(), kPlain, 80);
  EXPECT_LE(display_width(line), 81u);
  EXPECT_THAT(line, HasSubstr("    17  04:42:00.123  intent"));
  EXPECT_TRUE(line.ends_with("…\n")) << line;
}

TEST(IntentStory, TellsTheWholeLifeWithItsTimes) {
  const auto story =
      intent_story("refund", {intent_entry(), outcome_entry(OutcomeKind::unknown)}, kPlain);
  EXPECT_THAT(story, HasSubstr("refund#17\n"));
  EXPECT_THAT(story, HasSubstr("\"sql\": \"DELETE FROM accounts\""));
  EXPECT_THAT(story, HasSubstr("+10.0s"));
  EXPECT_THAT(story, HasSubstr("unknown by call in 1.5s: no answer"));
}

json::value pending_item() {
  return json::object{
      {"session", "refund"},
      {"intent", 17},
      {"phase", "held"},
      {"tool", "pg__execute"},
      {"effect", "destructive"},
      {"arguments", json::object{{"sql", "DELETE\x1b[2J FROM accounts"}}},
      {"digest", std::string(64, 'a')},
      {"requester", "agent"},
      {"rule", "ask-first"},
      {"reason", "deletes need a person"},
      {"hold", "two_step"},
      {"proposed_at", to_iso8601(Timestamp{kNow.ms - 60'000})},
      {"not_before", to_iso8601(Timestamp{kNow.ms + 30'000})},
      {"expires_at", to_iso8601(Timestamp{kNow.ms + 3'600'000})},
      {"votes", json::array{json::object{
                    {"voter", "policy"}, {"verdict", "two_step"}, {"reason", "destructive"}}}}};
}

TEST(PendingText, ShowsExactlyWhatAnApprovalWouldApprove) {
  const auto text = pending_text(pending_item(), kNow, kPlain);
  EXPECT_THAT(text, HasSubstr("refund#17"));
  EXPECT_THAT(text, HasSubstr("pg__execute"));
  EXPECT_THAT(text, HasSubstr("destructive"));
  EXPECT_THAT(text, HasSubstr("aaaaaaaaaaaa\n"));
  EXPECT_THAT(text, HasSubstr("FROM accounts"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(PendingText, ShowsWhereArgumentsComeFrom) {
  auto item = pending_item();
  item.as_object()["provenance"] =
      json::array{json::object{{"argument", "sql"},
                               {"origin", "untrusted"},
                               {"source", 12},
                               {"tool", "tickets__read"},
                               {"text", "DELETE FROM \x1b[2J"}},
                  json::object{{"argument", "note"}, {"origin", "newer than this"}, {"text", "x"}}};
  const auto text = pending_text(item, kNow, kPlain);
  EXPECT_THAT(text, HasSubstr("  from  argument `sql`: \"DELETE FROM  [2J\" first appeared in the "
                              "result of #12 (tickets__read, untrusted)\n"));
  EXPECT_THAT(text, HasSubstr("argument `note`: \"x\" may come from what is not known any more"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(WaitText, SaysWhatTheIntentWaitsFor) {
  auto item = pending_item();
  EXPECT_EQ(wait_text(item, kNow), "waits for a confirmation, acts in 30s or later, expires in 1h");
  item.as_object()["approved_by"] = json::array{"ann", "bob"};
  EXPECT_EQ(wait_text(item, kNow), "approved by ann, bob; acts in 30s");
  item.as_object()["not_before"] = to_iso8601(kNow);
  EXPECT_EQ(wait_text(item, kNow),
            "approved by ann, bob; waits for a halt to end or a write to be seen");
  item.as_object()["approved_by"] = json::array{};
  item.as_object()["not_before"] = nullptr;
  EXPECT_EQ(wait_text(item, kNow), "waits for a confirmation, expires in 1h");
  item.as_object()["hold"] = "ask";
  EXPECT_EQ(wait_text(item, kNow), "waits for an approval, expires in 1h");
  item.as_object()["hold"] = "settling";
  EXPECT_EQ(wait_text(item, kNow), "waits until the last write is seen");
  item.as_object()["phase"] = "unknown";
  EXPECT_EQ(wait_text(item, kNow), "outcome unknown");
}

TEST(JsonBlock, StopsAtItsLimitAndSaysSo) {
  json::array many;
  for (int i = 0; i < 50; ++i) many.push_back(i);
  const auto text = json_block(many, "  ", {.lines = 5});
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 6);
  EXPECT_THAT(text, HasSubstr("--json"));
}

TEST(JsonBlock, ShowsWhatWouldNotBeSeen) {
  // A right-to-left override makes "txt.exe" read as something else; a zero-width space hides.
  const auto text = json_block(json::object{{"path", "a\u202Etxt.exe\u200B"}}, "", {});
  EXPECT_THAT(text, HasSubstr("a\\u202etxt.exe\\u200b"));
  EXPECT_THAT(json_line(json::object{{"path", "\u2066x"}}, 100), HasSubstr("\\u2066x"));
}

TEST(PendingText, CutsNothingOfLongArguments) {
  auto item = pending_item();
  item.as_object()["arguments"] = json::object{{"sql", std::string(5000, 'x') + " DROP"}};
  EXPECT_THAT(pending_text(item, kNow, kPlain), HasSubstr("x DROP"));
}

json::value session_item(const std::string& name) {
  return json::object{{"session", name},
                      {"tail", 20},
                      {"epoch", 2},
                      {"agent", "agent"},
                      {"driver", "agent"},
                      {"client", "opencode"},
                      {"held", 1},
                      {"in_flight", 0},
                      {"unknown", 0},
                      {"opened_at", to_iso8601(kNow)},
                      {"last_at", to_iso8601(Timestamp{kNow.ms - 5000})},
                      {"counters", json::object{{"intents", 3}, {"ok", 2}}}};
}

TEST(SessionText, ShowsWhoDrivesAndWhatWaits) {
  const auto text = session_text(session_item("refund"), kNow, kPlain);
  EXPECT_THAT(text, HasSubstr("agent, epoch 2"));
  EXPECT_THAT(text, HasSubstr("0 running, 1 held, 0 unknown"));
  EXPECT_THAT(text, HasSubstr("3 proposed"));
}

TEST(WatchScreen, FitsTheTerminalAndKeepsHaltsOnTop) {
  WatchState state;
  state.url = "http://127.0.0.1:7420";
  for (int i = 0; i < 40; ++i) {
    state.sessions.push_back(session_item("session-" + std::to_string(i)));
    state.pending.push_back(pending_item());
  }
  state.halts.push_back(json::object{
      {"scope", "everything"}, {"mode", "halt"}, {"by", "ann"}, {"reason", "look at this"}});
  const auto screen = watch_screen(state, kNow, kPlain, {.columns = 100, .rows = 24});
  EXPECT_LT(std::count(screen.begin(), screen.end(), '\n'), 24);
  EXPECT_THAT(screen, HasSubstr("everything HALTED by ann: look at this"));
  EXPECT_THAT(screen, HasSubstr("more"));
  EXPECT_THAT(screen, HasSubstr("refund#17"));
  EXPECT_THAT(screen, HasSubstr("session-0"));
}

TEST(WatchScreen, IsShortWhereNothingHappens) {
  const auto screen = watch_screen({.url = "u"}, kNow, kPlain, {});
  EXPECT_EQ(screen, "gavel  u  0 sessions  0 waiting  04:43:00 UTC\n");
}

TEST(OpenCalls, FollowsACallFromProposalToOutcome) {
  OpenCalls calls;
  EXPECT_EQ(calls.text(kNow), "");
  calls.add(intent_entry());
  EXPECT_EQ(calls.text(kNow), "#17 pg__execute proposed 1m 00s");
  Attempt attempt;
  attempt.intent = IntentId{17};
  calls.add(entry_json(19, 2, Role::executor, attempt));
  EXPECT_EQ(calls.text(kNow), "#17 pg__execute running 2.0s");
  calls.add(outcome_entry(OutcomeKind::unknown));
  EXPECT_THAT(calls.text(kNow), HasSubstr("unknown"));
  calls.add(outcome_entry(OutcomeKind::ok));
  EXPECT_EQ(calls.text(kNow), "");
}

TEST(ExplanationText, SaysTheVerdictAndWhyEachRuleMatched) {
  const json::value explanation =
      json::object{{"verdict", "deny"},
                   {"effect", "destructive"},
                   {"effect_reason", "SQL: DELETE without WHERE"},
                   {"rule", "no-deletes"},
                   {"reason", "not here"},
                   {"policy_version", std::string(64, 'b')},
                   {"rules", json::array{json::object{{"rule", "no-deletes"},
                                                      {"line", 12},
                                                      {"matched", true},
                                                      {"verdict", "deny"},
                                                      {"why", "all conditions hold"}}}}};
  const auto text = explanation_text(explanation, kPlain, 0);
  EXPECT_THAT(text, HasSubstr("destructive (SQL: DELETE without WHERE)"));
  EXPECT_THAT(text, HasSubstr("no-deletes"));
  EXPECT_THAT(text, HasSubstr("bbbbbbbbbbbb\n"));
  EXPECT_THAT(text, HasSubstr("12  yes"));
}

}  // namespace
}  // namespace gavel
