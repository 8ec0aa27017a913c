// tools/call: to the harness and back, with signs of life while it is waited for.
#include <fmt/format.h>

#include "base/text.hpp"
#include "gateway/mcp_attendance.hpp"
#include "gateway/mcp_server.hpp"
#include "gateway/waiting_call.hpp"

namespace gavel {
namespace {

constexpr std::string_view kCodeKey = "com.gavel/code";
constexpr std::string_view kPendingKey = "com.gavel/pending";
// What takes longer is told as a task that is at work.
constexpr std::chrono::milliseconds kTaskAfter{250};

std::string with_meta(std::string_view result, const json::object& added) {
  if (added.empty()) return std::string(result);
  json::object meta;
  const auto own = json_slice(result, {"_meta"});
  if (!own.empty()) {
    if (auto parsed = parse_json(own); parsed && parsed->is_object()) meta = parsed->get_object();
  }
  for (const auto& [key, value] : added) meta[key] = value;
  return json_set(result, {{"_meta", write_json(meta)}});
}

// What a further round brought, as it came.
std::string round_input(std::string_view responses, std::string_view state) {
  std::string input = "{";
  if (!responses.empty()) input += fmt::format("\"inputResponses\":{}", responses);
  if (!state.empty()) {
    input += fmt::format("{}\"requestState\":{}", responses.empty() ? "" : ",", state);
  }
  return input + "}";
}

CallAnswer stopping_answer(const std::string& tool, const std::optional<WaitingCall::Held>& held) {
  CallAnswer stopping;
  stopping.kind = AnswerKind::pending;
  stopping.intent = held ? held->intent : IntentId{};
  stopping.text = fmt::format(
      "Gavel is stopping while {} is not settled. Call the same tool again with the same arguments "
      "when it is back to collect the outcome; it will not act twice.",
      tool);
  return stopping;
}

// Errors of a call that its model cannot mend by another choice of words.
bool is_wrong_request(ErrorCode code) {
  return code == ErrorCode::not_found || code == ErrorCode::invalid_argument ||
         code == ErrorCode::too_large;
}

}  // namespace

LogId McpServer::session_of(const Request& request) {
  const auto& context = request.context;
  const auto& client = request.meta.client;
  if (context.session) return *context.session;
  if (context.peer) return context.peer->log;
  return LogId{
      log_name_of({context.caller.principal.value, client ? client->name : std::string("client")})};
}

// Who asks, in which session.
CallRequest McpServer::action_request(const Request& request) {
  auto& context = request.context;
  CallRequest action;
  action.caller = context.caller;
  action.session = session_of(request);
  action.epoch = context.epoch;
  if (request.meta.client) {
    action.client = fmt::format("{} {}", request.meta.client->name, request.meta.client->version);
  } else if (context.peer) {
    action.client = context.peer->client;
  }
  return action;
}

std::expected<CallRequest, RpcFault> McpServer::call_request(const Request& request) const {
  const auto wrong = [&](std::string message) {
    return std::unexpected(RpcFault{.code = rpc::kInvalidParams,
                                    .message = std::move(message),
                                    .id = std::string(request.rpc.id),
                                    .data = {}});
  };
  auto& context = request.context;
  const auto& meta = request.meta;
  const auto name = request.param("name");
  if (name.empty()) return wrong("\"name\" must be the name of a tool; see tools/list");
  const auto arguments = request.text("arguments");
  if (!arguments.empty() && arguments.front() != '{') {
    return wrong("\"arguments\" must be a JSON object");
  }
  CallRequest call = action_request(request);
  call.tool = McpCatalogue::full_name(name, context.server);
  call.arguments = arguments.empty() ? "{}" : std::string(arguments);
  const auto responses = request.text("inputResponses");
  const auto state = request.text("requestState");
  if (request.era == Era::modern && !(responses.empty() && state.empty())) {
    if (!responses.empty() && responses.front() != '{') {
      return wrong("\"inputResponses\" must be an object: an answer for each key that was asked");
    }
    if (!state.empty() && state.front() != '"') {
      return wrong("\"requestState\" must be the string that the server gave");
    }
    call.input = round_input(responses, state);
  }
  call.key = meta.idempotency_key.empty() ? context.idempotency_key : meta.idempotency_key;
  call.call_id = meta.call_id;
  call.meta = meta.rest;
  call.patience =
      std::chrono::steady_clock::now() +
      (meta.progress_token.empty() ? options_.patience : options_.patience_with_progress);
  return call;
}

asio::awaitable<McpAnswer> McpServer::call_tool(Request& request) {
  auto call = call_request(request);
  if (!call) co_return fault(call.error(), 200);
  if (request.era == Era::modern && request.context.over_http()) {
    auto matching = co_await check_headers(request);
    if (!matching) co_return fault(matching.error().fault, matching.error().http_status);
  }
  const LogId session = call->session;
  const std::string tool = call->tool;
  const bool as_task = wants_task(request);
  if (as_task) {
    // What takes longer is a task, of which its client asks later.
    call->patience = std::chrono::steady_clock::now() + kTaskAfter;
  }
  const auto patience = call->patience - std::chrono::steady_clock::now();
  auto client = client_of(request);
  client.asked_later = as_task && request.era == Era::modern;
  const bool may_return = request.era == Era::legacy && request.context.over_http() && !as_task;
  if (may_return && request.exchange.can_stream()) {
    client.name_stream = [this, session, id = client.request_id](IntentId intent) {
      return name_of_stream({session, intent, id});
    };
  }
  McpAttendance attendance(executor_, request.exchange, options_, std::move(client));
  std::shared_ptr<WaitingCall> running;
  const auto identity = fmt::format("{}\n{}\n{}", session.value, call->key, call->call_id);
  const auto& shown = request.context.server;
  const std::string server = shown.empty() ? std::string(split_tool_name(tool).first) : shown;
  auto resumed = resume(request, server, identity);
  if (!resumed) co_return fault(resumed.error(), 200);
  if (resumed->call) {
    running = resumed->call;
    if (!resumed->questions.empty() && !running->finished()) {
      co_return park(request, std::move(*resumed));
    }
  } else {
    call->side = attendance.side();
    // A task of the older era is asked on the stream of tasks/result.
    if (as_task && request.era == Era::legacy) call->side.on_question = {};
    // Only the older era is asked here for further rounds, which need the call again.
    running = WaitingCall::start(executor_, harness_,
                                 request.era == Era::legacy ? *call : std::move(*call));
  }
  for (int round = 1;; ++round) {
    CallGuard guard(running);
    const auto end = co_await attendance.attend(running, session, tool);
    if (end == McpAttendance::End::asked) {
      guard.release();
      co_return asked(request, attendance, std::move(running), identity);
    }
    if (end == McpAttendance::End::left) {
      if (attendance.may_return()) keep_for_return(request, session, *running->intent());
      co_return McpAnswer{};
    }
    if (end == McpAttendance::End::stopping) {
      co_return call_answer(request, session, stopping_answer(tool, attendance.held()));
    }
    if (as_task && request.era == Era::modern) {
      co_return co_await task_answer(request, session, running);
    }
    auto answer = running->take_answer();
    const bool asks = request.era == Era::legacy && answer && answer->kind == AnswerKind::result &&
                      result_type(answer->result) == ResultType::input_required;
    if (as_task && !asks) co_return co_await legacy_task(request, session, std::move(answer));
    if (!asks || round == kRoundsMax) co_return call_answer(request, session, std::move(answer));
    auto input = co_await attendance.gather_input(answer->result);
    if (input && input->empty()) co_return McpAnswer{};
    if (!input) {
      CallAnswer refused;
      refused.intent = answer->intent;
      refused.code = input.error().code;
      refused.text = fmt::format("{} did not act: {}", tool, input.error().message);
      co_return call_answer(request, session, std::move(refused));
    }
    harness_.delivered(session, answer->intent);
    call->input = std::move(*input);
    call->patience = std::chrono::steady_clock::now() + patience;
    running = WaitingCall::start(executor_, harness_, *call);
  }
}

asio::awaitable<std::string> McpServer::name_of_stream(McpStreamedCall call) {
  // A read is recorded a moment after it was begun: what is not durable may never have been.
  const auto durable = co_await harness_.wait_for(call.session, call.intent, SteadyTime::min());
  co_return durable && *durable >= call.intent ? stream_name(call) : std::string();
}

void McpServer::keep_for_return(const Request& request, const LogId& session, IntentId intent) {
  std::erase_if(left_, [](const auto& call) { return call.expired(); });
  if (left_.size() >= kLeftMax) return;
  // A read ends with the last who waits for its call; one that collects it leaves it alone.
  left_.push_back(
      WaitingCall::start_collecting(executor_, harness_, session, intent, request.context.caller,
                                    {}, std::chrono::steady_clock::now() + options_.patience));
}

asio::awaitable<McpAnswer> McpServer::answer_again(McpStreamedCall call, McpContext& context,
                                                   McpExchange& exchange) {
  RpcMessage rpc;
  rpc.kind = RpcKind::request;
  rpc.id = call.request_id;
  rpc.method = "tools/call";
  Request request{rpc, {}, Era::legacy, context, exchange};
  const auto view = co_await harness_.action(call.session, call.intent, context.caller);
  if (!view || call.session != session_of(request)) {
    co_return failed(request, {ErrorCode::not_found,
                               "what this stream was to answer is not known here: it is of another "
                               "session, or somebody else asked for it; make the call again"});
  }
  if (view->lost) co_return call_answer(request, call.session, *view->lost);
  McpAttendance attendance(executor_, exchange, options_, client_of(request));
  const auto running = WaitingCall::start_collecting(
      executor_, harness_, call.session, call.intent, context.caller, attendance.side(),
      std::chrono::steady_clock::now() + options_.patience);
  const CallGuard guard(running);
  const auto end = co_await attendance.attend(running, call.session, view->tool);
  if (end == McpAttendance::End::stopping) {
    const WaitingCall::Held waits{.intent = call.intent};
    co_return call_answer(request, call.session, stopping_answer(view->tool, waits));
  }
  if (end != McpAttendance::End::finished) co_return McpAnswer{};
  co_return call_answer(request, call.session, running->take_answer());
}

McpAnswer McpServer::call_answer(const Request& request, const LogId& session,
                                 Result<CallAnswer> answered, json::object meta) const {
  if (!answered) {
    if (is_wrong_request(answered.error().code)) return failed(request, answered.error());
    return complete(request, text_result(answered.error().message, ToolOutcome::error,
                                         {{kCodeKey, to_string(answered.error().code)}}));
  }
  auto& answer = *answered;
  if (answer.intent.value > 0) {
    meta[meta::kIntent] = fmt::format("{}#{}", session.value, answer.intent.value);
  }
  if (answer.replayed) meta[meta::kReplayed] = true;
  if (answer.kind == AnswerKind::pending) {
    meta[kPendingKey] = true;
    return complete(request, text_result(answer.text, ToolOutcome::error, meta));
  }
  McpAnswer reply;
  if (!answer.rpc_error.empty()) {
    reply = relay_error(request, answer.rpc_error);
  } else if (answer.kind == AnswerKind::result) {
    if (const auto why = unusable(request, answer.result); !why.empty()) {
      meta[kCodeKey] = to_string(ErrorCode::unsupported);
      reply = complete(request, text_result(why, ToolOutcome::error, meta));
    } else {
      reply = complete(request, with_meta(answer.result, meta));
    }
  } else {
    meta[kCodeKey] = to_string(answer.code);
    reply = complete(request, text_result(answer.text, ToolOutcome::error, meta));
  }
  if (answer.intent.value > 0) reply.delivered.emplace(session, answer.intent);
  return reply;
}

}  // namespace gavel
