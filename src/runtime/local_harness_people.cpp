// What people and programs ask: wake, look, vote, resolve, halt, resume.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/codec.hpp"
#include "core/fold.hpp"
#include "runtime/answers.hpp"
#include "runtime/completion.hpp"
#include "runtime/local_harness.hpp"

namespace gavel {
namespace {

constexpr auto kWakeSettles = std::chrono::seconds(15);
constexpr auto kWakePoll = std::chrono::milliseconds(20);

SessionView view_of(const State& state) {
  SessionView view;
  view.session = state.session;
  view.tail = state.tail;
  view.epoch = state.epoch;
  view.agent = state.agent;
  view.driver = state.driver;
  view.client = state.client;
  view.opened_at = state.opened_at;
  view.last_at = state.last_at;
  view.counters = state.counters;
  for (const auto& [id, open] : state.open) {
    view.held += open.phase == Phase::held ? 1 : 0;
    view.in_flight += open.phase == Phase::in_flight || open.phase == Phase::committed ? 1 : 0;
    view.unknown += open.phase == Phase::unknown ? 1 : 0;
  }
  return view;
}

Error no_session(const LogId& id) {
  return {ErrorCode::not_found,
          fmt::format("no session \"{}\"; list them with: gavel sessions", id.value)};
}

}  // namespace

ControlView LocalHarness::view_for(const Session& session, const OpenIntent& intent) {
  Call call;
  call.principal = intent.proposal.requester;
  call.session = session.id;
  call.tool = intent.proposal.tool;
  const json::value none = json::object{};
  call.arguments = &none;
  call.now = clock_.now();
  return control_.view_of(session.id, intent.proposal.requester, intent.proposal.toolset,
                          policy_->assess(call).budgets);
}

asio::awaitable<Status> LocalHarness::wait_durable(std::shared_ptr<Completion> completion) {
  if (!completion->status) {
    completion->wake.expires_at(clock_.steady() + kDurableWait);
    co_await completion->wake.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (completion->status) co_return *completion->status;
  co_return fail(ErrorCode::timeout,
                 "the store does not answer; whether the command took effect is "
                 "unknown: look with gavel log");
}

asio::awaitable<Status> LocalHarness::commit_and_wait(LogId id, IntentId intent,
                                                      Decide decide_plan) {
  co_return co_await commit_and_wait(id, [&](Session& session) -> Result<Plan> {
    if (session.state.tail.value == 0) return std::unexpected(no_session(id));
    const auto open = session.state.open.find(intent);
    const ControlView view =
        open == session.state.open.end() ? ControlView{} : view_for(session, open->second);
    return decide_plan(session, view);
  });
}

asio::awaitable<Status> LocalHarness::commit_and_wait(
    LogId id, std::function<Result<Plan>(Session&)> decide_plan) {
  for (int tries = 0;; ++tries) {
    auto loaded = sessions_.get(id);
    if (!loaded) co_return std::unexpected(loaded.error());
    Session& session = *loaded;
    auto plan = decide_plan(session);
    if (!plan) co_return std::unexpected(plan.error());
    auto completion = std::make_shared<Completion>(executor_);
    const auto committed =
        sessions_.commit(session, std::move(*plan), Durability::now,
                         [completion](Status status) { completion->complete(std::move(status)); });
    if (committed) co_return co_await wait_durable(std::move(completion));
    // What is decided anew counts in the epoch that another process elected, too, where it may.
    const bool again = committed.error().code == ErrorCode::conflict ||
                       committed.error().code == ErrorCode::halted ||
                       committed.error().code == ErrorCode::stale_epoch;
    if (!again || tries + 1 == kDecideTries) co_return committed;
  }
}

asio::awaitable<Result<Epoch>> LocalHarness::wake(LogId id, Caller caller, std::string client,
                                                  std::string reason) {
  if (!caller.has(Role::driver) && !caller.has(Role::admin)) {
    co_return fail(ErrorCode::permission_denied, "waking a session takes the role driver or admin");
  }
  if (id.value.starts_with(kControlPrefix)) {
    co_return fail(ErrorCode::invalid_argument, "control logs have no driver");
  }
  auto loaded = sessions_.get(id);
  if (!loaded) co_return std::unexpected(loaded.error());
  Epoch elected;
  auto completion = std::make_shared<Completion>(executor_);
  for (int tries = 0;; ++tries) {
    Session& session = *loaded;
    const Timestamp now = clock_.now();
    Status committed;
    if (session.state.tail.value == 0) {
      auto opening = decide(session.state, Open{id, caller.principal, client, now});
      if (!opening) co_return std::unexpected(opening.error());
      committed = sessions_.commit(session, std::move(*opening), Durability::now);
    }
    if (committed) {
      auto election = decide(session.state, Elect{caller.principal, reason, now});
      if (!election) co_return std::unexpected(election.error());
      committed = sessions_.commit(
          session, std::move(*election), Durability::now,
          [completion](Status status) { completion->complete(std::move(status)); });
    }
    if (committed) {
      elected = session.state.epoch;
      break;
    }
    const bool again = committed.error().code == ErrorCode::conflict;
    if (!again || tries + 1 == kDecideTries) co_return std::unexpected(committed.error());
  }
  if (const auto durable = co_await wait_durable(completion); !durable) {
    co_return std::unexpected(durable.error());
  }
  if (Session* session = sessions_.find(id)) lose_elsewhere(*session);
  // What the earlier driver left in flight settles by itself: by its answer, a probe or an
  // idempotent retry.
  const SteadyTime until = clock_.steady() + kWakeSettles;
  asio::steady_timer timer(executor_);
  for (;;) {
    const Session* session = sessions_.find(id);
    if (session == nullptr || session->running.empty() || clock_.steady() >= until) break;
    timer.expires_at(clock_.steady() + kWakePoll);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  co_return elected;
}

asio::awaitable<Result<std::vector<SessionView>>> LocalHarness::sessions(std::string prefix,
                                                                         LogId after,
                                                                         std::size_t limit) {
  std::vector<SessionView> views;
  while (views.size() < limit) {
    const auto heads = log_.list(prefix, after, limit);
    if (!heads) co_return std::unexpected(heads.error());
    for (const auto& head : *heads) {
      after = head.log;
      if (head.log.value.starts_with(kControlPrefix) || views.size() == limit) continue;
      const auto state = sessions_.peek(head.log);
      if (!state) co_return std::unexpected(state.error());
      views.push_back(view_of(*state));
    }
    if (heads->size() < limit) break;
  }
  co_return views;
}

asio::awaitable<Result<SessionView>> LocalHarness::session(LogId id) {
  const auto state = sessions_.peek(id);
  if (!state) co_return std::unexpected(state.error());
  if (state->tail.value == 0) co_return std::unexpected(no_session(id));
  co_return view_of(*state);
}

asio::awaitable<Result<std::vector<Entry>>> LocalHarness::entries(LogId log, Position from,
                                                                  std::size_t limit) {
  if (Session* hot = sessions_.find(log)) sessions_.flush(*hot);
  const auto stored = log_.read(log, std::max(from, Position{1}), ReadLimits{.entries = limit});
  if (!stored) co_return std::unexpected(stored.error());
  if (stored->empty()) {
    const auto head = log_.head(log);
    if (!head) co_return std::unexpected(head.error());
    if (head->tail.value == 0) co_return std::unexpected(no_session(log));
  }
  std::vector<Entry> entries;
  entries.reserve(stored->size());
  for (const auto& record : *stored) {
    auto entry = decode(record.position, record.bytes);
    if (!entry) co_return std::unexpected(entry.error());
    entries.push_back(std::move(*entry));
  }
  co_return entries;
}

void LocalHarness::advanced(const LogId& log) {
  for (LogWaiter* waiter : log_waiters_) {
    if (waiter->log == log || waiter->log.empty()) waiter->wake.cancel();
  }
}

// The log is watched while somebody waits: an append that nobody waits for costs no wake-up.
void LocalHarness::add(LogWaiter& waiter) {
  log_waiters_.push_back(&waiter);
  if (subscription_) return;
  subscription_ = log_.watch(
      std::nullopt, [this, alive = alive_, executor = executor_](const LogId& log, Position) {
        asio::post(executor, [this, alive, log] {
          if (*alive) advanced(log);
        });
      });
}

void LocalHarness::remove(LogWaiter& waiter) {
  std::erase(log_waiters_, &waiter);
  if (log_waiters_.empty()) subscription_.reset();
}

asio::awaitable<Result<Position>> LocalHarness::wait_for(LogId log, Position from,
                                                         SteadyTime deadline) {
  LogWaiter waiter(executor_, log);
  const auto forget = [this, alive = alive_](LogWaiter* mine) {
    if (*alive) remove(*mine);
  };
  const std::unique_ptr<LogWaiter, decltype(forget)> registered(&waiter, forget);
  add(waiter);
  for (;;) {
    const auto head = log_.head(log);
    if (!head) co_return std::unexpected(head.error());
    if (head->durable >= from || clock_.steady() >= deadline) co_return head->durable;
    waiter.wake.expires_at(deadline);
    co_await waiter.wake.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

asio::awaitable<Status> LocalHarness::durable_to(LogId log, Position from) {
  const auto durable = co_await wait_for(log, from, clock_.steady() + kDurableWait);
  if (!durable) co_return std::unexpected(durable.error());
  if (*durable < from) co_return fail(ErrorCode::timeout, "the store does not answer; ask again");
  co_return Status{};
}

std::unique_ptr<Subscription> LocalHarness::watch(OnAdvance on_advance) {
  return log_.watch(std::nullopt, [executor = executor_, on_advance = std::move(on_advance)](
                                      const LogId& log, Position tail) {
    asio::post(executor, [on_advance, log, tail] { on_advance(log, tail); });
  });
}

Result<std::string> LocalHarness::payload(const Payload& payload) {
  if (payload.is_inline()) return payload.bytes;
  return log_.blob(payload.digest);
}

asio::awaitable<Result<std::vector<PendingView>>> LocalHarness::pending() {
  std::vector<PendingView> views;
  for (const auto& [id, session] : sessions_.all()) {
    for (const auto& [intent, open] : session->state.open) {
      // What is not durable yet is not told (I5).
      if (intent.value > session->durable.value) continue;
      if (open.phase == Phase::held || open.phase == Phase::unknown) views.push_back({id, open});
    }
  }
  std::sort(views.begin(), views.end(), [](const PendingView& a, const PendingView& b) {
    return a.intent.proposed_at < b.intent.proposed_at;
  });
  co_return views;
}

asio::awaitable<Status> LocalHarness::vote(LogId id, CastVote vote, Caller caller) {
  if (!caller.has(Role::approver) && !caller.has(Role::admin)) {
    if (Session* session = sessions_.find(id)) {
      Refusal attempt;
      attempt.who = caller.principal;
      attempt.claimed_epoch = session->state.epoch;
      attempt.what = fmt::format("vote on #{}", vote.intent.value);
      attempt.error = {ErrorCode::permission_denied, "voting takes the role approver"};
      attempt.now = clock_.now();
      (void)sessions_.commit(*session, refuse(session->state, attempt), Durability::now);
    }
    co_return fail(
        ErrorCode::permission_denied,
        fmt::format("{} may not vote: it takes the role approver", caller.principal.value));
  }
  vote.voter = caller.principal;
  vote.role = caller.has(Role::approver) ? Role::approver : Role::admin;
  const IntentId intent = vote.intent;
  co_return co_await commit_and_wait(
      id, intent, [this, vote](Session& session, const ControlView& view) mutable {
        vote.now = clock_.now();
        return decide(session.state, view, vote);
      });
}

asio::awaitable<Status> LocalHarness::resolve(LogId id, Resolve resolve, Caller caller) {
  if (!caller.has(Role::approver) && !caller.has(Role::admin)) {
    co_return fail(ErrorCode::permission_denied, "resolving takes the role approver or admin");
  }
  resolve.resolver = caller.principal;
  const IntentId intent = resolve.intent;
  co_return co_await commit_and_wait(id, intent,
                                     [this, resolve](Session& session, const ControlView&) mutable {
                                       resolve.now = clock_.now();
                                       return decide(session.state, resolve);
                                     });
}

asio::awaitable<Status> LocalHarness::change_halt(std::string scope, DecideControl decide_entries) {
  const auto log = control_log_of(scope);
  if (!log) co_return std::unexpected(log.error());
  co_return co_await change_control(*log, std::move(decide_entries));
}

asio::awaitable<Status> LocalHarness::change_control(LogId log, DecideControl decide_entries) {
  for (int tries = 0; tries < kDecideTries; ++tries) {
    ControlState& state = control_.state(log);
    auto entries = decide_entries(state);
    if (!entries) co_return std::unexpected(entries.error());
    auto completion = std::make_shared<Completion>(executor_);
    const auto appended = control_.append(
        state, std::move(*entries), random_, [completion, executor = executor_](Status status) {
          asio::post(executor, [completion, status = std::move(status)]() mutable {
            completion->complete(std::move(status));
          });
        });
    if (appended) co_return co_await wait_durable(std::move(completion));
    if (appended.error().code != ErrorCode::conflict) co_return appended;
    if (const auto fresh = control_.refresh(log); !fresh) co_return fresh;
  }
  co_return fail(ErrorCode::busy, "others keep changing this scope; try again");
}

asio::awaitable<Status> LocalHarness::halt(std::string scope, HaltMode mode, std::string reason,
                                           Caller caller) {
  RaiseHalt command;
  command.by = caller.principal;
  command.role = caller.has(Role::admin) ? Role::admin : Role::observer;
  command.mode = mode;
  command.reason = std::move(reason);
  command.now = clock_.now();
  if (!caller.has(Role::admin) && !caller.has(Role::observer)) {
    co_return fail(ErrorCode::permission_denied, "halting takes the role admin or observer");
  }
  co_return co_await change_halt(
      std::move(scope), [command](const ControlState& state) { return decide(state, command); });
}

asio::awaitable<Status> LocalHarness::resume(std::string scope, std::string reason, Caller caller) {
  if (!caller.has(Role::admin)) {
    co_return fail(ErrorCode::permission_denied, "resuming takes the role admin");
  }
  LiftHalt command;
  command.by = caller.principal;
  command.role = Role::admin;
  command.reason = std::move(reason);
  command.now = clock_.now();
  const auto resumed = co_await change_halt(
      scope, [command](const ControlState& state) { return decide(state, command); });
  // What was due, or had to be tried again, may go on.
  if (resumed) {
    std::vector<LogId> ids;
    for (const auto& [id, session] : sessions_.all()) ids.push_back(id);
    for (const auto& id : ids) {
      if (Session* session = sessions_.find(id)) handle_due(*session);
      if (Session* session = sessions_.find(id)) find_out(*session);
    }
  }
  co_return resumed;
}

std::vector<HaltView> LocalHarness::halts() const {
  std::vector<HaltView> views;
  for (const auto& [log, state] : control_.states()) {
    if (state.halt) views.push_back({scope_of(log), *state.halt});
  }
  return views;
}

}  // namespace gavel
