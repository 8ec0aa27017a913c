// Actions that clients perform themselves: leave to act, given once, and what came of it. The
// life of such an intent is described in core/state.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runtime/answers.hpp"
#include "runtime/completion.hpp"
#include "runtime/local_harness.hpp"
#include "runtime/waiter_guard.hpp"

namespace gavel {
namespace {

constexpr std::size_t kTakersMax = 1024;

bool is_under_way(const Session* session, IntentId intent) {
  if (session == nullptr) return false;
  const auto open = session->state.open.find(intent);
  return open != session->state.open.end() && open->second.phase == Phase::in_flight;
}

// An open intent for this very call, under another call id, that nobody has leave for: a repeated
// call waits for it, or learns that its outcome is unknown. One that is under way does not count:
// two calls may be the same.
const OpenIntent* earlier_call(const State& state, const Propose& command) {
  for (const auto& [id, open] : state.open) {
    const IntentProposed& proposal = open.proposal;
    if (proposal.elsewhere && open.phase != Phase::in_flight && proposal.tool == command.tool &&
        proposal.digest == command.digest && proposal.requester == command.requester) {
      return &open;
    }
  }
  return nullptr;
}

// Which intent a report is about; 0 where none is.
IntentId find_reported(const Session& session, const ReportRequest& report, const Digest& digest) {
  const State& state = session.state;
  if (report.intent.value > 0) return report.intent;
  if (!report.call_id.empty()) {
    const auto taker = session.takers.find(report.call_id);
    if (taker != session.takers.end()) return taker->second;
    const auto key = state.keys.find(numbered_key(report.call_id));
    if (key != state.keys.end()) return key->second.intent;
  }
  const auto oldest = [&](Phase phase) {
    for (const auto& [id, open] : state.open) {
      // A call that has an id of its own is known by it, unless it took over a held one.
      const bool may_be = report.call_id.empty() || open.hold.has_value();
      if (may_be && open.proposal.elsewhere && open.phase == phase &&
          open.proposal.tool == report.tool && open.proposal.digest == digest) {
        return id;
      }
    }
    return IntentId{};
  };
  const IntentId running = oldest(Phase::in_flight);
  return running.value > 0 ? running : oldest(Phase::unknown);
}

// Leave is given once: whoever asks again for what is done gets none.
CallAnswer without_result(CallAnswer answer, const LogId& session, const std::string& tool) {
  if (answer.kind != AnswerKind::result) return answer;
  answer.kind = AnswerKind::refused;
  answer.code = ErrorCode::conflict;
  answer.text = fmt::format("this call of {} was done already, as {}", tool,
                            intent_name(session, answer.intent));
  answer.result.clear();
  return answer;
}

}  // namespace

asio::awaitable<Result<CallAnswer>> LocalHarness::permit(CallRequest request) {
  const auto [toolset, own_name] = split_tool_name(request.tool);
  if (request.performer != Performer::passer && (toolset != kOwnToolset || own_name.empty())) {
    co_return fail(ErrorCode::invalid_argument,
                   fmt::format("{} is not what a client does by itself: such tools are own__NAME",
                               request.tool));
  }
  const auto arguments = parse_json(request.arguments);
  if (!arguments) co_return std::unexpected(arguments.error());
  if (!arguments->is_object()) {
    co_return fail(ErrorCode::invalid_argument, "arguments must be a JSON object");
  }
  if (auto broken = breaks_catalogue(request, *arguments)) co_return std::move(*broken);
  Call assessed;
  assessed.principal = request.caller.principal;
  assessed.session = request.session;
  assessed.tool = request.tool;
  assessed.arguments = &*arguments;
  assessed.now = clock_.now();
  assessed.trace = tracer(request.session, request.tool, *arguments);
  Propose command = command_of(request, *arguments, std::string(toolset));
  command.assessment = policy_->assess(assessed);
  command.elsewhere = true;
  if (command.key.empty()) {
    // Each asking of a client without call ids is a call of its own.
    command.key = "own:" + random_hex(random_, 16);
    command.key_source = KeySource::call_id;
  }

  auto loaded = sessions_.get(request.session);
  if (!loaded) co_return std::unexpected(loaded.error());
  Session& session = *loaded;
  if (const auto opened = open_if_new(session, command.requester, request.client, "first call");
      !opened) {
    co_return std::unexpected(opened.error());
  }
  if (const auto taker = session.takers.find(request.call_id); taker != session.takers.end()) {
    command.key = session.state.key_of.at(taker->second);
  } else if (!session.state.keys.contains(command.key)) {
    if (const OpenIntent* earlier = earlier_call(session.state, command)) {
      command.key = earlier->proposal.key;
    }
  }
  const auto proposed = commit_proposal(session, request, command);
  if (!proposed) {
    if (proposed.error().code == ErrorCode::stale_epoch) {
      const LogId id = request.session;
      co_await record_refusal(id, std::move(request), proposed.error());
    }
    co_return std::unexpected(proposed.error());
  }
  if (proposed->disposition == Disposition::replay) {
    const LogId id = request.session;
    auto answer = co_await replay(id, proposed->intent, command.tool, request.patience);
    if (!answer) co_return std::unexpected(answer.error());
    co_return without_result(std::move(*answer), id, command.tool);
  }
  if (proposed->disposition == Disposition::attach) {
    const OpenIntent& open = session.state.open.at(proposed->intent);
    if (open.phase == Phase::unknown) {
      co_return co_await once_durable(session, open.id, lost_answer(session.id, open));
    }
    if (open.phase == Phase::in_flight) {
      co_return co_await once_durable(session, open.id, pending_answer(session.id, open));
    }
  }
  const Callbacks callbacks =
      proposed->disposition == Disposition::attach ? Callbacks::of_another : Callbacks::own;
  co_return co_await wait_for_leave(std::move(request), proposed->intent, callbacks);
}

asio::awaitable<CallAnswer> LocalHarness::wait_for_leave(CallRequest request, IntentId intent,
                                                         Callbacks callbacks) {
  const LogId id = request.session;
  asio::steady_timer wake(executor_, request.patience);
  Waiter waiter;
  waiter.wake = &wake;
  const WaiterGuard guard(sessions_, id, intent, waiter, callbacks);
  if (Session* session = sessions_.find(id)) {
    const auto open = session->state.open.find(intent);
    if (open != session->state.open.end() && open->second.phase == Phase::committed) {
      take_leave(*session, intent);
    }
  }
  co_await wake.async_wait(asio::as_tuple(asio::use_awaitable));
  if (!waiter.answer && !waiter.may_act) {
    // However short the patience: what is decided is told, once it is durable.
    const SteadyTime until = clock_.steady() + kDurableWait;
    const auto durable = co_await durable_to(id, intent);
    if (!durable) co_return undurable_answer(id, intent, durable.error().code);
    if (is_under_way(sessions_.find(id), intent) && !waiter.answer && !waiter.may_act) {
      wake.expires_at(until);
      co_await wake.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }
  if (waiter.answer) co_return without_result(std::move(*waiter.answer), id, request.tool);
  Session* session = sessions_.find(id);
  if (session != nullptr && waiter.may_act) {
    if (!request.call_id.empty() &&
        session->state.key_of.at(intent) != numbered_key(request.call_id)) {
      std::erase_if(session->takers,
                    [&](const auto& taker) { return !session->state.open.contains(taker.second); });
      if (session->takers.size() < kTakersMax) session->takers[request.call_id] = intent;
    }
    CallAnswer answer;
    answer.kind = AnswerKind::granted;
    answer.intent = intent;
    co_return answer;
  }
  if (session != nullptr) {
    const auto open = session->state.open.find(intent);
    if (open != session->state.open.end()) co_return pending_answer(id, open->second);
  }
  co_return refusal(ErrorCode::cancelled,
                    fmt::format("{} is not waited for any more", intent_name(id, intent)));
}

// The attempt of a released intent: from here on nobody else can have its leave.
void LocalHarness::take_leave(Session& session, IntentId intent) {
  for (int tries = 0; tries < kDecideTries; ++tries) {
    const auto open = session.state.open.find(intent);
    if (open == session.state.open.end() || open->second.phase != Phase::committed) return;
    auto plan = decide_take(session.state, view_for(session, open->second), intent, clock_.now());
    if (!plan) {
      say(fmt::format("{} was released but is not done: {}", intent_name(session.id, intent),
                      plan.error().message));
      return;
    }
    if (sessions_.commit(session, std::move(*plan), Durability::now)) return;
  }
}

void LocalHarness::give_leave(Session& session, IntentId intent) {
  const auto open = session.state.open.find(intent);
  if (open == session.state.open.end() || open->second.phase != Phase::in_flight) return;
  const auto [begin, end] = session.waiters.equal_range(intent);
  if (begin != end) {
    begin->second->may_act = true;
    begin->second->wake->cancel();
    for (auto waiter = std::next(begin); waiter != end; ++waiter) {
      waiter->second->answer = pending_answer(session.id, open->second);
      waiter->second->wake->cancel();
    }
    return;
  }
  // Leave is only ever told here, so nobody has it.
  RecordOutcome unused;
  unused.intent = intent;
  unused.kind = OutcomeKind::failed;
  unused.source = OutcomeSource::recovery;
  unused.reason = "it was not done: the client was gone before it was told that it may";
  for (int tries = 0; tries < kDecideTries; ++tries) {
    unused.now = clock_.now();
    auto plan = decide(session.state, unused);
    if (!plan || sessions_.commit(session, std::move(*plan), Durability::now)) return;
  }
}

// Another driver has taken over: what the earlier one was doing is not waited for any longer.
void LocalHarness::lose_elsewhere(Session& session) {
  std::vector<IntentId> running;
  for (const auto& [id, open] : session.state.open) {
    if (open.proposal.elsewhere && open.phase == Phase::in_flight) running.push_back(id);
  }
  for (const auto id : running) {
    for (int tries = 0; tries < kDecideTries; ++tries) {
      auto plan = decide_lost(session.state, id, clock_.now());
      if (!plan || sessions_.commit(session, std::move(*plan), Durability::now)) break;
    }
  }
}

asio::awaitable<Result<IntentId>> LocalHarness::report(ReportRequest request) {
  if (closing_) co_return fail(ErrorCode::unavailable, "gavel is stopping; report it again");
  auto loaded = sessions_.get(request.session);
  if (!loaded) co_return std::unexpected(loaded.error());
  Session& session = *loaded;
  Digest digest;
  if (!request.arguments.empty()) {
    const auto arguments = parse_json(request.arguments);
    if (!arguments) co_return std::unexpected(arguments.error());
    digest = canonical_digest(*arguments);
  }
  const IntentId intent = find_reported(session, request, digest);
  if (!session.state.key_of.contains(intent)) {
    co_return fail(ErrorCode::not_found,
                   fmt::format("{} has no action of {} whose outcome could be reported",
                               request.session.value, request.tool));
  }
  const auto open = session.state.open.find(intent);
  if (open == session.state.open.end()) co_return intent;
  const OpenIntent& found = open->second;
  if (!found.proposal.elsewhere || found.proposal.requester != request.caller.principal) {
    co_return fail(ErrorCode::permission_denied,
                   fmt::format("{} is not {}'s to report on", intent_name(request.session, intent),
                               request.caller.principal.value));
  }
  RecordOutcome outcome;
  outcome.intent = intent;
  outcome.kind = request.kind;
  outcome.result = Payload::of(std::move(request.result));
  outcome.reason = request.reason;
  const auto recorded = co_await commit_and_wait(
      request.session, intent, [this, outcome](Session& now, const ControlView&) mutable {
        outcome.now = clock_.now();
        return decide(now.state, outcome);
      });
  if (!recorded) co_return std::unexpected(recorded.error());
  delivered(request.session, intent);
  if (Session* hot = sessions_.find(request.session)) hot->takers.erase(request.call_id);
  co_return intent;
}

}  // namespace gavel
