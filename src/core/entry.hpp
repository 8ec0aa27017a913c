#pragma once
// Entries: everything that can stand in a log. A session's log holds the life of its actions; a
// control log holds what spans sessions (halts, policies, shared budgets). Each struct lists its
// fields once, in fields(), with the field numbers that docs/formats/entries.md specifies;
// encoding, decoding and JSON all come from that list (core/codec.hpp). Field numbers and kinds are
// never reused.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/digest.hpp"
#include "base/ids.hpp"

namespace gavel {

// What a tool could do at worst. Order matters: a later one is worse.
enum class Effect : std::uint8_t { read = 0, write = 1, destructive = 2, irreversible = 3 };

// Who may append what: core/rights.hpp.
enum class Role : std::uint8_t {
  driver = 0,    // the agent's side: proposes
  voter = 1,     // judges an intent
  decider = 2,   // turns votes into a decision
  executor = 3,  // acts and records outcomes
  observer = 4,  // watches; may only halt
  approver = 5,  // a person who votes on held intents
  admin = 6,     // policies, halts, wake
};

// What policy, a voter or a person says of an intent.
enum class Verdict : std::uint8_t {
  allow = 0,     // may proceed
  ask = 1,       // hold until somebody approves
  two_step = 2,  // hold for a delay and a confirmation by somebody else than the requester
  deny = 3,      // abort
};

enum class Ruling : std::uint8_t { commit = 0, abort = 1 };
enum class OutcomeKind : std::uint8_t { ok = 0, failed = 1, unknown = 2 };
// What told us an outcome.
enum class OutcomeSource : std::uint8_t { call = 0, probe = 1, person = 2, recovery = 3 };
enum class ProbeVerdict : std::uint8_t { happened = 0, absent = 1, unclear = 2 };
// Why an intent is held.
enum class HoldReason : std::uint8_t {
  ask = 0,       // waits for an approval
  two_step = 1,  // waits for its delay and a confirmation
  settling = 2,  // waits until the probe of the session's last write agrees (read-your-writes)
};
// halt: nothing is dispatched. freeze: nothing but reads.
enum class HaltMode : std::uint8_t { halt = 0, freeze = 1 };
// Where an idempotency key came from.
enum class KeySource : std::uint8_t { client = 0, call_id = 1, derived = 2 };
// Where a part of an argument first appeared (core/provenance.hpp). Order matters: a later one is
// worse.
enum class Origin : std::uint8_t {
  person = 0,     // the person said it to the agent
  trusted = 1,    // a result that the policy trusts
  model = 2,      // nothing that Gavel saw before: the model, or what reached it past Gavel
  lost = 3,       // nothing that is still known; it counts as untrusted
  untrusted = 4,  // any other result
};

std::string_view to_string(Effect);
std::string_view to_string(Role);
std::string_view to_string(Verdict);
std::string_view to_string(Ruling);
std::string_view to_string(OutcomeKind);
std::string_view to_string(OutcomeSource);
std::string_view to_string(ProbeVerdict);
std::string_view to_string(HoldReason);
std::string_view to_string(HaltMode);
std::string_view to_string(KeySource);
std::string_view to_string(Origin);
// Nothing for any other word.
std::optional<Origin> origin_from(std::string_view word);

// Times and spans in entries are within this many milliseconds, so that sums of them cannot
// overflow; a body that says otherwise is unreadable.
inline constexpr std::int64_t kTimeMaxMs = std::int64_t{1} << 53;

// Who votes for the policy.
inline const Principal kPolicyVoter{"policy"};

// A JSON text that may be large. Up to kInlinePayload bytes travel in the entry; more go to the
// blob store under their digest, and `bytes` is empty. `digest` is SHA-256 of the bytes as they
// came.
inline constexpr std::size_t kInlinePayload = 16u << 10;
struct Payload {
  Digest digest;
  std::uint64_t size = 0;
  std::string bytes;

  static Payload of(std::string text);
  bool is_inline() const { return bytes.size() == size; }
  bool operator==(const Payload&) const = default;
};

// A control log's barrier as a decision saw it: the append is refused if it has been raised since.
struct ControlPosition {
  LogId log;
  std::uint64_t barrier = 0;

  static auto fields(auto& v, auto& self) {
    v(1, "log", self.log);
    v(2, "barrier", self.barrier);
  }
  bool operator==(const ControlPosition&) const = default;
};

// A budget that a commit reserved from; `log` is empty for a budget of the session itself.
struct BudgetRef {
  LogId log;
  std::string budget;

  static auto fields(auto& v, auto& self) {
    v(1, "log", self.log);
    v(2, "budget", self.budget);
  }
  bool operator==(const BudgetRef&) const = default;
};

struct SessionOpened {
  static constexpr std::uint16_t kKind = 1;
  static constexpr std::string_view kName = "session_opened";
  Principal agent;     // whose token opened it
  std::string client;  // what the agent program says it is, for people: "opencode 1.18.33"

  static auto fields(auto& v, auto& self) {
    v(1, "agent", self.agent);
    v(2, "client", self.client);
  }
  bool operator==(const SessionOpened&) const = default;
};

// A new driver incarnation. Entries after it with a lower epoch cannot exist: the log refuses them.
struct EpochElected {
  static constexpr std::uint16_t kKind = 2;
  static constexpr std::string_view kName = "epoch_elected";
  Epoch epoch;
  Principal driver;
  std::string reason;

  static auto fields(auto& v, auto& self) {
    v(1, "epoch", self.epoch);
    v(2, "driver", self.driver);
    v(3, "reason", self.reason);
  }
  bool operator==(const EpochElected&) const = default;
};

// A proposed action, with everything an executor needs after a crash.
struct IntentProposed {
  static constexpr std::uint16_t kKind = 3;
  static constexpr std::string_view kName = "intent";
  std::string tool;     // "pg__query"
  std::string toolset;  // the upstream it belongs to: "pg"
  Payload arguments;    // JSON object, the bytes as the client sent them
  Digest digest;        // of the canonical arguments: what votes bind to
  Effect effect = Effect::irreversible;
  bool idempotent = false;
  std::string key;  // idempotency key, unique in the session
  KeySource key_source = KeySource::derived;
  Principal requester;
  std::string call_id;  // the client's own id of the call, for joining traces; may be empty
  std::string policy_version;
  Duration timeout{0};
  std::uint64_t attempts_max = 1;
  bool has_probe = false;
  // Which repetition of the same call in its epoch, from 1; 0: it is not counted (a client's own
  // key, a round, what clients do by themselves).
  std::uint64_t occurrence = 0;
  // The client acts itself (its own shell, its own files): a commit is leave to act, an attempt is
  // leave that was taken, and the outcome is what the client reports.
  bool elsewhere = false;

  static auto fields(auto& v, auto& self) {
    v(1, "tool", self.tool);
    v(2, "toolset", self.toolset);
    v(3, "arguments", self.arguments);
    v(4, "digest", self.digest);
    v(5, "effect", self.effect);
    v(6, "idempotent", self.idempotent);
    v(7, "key", self.key);
    v(8, "key_source", self.key_source);
    v(9, "requester", self.requester);
    v(10, "call_id", self.call_id);
    v(11, "policy_version", self.policy_version);
    v(12, "timeout_ms", self.timeout);
    v(13, "attempts_max", self.attempts_max);
    v(14, "has_probe", self.has_probe);
    v(15, "occurrence", self.occurrence);
    v(16, "elsewhere", self.elsewhere);
  }
  bool operator==(const IntentProposed&) const = default;
};

// A part of an argument, and where it first appeared.
inline constexpr std::size_t kOriginTextMax = 120;
inline constexpr std::size_t kOriginsMax = 32;
struct ArgumentOrigin {
  std::string argument;  // its name; of a nested value the way to it: "filter/table"
  Origin origin = Origin::lost;
  Position source;   // of the prompt, or of the intent whose result it was; 0 where there is none
  std::string tool;  // of that intent
  std::string text;  // the part as it stands in the argument, cut at kOriginTextMax bytes

  static auto fields(auto& v, auto& self) {
    v(1, "argument", self.argument);
    v(2, "origin", self.origin);
    v(3, "source", self.source);
    v(4, "tool", self.tool);
    v(5, "text", self.text);
  }
  bool operator==(const ArgumentOrigin&) const = default;
};

// A judgement. It counts only if digest, effect and policy version are those of the intent (I7).
struct Vote {
  static constexpr std::uint16_t kKind = 4;
  static constexpr std::string_view kName = "vote";
  IntentId intent;
  Principal voter;  // "policy", or the person
  Verdict verdict = Verdict::deny;
  std::string rule;  // which rule said so; empty for people
  std::string reason;
  Digest digest;
  Effect effect = Effect::irreversible;
  std::string policy_version;
  // Of the policy, where it looked: the worst first, at most kOriginsMax.
  std::vector<ArgumentOrigin> provenance;

  static auto fields(auto& v, auto& self) {
    v(1, "intent", self.intent);
    v(2, "voter", self.voter);
    v(3, "verdict", self.verdict);
    v(4, "rule", self.rule);
    v(5, "reason", self.reason);
    v(6, "digest", self.digest);
    v(7, "effect", self.effect);
    v(8, "policy_version", self.policy_version);
    v(9, "provenance", self.provenance);
  }
  bool operator==(const Vote&) const = default;
};

// The intent waits. For a two-step operation it may not commit before `not_before`.
struct Held {
  static constexpr std::uint16_t kKind = 5;
  static constexpr std::string_view kName = "held";
  IntentId intent;
  HoldReason reason = HoldReason::ask;
  Timestamp not_before;
  Timestamp expires_at;  // then it is aborted

  static auto fields(auto& v, auto& self) {
    v(1, "intent", self.intent);
    v(2, "reason", self.reason);
    v(3, "not_before", self.not_before);
    v(4, "expires_at", self.expires_at);
  }
  bool operator==(const Held&) const = default;
};

// The first decision on an intent is the only one; a later one is void (I2).
struct Decision {
  static constexpr std::uint16_t kKind = 6;
  static constexpr std::string_view kName = "decision";
  IntentId intent;
  Ruling ruling = Ruling::abort;
  std::string code;  // of an abort: the wire name of its ErrorCode
  std::string reason;
  std::string rule;
  std::vector<ControlPosition> control;
  std::vector<BudgetRef> budgets;  // reserved for it

  static auto fields(auto& v, auto& self) {
    v(1, "intent", self.intent);
    v(2, "ruling", self.ruling);
    v(3, "code", self.code);
    v(4, "reason", self.reason);
    v(5, "rule", self.rule);
    v(6, "control", self.control);
    v(7, "budgets", self.budgets);
  }
  bool operator==(const Decision&) const = default;
};

// The executor is about to act. The fencing token grows with every attempt and epoch of the
// session.
struct Attempt {
  static constexpr std::uint16_t kKind = 7;
  static constexpr std::string_view kName = "attempt";
  IntentId intent;
  std::uint64_t number = 1;
  Timestamp deadline;
  std::uint64_t fencing_token = 0;

  static auto fields(auto& v, auto& self) {
    v(1, "intent", self.intent);
    v(2, "number", self.number);
    v(3, "deadline", self.deadline);
    v(4, "fencing_token", self.fencing_token);
  }
  bool operator==(const Attempt&) const = default;
};

// What came of an attempt. unknown may be followed by one that resolves it.
struct Outcome {
  static constexpr std::uint16_t kKind = 8;
  static constexpr std::string_view kName = "outcome";
  IntentId intent;
  std::uint64_t attempt = 1;
  OutcomeKind kind = OutcomeKind::unknown;
  OutcomeSource source = OutcomeSource::call;
  Payload result;      // the tool's result as JSON; empty where there is none
  std::string reason;  // of failed and unknown
  Duration took{0};
  Principal resolver;  // of source person
  // Of failed and unknown: the ErrorCode of what went wrong, as text; empty where a server's own
  // answer is the reason, and in entries of older logs. Of ok: why its result is not passed on,
  // too_large.
  std::string code;

  static auto fields(auto& v, auto& self) {
    v(1, "intent", self.intent);
    v(2, "attempt", self.attempt);
    v(3, "outcome", self.kind);  // "kind" is the entry's own
    v(4, "source", self.source);
    v(5, "result", self.result);
    v(6, "reason", self.reason);
    v(7, "took_ms", self.took);
    v(8, "resolver", self.resolver);
    v(9, "code", self.code);
  }
  bool operator==(const Outcome&) const = default;
};

// The requester was given the intent's final answer. Written without a sync of its own: if it is
// lost, the answer is given once more, which is safe.
struct Delivered {
  static constexpr std::uint16_t kKind = 9;
  static constexpr std::string_view kName = "delivered";
  IntentId intent;

  static auto fields(auto& v, auto& self) { v(1, "intent", self.intent); }
  bool operator==(const Delivered&) const = default;
};

// A later call was answered from the log: one with the same key, or one that its program numbered
// anew and that repeats what was not finished.
struct Replayed {
  static constexpr std::uint16_t kKind = 10;
  static constexpr std::string_view kName = "replayed";
  IntentId intent;
  std::uint64_t occurrence = 0;  // the repetition that this call was in its epoch; 0: not counted
  std::string key;               // the later call's, where it is another; the intent's from here on
  // The answer is on its way to the later call: until it has arrived, whoever calls again repeats.
  bool owed = false;

  static auto fields(auto& v, auto& self) {
    v(1, "intent", self.intent);
    v(2, "occurrence", self.occurrence);
    v(3, "key", self.key);
    v(4, "owed", self.owed);
  }
  bool operator==(const Replayed&) const = default;
};

// A read that tells whether an effect happened.
struct Probed {
  static constexpr std::uint16_t kKind = 11;
  static constexpr std::string_view kName = "probed";
  IntentId intent;
  ProbeVerdict verdict = ProbeVerdict::unclear;
  std::string reason;
  Payload evidence;  // the probe's result as JSON

  static auto fields(auto& v, auto& self) {
    v(1, "intent", self.intent);
    v(2, "verdict", self.verdict);
    v(3, "reason", self.reason);
    v(4, "evidence", self.evidence);
  }
  bool operator==(const Probed&) const = default;
};

// The server works on the attempt as a task, and this is the task's name there: it is asked what
// came of it, by a later process too, and the call is never made again for that.
struct TaskStarted {
  static constexpr std::uint16_t kKind = 14;
  static constexpr std::string_view kName = "task";
  IntentId intent;
  std::uint64_t attempt = 1;
  std::string task;      // the server's own id of it
  std::string revision;  // of MCP, in whose words it is asked about
  Duration poll{0};      // how often, as the server says; 0 where it does not

  static auto fields(auto& v, auto& self) {
    v(1, "intent", self.intent);
    v(2, "attempt", self.attempt);
    v(3, "task", self.task);
    v(4, "revision", self.revision);
    v(5, "poll_ms", self.poll);
  }
  bool operator==(const TaskStarted&) const = default;
};

// Somebody tried what they may not: a zombie's proposal, a forged vote. Kept for the auditor.
struct Refused {
  static constexpr std::uint16_t kKind = 12;
  static constexpr std::string_view kName = "refused";
  Principal who;
  Epoch claimed_epoch;
  std::string what;  // "propose pg__query", "vote on #17"
  std::string code;  // wire name of the ErrorCode
  std::string reason;

  static auto fields(auto& v, auto& self) {
    v(1, "who", self.who);
    v(2, "claimed_epoch", self.claimed_epoch);
    v(3, "what", self.what);
    v(4, "code", self.code);
    v(5, "reason", self.reason);
  }
  bool operator==(const Refused&) const = default;
};

// What the person said to the agent, as the agent's program tells it (its hooks).
struct Prompted {
  static constexpr std::uint16_t kKind = 13;
  static constexpr std::string_view kName = "prompt";
  Payload text;  // a JSON string

  static auto fields(auto& v, auto& self) { v(1, "text", self.text); }
  bool operator==(const Prompted&) const = default;
};

// In a control log: stops its scope. The append raises the log's barrier.
struct HaltRaised {
  static constexpr std::uint16_t kKind = 20;
  static constexpr std::string_view kName = "halt";
  HaltMode mode = HaltMode::halt;
  std::string reason;

  static auto fields(auto& v, auto& self) {
    v(1, "mode", self.mode);
    v(2, "reason", self.reason);
  }
  bool operator==(const HaltRaised&) const = default;
};

struct HaltLifted {
  static constexpr std::uint16_t kKind = 21;
  static constexpr std::string_view kName = "resume";
  std::string reason;

  static auto fields(auto& v, auto& self) { v(1, "reason", self.reason); }
  bool operator==(const HaltLifted&) const = default;
};

// In control/everything: this policy file is in force from here on.
struct PolicyActivated {
  static constexpr std::uint16_t kKind = 22;
  static constexpr std::string_view kName = "policy_activated";
  std::string version;  // digest of the source
  Payload source;       // the YAML text

  static auto fields(auto& v, auto& self) {
    v(1, "version", self.version);
    v(2, "source", self.source);
  }
  bool operator==(const PolicyActivated&) const = default;
};

// Room taken from a budget before spending (I12). In the session's log for a session budget, else
// in control/budget/<name>. `session` and `intent` say what for.
struct BudgetReserved {
  static constexpr std::uint16_t kKind = 23;
  static constexpr std::string_view kName = "budget_reserved";
  std::string budget;
  LogId session;
  IntentId intent;
  std::uint64_t calls = 0;
  Duration wall_clock{0};

  static auto fields(auto& v, auto& self) {
    v(1, "budget", self.budget);
    v(2, "session", self.session);
    v(3, "intent", self.intent);
    v(4, "calls", self.calls);
    v(5, "wall_clock_ms", self.wall_clock);
  }
  bool operator==(const BudgetReserved&) const = default;
};

// What was really spent; the rest of the reservation is free again. Zero of both releases it.
struct BudgetSettled {
  static constexpr std::uint16_t kKind = 24;
  static constexpr std::string_view kName = "budget_settled";
  std::string budget;
  LogId session;
  IntentId intent;
  std::uint64_t calls = 0;
  Duration wall_clock{0};

  static auto fields(auto& v, auto& self) {
    v(1, "budget", self.budget);
    v(2, "session", self.session);
    v(3, "intent", self.intent);
    v(4, "calls", self.calls);
    v(5, "wall_clock_ms", self.wall_clock);
  }
  bool operator==(const BudgetSettled&) const = default;
};

// In control/toolset/<server>: this definition of a tool is the accepted one from here on. Gavel
// itself (a decider) pins only what has no pin; people may replace it.
struct ToolPinned {
  static constexpr std::uint16_t kKind = 25;
  static constexpr std::string_view kName = "tool_pinned";
  std::string tool;    // the server's own name of it: "query"
  Digest digest;       // of the definition
  Payload definition;  // canonical JSON of what is pinned (runtime/tool_trust.hpp)

  static auto fields(auto& v, auto& self) {
    v(1, "tool", self.tool);
    v(2, "digest", self.digest);
    v(3, "definition", self.definition);
  }
  bool operator==(const ToolPinned&) const = default;
};

// A person does not want this definition. What was pinned stays pinned, unless it is this one.
struct ToolRefused {
  static constexpr std::uint16_t kKind = 26;
  static constexpr std::string_view kName = "tool_refused";
  std::string tool;
  Digest digest;
  std::string reason;

  static auto fields(auto& v, auto& self) {
    v(1, "tool", self.tool);
    v(2, "digest", self.digest);
    v(3, "reason", self.reason);
  }
  bool operator==(const ToolRefused&) const = default;
};

// A kind that this build does not know, or a body that it cannot read: kept byte for byte, folded
// as a skip.
struct UnknownEntry {
  std::uint16_t kind = 0;
  std::string bytes;
  std::uint8_t role = 0;  // as it was written: perhaps one that this build does not know either
  bool operator==(const UnknownEntry&) const = default;
};

using Body = std::variant<SessionOpened, EpochElected, IntentProposed, Vote, Held, Decision,
                          Attempt, Outcome, Delivered, Replayed, Probed, TaskStarted, Refused,
                          Prompted, HaltRaised, HaltLifted, PolicyActivated, BudgetReserved,
                          BudgetSettled, ToolPinned, ToolRefused, UnknownEntry>;

// The payload that the body has; null where its kind has none.
const Payload* payload_of(const Body& body);
Payload* payload_of(Body& body);

struct Entry {
  Position position;  // 0 until it is sequenced
  Epoch epoch;        // the session's epoch when it was appended; 0 in control logs
  Timestamp at;
  Principal author;
  Role role = Role::driver;
  Body body;

  bool operator==(const Entry&) const = default;
};

std::uint16_t kind_of(const Body& body);
// "intent", "vote", ...; "unknown(99)" for what this build does not know.
std::string name_of(const Body& body);

}  // namespace gavel
