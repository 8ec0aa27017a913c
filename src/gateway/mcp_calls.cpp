// tools/call: to the harness and back, with signs of life while it is waited for.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "gateway/mcp_server.hpp"
#include "gateway/waiting_call.hpp"

namespace gavel {
namespace {

constexpr std::string_view kCodeKey = "com.gavel/code";
constexpr std::string_view kPendingKey = "com.gavel/pending";
// Signs of life count up by this, so that a tool's own progress still exceeds them.
constexpr double kProgressStep = 1e-6;

// notifications/progress with the client's own token.
class Progress {
public:
  explicit Progress(std::string token) : token_(std::move(token)) {}

  bool wanted() const { return !token_.empty(); }
  // The tool's own; `params` as the upstream sent them.
  std::string relay(std::string_view params) {
    const auto value = json_slice(params, {"progress"});
    double number = 0;
    const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (code == std::errc{}) last_ = std::max(last_, number);
    return rpc_notification("notifications/progress",
                            json_set(params, {{"progressToken", token_}}));
  }
  std::string waiting(std::string_view message) {
    last_ += kProgressStep;
    return rpc_notification("notifications/progress",
                            fmt::format(R"({{"progressToken":{},"progress":{},"message":{}}})",
                                        token_, last_, json_quote(message)));
  }

private:
  std::string token_;
  double last_ = 0;
};

std::string waiting_text(const LogId& session, const std::string& tool,
                         const std::optional<WaitingCall::Held>& held) {
  if (!held) return fmt::format("waiting for {}", tool);
  const auto name = fmt::format("{}#{}", session.value, held->intent.value);
  switch (held->reason) {
    case HoldReason::ask:
      return "waiting for approval of " + name;
    case HoldReason::two_step:
      return "waiting for the delay and confirmation of " + name;
    case HoldReason::settling:
      return name + " waits until the session's last write has settled";
  }
  return "waiting for " + name;
}

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

bool is_severe_enough(std::string_view params, std::string_view wanted) {
  const auto level = json_unquote(json_slice(params, {"level"})).value_or("");
  return log_severity(level).value_or(-1) >= log_severity(wanted).value_or(0);
}

// Errors of a call that its model cannot mend by another choice of words.
bool is_wrong_request(ErrorCode code) {
  return code == ErrorCode::not_found || code == ErrorCode::invalid_argument ||
         code == ErrorCode::too_large;
}

}  // namespace

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
  CallRequest call;
  call.caller = context.caller;
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
  call.side = caller_side(request);
  call.key = meta.idempotency_key.empty() ? context.idempotency_key : meta.idempotency_key;
  call.call_id = meta.call_id;
  call.meta = meta.rest;
  call.epoch = context.epoch;
  if (meta.client) {
    call.client = fmt::format("{} {}", meta.client->name, meta.client->version);
  } else if (context.peer) {
    call.client = context.peer->client;
  }
  if (context.session) {
    call.session = *context.session;
  } else if (context.peer) {
    call.session = context.peer->log;
  } else {
    call.session = LogId{
        log_name_of({context.caller.principal.value, meta.client ? meta.client->name : "client"})};
  }
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
  auto& exchange = request.exchange;
  const LogId session = call->session;
  const std::string tool = call->tool;
  Progress progress(exchange.can_stream() ? request.meta.progress_token : std::string{});
  const std::string log_level = call->side.log_level;
  if (progress.wanted()) call->side.on_progress = [](std::string_view) {};
  if (exchange.can_stream() && !log_level.empty()) call->side.on_log = [](std::string_view) {};
  const auto to_client = [&](const WaitingCall::Notice& notice) -> std::string {
    if (notice.method == "notifications/progress") return progress.relay(notice.params);
    if (!is_severe_enough(notice.params, log_level)) return {};
    return rpc_notification(notice.method, notice.params);
  };

  const auto running = WaitingCall::start(executor_, harness_, std::move(*call));
  const CallGuard guard(running);
  const McpRegistration registered(request.context.peer, request.rpc.id,
                                   [weak = std::weak_ptr(running)] {
                                     if (const auto waiting = weak.lock()) waiting->notify();
                                   });
  std::optional<WaitingCall::Held> held;
  bool open = true;
  bool watching = false;
  auto sign_at = std::chrono::steady_clock::now() + options_.hold_off;
  while (!running->finished() && open && !exchange.ended() && !registered.cancelled()) {
    co_await running->wait_until(sign_at);
    if (running->finished() || registered.cancelled()) break;
    if (!watching) {
      watching = true;
      exchange.cancel_when_ended();
      if (exchange.ended()) break;
    }
    bool sign = std::chrono::steady_clock::now() >= sign_at;
    if (auto now_held = running->take_held()) {
      held = *now_held;
      sign = true;
    }
    while (auto notice = running->next_notice()) {
      auto message = to_client(*notice);
      if (message.empty()) continue;
      open = open && co_await exchange.send(std::move(message));
      sign_at = std::chrono::steady_clock::now() + options_.keep_alive;
    }
    if (!sign) continue;
    sign_at = std::chrono::steady_clock::now() + options_.keep_alive;
    if (!exchange.can_stream()) continue;
    open =
        open && co_await (progress.wanted()
                              ? exchange.send(progress.waiting(waiting_text(session, tool, held)))
                              : exchange.keep_alive());
  }
  while (auto notice = running->next_notice()) {
    if (!open || exchange.ended() || registered.cancelled()) break;
    auto message = to_client(*notice);
    if (!message.empty()) open = co_await exchange.send(std::move(message));
  }
  if (running->finished()) co_return call_answer(request, session, running->take_answer());
  if (!open || registered.cancelled() || !exchange.server_stopping()) co_return McpAnswer{};
  CallAnswer stopping;
  stopping.kind = AnswerKind::pending;
  stopping.intent = held ? held->intent : IntentId{};
  stopping.text = fmt::format(
      "Gavel is stopping while {} is not settled. Call the same tool again with the same arguments "
      "when it is back to collect the outcome; it will not act twice.",
      tool);
  co_return call_answer(request, session, std::move(stopping));
}

McpAnswer McpServer::call_answer(const Request& request, const LogId& session,
                                 Result<CallAnswer> answered) const {
  if (!answered) {
    if (is_wrong_request(answered.error().code)) return failed(request, answered.error());
    return complete(request, text_result(answered.error().message, ToolOutcome::error,
                                         {{kCodeKey, to_string(answered.error().code)}}));
  }
  auto& answer = *answered;
  json::object meta;
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
    const bool asks =
        request.era == Era::legacy && result_type(answer.result) == ResultType::input_required;
    if (asks) {
      meta[kCodeKey] = to_string(ErrorCode::unsupported);
      reply =
          complete(request, text_result("The server asks for input before it acts, and this client "
                                        "cannot be asked for it. Nothing was done.",
                                        ToolOutcome::error, meta));
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
