#pragma once
// The executor: carries a committed attempt to its upstream and says what came of it. It holds no
// state of its own; before it acts it looks once more at the epoch and the halts (I3, I6), and what
// it may not know it calls unknown.
//
//   answered ─► ok / failed        not_sent ─► failed (after bounded retries)
//   lost ─► read: bounded retries, then failed; anything else: unknown
//   a task ─► recorded, then followed to its end; without one: read: failed, anything else: unknown
//
// What was not sent says something of its own attempt only: where an earlier one may have happened,
// it is unknown instead of failed.

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>

#include "core/decide.hpp"
#include "core/react.hpp"
#include "policy/probe.hpp"
#include "runtime/clock.hpp"
#include "runtime/task_following.hpp"
#include "runtime/tool_directory.hpp"
#include "runtime/upstream.hpp"

namespace gavel {

// One committed attempt, by value: nothing of it refers to a session.
struct AttemptJob {
  LogId session;
  IntentId intent;
  IntentProposed proposal;
  std::string arguments;  // JSON object text
  std::uint64_t attempt = 1;
  std::uint64_t fencing_token = 0;
  Timestamp deadline;
  json::object meta;  // of the client's request
  CallerSide side;
  // That the attempt became in an earlier process: it is followed, and nothing is dispatched.
  std::optional<TaskStarted> task;
  // Records that the attempt is a task of its server from here on.
  std::function<asio::awaitable<void>(RecordTask)> on_task;
  // While a task is followed: its server, which may have become another with the policy, and who
  // can be asked.
  ServerNow server_now;
  WhomToAsk whom_to_ask;
  // Asked right before each dispatch, and again when its first byte goes out: may it still?
  std::function<Status()> still_allowed;
};

// What becomes of an attempt that certainly did not reach the server.
OutcomeKind unsent_outcome(const AttemptJob& job);

struct ProbeJob {
  LogId session;
  IntentId intent;
  IntentProposed proposal;
  std::string arguments;
  ProbeSpec probe;
  bool settling = false;  // wait until it happened; otherwise absent is an answer too
};

struct ProbeResult {
  ProbeVerdict verdict = ProbeVerdict::unclear;
  std::string reason;
  std::string evidence;  // the probe's CallToolResult
};

class Executor {
public:
  Executor(asio::any_io_executor executor, const Clock& clock, Random& random)
      : executor_(executor), clock_(clock), random_(random) {}

  // `tool` may be null where the upstream no longer lists it: its output is then not checked.
  asio::awaitable<RecordOutcome> run(Upstream& upstream, std::shared_ptr<const ToolListing> listing,
                                     AttemptJob job);

  // Asks the probe until it tells, within kProbeTries and the tool's timeout.
  asio::awaitable<ProbeResult> probe(Upstream& upstream, ProbeJob job);

private:
  asio::awaitable<UpstreamReply> dispatch(Upstream& upstream, const AttemptJob& job, bool as_task);
  // What came of the task that the reply names, or of that of an earlier process.
  asio::awaitable<RecordOutcome> follow(const Tool* tool, const AttemptJob& job);
  // Whether a legacy server runs this tool as a task alone.
  asio::awaitable<bool> needs_task(Upstream& upstream, const Tool* tool, const AttemptJob& job);
  asio::awaitable<void> pause(std::chrono::milliseconds base, std::uint64_t attempt);

  asio::any_io_executor executor_;
  const Clock& clock_;
  Random& random_;
};

inline constexpr std::uint64_t kProbeTries = 8;
// A lost call may still be running at the server: absent counts once it was seen this often in a
// row.
inline constexpr std::uint64_t kAbsentSightings = 4;

}  // namespace gavel
