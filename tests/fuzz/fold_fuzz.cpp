// A session driven by the fuzzer's bytes: honest commands through decide, and between them forged
// entries of any role and kind, as a poisoned log would hold them. Whatever stands in the log,
//   - fold never fails, and an entry that it skips changes nothing but the tail and the counts;
//   - what decide says next is applied: the runtime would end the process otherwise (I10);
//   - an intent is decided once, has one attempt in flight and one final outcome (I2, I4);
//   - where arguments come from can be told, the worst first;
//   - the indexes of the state agree with each other, and the state survives its snapshot (I8).
#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <set>

#include "base/assert.hpp"
#include "base/json.hpp"
#include "bytes.hpp"
#include "core/codec.hpp"
#include "core/decide.hpp"
#include "core/fold.hpp"
#include "core/provenance.hpp"
#include "core/react.hpp"
#include "core/rights.hpp"
#include "forged_entries.hpp"

namespace {

using namespace gavel;
using fuzz::Bytes;

constexpr int kStepsMax = 120;
constexpr std::uint64_t kCallsMax = 5;

// What applied entries say, remembered apart from the state.
class Auditor {
public:
  void see(const State& before, const Entry& entry) {
    std::visit([&](const auto& body) { see(before, entry, body); }, entry.body);
  }

private:
  void see(const State&, const Entry&, const Decision& decision) {
    ASSERT(decided_.insert(decision.intent).second);
    if (decision.ruling == Ruling::abort) ASSERT(closed_.insert(decision.intent).second);
  }
  void see(const State& before, const Entry&, const Attempt& attempt) {
    ASSERT(decided_.contains(attempt.intent) && !closed_.contains(attempt.intent));
    ASSERT(running_.insert(attempt.intent).second);
    ASSERT(attempt.fencing_token > before.fencing_token);
    const auto& proposal = before.open.at(attempt.intent).proposal;
    const bool repeatable = proposal.idempotent || proposal.effect == Effect::read;
    ASSERT(attempt.number == 1 || repeatable);
  }
  void see(const State&, const Entry&, const Outcome& outcome) {
    ASSERT(decided_.contains(outcome.intent));
    running_.erase(outcome.intent);
    if (outcome.kind != OutcomeKind::unknown) ASSERT(closed_.insert(outcome.intent).second);
  }
  void see(const State&, const Entry&, const Delivered& delivered) {
    ASSERT(closed_.contains(delivered.intent) && delivered_.insert(delivered.intent).second);
  }
  void see(const State& before, const Entry& entry, const IntentProposed& proposal) {
    ASSERT(entry.epoch == before.epoch && entry.author == proposal.requester);
    ASSERT(keys_.insert(proposal.key).second);
  }
  void see(const State& before, const Entry& entry, const EpochElected& elected) {
    ASSERT(elected.epoch == before.epoch.next() && entry.epoch == elected.epoch);
  }
  void see(const State& before, const Entry& entry, const Vote& vote) {
    const auto& proposal = before.open.at(vote.intent).proposal;
    ASSERT(vote.digest == proposal.digest && vote.voter == entry.author);
    const bool person = entry.role == Role::approver || entry.role == Role::admin;
    ASSERT(!person || vote.verdict != Verdict::allow || entry.author != proposal.requester);
  }
  void see(const State&, const Entry&, const auto&) {}

  std::set<IntentId> decided_, running_, closed_, delivered_;
  std::set<std::string> keys_;
};

void check_indexes(const State& state) {
  ASSERT(state.keys.size() == state.key_of.size());
  std::size_t rounds = 0;
  for (const auto& [key, record] : state.keys) {
    ASSERT(state.key_of.at(record.intent) == key);
    ASSERT(record.closed != state.open.contains(record.intent));
    ASSERT(record.closed || !record.delivered);
    rounds += key.contains(kRoundMark) ? 1 : 0;
  }
  ASSERT(rounds == state.rounds.size());
  for (const auto& [id, open] : state.open) {
    ASSERT(open.id == id && id <= state.tail);
    ASSERT(state.keys.at(open.proposal.key).intent == id);
    ASSERT((open.phase == Phase::held) <= open.hold.has_value());
  }
  for (const auto& [id, proposal] : state.settling) ASSERT(!state.open.contains(id));
}

// A skipped entry leaves its place and its count.
void check_skip(State before, const State& after) {
  before.tail = after.tail;
  before.last_at = after.last_at;
  ++before.counters.skipped;
  ASSERT(before == after);
}
void check_skip(ControlState before, const ControlState& after) {
  before.tail = after.tail;
  before.barrier = after.barrier;
  ++before.skipped;
  ASSERT(before == after);
}

class Session {
public:
  explicit Session(std::string_view bytes) : bytes_(bytes) {
    state_.session = twin_.session = LogId{"s"};
    append(decide(state_, Open{LogId{"s"}, Principal{"agent"}, "fuzz", now_}).value());
    append(decide(state_, Elect{Principal{"agent"}, "start", now_}).value());
  }

  void run() {
    for (int step = 0; step < kStepsMax && !bytes_.empty(); ++step) {
      now_ = now_ + Duration{static_cast<std::int64_t>(bytes_.pick(256)) * 40};
      command();
    }
    check_indexes(state_);
    ASSERT(twin_ == state_);
    check_provenance();
    const auto restored = decode_snapshot(encode_snapshot(state_));
    ASSERT(restored && *restored == state_);
    (void)next_due(state_);
  }

private:
  void check_provenance() const {
    ASSERT(provenance_.tail() == state_.tail);
    const json::value arguments = json::object{{"n", 2}, {"text", "go on with it: 1"}};
    const auto parts =
        provenance_.trace(arguments, {}, [](const std::string& tool) { return tool == "t__a"; });
    ASSERT(std::ranges::is_sorted(parts, std::greater(), &ArgumentOrigin::origin));
    for (const auto& part : parts) ASSERT(part.source <= state_.tail && !to_text(part).empty());
  }

  void command() {
    const IntentId some = fuzz::some_intent(bytes_, state_);
    switch (bytes_.pick(16)) {
      case 0:
      case 1:
        return propose();
      case 2:
        return finish(some);
      case 3:
        return vote(some);
      case 4:
        return probe(some);
      case 5:
        for (const auto id : due_intents(state_, now_)) {
          append(decide_due(state_, view(), id, now_));
        }
        return;
      case 6:
        return append(decide_lost(state_, some, now_));
      case 7:
        return append(bytes_.pick(2) == 0 ? decide_retry(state_, view(), some, now_)
                                          : decide_take(state_, view(), some, now_));
      case 8:
        return resolve(some);
      case 9:
        return control();
      case 10:
        return append(mark_delivered(state_, some, now_));
      case 11:
        if (bytes_.pick(4) > 0) return refuse_something();
        return append(decide(state_, Elect{Principal{"agent"}, "again", now_}));
      case 12:
        return forge_control();
      default:
        return forge();
    }
  }

  ControlState& scope(const std::string& name) {
    auto& made = control_[LogId{name}];
    made.log = LogId{name};
    return made;
  }
  std::vector<BudgetClaim> claims() const {
    return {BudgetClaim{"b", LogId{}, kCallsMax, Duration{0}},
            BudgetClaim{"b", LogId{"control/budget/b"}, kCallsMax, Duration{900'000}}};
  }
  ControlView view() {
    ControlView made;
    made.scopes = {&scope("control/everything"), &scope("control/agent/agent")};
    made.budgets = {&scope("control/budget/b")};
    made.claims = claims();
    return made;
  }

  // --- folding ---
  Folded fold_into_session(const Entry& entry) {
    const State before = state_;
    const Folded folded = fold(state_, entry);
    const auto copy = decode(entry.position, encode(entry));
    ASSERT(copy && fold(twin_, *copy) == folded);
    provenance_.add(*copy, [](const Payload& payload) -> Result<std::string> {
      if (!payload.is_inline()) return fail(ErrorCode::not_found, "it is gone");
      return payload.bytes;
    });
    ASSERT(state_.tail == entry.position);
    if (folded == Folded::skipped) {
      check_skip(before, state_);
      return folded;
    }
    ASSERT(state_.counters.skipped == before.counters.skipped);
    auditor_.see(before, entry);
    for (const auto& action : react(state_, entry)) check_action(action);
    return folded;
  }
  // What the runtime is told to do is about an intent in the right phase.
  void check_action(const Action& action) {
    if (const auto* dispatch = std::get_if<Dispatch>(&action)) {
      const auto& open = state_.open.at(dispatch->intent);
      ASSERT(open.phase == Phase::in_flight && open.attempts == dispatch->attempt);
      ASSERT(!open.proposal.elsewhere);
    } else if (const auto* answer = std::get_if<Answer>(&action)) {
      // Nobody knows yet is an answer too.
      const auto open = state_.open.find(answer->intent);
      ASSERT(open == state_.open.end() || open->second.phase == Phase::unknown);
    } else if (const auto* retry = std::get_if<Retry>(&action)) {
      ASSERT(state_.open.at(retry->intent).phase == Phase::unknown);
    }
  }
  void fold_into_control(ControlState& log, const Entry& entry) {
    const ControlState before = log;
    const Folded folded = fold(log, entry);
    ASSERT(log.barrier == before.barrier + (raises_barrier(entry.body) ? 1 : 0));
    ASSERT(log.pins.size() <= kPinsMax);
    if (folded == Folded::skipped) check_skip(before, log);
  }

  void append(Plan plan) {
    for (auto& entry : plan.entries) {
      entry.position = state_.tail.next();
      ASSERT(check_rights(entry));
      const auto decoded = decode(entry.position, encode(entry));
      ASSERT(decoded && *decoded == entry);
      const Folded folded = fold_into_session(*decoded);
      // Said here, because a replay shows nothing else of the state.
      if (folded == Folded::skipped) std::puts(write_json(to_json(entry)).c_str());
      ASSERT(folded == Folded::applied);
    }
    for (auto& other : plan.control) {
      for (auto& entry : other.entries) {
        ControlState& log = scope(other.log.value);
        entry.position = log.tail.next();
        ASSERT(check_rights(entry));
        fold_into_control(log, entry);
      }
    }
  }
  void append(Result<Plan> plan) {
    if (plan) append(std::move(*plan));
  }

  // --- honest commands ---
  void propose() {
    constexpr std::string_view kArguments[] = {"{}", R"({"n":1})", R"({"n":2})"};
    Propose command;
    command.requester = Principal{"agent"};
    command.epoch = bytes_.pick(16) == 0 ? Epoch{bytes_.extreme()} : state_.epoch;
    command.tool = bytes_.pick(2) == 0 ? "t__a" : "t__b";
    command.toolset = "t";
    const auto arguments = kArguments[bytes_.pick(3)];
    command.arguments = Payload::of(std::string(arguments));
    command.digest = sha256(arguments);
    command.elsewhere = bytes_.pick(5) == 0;
    const auto key = bytes_.pick(8);
    if (key < 3) command.key = std::string("k") + static_cast<char>('0' + key);
    if (key == 4) command.round_of = sha256(kArguments[bytes_.pick(3)]);
    auto& assessment = command.assessment;
    assessment.verdict = static_cast<Verdict>(bytes_.pick(4));
    assessment.effect = static_cast<Effect>(bytes_.pick(4));
    assessment.idempotent = bytes_.pick(2) == 0;
    assessment.has_probe = bytes_.pick(3) == 0;
    assessment.attempts_max = bytes_.pick(4);
    assessment.timeout = fuzz::some_span(bytes_);
    assessment.delay = fuzz::some_span(bytes_);
    assessment.hold_for = fuzz::some_span(bytes_);
    assessment.policy_version = "v1";
    if (bytes_.pick(2) == 0) assessment.budgets = claims();
    command.now = now_;
    if (auto proposed = decide(state_, view(), command)) append(std::move(proposed->plan));
  }
  void finish(IntentId intent) {
    RecordOutcome command;
    command.intent = intent;
    command.kind = static_cast<OutcomeKind>(bytes_.pick(3));
    command.source = static_cast<OutcomeSource>(bytes_.pick(4));
    command.now = now_;
    append(decide(state_, command));
  }
  void vote(IntentId intent) {
    CastVote command;
    command.intent = intent;
    command.voter = fuzz::some_principal(bytes_);
    command.role = static_cast<Role>(bytes_.pick(7));
    command.verdict = static_cast<Verdict>(bytes_.pick(4));
    const auto open = state_.open.find(intent);
    if (open != state_.open.end() && bytes_.pick(8) > 0) {
      command.digest = open->second.proposal.digest;
    }
    command.now = now_;
    append(decide(state_, view(), command));
  }
  void probe(IntentId intent) {
    RecordProbe command;
    command.intent = intent;
    if (!state_.settling.empty() && bytes_.pick(2) == 0) {
      command.intent = state_.settling.begin()->first;
    }
    command.verdict = static_cast<ProbeVerdict>(bytes_.pick(3));
    command.now = now_;
    append(decide(state_, command));
  }
  void resolve(IntentId intent) {
    Resolve command;
    command.intent = intent;
    command.resolver = fuzz::some_principal(bytes_);
    command.kind = static_cast<OutcomeKind>(bytes_.pick(3));
    command.now = now_;
    append(decide(state_, command));
  }
  void refuse_something() {
    const Refusal refusal{fuzz::some_principal(bytes_), Epoch{bytes_.extreme()}, "propose",
                          Error{ErrorCode::stale_epoch, "no"}, now_};
    append(refuse(state_, refusal));
  }
  void control() {
    ControlState& log = scope(bytes_.pick(2) == 0 ? "control/everything" : "control/agent/agent");
    const auto by = fuzz::some_principal(bytes_);
    const auto role = static_cast<Role>(bytes_.pick(7));
    const auto tool = bytes_.pick(2) == 0 ? "a" : "b";
    const Digest digest = sha256(bytes_.pick(2) == 0 ? "1" : "2");
    Result<std::vector<Entry>> entries = std::vector<Entry>{};
    switch (bytes_.pick(4)) {
      case 0:
        entries = decide(log, RaiseHalt{by, role, static_cast<HaltMode>(bytes_.pick(2)), "", now_});
        break;
      case 1:
        entries = decide(log, LiftHalt{by, role, "", now_});
        break;
      case 2:
        entries = decide(log, PinTool{by, role, tool, digest, {}, now_});
        break;
      case 3:
        entries = decide(log, RefuseTool{by, role, tool, digest, "", now_});
        break;
    }
    if (!entries) return;
    for (auto& entry : *entries) {
      entry.position = log.tail.next();
      ASSERT(check_rights(entry));
      const auto skipped = log.skipped;
      fold_into_control(log, entry);
      ASSERT(log.skipped == skipped);
    }
  }

  // --- forgeries ---
  Entry forged() {
    Entry entry;
    entry.epoch = bytes_.pick(8) == 0 ? Epoch{bytes_.extreme()} : state_.epoch;
    entry.at = bytes_.pick(16) == 0 ? fuzz::some_time(bytes_) : now_;
    entry.author = fuzz::some_principal(bytes_);
    entry.role = static_cast<Role>(bytes_.pick(7));
    entry.body = fuzz::forged_body(bytes_, state_);
    // Most of what is forged should be let in, or nothing behind it is ever tried.
    if (const auto* intent = std::get_if<IntentProposed>(&entry.body)) {
      entry.author = intent->requester;
      entry.role = Role::driver;
    }
    if (const auto* vote = std::get_if<Vote>(&entry.body)) entry.author = vote->voter;
    return entry;
  }
  void forge() {
    Entry entry = forged();
    entry.position = state_.tail.next();
    // As it would come from a store.
    const auto stored = decode(entry.position, encode(entry));
    // A time beyond all times is no entry.
    if (!stored) return;
    (void)to_json(*stored);
    fold_into_session(*stored);
  }
  void forge_control() {
    constexpr std::string_view kLogs[] = {"control/everything", "control/agent/agent",
                                          "control/budget/b"};
    ControlState& log = scope(std::string(kLogs[bytes_.pick(3)]));
    Entry entry = forged();
    entry.position = log.tail.next();
    const auto stored = decode(entry.position, encode(entry));
    if (stored) fold_into_control(log, *stored);
  }

  Bytes bytes_;
  State state_;
  State twin_;
  Provenance provenance_;
  std::map<LogId, ControlState> control_;
  Timestamp now_{1'000'000};
  Auditor auditor_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Session(gavel::fuzz::text_of(data, size)).run();
  return 0;
}
