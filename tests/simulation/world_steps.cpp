// What each step of a plan does.
#include <fmt/format.h>

#include <array>

#include "world.hpp"

namespace gavel::simulation {
namespace {

// A program that runs again, or a model that calls again, numbers anew.
void renumber(Asked& asked, std::uint64_t run) {
  if (asked.call_id.empty()) return;
  asked.call_id = fmt::format("{}.{}", asked.call_id.substr(0, asked.call_id.find('.')), run);
}

}  // namespace

void World::take(const Step& step) {
  if (resting_) return;
  ++result_.steps;
  ++coverage_[fmt::format("step: {}", to_string(step.kind))];
  say(describe(step));
  const Rng rng(step.dice);
  if (step.kind <= StepKind::trespass) {
    take_agent_step(step, rng);
  } else if (step.kind <= StepKind::outside_wake) {
    take_person_step(step, rng);
  } else {
    take_machine_step(step, rng);
  }
}

AgentCall World::make_call(Agent& agent, const Step& step, Rng& rng) {
  constexpr std::array<std::string_view, 20> kUsual = {
      "bank__transfer", "bank__transfer", "bank__transfer", "bank__put",   "bank__put",
      "bank__put",      "bank__book",     "bank__book",     "bank__book",  "bank__sell",
      "bank__sell",     "bank__close",    "bank__close",    "bank__erase", "bank__balance",
      "bank__balance",  "bank__balance",  "mail__send",     "mail__send",  "mail__purge"};
  AgentCall call;
  call.dice = rng.next();
  call.asked.session = agent.session;
  call.asked.agent = agent.name;
  call.asked.tool = kUsual[rng.below(kUsual.size())];
  std::string note;
  std::int64_t amount = static_cast<std::int64_t>(rng.below(1000));
  if (rng.one_in(40)) {
    note = std::string(kInlinePayload, 'n');
    amount = 1;
    ++coverage_["payload: large arguments"];
  }
  call.asked.arguments =
      fmt::format(R"({{"ref": "r{}", "amount":{},"note":"{}"}})", step.number, amount, note);
  if (rng.one_in(30)) {
    call.asked.tool = "bank__transferr";
    ++coverage_["agent: a tool that does not exist"];
  }
  switch (rng.below(3)) {
    case 0:
      call.asked.key = fmt::format("k{}", step.number);
      break;
    case 1:
      call.asked.call_id = fmt::format("c{}", step.number);
      break;
    default:
      break;
  }
  call.asked.over_network = plan_.remote;
  const ToolFacts* facts = find_tool(call.asked.tool);
  // Over a network every call may have to be asked for again.
  if (plan_.remote && facts != nullptr && facts->has_probe && !call.asked.is_named()) {
    call.asked.key = fmt::format("k{}", step.number);
  }
  return call;
}

void World::take_agent_step(const Step& step, Rng rng) {
  const std::size_t index = step.actor % agents_.size();
  Agent& agent = agents_[index];
  const auto nothing = [](const Result<CallAnswer>&) {};
  switch (step.kind) {
    case StepKind::call:
      agent.todo.push_back(make_call(agent, step, rng));
      auditor_.wanted(agent.todo.back().asked);
      return pump(index);
    case StepKind::repeat_call: {
      AgentCall call = make_call(agent, step, rng);
      // Two that a probe cannot tell apart would be a mistake of the policy's.
      const ToolFacts* facts = find_tool(call.asked.tool);
      if (facts != nullptr && facts->has_probe) call.asked.key = fmt::format("k{}", step.number);
      auditor_.wanted(call.asked);
      // Without a name of its own, the second is a new call once the first was answered.
      if (call.asked.key.empty() && call.asked.call_id.empty()) auditor_.wanted(call.asked);
      const auto then = [this, call](const Result<CallAnswer>& result) { receive(call, result); };
      issue(call, agent.epoch, then);
      return issue(call, agent.epoch, then);
    }
    case StepKind::same_call: {
      for (const auto& earlier : agent.history) {
        const ToolFacts* facts = find_tool(earlier.asked.tool);
        const bool keyed = !earlier.asked.key.empty();
        if (keyed || facts == nullptr || facts->has_probe || !rng.one_in(3)) continue;
        auditor_.wanted(earlier.asked);
        agent.todo.push_back(earlier);
        agent.todo.back().tries = 0;
        renumber(agent.todo.back().asked, 1'000'000 + step.number);
        return pump(index);
      }
      return;
    }
    case StepKind::lie: {
      for (const auto& earlier : agent.history) {
        if (earlier.asked.key.empty()) continue;
        AgentCall lie = earlier;
        lie.asked.arguments = fmt::format(R"({{"ref":"lie{}","amount":1}})", step.number);
        auditor_.wanted(lie.asked);
        return issue(lie, agent.epoch, nothing);
      }
      return;
    }
    case StepKind::stale_call:
      if (agent.epoch.value < 2) return;
      return issue(make_call(agent, step, rng), Epoch{1 + rng.below(agent.epoch.value - 1)},
                   nothing);
    case StepKind::future_call:
      return issue(make_call(agent, step, rng), Epoch{agent.epoch.value + 50}, nothing);
    case StepKind::own_call: {
      AgentCall call;
      call.dice = rng.next();
      call.asked.session = agent.session;
      call.asked.agent = agent.name;
      call.asked.tool = "own__shell";
      call.asked.arguments = fmt::format(R"({{"command":"{} build/{}"}})",
                                         rng.one_in(3) ? "deploy" : "mkdir", step.number);
      call.asked.elsewhere = true;
      call.asked.over_network = plan_.remote;
      if (rng.one_in(2)) call.asked.call_id = fmt::format("o{}", step.number);
      auditor_.wanted(call.asked);
      agent.todo.push_back(std::move(call));
      return pump(index);
    }
    case StepKind::agent_dies: {
      ++agent.life;
      agent.busy = false;
      // It comes back, and does all of it once more. Where nothing of its session is recorded yet,
      // its own wake makes the first epoch: what it sent before is not told from what it sends now.
      const bool is_new = !auditor_.model().sessions().contains(agent.session.value);
      const bool counts_anew = rng.one_in(2);  // from one, as some programs number their calls
      agent.todo.clear();
      for (auto& done : std::exchange(agent.history, {})) {
        done.tries = 0;
        if (is_new) auditor_.wanted(done.asked);
        if (!counts_anew) renumber(done.asked, agent.life);
        if (!done.asked.elsewhere) agent.todo.push_back(std::move(done));
      }
      agent.busy = true;
      return wake(index, "back again", [this, index] { pump(index); });
    }
    case StepKind::take_over:
      // Somebody else wakes its session; it learns of that when it is refused.
      return wake(agents_.size(), agent.session.value, [] {});
    case StepKind::cancels:
      return cancel(agent, rng);
    case StepKind::prompt:
      return tell(agent, fmt::format("put my papers in order, {}", step.number));
    case StepKind::trespass:
      return trespass(agent, rng);
    default:
      return;
  }
}

std::string World::scope_of(const Step& step, Rng& rng) {
  const Agent& agent = agents_[step.actor % agents_.size()];
  switch (rng.below(5)) {
    case 0:
      return "everything";
    case 1:
      return "agent:" + agent.name;
    case 2:
      return "toolset:bank";
    case 3:
      return "toolset:mail";
    default:
      return "session:" + agent.session.value;
  }
}

void World::take_person_step(const Step& step, Rng rng) {
  switch (step.kind) {
    case StepKind::approve:
      return vote(VoteKind::usual, Verdict::allow, rng.next());
    case StepKind::deny:
      return vote(VoteKind::usual, Verdict::deny, rng.next());
    case StepKind::approve_twice:
      return vote(VoteKind::twice, Verdict::allow, rng.next());
    case StepKind::approve_other:
      return vote(VoteKind::other_digest, Verdict::allow, rng.next());
    case StepKind::approve_own:
      return vote(VoteKind::own, Verdict::allow, rng.next());
    case StepKind::resolve:
      return resolve_later(rng.next());
    case StepKind::halt:
    case StepKind::freeze: {
      const auto mode = step.kind == StepKind::halt ? HaltMode::halt : HaltMode::freeze;
      const std::string scope = scope_of(step, rng);
      change_halt(scope, mode, rng);
      if (rng.one_in(3)) {
        // Somebody thinks again.
        const auto other = mode == HaltMode::halt ? HaltMode::freeze : HaltMode::halt;
        schedule_.after(Instant(rng.between(1'000, 9'000)),
                        [this, scope, rng, other] { change_halt(scope, other, rng); });
      }
      // Or nothing else would ever happen.
      schedule_.after(Instant(rng.between(10'000, 8'000'000)),
                      [this, scope, rng] { change_halt(scope, std::nullopt, rng); });
      return;
    }
    case StepKind::resume:
      return change_halt(scope_of(step, rng), std::nullopt, rng);
    case StepKind::judge_tool:
      return judge_tool(rng);
    case StepKind::new_policy:
      return adopt_other(rng);
    case StepKind::outside_halt:
      return halt_outside(scope_of(step, rng));
    case StepKind::outside_wake:
      return wake_outside(agents_[step.actor % agents_.size()].session);
    default:
      return;
  }
}

void World::take_machine_step(const Step& step, Rng rng) {
  switch (step.kind) {
    case StepKind::process_dies:
      if (!process_) return;
      if (rng.one_in(3)) {
        // A snapshot of what is durable, as the daemon saves them.
        auditor_.save_snapshots(disk_.contents());
      }
      kill_process();
      return restart_after(Instant(rng.between(300'000, 4'000'000)));
    case StepKind::process_stops:
      return stop_process();
    case StepKind::clock_steps:
      if (rng.one_in(4)) {
        ++coverage_["clock: jumps"];
        return clock_.step(Duration(rng.between(3'600'000, 72 * 3'600'000)));
      }
      return clock_.step(Duration(rng.between(-90'000, 90'000)));
    case StepKind::clock_drifts:
      return clock_.drift(rng.between(-200, 200));
    case StepKind::sync_fails:
      disk_.faults.next_sync_fails = true;
      return;
    case StepKind::disk_full:
      disk_.faults.full = true;
      return;
    case StepKind::disk_stalls:
      disk_.faults.stalls = Instant(rng.between(100'000, rng.one_in(4) ? 90'000'000 : 3'000'000));
      return;
    case StepKind::disk_busy:
      disk_.faults.busy_appends = static_cast<int>(rng.between(1, 40));
      return;
    case StepKind::bit_flips:
      if (!disk_.flip_bit(rng.next())) return;
      if (rng.one_in(2)) {
        // What is in memory would not be read for long.
        kill_process();
        restart_after(Instant(rng.between(1'000, 1'000'000)));
      }
      return schedule_.after(Instant(rng.between(10'000, 20'000'000)), [this] { restore_disk(); });
    case StepKind::net_fault: {
      constexpr std::array<Link, 4> kUsual = {Link::agents, Link::agents, Link::people,
                                              Link::servers};
      const auto fault = static_cast<NetFault>(rng.below(kNetFaults));
      return net_.arm(fault, kUsual[rng.below(kUsual.size())], rng.next());
    }
    case StepKind::net_duplicates:
      if (process_ && process_->http) {
        process_->http->duplicate_next(rng.one_in(4) ? Link::people : Link::agents);
      }
      return;
    case StepKind::server_fault: {
      SimServer& server = *servers_[step.actor % 4 == 3 ? 1 : 0];
      return server.arm(static_cast<ServerFault>(rng.below(kServerFaults)), rng.next());
    }
    default:
      return;
  }
}

}  // namespace gavel::simulation
