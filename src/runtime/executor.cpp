#include "runtime/executor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/text.hpp"
#include "protocol/json_text.hpp"
#include "protocol/mcp_tasks.hpp"
#include "runtime/answers.hpp"

namespace gavel {
namespace {

constexpr std::chrono::milliseconds kRetryBase{100};
constexpr std::chrono::milliseconds kRetryMax{5000};
constexpr std::chrono::milliseconds kProbeTimeout{10'000};

json::object call_meta(const AttemptJob& job) {
  json::object meta = job.meta;
  meta["com.gavel/intent"] = intent_name(job.session, job.intent);
  meta["com.gavel/idempotencyKey"] = fmt::format("{}/{}", job.session.value, job.proposal.key);
  meta["com.gavel/fencingToken"] = job.fencing_token;
  return meta;
}

// `arguments` as recorded: what a further round brought goes back beside them, byte for byte.
std::string call_params(std::string_view tool, std::string_view arguments) {
  const auto input = json_slice(arguments, {meta::kInput});
  std::string params =
      fmt::format("{{\"name\":{},\"arguments\":{}", json_quote(tool),
                  input.empty() ? std::string(arguments) : json_drop(arguments, {meta::kInput}));
  for (const std::string_view member : {"inputResponses", "requestState"}) {
    const auto value = input.empty() ? std::string_view{} : json_slice(input, {member});
    if (!value.empty()) params += fmt::format(",\"{}\":{}", member, value);
  }
  return params + "}";
}

// "elicitation/create, roots/list"
std::string questions_of(const json::value& result) {
  std::string methods;
  const auto* asked = find_object(result, "inputRequests");
  for (const auto& question : asked == nullptr ? json::object{} : *asked) {
    if (!methods.empty()) methods += ", ";
    methods += for_display(string_or(question.value(), "method"), 100);
  }
  return methods.empty() ? "nothing by name" : methods;
}

// The first text of a CallToolResult, for reasons.
std::string first_text(const json::value& result) {
  const auto* content = find_array(result, "content");
  if (content == nullptr || content->empty()) return {};
  return for_display(string_or(content->front(), "text"), 500);
}

void judge_result(const Tool* tool, Effect effect, RecordOutcome& outcome, std::string text) {
  const ResultType type = result_type(text);
  outcome.result = Payload::of(std::move(text));
  const auto result = parse_json(outcome.result.bytes);
  if (!result || !result->is_object()) {
    outcome.kind = OutcomeKind::failed;
    outcome.reason = "the server's result is not acceptable JSON";
    return;
  }
  const std::uint64_t limit = tool == nullptr ? kResultLimit : tool->result_limit;
  const bool too_large = outcome.result.size > limit;
  if (too_large) {
    outcome.code = ErrorCode::too_large;
    outcome.reason = fmt::format("its result has {} bytes; the limit is {} (result_limit)",
                                 outcome.result.size, limit);
  }
  if (bool_or(*result, "isError", false)) {
    outcome.kind = OutcomeKind::failed;
    if (!too_large) outcome.reason = first_text(*result);
    return;
  }
  if (type != ResultType::complete) outcome.code.reset();
  if (type == ResultType::input_required) {
    // It did not act; a further round is an intent of its own (docs/adr/0013).
    outcome.kind = OutcomeKind::failed;
    outcome.reason = "the server asks for input before it acts: " + questions_of(*result);
    return;
  }
  if (type != ResultType::complete) {
    outcome.kind = effect == Effect::read ? OutcomeKind::failed : OutcomeKind::unknown;
    outcome.reason = "the server answered with a kind of result that Gavel cannot follow: " +
                     for_display(string_or(*result, "resultType"), 100);
    return;
  }
  outcome.kind = OutcomeKind::ok;
  if (too_large || tool == nullptr || !tool->output) return;
  // The effect happened whatever the output looks like: it stays ok, and the reason travels with
  // it.
  const auto* structured = find(*result, "structuredContent");
  if (structured == nullptr) {
    outcome.reason = "output breaks its schema: there is no structuredContent";
  } else if (const auto valid = tool->output->validate(*structured); !valid) {
    outcome.reason = fmt::format("output breaks its schema: {}", valid.error().message);
  }
}

void judge_reply(const Tool* tool, Effect effect, RecordOutcome& outcome, UpstreamReply reply) {
  if (!reply.result.empty()) {
    judge_result(tool, effect, outcome, std::move(reply.result));
    return;
  }
  const auto error = read_rpc_error(reply.rpc_error);
  outcome.kind = OutcomeKind::failed;
  outcome.reason = fmt::format("the server refused the call: {} ({})",
                               for_display(error.message, 1000), error.code);
  outcome.result = Payload::of(refusal_payload(reply.rpc_error));
}

}  // namespace

OutcomeKind unsent_outcome(const AttemptJob& job) {
  const bool may_have_happened = job.attempt > 1 && job.proposal.effect != Effect::read;
  return may_have_happened ? OutcomeKind::unknown : OutcomeKind::failed;
}

asio::awaitable<void> Executor::pause(std::chrono::milliseconds base, std::uint64_t attempt) {
  const auto doubled = base * (std::int64_t{1} << std::min<std::uint64_t>(attempt, 10));
  const auto capped = std::min<std::chrono::milliseconds>(doubled, kRetryMax);
  // Half of it is jitter.
  const auto jitter = std::chrono::milliseconds(static_cast<std::int64_t>(
      random_.next() % static_cast<std::uint64_t>(capped.count() / 2 + 1)));
  asio::steady_timer timer(executor_);
  timer.expires_at(clock_.steady() + capped / 2 + jitter);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<bool> Executor::needs_task(Upstream& upstream, const Tool* tool,
                                           const AttemptJob& job) {
  if (tool == nullptr || task_support(tool->definition) != TaskSupport::required) co_return false;
  const auto capabilities = co_await upstream.capabilities(steady_deadline(clock_, job.deadline));
  co_return capabilities.has_value() && offers_tasks(*capabilities, Era::legacy);
}

asio::awaitable<RecordOutcome> Executor::follow(const Tool* tool, const AttemptJob& job) {
  RecordOutcome outcome;
  outcome.intent = job.intent;
  TaskEnd end = co_await follow_task(executor_, clock_, *job.task, job.side.capabilities,
                                     job.server_now, job.whom_to_ask);
  const bool is_read = job.proposal.effect == Effect::read;
  if (end.cancelled) {
    outcome.kind = OutcomeKind::failed;
    outcome.code = ErrorCode::cancelled;
    outcome.reason = "the server says that its task was cancelled";
  } else if (end.reply.delivery == Delivery::answered) {
    judge_reply(tool, job.proposal.effect, outcome, std::move(end.reply));
  } else {
    outcome.kind = is_read ? OutcomeKind::failed : OutcomeKind::unknown;
    outcome.code = end.reply.error.code;
    outcome.reason = end.reply.error.message;
  }
  outcome.now = clock_.now();
  co_return outcome;
}

asio::awaitable<UpstreamReply> Executor::dispatch(Upstream& upstream, const AttemptJob& job,
                                                  bool as_task) {
  UpstreamRequest request;
  request.method = "tools/call";
  request.params = call_params(split_tool_name(job.proposal.tool).second, job.arguments);
  if (as_task) {
    const std::chrono::milliseconds ttl = kTaskKeptFor;
    request.params.insert(request.params.size() - 1,
                          fmt::format(R"(,"task":{{"ttl":{}}})", ttl.count()));
  }
  request.follows_tasks = true;
  request.meta = call_meta(job);
  request.deadline = steady_deadline(clock_, job.deadline);
  request.caller = job.side;
  request.may_send = job.still_allowed;
  co_return co_await upstream.request(std::move(request));
}

asio::awaitable<RecordOutcome> Executor::run(Upstream& upstream,
                                             std::shared_ptr<const ToolListing> listing,
                                             AttemptJob job) {
  RecordOutcome outcome;
  outcome.intent = job.intent;
  const bool is_read = job.proposal.effect == Effect::read;
  const Tool* tool = nullptr;
  if (listing) {
    const auto found = listing->find(job.proposal.tool);
    if (found != listing->end()) tool = &found->second;
  }
  if (job.task) co_return co_await follow(tool, job);
  const bool as_task = co_await needs_task(upstream, tool, job);
  for (std::uint64_t tries = 1;; ++tries) {
    if (const auto allowed = job.still_allowed(); !allowed) {
      outcome.kind = unsent_outcome(job);
      outcome.code = allowed.error().code;
      outcome.reason = "not dispatched: " + allowed.error().message;
      break;
    }
    UpstreamReply reply = co_await dispatch(upstream, job, as_task);
    if (reply.delivery == Delivery::answered) {
      const std::string revision(as_task ? kMcpLegacy : kMcpModern);
      const auto task = read_created_task(as_task ? Era::legacy : Era::modern, reply.result);
      if (task && *task) {
        job.task = TaskStarted{job.intent, job.attempt, (*task)->id, revision, (*task)->poll};
        co_await job.on_task({job.intent, (*task)->id, revision, (*task)->poll, clock_.now()});
        co_return co_await follow(tool, job);
      }
      judge_reply(tool, job.proposal.effect, outcome, std::move(reply));
      break;
    }
    // Stopped on its last step: the look above says so.
    if (reply.delivery == Delivery::not_sent && !job.still_allowed()) continue;
    const bool in_time = clock_.now() < job.deadline;
    const bool may_repeat = reply.delivery == Delivery::not_sent || is_read;
    if (may_repeat && reply.error.code != ErrorCode::busy && tries < job.proposal.attempts_max &&
        in_time) {
      co_await pause(kRetryBase, tries);
      continue;
    }
    outcome.kind = reply.delivery == Delivery::not_sent ? unsent_outcome(job)
                   : is_read                            ? OutcomeKind::failed
                                                        : OutcomeKind::unknown;
    outcome.reason = reply.error.message;
    outcome.code = reply.error.code;
    break;
  }
  outcome.now = clock_.now();
  co_return outcome;
}

asio::awaitable<ProbeResult> Executor::probe(Upstream& upstream, ProbeJob job) {
  ProbeResult result;
  std::uint64_t absent_in_a_row = 0;
  const auto arguments = parse_json(job.arguments);
  const auto expanded =
      expand_probe(job.probe, arguments.value_or(json::object{}), job.proposal.key);
  if (!expanded) {
    result.reason = "the probe cannot be asked: " + expanded.error().message;
    co_return result;
  }
  for (std::uint64_t tries = 0; tries < kProbeTries; ++tries) {
    if (tries > 0) co_await pause(kRetryBase, tries);
    UpstreamRequest request;
    request.method = "tools/call";
    request.params = call_params(split_tool_name(job.probe.tool).second, write_json(*expanded));
    request.meta["com.gavel/probeFor"] = intent_name(job.session, job.intent);
    request.deadline = clock_.steady() + kProbeTimeout;
    UpstreamReply reply = co_await upstream.request(std::move(request));
    if (reply.delivery != Delivery::answered || reply.result.empty()) {
      result.verdict = ProbeVerdict::unclear;
      result.reason = reply.delivery == Delivery::answered
                          ? "the probe was refused: " + for_display(reply.rpc_error, 500)
                          : "the probe got no answer: " + reply.error.message;
      absent_in_a_row = 0;
      continue;
    }
    const auto parsed = parse_json(reply.result);
    result.evidence = std::move(reply.result);
    result.verdict = parsed ? judge_probe(job.probe, *parsed) : ProbeVerdict::unclear;
    result.reason = fmt::format("{} says {}", job.probe.tool, to_string(result.verdict));
    if (result.verdict == ProbeVerdict::happened) break;
    absent_in_a_row = result.verdict == ProbeVerdict::absent ? absent_in_a_row + 1 : 0;
    if (!job.settling && absent_in_a_row >= kAbsentSightings) break;
  }
  if (!job.settling && result.verdict == ProbeVerdict::absent &&
      absent_in_a_row < kAbsentSightings) {
    result.verdict = ProbeVerdict::unclear;
  }
  co_return result;
}

}  // namespace gavel
