#pragma once
// decide: what a command means in a state, as entries to append. Pure: time, ids and what policy
// says arrive inside the command. Nothing here is true until the entries are durable.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/state.hpp"

namespace gavel {

// A budget that covers the call, with its limits (0: no limit of that kind).
struct BudgetClaim {
  std::string budget;
  LogId log;  // empty: the session's own log; else control/budget/<name>
  std::uint64_t calls_limit = 0;
  Duration wall_clock_limit{0};
  bool operator==(const BudgetClaim&) const = default;
};

// What policy says of a call: made by policy/assess.hpp, recorded as a vote.
struct Assessment {
  Verdict verdict = Verdict::deny;
  std::string rule;
  std::string reason;  // for the model and for people: why, and what would be allowed instead
  std::string policy_version;
  Effect effect = Effect::irreversible;
  bool idempotent = false;
  bool has_probe = false;
  Duration timeout{60'000};
  std::uint64_t attempts_max = 1;
  Duration delay{0};             // of a two-step operation
  Duration hold_for{3'600'000};  // how long it may stay held
  std::vector<BudgetClaim> budgets;
  std::vector<ArgumentOrigin> provenance;  // where policy looked
  bool operator==(const Assessment&) const = default;
};

// What a decision is made on beside the session: the control logs whose scope covers the call
// (everything, tenant, agent, toolset, session). Borrowed for the call of decide.
struct ControlView {
  std::vector<const ControlState*> scopes;
  // States of control/budget/<name> logs that the call's claims name.
  std::vector<const ControlState*> budgets;
  // The claims themselves, for intents that commit after they were held.
  std::vector<BudgetClaim> claims;
};

// Entries for a log other than the session's, in the same atomic append.
struct ControlAppend {
  LogId log;
  std::vector<Entry> entries;
};

// What to append. Entries have position 0; the session's go first to its log in this order.
struct Plan {
  std::vector<Entry> entries;
  std::vector<ControlAppend> control;
  std::vector<ControlPosition> guards;  // barriers to compare
};

struct Open {
  LogId session;
  Principal agent;
  std::string client;
  Timestamp now;
};

// wake: elects the next epoch.
struct Elect {
  Principal driver;
  std::string reason;
  Timestamp now;
};

struct Propose {
  Principal requester;
  Epoch epoch;  // the driver's
  std::string tool;
  std::string toolset;
  Payload arguments;
  Digest digest;  // of the canonical arguments
  // Of a further round of a call that asked for input: the digest of that call's arguments, without
  // what the round brought.
  std::optional<Digest> round_of;
  std::string key;  // the client's idempotency key or call id; empty: derive one
  KeySource key_source = KeySource::derived;
  std::string call_id;
  Assessment assessment;
  bool elsewhere = false;  // the client acts itself
  Timestamp now;
};

// The agent's program tells what the person said to it.
struct TellPrompt {
  Principal teller;
  Epoch epoch;  // the driver's
  Payload text;
  Timestamp now;
};

// The key of a call that its program numbers.
std::string numbered_key(std::string_view number);

// What becomes of a proposal.
enum class Disposition {
  dispatch,  // committed, with an attempt: the caller of decide executes it once durable (reads: at
             // once)
  held,      // recorded and waiting
  attach,    // the same key is open: wait for that intent; nothing to append
  replay,    // the same key is finished: answer from the log; plan holds the Replayed entry
  aborted,   // recorded and refused: the answer is the decision's reason
};
struct Proposed {
  Disposition disposition = Disposition::aborted;
  IntentId intent;
  // The plan gives the intent the call's own number: durable before the answer is told, so that the
  // same call, sent again later, is known.
  bool joins = false;
  Plan plan;
};

// A person's vote on a held intent. `digest` is what they were shown (I7): another one is a
// conflict.
struct CastVote {
  IntentId intent;
  Principal voter;
  Role role = Role::approver;
  Verdict verdict = Verdict::deny;  // allow or deny
  std::string reason;
  Digest digest;
  Timestamp now;
};

// Whoever asked for an intent that is held wants it no more.
struct Withdraw {
  IntentId intent;
  Principal requester;
  Timestamp now;
};

// A person says what became of an unknown outcome.
struct Resolve {
  IntentId intent;
  Principal resolver;
  OutcomeKind kind = OutcomeKind::failed;  // ok or failed
  std::string reason;
  Timestamp now;
};

struct RecordOutcome {
  IntentId intent;
  OutcomeKind kind = OutcomeKind::unknown;
  OutcomeSource source = OutcomeSource::call;
  Payload result;
  std::string reason;
  std::optional<ErrorCode> code;  // of an attempt that brought no answer
  Timestamp now;
};

// The server works on the attempt as a task.
struct RecordTask {
  IntentId intent;
  std::string task;
  std::string revision;
  Duration poll{0};
  Timestamp now;
};

struct RecordProbe {
  IntentId intent;
  ProbeVerdict verdict = ProbeVerdict::unclear;
  std::string reason;
  Payload evidence;
  Timestamp now;
};

// Each returns entries that are valid to append after state.tail, or an error that a person can act
// on.
Result<Plan> decide(const State& state, const Open& command);
Result<Plan> decide(const State& state, const Elect& command);

// Errors: stale_epoch, invalid_argument (nobody drives the session, or the epoch never was).
Result<Plan> decide(const State& state, const TellPrompt& command);

// Errors: stale_epoch (plan of refusal: see refuse), key_reused, invalid_argument, and too_large
// (a derived key whose earlier runs failed kFailedRunsMax times). Denials, halts and exhausted
// budgets are not errors: they are recorded, with Disposition::aborted.
Result<Proposed> decide(const State& state, const ControlView& control, const Propose& command);

// Commits (with an attempt), aborts or just records the vote. Errors: not_found, conflict (other
// digest, already decided, expired, approved already), permission_denied (the requester approves
// their own intent; wrong role), halted, budget_exhausted. After an error nothing was recorded.
Result<Plan> decide(const State& state, const ControlView& control, const CastVote& command);

// Errors: not_found, conflict (it is not held), permission_denied (somebody else asked for it).
Result<Plan> decide(const State& state, const Withdraw& command);
// Errors: not_found, conflict (no attempt in flight, or it is a task already).
Result<Plan> decide(const State& state, const RecordTask& command);
// Errors: not_found, conflict (no attempt open), invalid_argument (source person: see Resolve).
Result<Plan> decide(const State& state, const RecordOutcome& command);
// Resolves an unknown outcome (happened: ok, absent: failed) or settles a write; unclear changes
// nothing.
Result<Plan> decide(const State& state, const RecordProbe& command);
Result<Plan> decide(const State& state, const Resolve& command);

// Time passed: commits two-step intents whose delay is over and that are confirmed, releases holds
// for settling whose writes have settled, aborts expired holds. Of actions elsewhere: leave that
// nobody took in time has failed, an outcome that nobody reported in time is lost (decide_lost).
// Empty plan where nothing is due.
// `control` is that of one intent, so ticks go intent by intent: due_intents lists them.
std::vector<IntentId> due_intents(const State& state, Timestamp now);
Result<Plan> decide_due(const State& state, const ControlView& control, IntentId intent,
                        Timestamp now);

// After a restart: an attempt that nobody runs any more becomes unknown (a read: failed, ask
// again). Not for one that is a task of its server: whoever comes next asks how it stands.
Result<Plan> decide_lost(const State& state, IntentId intent, Timestamp now);
// A next attempt for an unknown outcome whose tool is idempotent; conflict where that is not
// allowed.
Result<Plan> decide_retry(const State& state, const ControlView& control, IntentId intent,
                          Timestamp now);

// The client takes the leave that a released intent of its own gives: its one attempt. Errors:
// not_found, conflict (no leave to take, or it was taken), halted.
Result<Plan> decide_take(const State& state, const ControlView& control, IntentId intent,
                         Timestamp now);

// Delivered; empty plan where it was recorded before.
Plan mark_delivered(const State& state, IntentId intent, Timestamp now);

// The record of an attempt to do what is forbidden; empty plan once kRefusalsPerEpoch were
// recorded.
inline constexpr std::uint64_t kRefusalsPerEpoch = 64;
struct Refusal {
  Principal who;
  Epoch claimed_epoch;
  std::string what;
  Error error;
  Timestamp now;
};
Plan refuse(const State& state, const Refusal& refusal);

// For a control log. Errors: conflict (already halted alike, or nothing to resume),
// permission_denied.
struct RaiseHalt {
  Principal by;
  Role role = Role::admin;
  HaltMode mode = HaltMode::halt;
  std::string reason;
  Timestamp now;
};
struct LiftHalt {
  Principal by;
  Role role = Role::admin;
  std::string reason;
  Timestamp now;
};
Result<std::vector<Entry>> decide(const ControlState& state, const RaiseHalt& command);
Result<std::vector<Entry>> decide(const ControlState& state, const LiftHalt& command);

// For the control log of a server: what it says of a tool is accepted, by a person, or by Gavel at
// first sight (role decider). Errors: conflict (it is already; for Gavel: there is a pin, or no
// room), permission_denied.
struct PinTool {
  Principal by;
  Role role = Role::admin;
  std::string tool;
  Digest digest;
  Payload definition;
  Timestamp now;
};
struct RefuseTool {
  Principal by;
  Role role = Role::admin;
  std::string tool;
  Digest digest;
  std::string reason;
  Timestamp now;
};
Result<std::vector<Entry>> decide(const ControlState& state, const PinTool& command);
Result<std::vector<Entry>> decide(const ControlState& state, const RefuseTool& command);

// Whether `control` lets an action of this effect be dispatched now; the error names the scope, who
// and why. The executor asks it again between commit and dispatch (I3, I6).
Status check_halts(const ControlView& control, Effect effect);

}  // namespace gavel
