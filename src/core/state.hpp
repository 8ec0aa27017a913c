#pragma once
// A session's state: fold(entries), and nothing else. Only open intents are held in full; a
// finished one leaves its key and the positions where the log holds the rest, so that state stays
// small.
//
// The life of an intent:
//
//                ask, two-step,
//                settling              deny, expiry
//   proposed ─────────────────► held ────────────────► aborted ┐
//     │   │                      │                        ▲    │
//     │   └─ deny, halt, no room ┼────────────────────────┘    │
//     │ allow                    │ released                    │
//     └──────────► committed ◄───┘                             ├ closed, then delivered
//                    │ attempt                                 │
//                    ▼                                         │
//      retry ┌─► in_flight ───── ok, failed ───────────────────┤
//            │       │ no answer                               │
//            │       ▼                                         │
//            └── unknown ─────── ok, failed: probe, person ────┘
//
// What releases a hold, by its reason (nothing is released under a halt that covers it, and every
// hold ends at `expires_at`):
//
//   ask       ── a person allows ──────────────────────────────────┐
//   two_step  ─┬─ a person allows, then `not_before` comes ────────┼─► commit, if settled
//              └─ `not_before` comes, then a person allows ────────┤   and with room in
//   settling  ── the probe saw every write of State::settling ─────┘   its budgets
//
//   any but settling ── a person denies ──► abort
//
// The person who asked cannot be the one who allows.
//
// An attempt in flight may become a task of its server: it is then in flight until that has ended,
// past its deadline and past the process that sent it.
//
// An action that its client performs itself (IntentProposed::elsewhere) is `committed` while it has
// leave that nobody took, and `in_flight` once the client took it, for as long as it has said
// nothing. Leave that is not taken by `expires_at` has failed; an outcome that is not reported by
// the attempt's deadline is unknown (of a read: failed), and may still be reported later.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/digest.hpp"
#include "base/ids.hpp"
#include "core/entry.hpp"

namespace gavel {

enum class Phase : std::uint8_t {
  proposed = 0,   // between its intent entry and the entries that settle or hold it
  held = 1,       // waits for a vote, a delay or a probe
  committed = 2,  // decided, no attempt yet
  in_flight = 3,  // an attempt was recorded and has no outcome
  unknown = 4,    // an attempt may or may not have happened
};
std::string_view to_string(Phase);

// An intent that is not finished.
struct OpenIntent {
  IntentId id;
  IntentProposed proposal;
  Timestamp proposed_at;
  Epoch epoch;  // that proposed it
  Phase phase = Phase::proposed;
  std::optional<Held> hold;
  std::vector<Vote> votes;  // valid ones, in log order
  bool confirmed = false;   // a person is among those who allowed it
  std::uint64_t attempts = 0;
  Timestamp attempt_at;
  Timestamp deadline;              // of the attempt in flight
  TaskStarted task;                // that its server works on; without a name there is none
  std::vector<BudgetRef> budgets;  // reserved by its commit
  bool operator==(const OpenIntent&) const = default;
};

enum class Final : std::uint8_t { ok = 0, failed = 1, aborted = 2 };
std::string_view to_string(Final);

// What stays of a key. While the intent is open, `closed` is false and the rest is in State::open.
// What a call with the same key gets:
//
//   open: attach ──► closed: replay ──► delivered: replay (a derived key: perhaps a new call)
//
struct KeyRecord {
  IntentId intent;
  Digest digest;  // of the canonical arguments, and ...
  std::string tool;
  bool closed = false;
  Final final = Final::failed;
  Position answer;  // the outcome, or the aborting decision
  bool delivered = false;
  bool reads = false;  // its effect is to read
  bool operator==(const KeyRecord&) const = default;
};

// What a budget has given (I12): used + reserved never passes the limit.
//
//   free ── commit: reserve ──► reserved ── outcome known: settle ──► used, the rest free again
//
struct Budget {
  std::uint64_t calls_used = 0;
  Duration wall_clock_used{0};
  struct Reservation {
    std::uint64_t calls = 0;
    Duration wall_clock{0};
    bool operator==(const Reservation&) const = default;
  };
  // By (session, intent).
  std::map<std::pair<LogId, IntentId>, Reservation> reserved;
  bool operator==(const Budget&) const = default;

  std::uint64_t calls_reserved() const;
  Duration wall_clock_reserved() const;
};

// Sums of what entries claim, which may be anything: at most the largest number, or kTimeMaxMs.
// Neither span may be negative.
std::uint64_t saturating_sum(std::uint64_t a, std::uint64_t b);
Duration saturating_sum(Duration a, Duration b);

struct Counters {
  std::uint64_t intents = 0;
  std::uint64_t committed = 0;
  std::uint64_t aborted = 0;
  std::uint64_t ok = 0;
  std::uint64_t failed = 0;
  std::uint64_t unknown = 0;  // outcomes that were unknown at first
  std::uint64_t replayed = 0;
  std::uint64_t refused = 0;
  std::uint64_t skipped = 0;  // entries that fold could not accept
  bool operator==(const Counters&) const = default;
};

// Between the key of a call that asked for input and what tells its rounds apart.
inline constexpr char kRoundMark = '+';

// How many earlier runs of a call that did not work a derived key looks past.
inline constexpr std::uint64_t kFailedRunsMax = 10'000;

// The most repetitions of one call that are counted.
inline constexpr std::uint64_t kRepetitionsMax = std::uint64_t{1} << 32;

struct State {
  // The call that was made under this key, or joined under it; null where there is none.
  const KeyRecord* record_of(const std::string& key) const;

  LogId session;
  Position tail;
  Epoch epoch;
  Principal driver;
  Principal agent;
  std::string client;
  Timestamp opened_at;
  Timestamp last_at;

  std::map<IntentId, OpenIntent> open;
  // These four grow with every call, and every call looks into each: by hash, without an order.
  std::unordered_map<std::string, KeyRecord> keys;
  std::unordered_map<IntentId, std::string> key_of;  // the other way round
  // Further keys of intents: of later calls that were given their answers, and which repetition a
  // call was that its program numbered (repetition_key).
  std::unordered_map<std::string, IntentId> joined;
  // How often each call (digest of tool and canonical arguments) was made in this epoch, with a
  // derived key or a number.
  std::unordered_map<Digest, std::uint64_t> occurrences;
  // When this epoch last saw a write begin or end, or was answered with one: what was read before
  // is out of date. 0: never.
  Position wrote_at;
  // Intents by call (digest of tool and canonical arguments) that are open, or whose answer never
  // arrived: those of `keys` that are not closed and delivered.
  std::unordered_map<Digest, std::set<IntentId>> unfinished;
  std::set<std::string> rounds;  // those of `keys` that hold kRoundMark
  std::map<std::string, Budget> budgets;
  // Writes that succeeded, declare a probe, and were not yet seen by it (read-your-writes).
  std::map<IntentId, IntentProposed> settling;
  std::uint64_t fencing_token = 0;
  std::uint64_t refused_in_epoch = 0;
  Counters counters;

  bool operator==(const State&) const = default;
};

// What stops a control log's scope (I6). An observer may only tighten it: freeze what runs, halt.
//
//            ┌───────────── halt ────────────┐
//            │                               ▼
//   running ─┴─ freeze ──► frozen ── halt ─► halted
//      ▲                   │    ▲            │  │
//      │                   │    └── freeze ──┘  │
//      └────── resume ─────┴────────────────────┘
//
struct Halt {
  HaltMode mode = HaltMode::halt;
  Principal by;
  std::string reason;
  Timestamp since;
  Position position;
  bool operator==(const Halt&) const = default;
};

// What was accepted of one tool of a server, and what was not.
//
//   unseen ── first sight (a decider), or a person ──► pinned ── a person accepts another ──┐
//      ▲                                                 │  ▲                               │
//      └─────────── a person refuses what is pinned ─────┘  └───────────────────────────────┘
//
struct ToolPin {
  Digest digest;           // of the accepted definition; zero where none is
  Position position;       // of the entry that holds it
  Principal by;            // who accepted it
  bool by_person = false;  // and looked at it
  Timestamp since;
  Digest refused;  // the last definition that a person did not want; zero where none
  Principal refused_by;
  bool operator==(const ToolPin&) const = default;
};
// How many tools of one server may be pinned; more are held.
inline constexpr std::size_t kPinsMax = 4096;

// A control log's state.
struct ControlState {
  LogId log;
  Position tail;
  std::uint64_t barrier = 0;  // how many entries raised it; equals the log engine's count
  std::optional<Halt> halt;
  std::string policy_version;
  Position policy_position;
  std::map<std::string, Budget> budgets;
  std::map<std::string, ToolPin> pins;  // by the server's own name of the tool
  std::uint64_t skipped = 0;
  bool operator==(const ControlState&) const = default;
};

// Whether a person allowed it; votes of programs do not count.
bool is_confirmed(const OpenIntent& intent);

// The key of State::occurrences.
Digest call_digest(std::string_view tool, const Digest& arguments);

// The key of a call without a key, as the n-th such call; and where State::joined says which call
// that was, if it has another key.
std::string derived_key(std::string_view tool, const Digest& arguments, std::uint64_t occurrence);
std::string repetition_key(std::string_view tool, const Digest& arguments,
                           std::uint64_t occurrence);

// Whether a write must wait until the probes of earlier ones agree (read-your-writes).
bool must_settle_first(const State& state, Effect effect);

// Takes a new key in, under all that it is found by.
void add_key(State& state, std::string key, KeyRecord record);
// The answer of a closed intent arrived, or nobody is owed it.
void finish(State& state, KeyRecord& record);
// It is on its way once more.
void owe(State& state, KeyRecord& record);

// When this state next needs attention: the earliest expiry, delay or deadline; nothing where none
// waits.
std::optional<Timestamp> next_due(const State& state);

}  // namespace gavel
