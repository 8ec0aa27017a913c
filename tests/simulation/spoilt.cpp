// The product's functions as the mutations have them. Each function below stands before the one
// that its symbol names: the linker sends calls from other files here (--wrap of every line of
// wrapped_symbols.txt), and `real_*` is the product's own. Without a mutation nothing is changed.
#include <algorithm>
#include <boost/asio/awaitable.hpp>

#include "core/decide.hpp"
#include "core/fold.hpp"
#include "core/react.hpp"
#include "gateway/mcp_http.hpp"
#include "log/admission.hpp"
#include "mutants.hpp"
#include "runtime/executor.hpp"
#include "runtime/harness.hpp"
#include "runtime/http_client.hpp"
#include "runtime/sessions.hpp"

// WRAPPED(result, name, symbol, parameters): declares real_name, and opens the definition of
// spoilt_name.
#define WRAPPED(result, name, symbol, ...)                 \
  result real_##name(__VA_ARGS__) asm("__real_" symbol);   \
  result spoilt_##name(__VA_ARGS__) asm("__wrap_" symbol); \
  result spoilt_##name(__VA_ARGS__)

namespace gavel::simulation {
namespace {

// Above 0: a decision is being taken, which looks at halts too.
int deciding = 0;
struct Deciding {
  Deciding() { ++deciding; }
  ~Deciding() { --deciding; }
};

const OpenIntent* open_of(const State& state, IntentId intent) {
  const auto found = state.open.find(intent);
  return found == state.open.end() ? nullptr : &found->second;
}

template <typename Kind>
bool holds(const Plan& plan) {
  return std::any_of(plan.entries.begin(), plan.entries.end(),
                     [](const Entry& entry) { return std::holds_alternative<Kind>(entry.body); });
}

void repeat_settlements(std::vector<Entry>& entries) {
  const auto count = entries.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (std::holds_alternative<BudgetSettled>(entries[i].body)) entries.push_back(entries[i]);
  }
}

void empty_settlements(std::vector<Entry>& entries) {
  for (auto& entry : entries) {
    if (auto* settled = std::get_if<BudgetSettled>(&entry.body)) settled->calls = 0;
  }
}

asio::awaitable<ProbeResult> guess(asio::awaitable<ProbeResult> probe) {
  ProbeResult result = co_await std::move(probe);
  if (result.verdict == ProbeVerdict::unclear) result.verdict = ProbeVerdict::absent;
  co_return result;
}

}  // namespace

WRAPPED(Status, check_guard, "_ZN5gavel11check_guardERKNS_5GuardERKNS_4HeadE", const Guard& guard,
        const Head& head) {
  if (mutated(Mutation::ignore_guard)) return {};
  return real_check_guard(guard, head);
}

WRAPPED(Digest, chain_next,
        "_ZN5gavel10chain_nextERKNS_6DigestENS_6NumberINS_11PositionTagEEE"
        "St17basic_string_viewIcSt11char_traitsIcEE",
        const Digest& previous, Position position, std::string_view entry) {
  return real_chain_next(mutated(Mutation::chain_forgets) ? Digest{} : previous, position, entry);
}

WRAPPED(Status, check_halts, "_ZN5gavel11check_haltsERKNS_11ControlViewENS_6EffectE",
        const ControlView& control, Effect effect) {
  if (mutated(Mutation::ignore_halt)) return {};
  if (mutated(Mutation::no_halt_recheck) && deciding == 0) return {};
  return real_check_halts(control, effect);
}

WRAPPED(Result<Proposed>, propose, "_ZN5gavel6decideERKNS_5StateERKNS_11ControlViewERKNS_7ProposeE",
        const State& state, const ControlView& control, const Propose& command) {
  const Deciding now;
  Propose spoilt = command;
  if (mutated(Mutation::ignore_epoch)) spoilt.epoch = state.epoch;
  if (mutated(Mutation::no_budget_reserved)) spoilt.assessment.budgets.clear();
  if (mutated(Mutation::policy_denial_ignored) && spoilt.assessment.verdict == Verdict::deny) {
    spoilt.assessment.verdict = Verdict::allow;
  }
  if (mutated(Mutation::same_key_acts_again) && !spoilt.key.empty()) {
    const auto known = state.keys.find(spoilt.key);
    if (known != state.keys.end() && known->second.closed) spoilt.key += "'";
  }
  auto proposed = real_propose(state, control, spoilt);
  if (proposed && mutated(Mutation::votes_are_dropped)) {
    std::erase_if(proposed->plan.entries,
                  [](const Entry& entry) { return std::holds_alternative<Vote>(entry.body); });
  }
  return proposed;
}

WRAPPED(Result<Plan>, cast_vote, "_ZN5gavel6decideERKNS_5StateERKNS_11ControlViewERKNS_8CastVoteE",
        const State& state, const ControlView& control, const CastVote& command) {
  const Deciding now;
  const OpenIntent* open = open_of(state, command.intent);
  if (open == nullptr) return real_cast_vote(state, control, command);
  CastVote spoilt = command;
  State other = state;
  OpenIntent& changed = other.open.at(command.intent);
  if (mutated(Mutation::digest_not_bound)) spoilt.digest = open->proposal.digest;
  if (mutated(Mutation::requester_approves)) changed.proposal.requester.value += " or another";
  if (mutated(Mutation::approval_skips_delay) && changed.hold) {
    changed.hold->not_before = Timestamp{0};
  }
  auto plan = real_cast_vote(other, control, spoilt);
  if (plan && mutated(Mutation::second_decision) && holds<Decision>(*plan)) {
    const auto decision = std::find_if(
        plan->entries.begin(), plan->entries.end(),
        [](const Entry& entry) { return std::holds_alternative<Decision>(entry.body); });
    plan->entries.insert(decision, Entry(*decision));
  }
  return plan;
}

WRAPPED(Result<Plan>, record_outcome, "_ZN5gavel6decideERKNS_5StateERKNS_13RecordOutcomeE",
        const State& state, const RecordOutcome& command) {
  RecordOutcome spoilt = command;
  if (mutated(Mutation::lost_is_failed) && spoilt.kind == OutcomeKind::unknown) {
    spoilt.kind = OutcomeKind::failed;
  }
  auto plan = real_record_outcome(state, spoilt);
  if (!plan) return plan;
  if (mutated(Mutation::settles_twice)) {
    repeat_settlements(plan->entries);
    for (auto& control : plan->control) repeat_settlements(control.entries);
  }
  if (mutated(Mutation::settles_nothing)) {
    empty_settlements(plan->entries);
    for (auto& control : plan->control) empty_settlements(control.entries);
  }
  return plan;
}

WRAPPED(Result<Plan>, decide_due,
        "_ZN5gavel10decide_dueERKNS_5StateERKNS_11ControlViewENS_6NumberINS_11PositionTagEEE"
        "NS_9TimestampE",
        const State& state, const ControlView& control, IntentId intent, Timestamp now) {
  const Deciding this_one;
  const OpenIntent* open = open_of(state, intent);
  const bool waits = open != nullptr && open->phase == Phase::held && !open->confirmed;
  if (!mutated(Mutation::silence_is_consent) || !waits || open->hold->expires_at > now) {
    return real_decide_due(state, control, intent, now);
  }
  State other = state;
  OpenIntent& changed = other.open.at(intent);
  changed.confirmed = true;
  changed.hold->not_before = Timestamp{0};
  changed.hold->expires_at = now + Duration{1};
  return real_decide_due(other, control, intent, now);
}

WRAPPED(Result<Plan>, decide_lost,
        "_ZN5gavel11decide_lostERKNS_5StateENS_6NumberINS_11PositionTagEEENS_9TimestampE",
        const State& state, IntentId intent, Timestamp now) {
  if (mutated(Mutation::crash_is_forgotten)) return Plan{};
  const OpenIntent* open = open_of(state, intent);
  if (mutated(Mutation::crash_is_failed) && open != nullptr && open->phase == Phase::in_flight) {
    RecordOutcome failed;
    failed.intent = intent;
    failed.kind = OutcomeKind::failed;
    failed.source = OutcomeSource::recovery;
    failed.reason = "the process that ran it ended";
    failed.now = now;
    return real_record_outcome(state, failed);
  }
  return real_decide_lost(state, intent, now);
}

WRAPPED(Result<Plan>, decide_retry,
        "_ZN5gavel12decide_retryERKNS_5StateERKNS_11ControlViewENS_6NumberINS_11PositionTagEEE"
        "NS_9TimestampE",
        const State& state, const ControlView& control, IntentId intent, Timestamp now) {
  const Deciding this_one;
  const OpenIntent* open = open_of(state, intent);
  if (!mutated(Mutation::blind_retry) || open == nullptr) {
    return real_decide_retry(state, control, intent, now);
  }
  State other = state;
  other.open.at(intent).proposal.idempotent = true;
  other.open.at(intent).proposal.attempts_max = 3;
  return real_decide_retry(other, control, intent, now);
}

WRAPPED(std::vector<IntentId>, due_intents, "_ZN5gavel11due_intentsERKNS_5StateENS_9TimestampE",
        const State& state, Timestamp now) {
  auto due = real_due_intents(state, now);
  if (mutated(Mutation::holds_never_expire)) {
    std::erase_if(due, [&](IntentId id) {
      const OpenIntent& open = state.open.at(id);
      return open.hold && open.hold->expires_at <= now;
    });
  }
  return due;
}

WRAPPED(std::vector<Action>, react, "_ZN5gavel5reactERKNS_5StateERKNS_5EntryE", const State& state,
        const Entry& entry) {
  auto actions = real_react(state, entry);
  const auto* outcome = std::get_if<Outcome>(&entry.body);
  if (mutated(Mutation::blind_retry) && outcome != nullptr &&
      outcome->kind == OutcomeKind::unknown) {
    const OpenIntent* open = open_of(state, outcome->intent);
    if (open != nullptr && open->attempts < 3 && !open->proposal.elsewhere) {
      actions = {Retry{outcome->intent}};
    }
  }
  return actions;
}

namespace {

std::uint64_t folds = 0;

}  // namespace

// A mutation that the fold would not believe has a fold that does.
WRAPPED(Folded, fold, "_ZN5gavel4foldERNS_5StateERKNS_5EntryE", State& state, const Entry& entry) {
  const auto* vote = std::get_if<Vote>(&entry.body);
  const auto* attempt = std::get_if<Attempt>(&entry.body);
  const IntentId about = vote != nullptr      ? vote->intent
                         : attempt != nullptr ? attempt->intent
                                              : IntentId{};
  const auto open = state.open.find(about);
  if (mutated(Mutation::requester_approves) && vote != nullptr && open != state.open.end()) {
    const Principal requester = open->second.proposal.requester;
    open->second.proposal.requester.value += " or another";
    const Folded folded = real_fold(state, entry);
    state.open.at(about).proposal.requester = requester;
    return folded;
  }
  if (mutated(Mutation::blind_retry) && attempt != nullptr && open != state.open.end()) {
    open->second.proposal.idempotent |= attempt->number > 1;
  }
  const Folded folded = real_fold(state, entry);
  if (mutated(Mutation::fold_miscounts) && ++folds % 97 == 0) ++state.counters.replayed;
  const bool believes = mutated(Mutation::second_decision) || mutated(Mutation::settles_twice);
  return believes ? Folded::applied : folded;
}

WRAPPED(Result<State>, decode_snapshot,
        "_ZN5gavel15decode_snapshotESt17basic_string_viewIcSt11char_traitsIcEE",
        std::string_view bytes) {
  auto state = real_decode_snapshot(bytes);
  if (state && mutated(Mutation::snapshot_forgets)) {
    state->settling.clear();
    state->occurrences.clear();
  }
  return state;
}

WRAPPED(bool, has_role, "_ZNK5gavel6Caller3hasENS_4RoleE", const Caller* caller, Role role) {
  if (mutated(Mutation::anybody_approves) && role == Role::approver) return true;
  return real_has_role(caller, role);
}

WRAPPED(Status, commit,
        "_ZN5gavel8Sessions6commitERNS_7SessionENS_4PlanENS_10DurabilityESt8functionIFvSt8expecte"
        "dIvNS_5ErrorEEEE",
        Sessions* sessions, Session& session, Plan plan, Durability durability,
        std::function<void(Status)> on_durable) {
  const bool early = (mutated(Mutation::dispatch_before_durable) && holds<Attempt>(plan)) ||
                     (mutated(Mutation::answer_before_durable) && holds<Outcome>(plan));
  if (!early || on_durable || !plan.control.empty() || durability == Durability::deferred) {
    return real_commit(sessions, session, std::move(plan), durability, std::move(on_durable));
  }
  return real_commit(sessions, session, std::move(plan), Durability::deferred, {});
}

WRAPPED(Status, session_catch_up, "_ZN5gavel8Sessions8catch_upERNS_7SessionE", Sessions* sessions,
        Session& session) {
  if (mutated(Mutation::deaf_to_others)) return {};
  return real_session_catch_up(sessions, session);
}

WRAPPED(Status, control_catch_up,
        "_ZN5gavel12ControlPlane8catch_upERKNS_4NameINS_6LogTagEEERKNS1_INS_12PrincipalTa"
        "gEEESt17basic_string_viewIcSt11char_traitsIcEE",
        ControlPlane* control, const LogId& session, const Principal& agent,
        std::string_view toolset) {
  if (mutated(Mutation::deaf_to_others)) return {};
  return real_control_catch_up(control, session, agent, toolset);
}

WRAPPED(asio::awaitable<RecordOutcome>, run,
        "_ZN5gavel8Executor3runERNS_8UpstreamESt10shared_ptrIKSt3mapINSt7__cxx1112basic_stringIcSt"
        "11char_traitsIcESaIcEEENS_4ToolESt4lessISA_ESaISt4pairIKSA_SB_EEEENS_10AttemptJobE",
        Executor* executor, Upstream& upstream, std::shared_ptr<const ToolListing> listing,
        AttemptJob job) {
  if (mutated(Mutation::key_per_attempt)) {
    job.proposal.key += std::string(job.attempt - 1, '\'');
  }
  if (mutated(Mutation::no_epoch_recheck)) {
    job.still_allowed = [asked = std::move(job.still_allowed)]() -> Status {
      auto allowed = asked();
      if (!allowed && allowed.error().code == ErrorCode::stale_epoch) return {};
      return allowed;
    };
  }
  return real_run(executor, upstream, std::move(listing), std::move(job));
}

WRAPPED(asio::awaitable<ProbeResult>, probe, "_ZN5gavel8Executor5probeERNS_8UpstreamENS_8ProbeJobE",
        Executor* executor, Upstream& upstream, ProbeJob job) {
  auto asked = real_probe(executor, upstream, std::move(job));
  return mutated(Mutation::probe_guesses) ? guess(std::move(asked)) : std::move(asked);
}

WRAPPED(RequestMeta, read_request_meta, "_ZN5gavel17read_request_metaERKN5boost4json5valueE",
        const json::value& document) {
  auto meta = real_read_request_meta(document);
  if (mutated(Mutation::gateway_forgets_names)) {
    meta.idempotency_key.clear();
    meta.call_id.clear();
  }
  return meta;
}

WRAPPED(Result<McpContext>, read_mcp_context,
        "_ZN5gavel16read_mcp_contextERKNS_11HttpRequestENS_6CallerE", const HttpRequest& request,
        Caller caller) {
  auto context = real_read_mcp_context(request, std::move(caller));
  if (context && mutated(Mutation::gateway_mixes_sessions)) context->session = LogId{"s0"};
  return context;
}

namespace {

using OutboundSent = std::expected<OutboundReply, OutboundFailure>;

asio::awaitable<OutboundSent> as_not_sent(asio::awaitable<OutboundSent> sending) {
  OutboundSent sent = co_await std::move(sending);
  if (!sent) sent.error().delivery = Delivery::not_sent;
  co_return sent;
}

}  // namespace

WRAPPED(asio::awaitable<OutboundSent>, outbound_send,
        "_ZN5gavel12OutboundHttp4sendENS_15OutboundRequestE", OutboundHttp* http,
        OutboundRequest request) {
  auto sending = real_outbound_send(http, std::move(request));
  return mutated(Mutation::lost_is_not_sent) ? as_not_sent(std::move(sending)) : std::move(sending);
}

}  // namespace gavel::simulation
