#pragma once
// The simulated world: the composition root that builds the product as app/daemon.cpp does, with a
// simulated machine, disk, servers, agents and people instead of real ones, and lets a plan happen
// to it. One thread; everything that is not decided by the plan is rolled from its dice.
//
//   run(): steps of the plan ──► rest (no more faults; people do their work) ──► oracles
//
// The daemon is one Process. It dies with everything that it has in memory; the disk and the
// servers stay, and another Process opens what is durable.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "auditor.hpp"
#include "door.hpp"
#include "gateway/gateway.hpp"
#include "machine.hpp"
#include "plan.hpp"
#include "rng.hpp"
#include "runtime/local_harness.hpp"
#include "schedule.hpp"
#include "sim_log.hpp"
#include "sim_net.hpp"
#include "sim_server.hpp"
#include "token_files.hpp"
#include "web_server.hpp"

namespace gavel::simulation {

// The wall clock: it steps, and drifts from the monotonic one.
class SimClock final : public Clock {
public:
  Timestamp now() const override;
  SteadyTime steady() const override;
  void step(Duration by) { offset_ += by; }
  void drift(std::int64_t per_mille);

private:
  Duration offset_{0};
  std::int64_t per_mille_ = 0;
  Instant since_{0};
};

class SimRandom final : public Random {
public:
  explicit SimRandom(std::uint64_t dice) : rng_(dice) {}
  std::uint64_t next() override { return rng_.next(); }

private:
  Rng rng_;
};

// The daemon's parts, in the order of app/daemon.cpp.
struct Process {
  MortalContext io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  SimRandom random;
  std::unique_ptr<SimLog> log;
  std::unique_ptr<LocalHarness> harness;
  std::unique_ptr<Gateway> gateway;  // where agents and people come over the network
  std::unique_ptr<Door> door;
  HttpDoor* http = nullptr;  // the same, if it is one
  std::uint64_t number = 0;

  explicit Process(std::uint64_t dice) : random(dice) {}
};

struct AgentCall {
  Asked asked;
  int tries = 0;
  std::uint64_t dice = 0;
};

struct Agent {
  std::string name;
  LogId session;
  Epoch epoch{1};
  std::deque<AgentCall> todo;
  std::vector<AgentCall> history;
  bool busy = false;
  std::uint64_t life = 1;
};

struct RunResult {
  std::optional<Complaint> complaint;
  std::string digest;
  std::vector<std::string> trace;  // where lines were kept
  std::uint64_t steps = 0;
  std::uint64_t handlers = 0;
  std::uint64_t crashes = 0;
  std::uint64_t faults = 0;
  std::uint64_t entries = 0;
  std::uint64_t effects = 0;
  Coverage coverage;
};

class World {
public:
  World(Plan plan, Trace::Keep keep);
  ~World();
  RunResult run();

private:
  // --- the process (world.cpp) ---
  void start_process();
  void kill_process();
  void stop_process();
  asio::awaitable<void> stop_task();
  void restart_after(Instant span);
  void check_health();
  void restore_disk();
  void load_policy(PolicyEdition edition);
  void open_door();
  std::unique_ptr<Upstream> make_server(const ServerSpec& spec);
  void run_until(Instant end);
  bool advance(Instant end);
  void rest();
  bool tend();
  void finish();

  // --- steps (world_steps.cpp) ---
  void take(const Step& step);
  void take_agent_step(const Step& step, Rng rng);
  void take_person_step(const Step& step, Rng rng);
  void take_machine_step(const Step& step, Rng rng);
  AgentCall make_call(Agent& agent, const Step& step, Rng& rng);
  std::string scope_of(const Step& step, Rng& rng);

  // --- agents (world_agents.cpp) ---
  void pump(std::size_t agent);
  // Calls, and hands what came of it to `then`; nothing if the process died meanwhile.
  using Then = std::function<void(Result<CallAnswer>)>;
  void issue(const AgentCall& call, Epoch epoch, Then then);
  void completed(const AgentCall& call, Epoch epoch, Epoch known, Result<CallAnswer> result);
  void receive(const AgentCall& call, const Result<CallAnswer>& result);
  void settle_call(std::size_t agent, AgentCall call, Result<CallAnswer> result);
  void again(std::size_t agent, AgentCall call);
  void wake(std::size_t agent, std::string reason, std::function<void()> then);
  void act_elsewhere(const AgentCall& call, IntentId intent, Rng rng);
  void trespass(const Agent& agent, Rng rng);
  void cancel(const Agent& agent, Rng rng);
  void tell(const Agent& agent, std::string text);

  // --- people (world_people.cpp) ---
  enum class VoteKind { usual, twice, other_digest, own };
  void vote(VoteKind kind, Verdict verdict, std::uint64_t dice);
  asio::awaitable<void> vote_task(VoteKind kind, Verdict verdict, std::uint64_t dice);
  asio::awaitable<void> cast_task(Cast cast, Caller caller);
  void resolve_later(std::uint64_t dice);
  void resolve(LogId session, IntentId intent, std::uint64_t dice);
  asio::awaitable<void> resolve_task(LogId session, IntentId intent, OutcomeKind kind);
  void judge_tool(Rng rng);
  asio::awaitable<void> judge_task(ToolView tool, Verdict verdict);
  void adopt_other(Rng rng);
  asio::awaitable<void> adopt_task(std::shared_ptr<const Policy> policy);
  void change_halt(std::string scope, std::optional<HaltMode> mode, Rng rng);
  void halt_outside(std::string scope);
  void wake_outside(const LogId& session);
  void append_outside(AppendPart part, const Head& head);

  // Runs a task of the world's in the process; it ends with it.
  void spawn(asio::awaitable<void> task);
  void say(const std::string& line) { trace_.line(line); }

  Plan plan_;
  Trace trace_;
  Coverage coverage_;
  Schedule schedule_;
  Auditor auditor_;
  Disk disk_;
  SimNet net_;
  std::optional<TokenFiles> tokens_;
  HttpDoor::McpSessionIds mcp_sessions_;
  SimClock clock_;
  Rng rng_;
  std::vector<std::unique_ptr<SimServer>> servers_;
  std::vector<std::unique_ptr<WebServer>> web_servers_;
  std::vector<Agent> agents_;
  PolicyEdition edition_ = PolicyEdition::first;
  std::shared_ptr<const Policy> policy_;  // what the file says
  std::unique_ptr<Process> process_;
  std::uint64_t processes_ = 0;
  bool restart_planned_ = false;
  bool resting_ = false;
  std::map<std::string, Epoch> elected_;  // that somebody was told of
  // Calls whose answer has not come, by number: who waits, should the process die.
  std::map<std::uint64_t, std::function<void()>> outstanding_;
  std::uint64_t calls_ = 0;
  std::uint64_t outside_ = 0;  // appends of another process
  std::map<std::string, Instant> unknown_since_;
  RunResult result_;
};

}  // namespace gavel::simulation
