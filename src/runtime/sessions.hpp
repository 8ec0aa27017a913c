#pragma once
// Sessions in memory: each is a fold of its log, loaded on first use, kept while somebody needs it,
// dropped when idle. commit() is the only way that anything gets into a log:
//
//   Plan ──► encode ──► Log::append ──► fold ──► react ┬─► actions, once durable
//                       (sequenced)                    └─► at once, where the plan is deferred
//
// A deferred plan (a read, a delivery note) is folded but not yet appended: it goes out in front of
// the session's next append, in the same batch, so that a read costs one sync and its place in the
// log is still its own.
//
// Thread rule: one executor.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/decide.hpp"
#include "core/react.hpp"
#include "log/log.hpp"
#include "runtime/clock.hpp"
#include "runtime/control_plane.hpp"
#include "runtime/harness.hpp"
#include "runtime/inbox.hpp"

namespace gavel {

// What a caller waits for: the intent's answer.
struct Waiter {
  asio::steady_timer* wake =
      nullptr;  // expires at the waiter's patience; cancelled when `answer` is set
  std::optional<CallAnswer> answer;
  bool may_act = false;  // this client, itself: its leave is durable
};

// Whether the call's callbacks belong to this waiter: they are those of the call that made the
// intent.
enum class Callbacks { own, of_another };

// What came with a call and lives only as long as this process.
struct CallContext {
  json::object meta;
  CallerSide side;
  std::function<void(IntentId, HoldReason)> on_held;
};

// Entries that were appended together; actions refer to them by position.
using Batch = std::shared_ptr<const std::vector<Entry>>;

struct Session {
  LogId id;
  State state;         // everything sequenced or deferred
  Position sequenced;  // the log's tail as far as we appended
  Position durable;
  Position snapshot;
  std::vector<Entry> deferred;  // positions sequenced+1 .. state.tail
  std::vector<Blob> deferred_blobs;
  std::deque<Batch> in_flight;            // sequenced and not durable, oldest first
  std::optional<Timestamp> recorded_due;  // what the log's timer index holds
  // Why the state above is not that of the log: an append was refused, and then the log could not
  // be read. Nothing is appended until it can.
  std::optional<Error> unreadable;

  std::multimap<IntentId, Waiter*> waiters;
  std::map<IntentId, CallContext> contexts;
  std::map<IntentId, int> running;  // attempts and probes that this process runs
  // Attempts of reads: what ends them when nobody waits for their answer any more.
  std::map<IntentId, std::shared_ptr<asio::cancellation_signal>> reads;
  std::set<IntentId> wants_input;          // whose server asks, while nobody can be asked
  std::map<std::string, IntentId> takers;  // calls that took the leave of an earlier call's intent
  std::map<Digest, std::string> payloads;  // large payloads not yet durable
  std::unique_ptr<asio::steady_timer> due_timer;
  std::optional<Timestamp> due_armed;
  std::uint64_t used = 0;  // for eviction: a counter of uses

  bool is_idle() const;
};

enum class Durability { now, deferred };

class Sessions {
public:
  struct Hooks {
    // Performs an action; `batch` holds the entry that it follows from.
    std::function<void(Session&, const Action&, const Batch&)> perform;
    // A session was loaded with attempts that nobody runs.
    std::function<void(Session&)> recover;
    // Time that an entry asked for has come.
    std::function<void(Session&)> due;
  };

  // All references must outlive this.
  Sessions(asio::any_io_executor executor, Log& log, ControlPlane& control, const Clock& clock,
           Random& random, Hooks hooks);
  ~Sessions();

  // The session, loaded if need be; a state of tail 0 where it was never written. The reference is
  // good until the next suspension. Errors: those of Log::read, corrupted, and invalid_argument for
  // what is no session's name: nobody drives a control log.
  Result<std::reference_wrapper<Session>> get(const LogId& id);
  // The session if it is in memory.
  Session* find(const LogId& id);
  // A fold of the log without keeping or recovering anything: for listings.
  Result<State> peek(const LogId& id);

  // Appends the plan. Errors with nothing changed: conflict and halted (somebody else appended: the
  // session and the control logs were folded anew; decide again), stale_epoch, storage_failed.
  // `on_durable` may be empty.
  Status commit(Session& session, Plan plan, Durability durability,
                std::function<void(Status)> on_durable = {});
  // Folds the session anew where another process appended to its log. Errors: those of get().
  Status catch_up(Session& session);
  // Sends deferred entries out.
  void flush(Session& session);

  // The store failed: tells who waits for the intent, and whether it may have acted.
  void tell_failure(Session& session, IntentId intent, const Error& why);

  // The bytes of a payload of this session.
  Result<std::string> payload(const Session& session, const Payload& payload) const;

  // Saves a snapshot where it would save enough folding.
  void snapshot_if_due(Session& session);
  // Saves and drops idle sessions beyond the limit of those in memory.
  void evict();
  // Appends what is deferred and snapshots everything; before the process ends.
  void close();

  std::map<LogId, std::unique_ptr<Session>>& all() { return sessions_; }

private:
  Result<std::unique_ptr<Session>> load(const LogId& id);
  Status append(Session& session, std::vector<Entry>& entries, std::vector<ControlAppend>& control,
                const std::vector<ControlPosition>& guards, std::vector<Blob> blobs,
                std::function<void(Status)> on_durable);
  // Folds anew what the log has, what is on its way into it and what is deferred.
  Status restore(Session& session);
  void completed(const LogId& id, Position last, const Batch& batch,
                 const std::vector<Action>& actions, const Status& status);
  // Whether the intent may be at its server: an attempt of it is durable, or was never held back.
  static bool may_have_acted(const Session& session, IntentId intent);
  void arm(Session& session, Duration at_least = Duration{0});
  void schedule_flush(const LogId& id);

  asio::any_io_executor executor_;
  Log& log_;
  ControlPlane& control_;
  const Clock& clock_;
  Random& random_;
  Hooks hooks_;
  std::map<LogId, std::unique_ptr<Session>> sessions_;
  asio::steady_timer flush_timer_;
  std::vector<LogId> to_flush_;
  std::uint64_t uses_ = 0;
  Inbox inbox_;                  // of completions
  std::shared_ptr<bool> alive_;  // false once this is gone: late timers check it
};

// Sessions kept in memory before idle ones are dropped, and how many entries a snapshot must at
// least save: folding so many takes about two milliseconds.
inline constexpr std::size_t kSessionsInMemory = 1024;
inline constexpr std::uint64_t kSnapshotEvery = 4096;

}  // namespace gavel
