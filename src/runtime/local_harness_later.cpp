// What a caller asks about an action that it asked for before: how it stands, what came of it, and
// that it be stopped.
#include <fmt/format.h>

#include "core/codec.hpp"
#include "runtime/answers.hpp"
#include "runtime/local_harness.hpp"
#include "runtime/task_following.hpp"

namespace gavel {
namespace {

// What it waits for, for people.
std::string text_of(const std::string& name, const OpenIntent& open) {
  switch (open.phase) {
    case Phase::held:
      if (open.hold && open.hold->reason == HoldReason::settling) {
        return name + " waits until the session's last write has settled";
      }
      return fmt::format("{} waits for a person: gavel approve {} | gavel deny {}", name, name,
                         name);
    case Phase::unknown:
      return fmt::format("it is unknown whether {} happened; a person resolves it", name);
    case Phase::proposed:
    case Phase::committed:
    case Phase::in_flight:
      break;
  }
  return name + " is at work";
}

}  // namespace

Result<Entry> LocalHarness::own_intent(const LogId& id, IntentId intent, const Caller& caller) {
  const auto not_found = [&] {
    return fail(ErrorCode::not_found, fmt::format("{} asked for nothing called {}",
                                                  caller.principal.value, intent_name(id, intent)));
  };
  const auto loaded = sessions_.get(id);
  if (!loaded) return std::unexpected(loaded.error());
  const Session& session = *loaded;
  const auto open = session.state.open.find(intent);
  Entry entry;
  if (open != session.state.open.end()) {
    // Perhaps not written yet: a read is recorded with its outcome.
    entry.position = intent;
    entry.at = open->second.proposed_at;
    entry.body = open->second.proposal;
  } else {
    if (!session.state.key_of.contains(intent)) return not_found();
    const auto stored = log_.read(id, intent, ReadLimits{.entries = 1});
    if (!stored) return std::unexpected(stored.error());
    if (stored->empty()) return not_found();
    auto decoded = decode(stored->front().position, stored->front().bytes);
    if (!decoded) return decoded;
    entry = std::move(*decoded);
  }
  const auto* proposal = std::get_if<IntentProposed>(&entry.body);
  if (proposal == nullptr || proposal->requester != caller.principal) return not_found();
  return entry;
}

asio::awaitable<Result<ActionView>> LocalHarness::action(LogId id, IntentId intent, Caller caller) {
  const auto entry = own_intent(id, intent, caller);
  if (!entry) co_return std::unexpected(entry.error());
  ActionView view;
  view.tool = std::get<IntentProposed>(entry->body).tool;
  view.proposed_at = entry->at;
  const auto loaded = sessions_.get(id);
  if (!loaded) co_return std::unexpected(loaded.error());
  const Session& session = *loaded;
  view.changed_at = session.state.last_at;
  const auto open = session.state.open.find(intent);
  if (open != session.state.open.end()) {
    view.wants_input = session.wants_input.contains(intent);
    view.text = text_of(intent_name(id, intent), open->second);
    const bool lost = open->second.phase == Phase::unknown && !session.running.contains(intent);
    if (lost) view.lost = lost_answer(id, open->second);
    co_return view;
  }
  auto answer = co_await replay(id, intent, view.tool, clock_.steady() + kDurableWait);
  if (!answer) co_return std::unexpected(answer.error());
  answer->replayed = false;  // nobody called again
  view.answer = std::move(*answer);
  co_return view;
}

asio::awaitable<Result<CallAnswer>> LocalHarness::collect(LogId id, IntentId intent, Caller caller,
                                                          SteadyTime patience, CallerSide side) {
  const auto entry = own_intent(id, intent, caller);
  if (!entry) co_return std::unexpected(entry.error());
  const auto loaded = sessions_.get(id);
  if (!loaded) co_return std::unexpected(loaded.error());
  Session& session = *loaded;
  if (session.state.open.contains(intent)) {
    CallContext context;
    context.side = std::move(side);
    const bool taken = session.contexts.try_emplace(intent, std::move(context)).second;
    // It outlives the connection of whoever asks: only cancel() ends it.
    co_return co_await wait_for_answer(
        id, intent, patience, taken ? Callbacks::own : Callbacks::of_another, Leaving::leaves_it);
  }
  auto answer = co_await replay(id, intent, std::get<IntentProposed>(entry->body).tool, patience);
  if (answer) answer->replayed = false;
  co_return answer;
}

asio::awaitable<Status> LocalHarness::cancel(LogId id, IntentId intent, Caller caller) {
  const auto entry = own_intent(id, intent, caller);
  if (!entry) co_return std::unexpected(entry.error());
  const auto loaded = sessions_.get(id);
  if (!loaded) co_return std::unexpected(loaded.error());
  const Session& session = *loaded;
  const auto open = session.state.open.find(intent);
  if (open == session.state.open.end()) {
    co_return fail(ErrorCode::conflict,
                   fmt::format("{} is finished already", intent_name(id, intent)));
  }
  if (open->second.phase == Phase::held) {
    Withdraw command{intent, caller.principal, {}};
    co_return co_await commit_and_wait(id, intent,
                                       [this, command](Session& now, const ControlView&) mutable {
                                         command.now = clock_.now();
                                         return decide(now.state, command);
                                       });
  }
  const std::string task = open->second.task.task;
  const auto server = server_of(id, open->second.proposal.tool);
  if (open->second.phase == Phase::in_flight && !task.empty() && server) {
    // Whether it stops is the server's to say: its task is followed to the end.
    co_await cancel_task(server, clock_, task);
    co_return Status{};
  }
  if (const auto read = session.reads.find(intent); read != session.reads.end()) {
    const auto end = read->second;  // the emission may end the attempt, which erases it
    end->emit(asio::cancellation_type::terminal);
    co_return Status{};
  }
  co_return fail(ErrorCode::conflict,
                 fmt::format("{} is at work at its server and cannot be stopped; what comes of it "
                             "is recorded",
                             intent_name(id, intent)));
}

}  // namespace gavel
