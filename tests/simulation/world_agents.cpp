// Agents: they call one tool after the other, ask again where they got no answer, die, come back
// and repeat themselves. What they were told is shown to the auditor.
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>

#include "base/json.hpp"
#include "coverage.hpp"
#include "world.hpp"

namespace gavel::simulation {
namespace {

constexpr int kTriesMax = 8;

Caller driver(const std::string& name) {
  return Caller{Principal{name}, {Role::driver}};
}

}  // namespace

void World::pump(std::size_t index) {
  Agent& agent = agents_[index];
  if (agent.busy || agent.todo.empty() || !process_) return;
  agent.busy = true;
  AgentCall call = std::move(agent.todo.front());
  agent.todo.pop_front();
  if (call.tries == 0) agent.history.push_back(call);
  issue(call, agent.epoch, [this, index, call, life = agent.life](Result<CallAnswer> result) {
    // Nobody reads what is sent to the dead.
    if (agents_[index].life != life) return;
    receive(call, result);
    settle_call(index, call, std::move(result));
  });
}

void World::issue(const AgentCall& call, Epoch epoch, Then then) {
  auditor_.asked(call.asked);
  if (!process_) {
    schedule_.after(std::chrono::milliseconds(100), [then = std::move(then)] {
      then(fail(ErrorCode::unavailable, "nobody listens"));
    });
    return;
  }
  Rng rng(call.dice + static_cast<std::uint64_t>(call.tries));
  CallRequest request;
  request.session = call.asked.session;
  request.epoch = epoch;
  request.caller = driver(call.asked.agent);
  request.client = "simulated";
  request.tool = call.asked.tool;
  request.arguments = call.asked.arguments;
  request.key = call.asked.key;
  request.call_id = call.asked.call_id;
  if (call.asked.elsewhere) request.performer = Performer::client;
  request.patience = clock_.steady() + Instant(rng.one_in(4) ? rng.between(1'000, 500'000)
                                                             : rng.between(500'000, 60'000'000));
  const std::uint64_t number = ++calls_;
  outstanding_[number] = [this, then] {
    // The connection broke: nobody knows more than before.
    schedule_.after(std::chrono::milliseconds(50),
                    [then] { then(fail(ErrorCode::unavailable, "the connection broke")); });
  };
  const auto told = elected_.find(call.asked.session.value);
  const Epoch known = told == elected_.end() ? Epoch{0} : told->second;
  say(fmt::format("call {} {} {} epoch {} {} {}{}", call.asked.agent, call.asked.session.value,
                  call.asked.tool, epoch.value, call.asked.arguments.substr(0, 60), call.asked.key,
                  call.asked.call_id));
  asio::co_spawn(process_->io, process_->door->call(std::move(request)),
                 [this, number, call, epoch, known, then = std::move(then)](
                     const std::exception_ptr& failure, Result<CallAnswer> result) {
                   outstanding_.erase(number);
                   if (failure) return auditor_.complain("END", "a call ended with an exception");
                   completed(call, epoch, known, result);
                   then(std::move(result));
                 });
}

void World::completed(const AgentCall& call, Epoch epoch, Epoch known, Result<CallAnswer> result) {
  // A store that has failed tells of what never became durable.
  const bool recorded =
      result && result->intent.value > 0 &&
      !(result->kind == AnswerKind::refused && result->code == ErrorCode::storage_failed);
  if (epoch < known && recorded) {
    auditor_.complain("I3 epochs", fmt::format("{} of epoch {} is answered in epoch {}",
                                               call.asked.agent, epoch.value, known.value));
  }
  const auto& sessions = auditor_.model().sessions();
  const auto session = sessions.find(call.asked.session.value);
  if (recorded && (session == sessions.end() || epoch > session->second.epoch)) {
    auditor_.complain("I3 epochs", fmt::format("{} is answered for an epoch that nobody elected",
                                               call.asked.agent));
  }
  if (!result) return auditor_.refused(call.asked, result.error());
  auditor_.answered(call.asked, *result);
}

// The agent has its answer.
void World::receive(const AgentCall& call, const Result<CallAnswer>& result) {
  // The gateway says so itself.
  if (call.asked.over_network) return;
  if (!process_ || !result || result->intent.value == 0) return;
  const bool final = result->kind == AnswerKind::result || result->kind == AnswerKind::refused;
  if (final) process_->harness->delivered(call.asked.session, result->intent);
}

void World::settle_call(std::size_t index, AgentCall call, Result<CallAnswer> result) {
  Agent& agent = agents_[index];
  agent.busy = false;
  Rng rng(call.dice ^ static_cast<std::uint64_t>(call.tries + 1));
  if (!result && result.error().code == ErrorCode::stale_epoch) {
    // A zombie that learned of it: it stops, or takes its session back.
    ++coverage_["agent: a zombie learns that it is one"];
    agent.todo.clear();
    if (resting_ || rng.one_in(3)) return;
    agent.busy = true;
    wake(index, "I was replaced", [this, index] { pump(index); });
    return;
  }
  const bool lost = !result && (result.error().code == ErrorCode::unavailable ||
                                result.error().code == ErrorCode::busy ||
                                result.error().code == ErrorCode::timeout ||
                                result.error().code == ErrorCode::storage_failed);
  const bool waits =
      result &&
      (result->kind == AnswerKind::pending ||
       (result->kind == AnswerKind::refused &&
        (result->code == ErrorCode::storage_failed || result->code == ErrorCode::timeout)));
  if (result && result->kind == AnswerKind::granted) {
    act_elsewhere(call, result->intent, rng);
  } else if ((lost || waits) && call.tries < kTriesMax && !resting_) {
    ++coverage_["agent: asks again"];
    // Its answer may have been given, and got lost: then nothing tells this from a new call.
    if (lost && call.asked.over_network && !call.asked.is_named()) auditor_.wanted(call.asked);
    return again(index, std::move(call));
  }
  pump(index);
}

void World::again(std::size_t index, AgentCall call) {
  Agent& agent = agents_[index];
  agent.busy = true;
  ++call.tries;
  Rng rng(call.dice * 31 + static_cast<std::uint64_t>(call.tries));
  schedule_.after(Instant(rng.between(100'000, 6'000'000)),
                  [this, index, call = std::move(call), life = agent.life]() mutable {
                    Agent& back = agents_[index];
                    if (back.life != life) return;
                    back.busy = false;
                    if (resting_) return;
                    back.todo.push_front(std::move(call));
                    pump(index);
                  });
}

namespace {

using OnWoken = std::function<void(Result<Epoch>)>;

}  // namespace

// `index` past the agents: somebody else, who wakes the session that `reason` names.
void World::wake(std::size_t index, std::string reason, std::function<void()> then) {
  const bool own = index < agents_.size();
  const LogId session = own ? agents_[index].session : LogId{reason};
  const std::uint64_t life = own ? agents_[index].life : 0;
  const auto later = [this, index, reason, life, then] {
    schedule_.after(std::chrono::milliseconds(700), [this, index, reason, life, then] {
      if (resting_ || index >= agents_.size() || agents_[index].life != life) return;
      wake(index, reason, then);
    });
  };
  if (!process_) return later();
  const std::uint64_t number = ++calls_;
  outstanding_[number] = later;
  const std::string name = own ? agents_[index].name : "successor";
  say(fmt::format("wake {} by {}", session.value, name));
  asio::co_spawn(process_->io,
                 process_->door->wake(session, driver(name), "simulated", std::move(reason)),
                 [this, number, session, index, own, life, later, then](
                     const std::exception_ptr& failure, Result<Epoch> epoch) {
                   outstanding_.erase(number);
                   if (failure) return auditor_.complain("END", "a wake ended with an exception");
                   if (!epoch) {
                     say("wake fails: " + epoch.error().message);
                     return later();
                   }
                   say(fmt::format("woken {} epoch {}", session.value, epoch->value));
                   auditor_.woken(session, *epoch);
                   Epoch& told = elected_[session.value];
                   told = std::max(told, *epoch);
                   if (!own || agents_[index].life != life) return;
                   agents_[index].epoch = *epoch;
                   agents_[index].busy = false;
                   then();
                 });
}

void World::act_elsewhere(const AgentCall& call, IntentId intent, Rng rng) {
  const bool fails = rng.one_in(6);
  if (!fails) {
    Sent sent;
    sent.session = call.asked.session;
    sent.intent = intent;
    sent.tool = call.asked.tool;
    sent.arguments = call.asked.arguments;
    auditor_.effect(sent);
  }
  if (rng.one_in(4)) {
    ++coverage_["agent: never reports"];
    return;
  }
  schedule_.after(Instant(rng.between(1'000, 2'000'000)), [this, call, intent, fails] {
    if (!process_) return;
    ReportRequest report;
    report.session = call.asked.session;
    report.caller = driver(call.asked.agent);
    report.intent = intent;
    report.call_id = call.asked.call_id;
    report.tool = call.asked.tool;
    report.arguments = call.asked.arguments;
    report.kind = fails ? OutcomeKind::failed : OutcomeKind::ok;
    report.reason = fails ? "no such directory" : "";
    spawn(process_->door->report(std::move(report)));
  });
}

namespace {

// What takes another role than a driver's.
asio::awaitable<void> trespass_task(Harness& harness, Door& door, Auditor& auditor,
                                    Coverage& coverage, Caller caller, LogId session,
                                    bool is_remote, std::uint64_t dice) {
  Rng rng(dice);
  Status allowed = fail(ErrorCode::permission_denied, "");
  std::string what;
  switch (rng.below(6)) {
    case 0:
      what = "resumes everything";
      allowed = co_await door.halt("everything", std::nullopt, "mine", caller);
      break;
    case 1:
      what = "halts everything";
      allowed = co_await door.halt("everything", HaltMode::halt, "mine", caller);
      break;
    case 2: {
      what = "votes";
      CastVote vote;
      const auto pending = co_await harness.pending();
      if (!pending || pending->empty()) co_return;
      const PendingView view = (*pending)[rng.below(pending->size())];
      vote.intent = view.intent.id;
      vote.digest = view.intent.proposal.digest;
      vote.verdict = Verdict::allow;
      session = view.session;
      allowed = co_await door.vote(session, vote, caller);
      break;
    }
    case 3: {
      what = "accepts a tool";
      const auto tools =
          co_await harness.tools(Caller{Principal{"ann"}, {Role::approver}}, {}, HeldTools::shown);
      if (!tools || tools->empty()) co_return;
      const ToolView& tool = (*tools)[rng.below(tools->size())];
      allowed =
          co_await harness.judge_tool({tool.server, tool.name, tool.digest, true, ""}, caller);
      break;
    }
    case 4: {
      if (!is_remote) co_return;
      what = "has a token that nobody knows";
      const Caller nobody{Principal{"mallory"}, {Role::admin}};
      allowed = co_await door.halt("everything", HaltMode::halt, "mine", nobody);
      break;
    }
    default: {
      what = "resolves";
      Resolve resolve;
      const auto pending = co_await harness.pending();
      if (!pending || pending->empty()) co_return;
      const PendingView view = (*pending)[rng.below(pending->size())];
      resolve.intent = view.intent.id;
      resolve.kind = OutcomeKind::ok;
      session = view.session;
      allowed = co_await door.resolve(session, resolve, caller);
      break;
    }
  }
  ++coverage[fmt::format("agent: {} and may not", what)];
  if (!allowed) count_code(coverage, allowed.error().code);
  if (allowed) auditor.complain("I10 rights", fmt::format("a driver {}", what));
}

}  // namespace

void World::trespass(const Agent& agent, Rng rng) {
  if (!process_) return;
  spawn(trespass_task(*process_->harness, *process_->door, auditor_, coverage_, driver(agent.name),
                      agent.session, plan_.remote, rng.next()));
}

namespace {

asio::awaitable<void> cancel_task(Harness& harness, Trace& trace, Coverage& coverage, Caller caller,
                                  std::uint64_t dice) {
  Rng rng(dice);
  const auto pending = co_await harness.pending();
  if (!pending) co_return;
  std::vector<PendingView> own;
  for (const auto& view : *pending) {
    if (view.intent.proposal.requester == caller.principal) own.push_back(view);
  }
  if (own.empty()) co_return;
  const PendingView view = own[rng.below(own.size())];
  const Status done = co_await harness.cancel(view.session, view.intent.id, caller);
  trace.line(fmt::format("cancel {}#{}: {}", view.session.value, view.intent.id.value,
                         done ? "done" : done.error().message.substr(0, 80)));
  if (!done) count_code(coverage, done.error().code);
}

asio::awaitable<void> tell_task(Harness& harness, Auditor& auditor, Coverage& coverage,
                                PromptRequest request, std::string words) {
  const Status told = co_await harness.tell(std::move(request));
  if (!told) co_return count_code(coverage, told.error().code);
  ++coverage["person: a prompt"];
  auditor.acknowledged(words);
}

}  // namespace

void World::cancel(const Agent& agent, Rng rng) {
  if (!process_) return;
  spawn(cancel_task(*process_->harness, trace_, coverage_, driver(agent.name), rng.next()));
}

void World::tell(const Agent& agent, std::string text) {
  if (!process_) return;
  PromptRequest request;
  request.session = agent.session;
  request.epoch = agent.epoch;
  request.caller = driver(agent.name);
  request.client = "simulated";
  request.text = std::move(text);
  const std::string words =
      prompt_words(agent.session, Payload::of(write_json(json::value(request.text))).digest);
  auditor_.said(words);
  spawn(tell_task(*process_->harness, auditor_, coverage_, std::move(request), words));
}

}  // namespace gavel::simulation
