#include "runtime/sessions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <set>

#include "base/assert.hpp"
#include "core/codec.hpp"
#include "core/fold.hpp"
#include "core/rights.hpp"
#include "runtime/answers.hpp"
#include "runtime/append.hpp"

namespace gavel {
namespace {

constexpr auto kFlushAfter = std::chrono::milliseconds(100);
constexpr Duration kDueAgainAfter{1000};
// Deferred entries of one session before they are sent out without waiting for the timer.
constexpr std::size_t kDeferredMax = 1024;

// The epoch that the entries elect, if they do.
std::optional<Epoch> elected(const std::vector<Entry>& entries) {
  for (const auto& entry : entries) {
    if (const auto* election = std::get_if<EpochElected>(&entry.body)) return election->epoch;
  }
  return std::nullopt;
}

}  // namespace

bool Session::is_idle() const {
  return waiters.empty() && running.empty() && deferred.empty() && durable == state.tail &&
         state.open.empty() && state.settling.empty();
}

Sessions::Sessions(asio::any_io_executor executor, Log& log, ControlPlane& control,
                   const Clock& clock, Random& random, Hooks hooks)
    : executor_(executor),
      log_(log),
      control_(control),
      clock_(clock),
      random_(random),
      hooks_(std::move(hooks)),
      flush_timer_(executor),
      inbox_(executor),
      alive_(std::make_shared<bool>(true)) {}

Sessions::~Sessions() {
  *alive_ = false;
}

Session* Sessions::find(const LogId& id) {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second.get();
}

Result<State> Sessions::peek(const LogId& id) {
  if (const Session* hot = find(id)) return hot->state;
  ASSIGN_OR_RETURN(auto session, load(id));
  return std::move(session->state);
}

Result<std::reference_wrapper<Session>> Sessions::get(const LogId& id) {
  if (Session* hot = find(id)) {
    if (hot->unreadable) TRY(restore(*hot));
    hot->used = ++uses_;
    return std::ref(*hot);
  }
  TRY(check_session_name(id));
  ASSIGN_OR_RETURN(auto loaded, load(id));
  evict();
  loaded->used = ++uses_;
  Session& session = *(sessions_[id] = std::move(loaded));
  hooks_.recover(session);
  arm(session);
  return std::ref(session);
}

Result<std::unique_ptr<Session>> Sessions::load(const LogId& id) {
  auto session = std::make_unique<Session>();
  session->id = id;
  session->state.session = id;
  ASSIGN_OR_RETURN(const auto head, log_.head(id));
  if (head.next_due.ms != 0) session->recorded_due = head.next_due;
  if (head.tail.value > 0) {
    const auto snapshot = log_.load_snapshot(id);
    // One that is damaged, or that this build cannot read, costs time, not data.
    if (!snapshot && snapshot.error().code != ErrorCode::corrupted) {
      return std::unexpected(snapshot.error());
    }
    if (snapshot && *snapshot) {
      auto state = decode_snapshot((*snapshot)->bytes);
      if (state && state->tail == (*snapshot)->position && state->session == id) {
        session->state = std::move(*state);
        session->snapshot = (*snapshot)->position;
      }
    }
  }
  while (session->state.tail < head.durable) {
    ASSIGN_OR_RETURN(const auto stored, log_.read(id, session->state.tail.next()));
    if (stored.empty()) {
      return fail(ErrorCode::corrupted,
                  fmt::format("session {} ends at {} instead of {}; run gavel verify", id.value,
                              session->state.tail.value, head.durable.value));
    }
    for (const auto& record : stored) {
      ASSIGN_OR_RETURN(const auto entry, decode(record.position, record.bytes));
      fold(session->state, entry);
    }
  }
  session->sequenced = session->state.tail;
  session->durable = session->state.tail;
  return session;
}

Status Sessions::commit(Session& session, Plan plan, Durability durability,
                        std::function<void(Status)> on_durable) {
  if (plan.entries.empty() && plan.control.empty()) {
    if (on_durable) asio::post(executor_, [f = std::move(on_durable)] { f({}); });
    return {};
  }
  if (session.unreadable) return std::unexpected(*session.unreadable);
  std::vector<Blob> blobs;
  Position position = session.state.tail;
  for (auto& entry : plan.entries) {
    position = position.next();
    entry.position = position;
    externalize(entry, blobs);
    TRY(check_rights(entry));
  }
  for (const auto& other : plan.control) {
    for (const auto& entry : other.entries) TRY(check_rights(entry));
  }
  for (const auto& blob : blobs) session.payloads[blob.digest] = blob.bytes;

  if (durability == Durability::deferred) {
    ASSERT(plan.control.empty() && !on_durable);
    TRY(log_.health());
    std::vector<Action> actions;
    for (const auto& entry : plan.entries) {
      session.deferred.push_back(entry);
      ASSERT(fold(session.state, entry) == Folded::applied);
      const auto more = react(session.state, entry);
      actions.insert(actions.end(), more.begin(), more.end());
    }
    std::move(blobs.begin(), blobs.end(), std::back_inserter(session.deferred_blobs));
    if (session.deferred.size() < kDeferredMax) {
      schedule_flush(session.id);
    } else {
      flush(session);
    }
    const auto batch = std::make_shared<const std::vector<Entry>>(std::move(plan.entries));
    for (const auto& action : actions) hooks_.perform(session, action, batch);
    return {};
  }
  return append(session, plan.entries, plan.control, plan.guards, std::move(blobs),
                std::move(on_durable));
}

Status Sessions::append(Session& session, std::vector<Entry>& entries,
                        std::vector<ControlAppend>& control,
                        const std::vector<ControlPosition>& guards, std::vector<Blob> blobs,
                        std::function<void(Status)> on_durable) {
  // The state after the fold says when the log wants attention next, so the fold comes first; in
  // the rare case that the engine refuses, the session is loaded anew.
  Append append;
  append.id = random_append_id(random_);
  append.blobs = session.deferred_blobs;
  std::move(blobs.begin(), blobs.end(), std::back_inserter(append.blobs));
  for (const auto& guard : guards) append.guards.push_back({guard.log, guard.barrier});

  AppendPart part;
  part.log = session.id;
  part.expected_tail = session.sequenced;
  part.epoch = session.state.epoch;
  if (const auto epoch = elected(entries)) {
    part.epoch = *epoch;
    part.epoch_rule = EpochRule::elect;
  }
  part.entries.reserve(session.deferred.size() + entries.size());
  for (const auto& entry : session.deferred) part.entries.push_back(encode(entry));
  for (const auto& entry : entries) part.entries.push_back(encode(entry));

  std::vector<Action> actions;
  for (const auto& entry : entries) {
    const Folded folded = fold(session.state, entry);
    ASSERT(folded == Folded::applied);
    const auto more = react(session.state, entry);
    actions.insert(actions.end(), more.begin(), more.end());
  }
  const auto due = next_due(session.state);
  if (due != session.recorded_due) part.next_due = due.value_or(Timestamp{0});
  if (!part.entries.empty()) append.parts.push_back(std::move(part));

  for (auto& other : control) {
    ControlState& state = control_.state(other.log);
    AppendPart control_part;
    control_part.log = other.log;
    control_part.expected_tail = state.tail;
    Position position = state.tail;
    for (auto& entry : other.entries) {
      position = position.next();
      entry.position = position;
      control_part.raises_barrier |= raises_barrier(entry.body);
      control_part.entries.push_back(encode(entry));
    }
    append.parts.push_back(std::move(control_part));
  }

  const Position last = session.state.tail;
  std::vector<Entry> all;
  all.reserve(session.deferred.size() + entries.size());
  all = session.deferred;
  std::move(entries.begin(), entries.end(), std::back_inserter(all));
  auto batch = std::make_shared<const std::vector<Entry>>(std::move(all));
  auto completion = [this, inbox = inbox_.slot(), id = session.id, last, batch,
                     actions = std::move(actions),
                     on_durable = std::move(on_durable)](Status status) mutable {
    inbox.push([this, id = std::move(id), last, batch = std::move(batch),
                actions = std::move(actions), on_durable = std::move(on_durable),
                status = std::move(status)] {
      if (on_durable) on_durable(status);
      completed(id, last, batch, actions, status);
    });
  };
  const auto sequenced = log_.append(std::move(append), std::move(completion));
  if (!sequenced) {
    // Another process moved the log or raised a barrier, or the engine is busy: what was folded
    // here never was.
    for (const auto& guard : guards) (void)control_.refresh(guard.log);
    for (const auto& other : control) (void)control_.refresh(other.log);
    // Where that fails, the next caller who asks for the session tries again.
    (void)restore(session);
    return std::unexpected(sequenced.error());
  }
  session.deferred.clear();
  session.deferred_blobs.clear();
  if (!batch->empty()) session.in_flight.push_back(batch);
  session.sequenced = last;
  session.recorded_due = due;
  for (const auto& other : control) {
    ControlState& state = control_.state(other.log);
    for (const auto& entry : other.entries) fold(state, entry);
  }
  arm(session);
  return {};
}

Status Sessions::catch_up(Session& session) {
  ASSIGN_OR_RETURN(const auto head, log_.head(session.id));
  if (head.tail == session.sequenced && !session.unreadable) return {};
  return restore(session);
}

Status Sessions::restore(Session& session) {
  auto loaded = load(session.id);
  if (!loaded) {
    session.unreadable = loaded.error();
    return std::unexpected(*session.unreadable);
  }
  session.unreadable.reset();
  State& state = (*loaded)->state;
  const auto follow = [&](const Entry& entry) {
    if (entry.position == state.tail.next()) fold(state, entry);
  };
  for (const auto& batch : session.in_flight) std::for_each(batch->begin(), batch->end(), follow);
  session.sequenced = state.tail;
  // Where another driver's entries stand in their place, they are gone: reads and notes, nothing
  // that acted.
  if (!session.deferred.empty() && session.deferred.front().position != state.tail.next()) {
    session.deferred.clear();
    session.deferred_blobs.clear();
  }
  std::for_each(session.deferred.begin(), session.deferred.end(), follow);
  session.state = std::move(state);
  session.recorded_due = (*loaded)->recorded_due;
  return {};
}

void Sessions::completed(const LogId& id, Position last, const Batch& batch,
                         const std::vector<Action>& actions, const Status& status) {
  Session* session = find(id);
  if (session == nullptr) return;
  if (!status) {
    // The engine has stopped for good. Whoever waits is told; nobody is told of what is not
    // durable.
    std::set<IntentId> awaited;
    for (const auto& [intent, waiter] : session->waiters) awaited.insert(intent);
    for (const auto intent : awaited) tell_failure(*session, intent, status.error());
    return;
  }
  session->durable = std::max(session->durable, last);
  while (!session->in_flight.empty() &&
         session->in_flight.front()->back().position <= session->durable) {
    session->in_flight.pop_front();
  }
  if (!session->payloads.empty() && session->durable == session->state.tail)
    session->payloads.clear();
  for (const auto& action : actions) {
    session = find(id);
    if (session == nullptr) return;
    hooks_.perform(*session, action, batch);
  }
  if ((session = find(id)) != nullptr) snapshot_if_due(*session);
}

bool Sessions::may_have_acted(const Session& session, IntentId intent) {
  const auto open = session.state.open.find(intent);
  if (open != session.state.open.end()) {
    if (open->second.attempts == 0 || open->second.proposal.effect == Effect::read) return false;
  }
  // What is attempted is sent once that is durable.
  const auto begins = [&](const Entry& entry) {
    const auto* attempt = std::get_if<Attempt>(&entry.body);
    return attempt != nullptr && attempt->intent == intent && attempt->number == 1;
  };
  return std::ranges::none_of(
      session.in_flight, [&](const Batch& batch) { return std::ranges::any_of(*batch, begins); });
}

void Sessions::tell_failure(Session& session, IntentId intent, const Error& why) {
  const auto answer = may_have_acted(session, intent) ? unrecorded_answer(session.id, intent, why)
                                                      : refusal(why.code, why.message);
  const auto [begin, end] = session.waiters.equal_range(intent);
  for (auto waiter = begin; waiter != end; ++waiter) {
    waiter->second->answer = answer;
    waiter->second->answer->intent = intent;
    waiter->second->wake->cancel();
  }
}

void Sessions::flush(Session& session) {
  if (session.deferred.empty() || session.unreadable) return;
  std::vector<Entry> none;
  std::vector<ControlAppend> no_control;
  // A refusal here means that another driver took over; what was deferred were reads and notes.
  (void)append(session, none, no_control, {}, {}, {});
}

void Sessions::schedule_flush(const LogId& id) {
  const bool idle = to_flush_.empty();
  if (std::find(to_flush_.begin(), to_flush_.end(), id) == to_flush_.end()) to_flush_.push_back(id);
  if (!idle) return;
  flush_timer_.expires_at(clock_.steady() + kFlushAfter);
  flush_timer_.async_wait([this, alive = alive_](const boost::system::error_code& ec) {
    if (ec || !*alive) return;
    for (const auto& log : std::exchange(to_flush_, {})) {
      if (Session* session = find(log)) flush(*session);
    }
  });
}

void Sessions::arm(Session& session, Duration at_least) {
  // An attempt's deadline is its executor's business while it runs here.
  std::optional<Timestamp> due;
  for (const auto& [id, intent] : session.state.open) {
    if (intent.proposal.elsewhere && intent.phase == Phase::in_flight) {
      due = due ? std::min(*due, intent.deadline) : intent.deadline;
      continue;
    }
    const bool waits = intent.phase == Phase::held ||
                       (intent.proposal.elsewhere && intent.phase == Phase::committed);
    if (!waits || !intent.hold) continue;
    Timestamp at = intent.hold->expires_at;
    if (intent.phase == Phase::held && intent.hold->reason == HoldReason::two_step &&
        is_confirmed(intent)) {
      at = std::min(at, intent.hold->not_before);
    }
    due = due ? std::min(*due, at) : at;
  }
  if (due == session.due_armed) return;
  session.due_armed = due;
  if (!due) {
    session.due_timer.reset();
    return;
  }
  session.due_timer = std::make_unique<asio::steady_timer>(executor_);
  session.due_timer->expires_at(
      std::max(steady_deadline(clock_, *due), clock_.steady() + at_least));
  session.due_timer->async_wait(
      [this, alive = alive_, id = session.id](const boost::system::error_code& ec) {
        if (ec || !*alive) return;
        Session* found = find(id);
        if (found == nullptr) return;
        found->due_armed.reset();
        hooks_.due(*found);
        // What is due but cannot happen yet (a halt covers it) is looked at again, not spun on.
        if ((found = find(id)) != nullptr) arm(*found, kDueAgainAfter);
      });
}

Result<std::string> Sessions::payload(const Session& session, const Payload& payload) const {
  if (payload.is_inline()) return payload.bytes;
  const auto found = session.payloads.find(payload.digest);
  if (found != session.payloads.end()) return found->second;
  return log_.blob(payload.digest);
}

void Sessions::snapshot_if_due(Session& session) {
  const bool settled = session.durable == session.state.tail && session.deferred.empty();
  // It costs what the whole state costs, which grows with the keys: so does the distance.
  const auto distance = std::max<std::uint64_t>(kSnapshotEvery, session.state.keys.size());
  if (!settled || session.state.tail.value < session.snapshot.value + distance) return;
  const Snapshot snapshot{session.state.tail, encode_snapshot(session.state)};
  if (log_.save_snapshot(session.id, snapshot)) session.snapshot = snapshot.position;
}

void Sessions::evict() {
  if (sessions_.size() < kSessionsInMemory) return;
  std::vector<std::pair<std::uint64_t, LogId>> idle;
  for (const auto& [id, session] : sessions_) {
    if (session->is_idle()) idle.emplace_back(session->used, id);
  }
  std::sort(idle.begin(), idle.end());
  // A quarter at a time, so that the scan above is rare.
  idle.resize(std::min(idle.size(), kSessionsInMemory / 4));
  for (const auto& [used, id] : idle) {
    snapshot_if_due(*sessions_.at(id));
    sessions_.erase(id);
  }
}

void Sessions::close() {
  for (auto& [id, session] : sessions_) {
    flush(*session);
    session->due_timer.reset();
  }
}

}  // namespace gavel
