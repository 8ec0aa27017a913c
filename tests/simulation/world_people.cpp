// People: they vote on what is held, say what became of what is unknown, halt and resume. Some are
// slow, some vote twice, some on something else.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/codec.hpp"
#include "coverage.hpp"
#include "world.hpp"

namespace gavel::simulation {
namespace {

// Longer than any late effect: whoever says what happened has waited until it had.
constexpr Instant kLooksAfter = std::chrono::seconds(20);

Caller person(const std::string& name, Role role) {
  return Caller{Principal{name}, {role}};
}

bool acts_here(const OpenIntent& intent, Phase phase) {
  return intent.phase == phase;
}

asio::awaitable<void> halt_task(Door& door, Auditor& auditor, Trace& trace, std::string scope,
                                LogId control, std::optional<HaltMode> mode, Caller caller) {
  const Status changed =
      co_await door.halt(scope, mode, mode ? "an incident" : "it is over", caller);
  trace.line(fmt::format("{} {}: {}", mode ? to_string(*mode) : "resume", scope,
                         changed ? "done" : changed.error().message.substr(0, 80)));
  if (!mode) auditor.lift_ended(control, changed);
  if (changed) auditor.halt_changed(control, mode);
}

}  // namespace

void World::vote(VoteKind kind, Verdict verdict, std::uint64_t dice) {
  if (process_) spawn(vote_task(kind, verdict, dice));
}

asio::awaitable<void> World::vote_task(VoteKind kind, Verdict verdict, std::uint64_t dice) {
  Rng rng(dice);
  const auto pending = co_await process_->door->pending(person("ann", Role::approver));
  if (!pending) co_return;
  std::vector<PendingView> held;
  for (const auto& view : *pending) {
    if (acts_here(view.intent, Phase::held)) held.push_back(view);
  }
  if (held.empty()) co_return;
  const PendingView view = held[rng.below(held.size())];
  Cast cast;
  cast.session = view.session;
  cast.intent = view.intent.id;
  cast.person = rng.one_in(2) ? "ann" : "ben";
  cast.verdict = verdict;
  cast.digest = view.intent.proposal.digest;
  if (kind == VoteKind::other_digest) cast.digest.bytes[0] ^= 1;
  Caller caller = person(cast.person, Role::approver);
  if (kind == VoteKind::own) {
    cast.person = view.intent.proposal.requester.value;
    cast.may = false;
    caller = Caller{view.intent.proposal.requester, {Role::driver, Role::approver}};
  }
  auditor_.cast(cast);
  if (kind == VoteKind::twice) spawn(cast_task(cast, caller));
  co_await cast_task(cast, caller);
}

asio::awaitable<void> World::cast_task(Cast cast, Caller caller) {
  CastVote vote;
  vote.intent = cast.intent;
  vote.verdict = cast.verdict;
  vote.digest = cast.digest;
  vote.reason = "looked at it";
  const auto voted = co_await process_->door->vote(cast.session, vote, caller);
  say(fmt::format("vote {}#{} {} by {}: {}", cast.session.value, cast.intent.value,
                  to_string(cast.verdict), cast.person,
                  voted ? "counts" : voted.error().message.substr(0, 80)));
  if (voted) {
    auditor_.voted(cast);
  } else {
    ++coverage_[fmt::format("vote: {}", to_string(voted.error().code))];
    count_code(coverage_, voted.error().code);
  }
}

namespace {

asio::awaitable<void> look_task(Door& door, std::function<void(const PendingView&)> found,
                                std::uint64_t dice) {
  Rng rng(dice);
  const auto pending = co_await door.pending(person("ann", Role::approver));
  if (!pending) co_return;
  std::vector<PendingView> unknown;
  for (const auto& view : *pending) {
    if (view.intent.phase == Phase::unknown) unknown.push_back(view);
  }
  if (!unknown.empty()) found(unknown[rng.below(unknown.size())]);
}

}  // namespace

void World::resolve_later(std::uint64_t dice) {
  if (!process_) return;
  const auto found = [this, dice](const PendingView& view) {
    schedule_.after(kLooksAfter, [this, session = view.session, intent = view.intent.id, dice] {
      resolve(session, intent, dice);
    });
  };
  spawn(look_task(*process_->door, found, dice));
}

void World::resolve(LogId session, IntentId intent, std::uint64_t /*dice*/) {
  // It may be in flight once more by now.
  const ModelIntent* known = auditor_.model().find(session, intent);
  if (!process_ || known == nullptr || known->phase() != "unknown") return;
  const bool happened = auditor_.happened(session, intent);
  const OutcomeKind kind = happened ? OutcomeKind::ok : OutcomeKind::failed;
  auditor_.resolved(session, intent, kind);
  spawn(resolve_task(session, intent, kind));
}

asio::awaitable<void> World::resolve_task(LogId session, IntentId intent, OutcomeKind kind) {
  Resolve resolve;
  resolve.intent = intent;
  resolve.kind = kind;
  resolve.reason = "looked at the bank's books";
  const auto resolved =
      co_await process_->door->resolve(session, resolve, person("ann", Role::approver));
  say(fmt::format("resolve {}#{} {}: {}", session.value, intent.value, to_string(kind),
                  resolved ? "done" : resolved.error().message.substr(0, 80)));
}

namespace {

using JudgeTool = std::function<void(const ToolView&)>;

asio::awaitable<void> choose_tool_task(Harness& harness, JudgeTool judge, std::uint64_t dice) {
  const auto tools = co_await harness.tools(person("ann", Role::approver), {}, HeldTools::shown);
  if (tools && !tools->empty()) judge((*tools)[Rng(dice).below(tools->size())]);
}

}  // namespace

// Somebody does not like a tool, and is talked out of it; or looks at it, and does.
void World::judge_tool(Rng rng) {
  if (!process_) return;
  const bool likes = rng.one_in(3);
  const Instant until(rng.between(500'000, 15'000'000));
  const auto judge = [this, likes, until](const ToolView& tool) {
    spawn(judge_task(tool, likes ? Verdict::allow : Verdict::deny));
    schedule_.after(until, [this, tool] {
      if (process_) spawn(judge_task(tool, Verdict::allow));
    });
  };
  spawn(choose_tool_task(*process_->harness, judge, rng.next()));
}

asio::awaitable<void> World::judge_task(ToolView tool, Verdict verdict) {
  const std::string words = tool_words(tool.pin_log, tool.upstream_name, tool.digest, verdict);
  auditor_.said(words);
  const bool accept = verdict == Verdict::allow;
  const Status judged = co_await process_->harness->judge_tool(
      {tool.server, tool.name, tool.digest, accept, "what does it want with that?"},
      person("ann", Role::approver));
  say(fmt::format("{} {}: {}", accept ? "accept" : "refuse", tool.name,
                  judged ? "done" : judged.error().message.substr(0, 80)));
  if (!judged) co_return count_code(coverage_, judged.error().code);
  ++coverage_[accept ? "person: accepts a tool" : "person: refuses a tool"];
  auditor_.acknowledged(words);
}

namespace {

// Of a server whose name another one has.
asio::awaitable<void> attach_task(Harness& harness, Auditor& auditor, Coverage& coverage) {
  ServerSpec spec;
  spec.name = "bank";
  spec.command = {"bank"};
  const auto attached = co_await harness.attach(spec, LogId{}, person("root", Role::admin));
  if (attached) co_return auditor.complain("answers", "a server was attached under a taken name");
  ++coverage["person: attaches what is there"];
  count_code(coverage, attached.error().code);
}

}  // namespace

void World::adopt_other(Rng rng) {
  const bool first = edition_ == PolicyEdition::first;
  load_policy(first ? PolicyEdition::second : PolicyEdition::first);
  if (!process_) return;
  if (rng.one_in(3)) spawn(attach_task(*process_->harness, auditor_, coverage_));
  spawn(adopt_task(policy_));
}

asio::awaitable<void> World::adopt_task(std::shared_ptr<const Policy> policy) {
  const auto adopted = co_await process_->harness->adopt(policy, person("root", Role::admin));
  say(fmt::format("policy {}: {}", policy->version().substr(0, 12),
                  adopted ? "in force" : adopted.error().message.substr(0, 80)));
  if (!adopted) co_return count_code(coverage_, adopted.error().code);
  ++coverage_["person: another policy"];
  auditor_.acknowledged(policy_words(policy->version()));
}

void World::change_halt(std::string scope, std::optional<HaltMode> mode, Rng rng) {
  if (!process_) return;
  const auto control = control_log_of(scope);
  if (!control) return;
  if (!mode) auditor_.lift_requested(*control);
  const bool admin = !mode || rng.one_in(2);
  spawn(halt_task(*process_->door, auditor_, trace_, std::move(scope), *control, mode,
                  person(admin ? "root" : "watchdog", admin ? Role::admin : Role::observer)));
}

// Another process on the same log: what it appends, nobody in this one hears of.
void World::append_outside(AppendPart part, const Head& head) {
  Append append;
  const std::uint64_t number = ++outside_;
  std::memcpy(append.id.bytes.data(), &number, sizeof number);
  part.log = head.log;
  part.expected_tail = head.tail;
  append.parts.push_back(std::move(part));
  (void)process_->log->append(std::move(append), {});
}

void World::halt_outside(std::string scope) {
  if (!process_) return;
  const auto control = control_log_of(scope);
  auto head = process_->log->head(*control);
  if (!head) return;
  head->log = *control;
  Entry entry;
  entry.at = clock_.now();
  entry.author = Principal{"outside"};
  entry.role = Role::observer;
  entry.body = HaltRaised{HaltMode::halt, "another process saw it"};
  AppendPart part;
  part.entries.push_back(encode(entry));
  part.raises_barrier = true;
  ++coverage_["halt: by another process"];
  append_outside(std::move(part), *head);
}

void World::wake_outside(const LogId& session) {
  if (!process_) return;
  const auto head = process_->log->head(session);
  if (!head || head->epoch.value == 0) return;
  Entry entry;
  entry.epoch = Epoch{head->epoch.value + 1};
  entry.at = clock_.now();
  entry.author = Principal{"outside"};
  entry.role = Role::driver;
  entry.body = EpochElected{entry.epoch, Principal{"outside"}, "another process woke it"};
  AppendPart part;
  part.epoch = entry.epoch;
  part.epoch_rule = EpochRule::elect;
  part.entries.push_back(encode(entry));
  ++coverage_["wake: by another process"];
  append_outside(std::move(part), *head);
}

}  // namespace gavel::simulation
