// What react asks for: dispatch, answer, probe, retry, and what is due.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "protocol/jsonrpc.hpp"
#include "runtime/answers.hpp"
#include "runtime/local_harness.hpp"

namespace gavel {
namespace {

template <typename... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};

constexpr std::chrono::milliseconds kRetryPause{200};
constexpr std::chrono::milliseconds kRetryPauseMax{10'000};
constexpr std::chrono::milliseconds kBusyPause{20};

std::vector<IntentId> intents_in(const State& state, Phase phase) {
  std::vector<IntentId> found;
  for (const auto& [id, open] : state.open) {
    // A client that acts itself may still be at it, or come for its leave.
    if (open.phase == phase && !open.proposal.elsewhere) found.push_back(id);
  }
  return found;
}

}  // namespace

void LocalHarness::perform(Session& session, const Action& action, const Batch& batch) {
  std::visit(
      Overloaded{
          [&](const Dispatch& dispatch) { start_attempt(session, dispatch); },
          [&](const Permit& permit) { give_leave(session, permit.intent); },
          [&](const Offer& offer) {
            if (session.waiters.contains(offer.intent)) take_leave(session, offer.intent);
          },
          [&](const Answer& answer) { give_answer(session, answer, batch); },
          [&](const Notify& notify) {
            const auto context = session.contexts.find(notify.intent);
            if (context != session.contexts.end() && context->second.on_held) {
              context->second.on_held(notify.intent, notify.reason);
            }
            say(fmt::format("{} waits for a person", intent_name(session.id, notify.intent)));
          },
          [&](const RunProbe& probe) { start_probe(session, probe.intent); },
          [&](const Retry& retry) { start_retry(session, retry.intent); },
          [&](const Recheck&) { handle_due(session); },
      },
      action);
}

void LocalHarness::give_answer(Session& session, const Answer& answer, const Batch& batch) {
  const auto [begin, end] = session.waiters.equal_range(answer.intent);
  if (begin == end) return;
  const auto settled = std::find_if(batch->begin(), batch->end(), [&](const Entry& entry) {
    return entry.position == answer.answer;
  });
  if (settled == batch->end()) return;
  const auto tool_of = [&]() -> std::string {
    const auto open = session.state.open.find(answer.intent);
    if (open != session.state.open.end()) return open->second.proposal.tool;
    return session.state.keys.at(session.state.key_of.at(answer.intent)).tool;
  };
  std::string result;
  if (const auto* outcome = std::get_if<Outcome>(&settled->body)) {
    auto bytes = sessions_.payload(session, outcome->result);
    if (bytes) result = std::move(*bytes);
  }
  // The texts name the tool; a result that is handed on as it came needs no look-up.
  const auto* told = std::get_if<Outcome>(&settled->body);
  const bool stopped = told != nullptr && told->kind == OutcomeKind::ok && !told->reason.empty();
  const bool plain = told != nullptr && told->source == OutcomeSource::call && !stopped &&
                     !result.empty() && refusal_in(result).empty();
  const CallAnswer made =
      answer_of(session.id, plain ? std::string() : tool_of(), *settled, std::move(result));
  for (auto waiter = begin; waiter != end; ++waiter) {
    waiter->second->answer = made;
    waiter->second->wake->cancel();
  }
}

AttemptJob LocalHarness::job_of(Session& session, const OpenIntent& open) {
  AttemptJob job;
  job.session = session.id;
  job.intent = open.id;
  job.proposal = open.proposal;
  job.attempt = open.attempts;
  job.deadline = open.deadline;
  const auto context = session.contexts.find(open.id);
  if (context != session.contexts.end()) {
    job.meta = context->second.meta;
    job.side = context->second.side;
  }
  job.whom_to_ask = [this, id = session.id, intent = open.id] {
    Session* now = sessions_.find(id);
    if (now == nullptr) return CallerSide{};
    const auto waiting = now->contexts.find(intent);
    const bool can_ask = waiting != now->contexts.end() && waiting->second.side.on_question;
    if (!can_ask) now->wants_input.insert(intent);
    if (can_ask) now->wants_input.erase(intent);
    return can_ask ? waiting->second.side : CallerSide{};
  };
  if (job.side.on_question || !job.side.capabilities.empty()) {
    // Whoever waits when it is asked, if that is somebody else by then.
    job.side.on_question = [whom = job.whom_to_ask](UpstreamQuestion question) {
      const CallerSide now = whom();
      if (now.on_question) {
        now.on_question(std::move(question));
      } else {
        question.answer({}, rpc_error_object(rpc::kInternalError, "nobody waits for the call"));
      }
    };
  }
  job.on_task = [this, id = session.id](RecordTask task) {
    return record_task(id, std::move(task));
  };
  job.server_now = [this, id = session.id, tool = open.proposal.tool] {
    return server_of(id, tool);
  };
  return job;
}

std::string LocalHarness::task_of(const LogId& id, IntentId intent) {
  const Session* session = sessions_.find(id);
  if (session == nullptr) return {};
  const auto open = session->state.open.find(intent);
  return open == session->state.open.end() ? std::string() : open->second.task.task;
}

asio::awaitable<void> LocalHarness::record_task(LogId id, RecordTask task) {
  const IntentId intent = task.intent;
  co_await record(id, intent, "task",
                  [&](Session& session) { return decide(session.state, task); });
}

void LocalHarness::follow_task_of(Session& session, IntentId intent) {
  const OpenIntent& open = session.state.open.at(intent);
  AttemptJob job = job_of(session, open);
  job.task = open.task;
  job.still_allowed = [] { return Status{}; };  // nothing is dispatched
  ++session.running[intent];
  spawn(run_attempt(std::move(job)), "task of " + intent_name(session.id, intent));
}

Status LocalHarness::still_allowed(const LogId& id, IntentId intent, std::uint64_t attempt,
                                   std::optional<Epoch> epoch) {
  Session* now = sessions_.find(id);
  if (now == nullptr) return fail(ErrorCode::internal, "the session is not in memory");
  // What a failed store says now is not what it holds.
  TRY(log_.health());
  // Another process on the same log may have elected a driver, halted, or settled this.
  TRY(sessions_.catch_up(*now));
  if (epoch && now->state.epoch > *epoch) {
    return fail(ErrorCode::stale_epoch,
                fmt::format("epoch {} was elected", now->state.epoch.value));
  }
  const auto open = now->state.open.find(intent);
  if (open == now->state.open.end()) return fail(ErrorCode::conflict, "it was settled");
  if (open->second.phase != Phase::in_flight || open->second.attempts != attempt) {
    return fail(ErrorCode::conflict, "another process took it up");
  }
  const IntentProposed& proposal = open->second.proposal;
  TRY(control_.catch_up(id, proposal.requester, proposal.toolset));
  return check_halts(control_.view_of(id, proposal.requester, proposal.toolset, {}, Lifts::durable),
                     proposal.effect);
}

void LocalHarness::start_attempt(Session& session, const Dispatch& dispatch) {
  const auto open = session.state.open.find(dispatch.intent);
  if (open == session.state.open.end()) return;
  AttemptJob job = job_of(session, open->second);
  job.attempt = dispatch.attempt;
  job.fencing_token = dispatch.fencing_token;
  job.deadline = dispatch.deadline;
  auto arguments = sessions_.payload(session, job.proposal.arguments);
  if (arguments) job.arguments = std::move(*arguments);
  // A call that nobody held must still belong to the current driver; one that a person released may
  // outlive the driver that asked for it, and a retry finds out what became of what went out
  // before.
  const bool outlives = open->second.hold.has_value() || dispatch.attempt > 1;
  const Epoch epoch = open->second.epoch;
  job.still_allowed = [this, id = session.id, intent = job.intent, attempt = job.attempt,
                       epoch = outlives ? std::nullopt : std::optional(epoch),
                       readable = arguments.has_value()]() -> Status {
    if (!readable) return fail(ErrorCode::corrupted, "its arguments cannot be read from the store");
    return still_allowed(id, intent, attempt, epoch);
  };
  ++session.running[dispatch.intent];
  std::shared_ptr<asio::cancellation_signal> end;
  if (job.proposal.effect == Effect::read) {
    end = std::make_shared<asio::cancellation_signal>();
    session.reads[dispatch.intent] = end;
  }
  spawn(run_attempt(std::move(job)), intent_name(session.id, dispatch.intent), std::move(end));
}

void LocalHarness::leave(const LogId& id, IntentId intent) {
  const Session* session = sessions_.find(id);
  if (session == nullptr || session->waiters.count(intent) > 1) return;
  const auto read = session->reads.find(intent);
  if (read == session->reads.end()) return;
  const auto end = read->second;  // the emission may end the attempt, which erases it
  end->emit(asio::cancellation_type::terminal);
}

asio::awaitable<void> LocalHarness::run_attempt(AttemptJob job) {
  const LogId id = job.session;
  const IntentId intent = job.intent;
  const Durability told = when_told(job.proposal);
  RecordOutcome outcome;
  outcome.intent = intent;
  const std::shared_ptr<Upstream> server = server_of(id, job.proposal.tool);
  if (!server) {
    const bool was_sent = job.task && job.proposal.effect != Effect::read;
    outcome.kind = was_sent ? OutcomeKind::unknown : unsent_outcome(job);
    outcome.reason = fmt::format("server \"{}\" is gone", job.proposal.toolset);
    outcome.now = clock_.now();
  } else {
    auto listing = directory_.known(server->name());
    bool left = false;
    try {
      // A person may have released the call of a tool that changed meanwhile.
      Status listed;
      if (!listing) {
        auto fresh = co_await list_tools(server);
        if (fresh) listing = *fresh;
        if (!fresh) listed = std::unexpected(fresh.error());
      }
      job.still_allowed = [this, listed, name = server->name(), tool = job.proposal.tool,
                           may = std::move(job.still_allowed)]() -> Status {
        TRY(may());
        TRY(listed);
        const auto now = directory_.known(name);
        return now ? held_now(name, *now, tool) : Status{};
      };
      outcome = co_await actor_.run(*server, std::move(listing), std::move(job));
    } catch (const boost::system::system_error& error) {
      if (error.code() != asio::error::operation_aborted) throw;
      left = true;
    }
    // What came of it is recorded all the same.
    co_await asio::this_coro::reset_cancellation_state();
    if (left) {
      outcome.kind = OutcomeKind::failed;
      outcome.code = ErrorCode::cancelled;
      outcome.reason = "nobody waited for its answer any more";
      outcome.now = clock_.now();
      if (const auto task = task_of(id, intent); !task.empty()) {
        spawn(cancel_task(server, clock_, task), "cancellation of " + intent_name(id, intent));
      }
    }
  }
  const auto settle = [&](Session& session) {
    // A person may have resolved it meanwhile.
    return decide(session.state, outcome);
  };
  const Session* hot = sessions_.find(id);
  if (told == Durability::deferred && hot != nullptr && !hot->waiters.contains(intent)) {
    // It ended before its caller has begun to wait.
    co_await asio::post(executor_, asio::use_awaitable);
  }
  co_await record(id, intent, "outcome", settle, told);
  finished(id, intent);
}

Durability LocalHarness::when_told(const IntentProposed& proposal) const {
  const ToolSpec* tool = policy_->tool(proposal.tool);
  const bool waived =
      proposal.effect == Effect::read && tool != nullptr && tool->answer_before_recorded;
  return waived ? Durability::deferred : Durability::now;
}

asio::awaitable<void> LocalHarness::record(LogId id, IntentId intent, std::string what,
                                           std::function<Result<Plan>(Session&)> decide_plan,
                                           Durability wanted) {
  Error why;
  for (int tries = 0; tries < kDecideTries;) {
    auto loaded = sessions_.get(id);
    auto plan = loaded ? decide_plan(*loaded) : std::unexpected(loaded.error());
    const auto durability = plan && plan->control.empty() ? wanted : Durability::now;
    const auto committed = plan ? sessions_.commit(*loaded, std::move(*plan), durability)
                                : std::unexpected(plan.error());
    if (committed) co_return;
    why = committed.error();
    // Another process may have elected a driver: what came of it is true in every epoch.
    const bool waits = why.code == ErrorCode::busy || why.code == ErrorCode::conflict ||
                       why.code == ErrorCode::stale_epoch;
    if (plan && waits) {
      // It is known here and nowhere else: it waits for the store, however long that takes.
      asio::steady_timer pause(executor_, clock_.steady() + kBusyPause);
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
      continue;
    }
    if (!plan || why.code != ErrorCode::halted) break;
    ++tries;
  }
  say(fmt::format("the {} of {} is not recorded: {}", what, intent_name(id, intent), why.message));
  Session* session = sessions_.find(id);
  if (session != nullptr && why.code == ErrorCode::storage_failed) {
    sessions_.tell_failure(*session, intent, why);
  }
}

void LocalHarness::finished(const LogId& id, IntentId intent) {
  Session* session = sessions_.find(id);
  if (session == nullptr) return;
  const auto running = session->running.find(intent);
  if (running == session->running.end() || --running->second > 0) return;
  session->running.erase(running);
  session->reads.erase(intent);
  session->wants_input.erase(intent);
}

void LocalHarness::start_probe(Session& session, IntentId intent) {
  ProbeJob job;
  job.session = session.id;
  job.intent = intent;
  const auto open = session.state.open.find(intent);
  const auto settling = session.state.settling.find(intent);
  if (open != session.state.open.end()) {
    job.proposal = open->second.proposal;
  } else if (settling != session.state.settling.end()) {
    job.proposal = settling->second;
    job.settling = true;
  } else {
    return;
  }
  const ToolSpec* spec = policy_->tool(job.proposal.tool);
  auto arguments = sessions_.payload(session, job.proposal.arguments);
  if (spec == nullptr || !spec->probe || !arguments) {
    say(fmt::format("{}: the policy has no probe for {} any more", intent_name(session.id, intent),
                    job.proposal.tool));
    return;
  }
  job.probe = *spec->probe;
  job.arguments = std::move(*arguments);
  ++session.running[intent];
  spawn(run_probe(std::move(job)), "probe of " + intent_name(session.id, intent));
}

asio::awaitable<void> LocalHarness::run_probe(ProbeJob job) {
  const LogId id = job.session;
  const IntentId intent = job.intent;
  ProbeResult found;
  const std::shared_ptr<Upstream> server = server_of(id, job.probe.tool);
  if (!server) {
    found.reason = fmt::format("the probe's server of {} is gone", job.probe.tool);
  } else {
    found = co_await actor_.probe(*server, std::move(job));
  }
  RecordProbe seen;
  seen.intent = intent;
  seen.verdict = found.verdict;
  seen.reason = found.reason;
  seen.evidence = Payload::of(std::move(found.evidence));
  co_await record(id, intent, "probe", [&](Session& session) {
    seen.now = clock_.now();
    return decide(session.state, seen);
  });
  finished(id, intent);
}

void LocalHarness::start_retry(Session& session, IntentId intent) {
  const auto open = session.state.open.find(intent);
  if (open == session.state.open.end()) return;
  ++session.running[intent];
  spawn(run_retry(session.id, intent, open->second.attempts),
        "retry of " + intent_name(session.id, intent));
}

asio::awaitable<void> LocalHarness::run_retry(LogId id, IntentId intent, std::uint64_t attempts) {
  const auto doubled = kRetryPause * (std::int64_t{1} << std::min<std::uint64_t>(attempts, 10));
  asio::steady_timer pause(executor_, clock_.steady() + std::min(doubled, kRetryPauseMax));
  co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
  co_await record(id, intent, "next attempt", [&](Session& session) {
    const auto open = session.state.open.find(intent);
    const ControlView view =
        open == session.state.open.end() ? ControlView{} : view_for(session, open->second);
    return decide_retry(session.state, view, intent, clock_.now());
  });
  finished(id, intent);
}

void LocalHarness::handle_due(Session& session) {
  const Timestamp now = clock_.now();
  for (const auto intent : due_intents(session.state, now)) {
    for (int tries = 0; tries < kDecideTries; ++tries) {
      const auto open = session.state.open.find(intent);
      if (open == session.state.open.end()) break;
      auto plan = decide_due(session.state, view_for(session, open->second), intent, now);
      if (!plan) {
        say(fmt::format("{} is due but stays held: {}", intent_name(session.id, intent),
                        plan.error().message));
        break;
      }
      if (sessions_.commit(session, std::move(*plan), Durability::now)) break;
    }
  }
}

void LocalHarness::recover(Session& session) {
  find_out(session);
  auto lost = intents_in(session.state, Phase::in_flight);
  const auto committed = intents_in(session.state, Phase::committed);
  lost.insert(lost.end(), committed.begin(), committed.end());
  for (const auto id : lost) {
    if (!session.state.open.at(id).task.task.empty()) {
      if (!session.running.contains(id)) follow_task_of(session, id);
      continue;
    }
    auto plan = decide_lost(session.state, id, clock_.now());
    if (!plan || sessions_.commit(session, std::move(*plan), Durability::now)) continue;
    const auto lose = [this, id](Session& again) {
      return decide_lost(again.state, id, clock_.now());
    };
    spawn(record(session.id, id, "loss", lose), "loss of " + intent_name(session.id, id));
  }
  for (const auto& [id, proposal] : session.state.settling) start_probe(session, id);
  if (!session.state.open.empty()) handle_due(session);
}

void LocalHarness::find_out(Session& session) {
  for (const auto intent : intents_in(session.state, Phase::unknown)) {
    const OpenIntent& open = session.state.open.at(intent);
    if (session.running.contains(intent)) continue;
    if (open.proposal.idempotent && open.attempts < open.proposal.attempts_max) {
      start_retry(session, intent);
    } else if (open.proposal.has_probe) {
      start_probe(session, intent);
    }
  }
}

}  // namespace gavel
