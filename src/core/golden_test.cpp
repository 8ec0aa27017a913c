// Logs written by earlier builds, kept for ever in tests/golden: each must decode to the entries,
// and fold to the state, that it did when it was written. A file is never edited; a new format
// version adds its own. GAVEL_WRITE_GOLDEN=1 writes what is missing.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/test_entries.hpp"
#include "core/test_session.hpp"

namespace gavel {
namespace {

namespace fs = std::filesystem;

// A line each: "entry POSITION HEX", "json TEXT" of the entry before it, and of the state at the
// end "snapshot HEX", or for a control log, which has no snapshots, "state TEXT".
struct Golden {
  std::vector<std::pair<Position, std::string>> entries;
  std::vector<std::string> json;
  std::string snapshot;
  std::string state;
};

fs::path file_of(std::string_view name) {
  return fs::path(__FILE__).parent_path() / "../../tests/golden" / name;
}

Golden read_golden(std::string_view name) {
  Golden golden;
  std::ifstream in(file_of(name));
  for (std::string word; in >> word;) {
    if (word == "entry") {
      std::uint64_t position = 0;
      std::string hex;
      in >> position >> hex;
      golden.entries.emplace_back(Position{position}, from_hex(hex).value());
    } else if (word == "json") {
      in.ignore(1);
      std::getline(in, golden.json.emplace_back());
    } else if (word == "snapshot") {
      std::string hex;
      in >> hex;
      golden.snapshot = from_hex(hex).value();
    } else if (word == "state") {
      in.ignore(1);
      std::getline(in, golden.state);
    } else {
      ADD_FAILURE() << name << " has a line of kind " << word;
    }
  }
  return golden;
}

State folded(const std::vector<Entry>& log) {
  State state;
  for (const auto& entry : log) fold(state, entry);
  return state;
}

void write_if_missing(std::string_view name, const std::vector<Entry>& log,
                      const std::string& end) {
  if (std::getenv("GAVEL_WRITE_GOLDEN") == nullptr || fs::exists(file_of(name))) return;
  fs::create_directories(file_of(name).parent_path());
  std::ofstream out(file_of(name));
  for (const auto& entry : log) {
    out << "entry " << entry.position.value << " " << to_hex(encode(entry)) << "\n";
    out << "json " << write_json(to_json(entry)) << "\n";
  }
  out << end << "\n";
}

void write_if_missing(std::string_view name, const std::vector<Entry>& log) {
  write_if_missing(name, log, "snapshot " + to_hex(encode_snapshot(folded(log))));
}

// A later build may say more of a thing, but not something else.
void check_said(const json::object& said, const std::string& text) {
  const auto kept = parse_json(text);
  ASSERT_TRUE(kept && kept->is_object()) << "no JSON: " << text;
  for (const auto& member : kept->get_object()) {
    const auto* value = said.if_contains(member.key());
    EXPECT_EQ(value == nullptr ? "" : write_json(*value), write_json(member.value())) << text;
  }
}

std::vector<Entry> check_entries(std::string_view name, const Golden& golden) {
  EXPECT_FALSE(golden.entries.empty()) << name;
  EXPECT_EQ(golden.entries.size(), golden.json.size());
  std::vector<Entry> log;
  for (std::size_t i = 0; i < golden.entries.size(); ++i) {
    const auto& [position, bytes] = golden.entries[i];
    const auto entry = decode(position, bytes);
    if (!entry) {
      ADD_FAILURE() << name << " " << position.value << ": " << entry.error().message;
      return log;
    }
    check_said(to_json(*entry), golden.json[i]);
    log.push_back(*entry);
  }
  return log;
}

std::vector<Entry> check(std::string_view name) {
  const Golden golden = read_golden(name);
  auto log = check_entries(name, golden);
  const auto snapshot = decode_snapshot(golden.snapshot);
  // One of an earlier format is a cache that is not used.
  if (golden.snapshot.front() != encode_snapshot(State{}).front()) {
    EXPECT_EQ(snapshot.error().code, ErrorCode::unsupported) << name;
    return log;
  }
  EXPECT_TRUE(snapshot) << name;
  if (snapshot) EXPECT_EQ(folded(log), *snapshot) << name;
  return log;
}

TEST(Golden, EveryKindOfVersionOne) {
  std::vector<Entry> written;
  for (auto& body : sample_bodies()) {
    written.push_back(sample_entry(std::move(body)));
    written.back().position = Position{written.size()};
  }
  // A later file has the kinds that came since, and the others once more.
  write_if_missing("kinds-5.txt", written);
  std::set<std::string> kinds;
  for (const auto* file :
       {"kinds-1.txt", "kinds-2.txt", "kinds-3.txt", "kinds-4.txt", "kinds-5.txt"}) {
    for (const auto& entry : check(file)) kinds.insert(name_of(entry.body));
  }
  // UnknownEntry among them.
  EXPECT_EQ(kinds.size(), std::variant_size_v<Body>);
}

TEST(Golden, ASessionOfVersionOne) {
  RandomSession session(7);
  for (int step = 0; step < 400; ++step) session.step();
  write_if_missing("session-1.txt", session.world.log);
  const auto log = check("session-1.txt");
  EXPECT_GT(log.size(), 150u);
  EXPECT_EQ(folded(log).counters.skipped, 0u);
}

Propose elsewhere(const TestWorld& world, const std::string& command, Verdict verdict) {
  Propose call = world.call("own__shell", R"({"command":")" + command + "\"}", verdict);
  call.toolset = "own";
  call.elsewhere = true;
  call.key = "call:" + command;
  call.key_source = KeySource::call_id;
  return call;
}

// What came after the first: prompts, tasks, actions elsewhere; most of it unfinished.
std::vector<Entry> unfinished_session() {
  TestWorld world;
  const auto later = [&] { world.now = world.now + Duration{1'000}; };
  world.apply(decide(world.state, TellPrompt{Principal{"agent"}, world.state.epoch,
                                             Payload::of(R"("tidy up")"), world.now})
                  .value());
  later();
  const auto task = world.propose(world.call("t__run", R"({"n":1})")).intent;
  world.apply(
      decide(world.state, RecordTask{task, "task-1", "2026-07-28", Duration{500}, world.now})
          .value());
  later();
  const auto done = world.propose(elsewhere(world, "make", Verdict::allow)).intent;
  later();
  world.outcome(done, OutcomeKind::ok);
  world.deliver(done);
  const auto taken = world.propose(elsewhere(world, "install", Verdict::ask)).intent;
  later();
  world.apply(world.vote(taken, Verdict::allow).value());
  world.apply(decide_take(world.state, world.view(), taken, world.now).value());
  const auto offered = world.propose(elsewhere(world, "deploy", Verdict::ask)).intent;
  world.apply(world.vote(offered, Verdict::allow).value());
  world.propose(elsewhere(world, "erase", Verdict::deny));
  const auto unwanted = world.propose(elsewhere(world, "reboot", Verdict::two_step)).intent;
  later();
  world.apply(world.vote(unwanted, Verdict::deny).value());
  const auto withdrawn = world.propose(world.call("t__sell", "{}", Verdict::ask)).intent;
  world.apply(decide(world.state, Withdraw{withdrawn, Principal{"agent"}, world.now}).value());
  world.propose(elsewhere(world, "format", Verdict::ask));
  world.apply(refuse(world.state, Refusal{Principal{"zombie"}, Epoch{}, "propose t__run",
                                          Error{ErrorCode::stale_epoch, "older"}, world.now}));
  EXPECT_TRUE(world.folds_to_itself());
  return world.log;
}

TEST(Golden, AnUnfinishedSessionOfVersionOne) {
  write_if_missing("session-2.txt", unfinished_session());
  const State state = folded(check("session-2.txt"));
  std::vector<std::string> open;
  for (const auto& [id, intent] : state.open) {
    open.push_back(
        fmt::format("{} {}{}",
                    intent.proposal.key_source == KeySource::call_id ? intent.proposal.key
                                                                     : intent.proposal.tool,
                    to_string(intent.phase), intent.task.task.empty() ? "" : ", a task"));
  }
  EXPECT_EQ(open, (std::vector<std::string>{"t__run in_flight, a task", "call:install in_flight",
                                            "call:deploy committed", "call:format held"}));
  EXPECT_EQ(state.counters.ok, 1u);
  EXPECT_EQ(state.counters.aborted, 3u);
  EXPECT_EQ(state.counters.refused, 1u);
  EXPECT_EQ(state.counters.skipped, 0u);
}

// Calls that their program numbers, and a driver who makes them again.
std::vector<Entry> taken_over_session() {
  TestWorld world;
  const auto call = [&](const std::string& number) {
    Propose call = world.call("t__call", R"({"a":1})");
    call.key = numbered_key(number);
    call.key_source = KeySource::call_id;
    call.call_id = number;
    return world.propose(call).intent;
  };
  for (const auto* number : {"1", "2"}) {
    const auto intent = call(number);
    world.outcome(intent, OutcomeKind::ok);
    world.deliver(intent);
  }
  call("3");
  world.apply(decide(world.state, Elect{Principal{"agent"}, "rerun", world.now}).value());
  world.deliver(call("a1"));
  call("a2");
  EXPECT_TRUE(world.folds_to_itself());
  return world.log;
}

TEST(Golden, ASessionThatWasTakenOver) {
  write_if_missing("session-3.txt", taken_over_session());
  const State state = folded(check("session-3.txt"));
  EXPECT_EQ(state.counters.intents, 3u);
  EXPECT_EQ(state.counters.replayed, 2u);
  EXPECT_EQ(state.joined.size(), 5u) << "three repetitions, two numbers";
  EXPECT_EQ(state.unfinished.size(), 1u);
  EXPECT_GT(state.wrote_at.value, 0u) << "it was answered with a write";
  EXPECT_EQ(state.counters.skipped, 0u);
}

// --- control logs ---

struct ControlLog {
  explicit ControlLog(std::string name) { state.log = LogId{std::move(name)}; }

  void add(Entry entry) {
    entry.position = state.tail.next();
    fold(state, entry);
    log.push_back(std::move(entry));
  }
  void add(Result<std::vector<Entry>> entries) {
    ASSERT_TRUE(entries) << entries.error().message;
    for (auto& entry : *entries) add(std::move(entry));
  }
  void add(Role role, const std::string& author, Body body) {
    Entry entry;
    entry.at = at(static_cast<int>(log.size()));
    entry.author = Principal{author};
    entry.role = role;
    entry.body = std::move(body);
    add(std::move(entry));
  }
  static Timestamp at(int second) { return Timestamp{1'767'225'600'000 + 1'000 * second}; }

  ControlState state;
  std::vector<Entry> log;
};

json::object shown(const Budget& budget) {
  json::array reserved;
  for (const auto& [of, reservation] : budget.reserved) {
    reserved.push_back(json::object{{"session", of.first.value},
                                    {"intent", of.second.value},
                                    {"calls", reservation.calls},
                                    {"wall_clock_ms", reservation.wall_clock.count()}});
  }
  return {{"calls_used", budget.calls_used},
          {"wall_clock_used_ms", budget.wall_clock_used.count()},
          {"reserved", std::move(reserved)}};
}

json::object shown(const ToolPin& pin) {
  return {{"digest", pin.digest.hex()},
          {"position", pin.position.value},
          {"by", pin.by.value},
          {"by_person", pin.by_person},
          {"since", pin.since.ms},
          {"refused", pin.refused.hex()},
          {"refused_by", pin.refused_by.value}};
}

json::object shown(const ControlState& state) {
  json::object out{{"log", state.log.value},
                   {"tail", state.tail.value},
                   {"barrier", state.barrier},
                   {"halt", nullptr},
                   {"policy_version", state.policy_version},
                   {"policy_position", state.policy_position.value},
                   {"skipped", state.skipped}};
  if (state.halt) {
    out["halt"] = json::object{{"mode", to_string(state.halt->mode)},
                               {"by", state.halt->by.value},
                               {"reason", state.halt->reason},
                               {"since", state.halt->since.ms},
                               {"position", state.halt->position.value}};
  }
  json::object budgets;
  for (const auto& [name, budget] : state.budgets) budgets[name] = shown(budget);
  json::object pins;
  for (const auto& [tool, pin] : state.pins) pins[tool] = shown(pin);
  out["budgets"] = std::move(budgets);
  out["pins"] = std::move(pins);
  return out;
}

ControlLog halts_and_policies() {
  ControlLog control("control/everything");
  const Principal operator_{"operator"};
  control.add(Role::admin, "gavel", PolicyActivated{"v1", Payload::of("version: 1\n")});
  control.add(decide(control.state, RaiseHalt{Principal{"watchdog"}, Role::observer,
                                              HaltMode::freeze, "too many calls", control.at(1)}));
  control.add(decide(control.state,
                     RaiseHalt{operator_, Role::admin, HaltMode::halt, "incident", control.at(2)}));
  // An observer may not: it is skipped, and the barrier that the log raised counts all the same.
  control.add(Role::observer, "watchdog", HaltLifted{"quiet now"});
  control.add(decide(control.state, LiftHalt{operator_, Role::admin, "over", control.at(4)}));
  control.add(Role::admin, "gavel", PolicyActivated{"v2", Payload::of("version: 2\n")});
  control.add(decide(control.state,
                     RaiseHalt{operator_, Role::admin, HaltMode::freeze, "again", control.at(6)}));
  return control;
}

ControlLog shared_budget() {
  ControlLog control("control/budget/mails");
  const auto reserve = [&](const char* session, std::uint64_t intent) {
    control.add(Role::decider, "gavel",
                BudgetReserved{"mails", LogId{session}, IntentId{intent}, 1, Duration{60'000}});
  };
  reserve("s", 3);
  reserve("other", 3);
  control.add(Role::executor, "gavel",
              BudgetSettled{"mails", LogId{"s"}, IntentId{3}, 1, Duration{250}});
  reserve("s", 9);
  // Reserved twice: skipped.
  reserve("s", 9);
  control.add(Role::decider, "gavel",
              BudgetSettled{"mails", LogId{"other"}, IntentId{3}, 0, Duration{0}});
  return control;
}

ControlLog pinned_tools() {
  ControlLog control("control/toolset/pg");
  const Principal gavel{"gavel"};
  const Principal operator_{"operator"};
  const auto pin = [&](const Principal& by, Role role, const char* tool, const char* definition) {
    control.add(decide(control.state,
                       PinTool{by, role, tool, digest_of(definition), Payload::of(definition),
                               control.at(static_cast<int>(control.log.size()))}));
  };
  const auto refuse_tool = [&](const char* tool, const char* definition) {
    control.add(
        decide(control.state, RefuseTool{operator_, Role::approver, tool, digest_of(definition),
                                         "no", control.at(static_cast<int>(control.log.size()))}));
  };
  pin(gavel, Role::decider, "query", R"({"name":"query"})");
  pin(gavel, Role::decider, "drop", R"({"name":"drop"})");
  refuse_tool("query", R"({"name":"query","keys":true})");
  pin(operator_, Role::admin, "query", R"({"name":"query","rows":true})");
  refuse_tool("drop", R"({"name":"drop"})");
  refuse_tool("unseen", R"({"name":"unseen"})");
  return control;
}

TEST(Golden, ControlLogsOfVersionOne) {
  const std::vector<std::pair<std::string, ControlLog>> logs = {
      {"control-everything-1.txt", halts_and_policies()},
      {"control-budget-1.txt", shared_budget()},
      {"control-toolset-1.txt", pinned_tools()}};
  for (const auto& [name, written] : logs) {
    write_if_missing(name, written.log, "state " + write_json(shown(written.state)));
    const Golden golden = read_golden(name);
    ControlState state;
    state.log = written.state.log;
    for (const auto& entry : check_entries(name, golden)) fold(state, entry);
    check_said(shown(state), golden.state);
  }
  EXPECT_EQ(halts_and_policies().state.skipped, 1u);
  EXPECT_EQ(shared_budget().state.skipped, 1u);
}

}  // namespace
}  // namespace gavel
