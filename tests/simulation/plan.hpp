#pragma once
// A plan: what happens to the simulated world, and when. It is made from the seed alone, before
// anything runs, so that a failing one can be cut step by step: what is left of it runs as it did,
// because every step brings its own dice.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gavel::simulation {

enum class StepKind : std::uint8_t {
  // agents
  call,         // the agent calls a tool
  repeat_call,  // two calls at once that are the same
  same_call,    // an earlier call of the session once more, as a call of its own
  lie,          // an earlier key with other arguments
  stale_call,   // a driver of an earlier epoch calls
  future_call,  // a driver claims an epoch that nobody was elected to
  own_call,     // asks for leave to act by itself, acts, reports
  agent_dies,   // comes back, wakes its session, and makes all its calls again
  take_over,    // another driver wakes the session; the old one goes on as a zombie
  cancels,      // the agent wants what is held for it no more
  prompt,       // the agent tells what the person said to it
  trespass,     // an agent tries what takes another role
  // people
  approve,
  deny,
  approve_twice,
  approve_other,  // with a digest that is not the held call's
  approve_own,    // as the one who asked
  resolve,
  halt,
  freeze,
  resume,
  judge_tool,    // refuses a tool, and accepts it later
  new_policy,    // the file is another one, and read again
  outside_halt,  // by another process, straight into the log
  outside_wake,  // the same: it elects the next driver
  // the process and its machine
  process_dies,
  process_stops,  // in order
  clock_steps,
  clock_drifts,
  // the disk
  sync_fails,
  disk_full,
  disk_stalls,
  disk_busy,
  bit_flips,
  // the network
  net_fault,
  net_duplicates,
  // a server
  server_fault,
};
inline constexpr std::size_t kStepKinds = static_cast<std::size_t>(StepKind::server_fault) + 1;
std::string_view to_string(StepKind);

// What a server does to the next call that changes something.
enum class ServerFault : std::uint8_t {
  answer_lost,    // acts, and the answer never comes
  request_lost,   // neither acts nor answers
  late,           // acts and answers after the deadline
  dies_before,    // ends before it acts, and takes a while to come back
  dies_after,     // acts and ends
  garbage,        // acts, and what comes back is no JSON
  unreadable,     // acts, and answers a kind of result that nobody knows
  answers_twice,  // acts once
  says_failed,    // isError, without acting
  says_error,     // a JSON-RPC error, without acting
  asks,           // input_required, without acting
  busy,           // 503 before it acted
  busy_after,     // 503 after it acted
  unreachable,    // nothing can be sent for a while
  lists_nothing,  // its next tools/list fails
  probe_fails,    // its next probes are not answered
};
inline constexpr std::size_t kServerFaults = static_cast<std::size_t>(ServerFault::probe_fails) + 1;
std::string_view to_string(ServerFault);

struct Step {
  std::size_t number = 0;  // in the whole plan, also where others were cut
  std::int64_t at_ms = 0;
  StepKind kind = StepKind::call;
  std::size_t actor = 0;   // which agent, server or scope
  std::uint64_t dice = 0;  // everything else
};
std::string describe(const Step& step);

struct Plan {
  std::uint64_t seed = 0;
  std::size_t agents = 2;
  bool remote = false;       // agents and people come over the network
  bool web_servers = false;  // and so Gavel to the servers
  std::vector<Step> steps;   // by time
};

Plan make_plan(std::uint64_t seed);
// Only the steps whose numbers are in `kept`, which is sorted.
Plan cut(const Plan& plan, const std::vector<std::size_t>& kept);

}  // namespace gavel::simulation
