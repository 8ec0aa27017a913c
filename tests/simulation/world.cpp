#include "world.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>

#include "base/assert.hpp"
#include "core/codec.hpp"
#include "policy/parse.hpp"
#include "runtime/upstream_factory.hpp"

namespace gavel::simulation {
namespace {

// 2026-01-01, as far as anybody in here knows.
constexpr std::int64_t kBirth = 1'767'225'600'000;
constexpr std::size_t kHandlersAtOnce = 200'000;
constexpr Instant kAfterSteps = std::chrono::seconds(30);
constexpr Instant kRestMax = std::chrono::hours(3);
constexpr Instant kTendEvery = std::chrono::seconds(5);
// Nothing travels for longer once the network is well.
constexpr Instant kOnTheWay = std::chrono::seconds(12);
constexpr std::uint16_t kPort = 7420;

}  // namespace

Timestamp SimClock::now() const {
  const std::int64_t drifted = (machine::now() - since_).count() / 1000 * per_mille_ / 1000;
  return Timestamp{kBirth + machine::now().count() / 1000 + offset_.count() + drifted};
}

SteadyTime SimClock::steady() const {
  return SteadyTime(std::chrono::duration_cast<SteadyTime::duration>(machine::now()));
}

void SimClock::drift(std::int64_t per_mille) {
  const Timestamp before = now();
  since_ = machine::now();
  per_mille_ = per_mille;
  offset_ += before - now();
}

World::World(Plan plan, Trace::Keep keep)
    : plan_(std::move(plan)),
      trace_(keep),
      auditor_(trace_, coverage_),
      disk_([this](const Append& append) { auditor_.durable(append); }, coverage_),
      net_(schedule_, coverage_, plan_.seed ^ 0x6e657477u),
      rng_(plan_.seed ^ 0x5157a7e5u) {
  machine::reset();
  for (const char* name : {"bank", "mail"}) {
    servers_.push_back(
        std::make_unique<SimServer>(name, schedule_, auditor_, coverage_, rng_.next()));
  }
  for (std::size_t i = 0; plan_.web_servers && i < servers_.size(); ++i) {
    web_servers_.push_back(std::make_unique<WebServer>(
        net_, *servers_[i], static_cast<std::uint16_t>(kPort + 1 + i),
        rng_.one_in(2) ? Speaks::modern : Speaks::legacy, coverage_, rng_.next()));
  }
  const std::size_t sessions = 1 + rng_.below(plan_.agents);
  for (std::size_t i = 0; i < plan_.agents; ++i) {
    Agent agent;
    agent.name = fmt::format("agent{}", i);
    agent.session = LogId{fmt::format("s{}", i % sessions)};
    agents_.push_back(std::move(agent));
  }
  if (plan_.remote) tokens_.emplace(plan_.agents);
  load_policy(PolicyEdition::first);
}

void World::load_policy(PolicyEdition edition) {
  const auto policy = parse_policy(policy_text(edition), "simulation");
  ASSERT(policy);
  edition_ = edition;
  policy_ = *policy;
  auditor_.said(policy_words(policy_->version()));
}

World::~World() {
  if (process_) kill_process();
}

// --- the process ---

void World::start_process() {
  restart_planned_ = false;
  if (process_) return;
  process_ = std::make_unique<Process>(rng_.next());
  process_->number = ++processes_;
  say(fmt::format("process {} starts", processes_));
  SimLogWorld world{disk_,
                    schedule_,
                    trace_,
                    coverage_,
                    [this](const Append& append) { auditor_.told(append); },
                    [this](const Append& append) { auditor_.taken(append); },
                    [this](const LogId& log, std::span<const StoredEntry> entries) {
                      auditor_.read_back(log, entries);
                    }};
  process_->log = std::make_unique<SimLog>(std::move(world), rng_.next());
  if (!disk_.is_damaged()) auditor_.check_chain(disk_.frames(), disk_.contents());
  auditor_.reopened(*process_->log, disk_.is_damaged());

  LocalHarnessOptions options;
  options.executor = process_->io.get_executor();
  options.log = process_->log.get();
  options.clock = &clock_;
  options.random = &process_->random;
  options.policy = policy_;
  options.make_upstream = [this](const ServerSpec& spec, UpstreamEvents) {
    return make_server(spec);
  };
  options.log_line = [this](std::string_view line) { say(fmt::format("gavel: {}", line)); };
  process_->harness = std::make_unique<LocalHarness>(std::move(options));
  if (const auto started = process_->harness->start(); !started) {
    say("it cannot start: " + started.error().message);
    ++coverage_["process: cannot start"];
    kill_process();
    // Its operator does what it was told to.
    if (disk_.is_damaged()) disk_.restore();
    restart_after(std::chrono::seconds(1));
    return;
  }
  open_door();
  for (std::size_t i = 0; i < agents_.size(); ++i) pump(i);
}

std::unique_ptr<Upstream> World::make_server(const ServerSpec& spec) {
  const std::size_t which = spec.name == "bank" ? 0 : 1;
  if (!plan_.web_servers) {
    return std::make_unique<SimUpstream>(*servers_[which], process_->io.get_executor());
  }
  ServerSpec over_http = spec;
  over_http.command.clear();
  over_http.url = web_servers_[which]->url();
  UpstreamOptions options;
  options.clock = &clock_;
  options.random = &process_->random;
  options.log_line = [this](std::string_view line) { say(fmt::format("gavel: {}", line)); };
  return make_upstream(process_->io.get_executor(), over_http, std::move(options));
}

// Where agents and people come in.
void World::open_door() {
  if (!plan_.remote) {
    process_->door = std::make_unique<DirectDoor>(*process_->harness);
    return;
  }
  GatewayOptions options;
  options.http.listen = {fmt::format("127.0.0.1:{}", kPort)};
  options.tokens_directory = tokens_->directory();
  auto gateway =
      Gateway::start(process_->io.get_executor(), *process_->harness, std::move(options));
  ASSERT(gateway);
  process_->gateway = std::move(*gateway);
  auto door = std::make_unique<HttpDoor>(net_, schedule_, process_->io.get_executor(), kPort,
                                         mcp_sessions_, coverage_, rng_.next());
  process_->http = door.get();
  // What has no name of its own is a new call, when it comes again after its answer was given.
  process_->http->on_duplicate = [this](const CallRequest& request) {
    Asked asked;
    asked.session = request.session;
    asked.agent = request.caller.principal.value;
    asked.tool = request.tool;
    asked.arguments = request.arguments;
    if (request.key.empty() && request.call_id.empty()) auditor_.wanted(asked);
  };
  process_->door = std::move(door);
}

void World::kill_process() {
  if (!process_) return;
  say(fmt::format("process {} ends", process_->number));
  process_->io.kill();
  process_->gateway.reset();
  process_->harness.reset();
  process_->log->crash();
  process_.reset();
  net_.process_died();
  auditor_.process_died();
  const auto waiting = std::move(outstanding_);
  outstanding_.clear();
  for (const auto& [number, broken] : waiting) broken();
}

void World::stop_process() {
  if (!process_) return;
  ++coverage_["process: stops in order"];
  spawn(stop_task());
  schedule_.after(std::chrono::milliseconds(plan_.remote ? 6'000 : 500),
                  [this, number = process_->number] {
                    if (process_ && process_->number == number) {
                      kill_process();
                      restart_after(std::chrono::seconds(1));
                    }
                  });
}

// As app/daemon.cpp does it.
asio::awaitable<void> World::stop_task() {
  if (process_->gateway) co_await process_->gateway->stop();
  co_await process_->harness->close();
}

void World::restart_after(Instant span) {
  if (restart_planned_) return;
  restart_planned_ = true;
  schedule_.after(span, [this] { start_process(); });
}

void World::check_health() {
  if (!process_ || process_->log->health() || restart_planned_) return;
  // An operator sees that the store has failed, mends the disk and starts it again.
  ++coverage_["process: restarted after its store failed"];
  schedule_.after(Instant(rng_.between(100'000, 3'000'000)), [this, number = process_->number] {
    if (process_ && process_->number == number) {
      kill_process();
      start_process();
    }
  });
  restart_planned_ = true;
}

// An operator found the damage, and has a backup.
void World::restore_disk() {
  if (!disk_.is_damaged()) return;
  ++coverage_["process: restarted with a restored disk"];
  kill_process();
  disk_.restore();
  start_process();
}

void World::spawn(asio::awaitable<void> task) {
  asio::co_spawn(process_->io, std::move(task), [this](const std::exception_ptr& failure) {
    if (failure) auditor_.complain("END", "a task of the world's ended with an exception");
  });
}

// Lets the world go on to its next moment; false where that is past `end`.
bool World::advance(Instant end) {
  Instant next = end;
  if (process_) {
    const std::size_t ran = machine::run_ready(process_->io, kHandlersAtOnce);
    result_.handlers += ran;
    if (ran == kHandlersAtOnce) auditor_.complain("END", "it never stops working");
    check_health();
    next = std::min(next, machine::now() + Instant(machine::idle_for(process_->io)));
  }
  const auto due = schedule_.next();
  if (due && *due <= next) {
    machine::advance_to(std::max(*due, machine::now()));
    schedule_.run_one();
    return true;
  }
  machine::advance_to(std::max(next, machine::now()));
  return next < end;
}

void World::run_until(Instant end) {
  while (!auditor_.complaint() && advance(end)) {
  }
}

RunResult World::run() {
  const Instant began = machine::now();
  start_process();
  for (const auto& step : plan_.steps) {
    schedule_.after(std::chrono::milliseconds(step.at_ms), [this, step] { take(step); });
  }
  const Instant last = plan_.steps.empty()
                           ? Instant(0)
                           : Instant(std::chrono::milliseconds(plan_.steps.back().at_ms));
  run_until(began + last + kAfterSteps);
  if (!auditor_.complaint()) rest();
  if (!auditor_.complaint()) finish();
  if (process_) kill_process();
  result_.complaint = auditor_.complaint();
  result_.digest = trace_.digest();
  result_.trace = trace_.lines();
  result_.crashes = processes_ - 1;
  result_.effects = auditor_.effects();
  for (const auto& [log, session] : auditor_.model().sessions()) {
    result_.entries += session.tail.value;
  }
  for (const auto& [log, control] : auditor_.model().control()) {
    result_.entries += control.tail.value;
  }
  for (const auto& [name, count] : coverage_) {
    if (name.starts_with("disk: ") || name.starts_with("server: ") || name.starts_with("network: "))
      result_.faults += count;
  }
  result_.coverage = coverage_;
  return std::move(result_);
}

// Nothing bad happens any more; people do their work until nothing is open.
void World::rest() {
  say("rest");
  resting_ = true;
  disk_.faults = {};
  net_.heal();
  restore_disk();
  for (auto& server : servers_) server->heal();
  for (auto& agent : agents_) agent.todo.clear();
  const Instant end = machine::now() + kRestMax;
  const Instant all_arrived = machine::now() + kOnTheWay;
  while (!auditor_.complaint() && machine::now() < end) {
    run_until(machine::now() + kTendEvery);
    if (auditor_.complaint() || (tend() && machine::now() > all_arrived)) return;
  }
}

// Whether nothing is left to do.
bool World::tend() {
  if (!process_) {
    start_process();
    return false;
  }
  bool halted = false;
  bool outside = false;
  for (const auto& [log, control] : auditor_.model().control()) {
    if (!control.halt) continue;
    halted = true;
    outside |= control.from_outside;
    change_halt(gavel::scope_of(LogId{log}), std::nullopt, Rng(rng_.next()));
  }
  // Only a process that starts hears of what another one did to its log.
  if (outside && rng_.one_in(4)) {
    kill_process();
    start_process();
    return false;
  }
  const auto open = auditor_.open_intents();
  if (open.empty() && !halted && process_->log->is_idle() && outstanding_.empty()) return true;
  vote(VoteKind::usual, rng_.one_in(4) ? Verdict::deny : Verdict::allow, rng_.next());
  resolve_later(rng_.next());
  return false;
}

void World::finish() {
  // What is deferred is written within 100 ms.
  run_until(machine::now() + std::chrono::seconds(2));
  if (auditor_.complaint()) return;
  auditor_.check_replicas(disk_.contents(), rng_.next());
  kill_process();
  start_process();
  run_until(machine::now() + std::chrono::seconds(2));
  auditor_.at_rest();
  auditor_.check_chain(disk_.frames(), disk_.contents());
}

}  // namespace gavel::simulation
