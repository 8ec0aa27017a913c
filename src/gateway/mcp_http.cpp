#include "gateway/mcp_http.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "gateway/api_query.hpp"
#include "protocol/sse.hpp"
#include "runtime/control_plane.hpp"

namespace gavel {
namespace {

constexpr int kSessionNotFound = -32001;  // as the official SDKs say it
constexpr std::string_view kSessionHeader = "Mcp-Session-Id";

HttpResponse stream_head() {
  HttpResponse head;
  head.content_type = "text/event-stream";
  head.headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
  return head;
}

bool accepts(const HttpRequest& request, std::string_view type) {
  const auto accept = request.header("Accept");
  if (!accept) return true;
  return accept->find(type) != std::string_view::npos ||
         accept->find("*/*") != std::string_view::npos;
}

HttpResponse refusal(int status, RpcFault fault) {
  HttpResponse response;
  response.status = status;
  response.body = rpc_error_response(fault);
  return response;
}

RpcFault invalid_request(std::string message, std::string_view id = "null") {
  return RpcFault{.code = rpc::kInvalidRequest,
                  .message = std::move(message),
                  .id = id.empty() ? "null" : std::string(id),
                  .data = {}};
}

// The answer to one POST: JSON, or a stream once something came before the answer. Or the rest of
// such a stream, for a GET.
class HttpMcpExchange final : public McpExchange {
public:
  // `version`: that a legacy client agreed on.
  HttpMcpExchange(HttpExchange& http, bool may_stream, std::string version = {})
      : http_(http), may_stream_(may_stream), version_(std::move(version)) {}

  bool can_stream() const override { return may_stream_; }
  asio::awaitable<bool> send(std::string message) override {
    auto bytes = prime();
    bytes += name_.empty() ? sse_event(message) : sse_event(message, {}, event_id(name_, ++event_));
    co_return co_await write(std::move(bytes));
  }
  asio::awaitable<bool> keep_alive() override {
    auto bytes = prime();
    bytes += sse_comment("keep-alive");
    co_return co_await write(std::move(bytes));
  }
  void name_stream(std::string name) override {
    name_ = std::move(name);
    event_ = 0;
    primed_ = false;
  }
  // Goes on with a stream that was lost at that place.
  asio::awaitable<bool> go_on(const McpStreamPlace& place) {
    name_stream(place.name);
    event_ = place.event;
    co_return co_await write(prime());
  }
  void cancel_when_ended() override { http_.cancel_when_ended(); }
  bool client_gone() const override { return http_.client_gone(); }
  bool server_stopping() const override { return http_.server_stopping(); }

  asio::awaitable<bool> finish(const McpAnswer& answer) {
    if (streaming_) {
      auto last = last_event(answer);
      co_return co_await http_.end_stream(std::move(last));
    }
    if (http_.client_gone()) co_return false;
    if (answer.message.empty()) {
      // Cancelled: whoever asked is not to be answered.
      const bool opened = co_await http_.begin_stream(stream_head());
      co_return opened&& co_await http_.end_stream();
    }
    HttpResponse response;
    response.status = answer.http_status;
    response.body = answer.message;
    if (!answer.session_id.empty()) {
      response.headers.emplace_back(kSessionHeader, answer.session_id);
    }
    co_return co_await http_.respond(std::move(response));
  }

private:
  // In front of the first event of a stream with a name.
  std::string prime() {
    if (name_.empty() || std::exchange(primed_, true)) return {};
    return priming_event(event_id(name_, ++event_), version_);
  }
  // It says that nothing follows: of a cancelled call as well, which has no answer.
  std::string last_event(const McpAnswer& answer) const {
    if (name_.empty()) return answer.message.empty() ? std::string{} : sse_event(answer.message);
    const auto id = last_event_id(name_);
    return answer.message.empty() ? priming_event(id, version_) : sse_event(answer.message, {}, id);
  }
  asio::awaitable<bool> write(std::string bytes) {
    if (!streaming_) {
      streaming_ = true;
      const bool opened = co_await http_.begin_stream(stream_head());
      if (!opened) co_return false;
    }
    co_return co_await http_.write(std::move(bytes));
  }

  HttpExchange& http_;
  bool may_stream_;
  bool streaming_ = false;
  std::string version_;
  std::string name_;         // that its client can come back under; may be empty
  std::uint64_t event_ = 0;  // the last one's number
  bool primed_ = false;
};

std::vector<HeaderField> header_fields(const HttpRequest& request) {
  std::vector<HeaderField> fields;
  fields.reserve(request.headers.size());
  for (const auto& header : request.headers) fields.push_back({header.name, header.value});
  return fields;
}

// An sf-string of the Idempotency-Key header loses its quotes; anything else is taken as it is.
std::string idempotency_key(std::string_view header) {
  if (header.size() >= 2 && header.front() == '"' && header.back() == '"') {
    header = header.substr(1, header.size() - 2);
  }
  return std::string(header);
}

}  // namespace

Result<McpContext> read_mcp_context(const HttpRequest& request, Caller caller) {
  static constexpr std::array<std::string_view, 3> kParameters = {"session", "epoch", "server"};
  TRY(check_query(request.query, kParameters));
  McpContext context;
  context.caller = std::move(caller);
  const auto given = [&](std::string_view parameter,
                         std::string_view header) -> Result<std::optional<std::string>> {
    auto value = query_value(request.query, parameter);
    const auto said = request.header(header);
    if (!said) return value;
    // Whoever looked at one of the two on the way would have seen another session.
    if (value && *value != *said) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the header {} and the query's \"{}\" differ; send one of them",
                              header, parameter));
    }
    return std::string(*said);
  };
  ASSIGN_OR_RETURN(auto session, given("session", "Gavel-Session"));
  if (session) {
    context.session = LogId{std::move(*session)};
    TRY(check_session_name(*context.session));
  }
  ASSIGN_OR_RETURN(const auto epoch, given("epoch", "Gavel-Epoch"));
  if (epoch) {
    ASSIGN_OR_RETURN(const auto number, parse_number("epoch", *epoch, 1, UINT64_MAX));
    context.epoch = Epoch{number};
  }
  context.server = query_value(request.query, "server").value_or("");
  if (const auto key = request.header("Idempotency-Key")) {
    context.idempotency_key = idempotency_key(*key);
  }
  return context;
}

asio::awaitable<void> McpHttp::handle(HttpExchange& exchange, Caller caller) {
  const auto& request = exchange.request();
  if (!caller.has(Role::driver)) {
    co_await exchange.respond(refusal(
        403, RpcFault{.code = rpc::kInvalidRequest,
                      .message = fmt::format("{} may not speak MCP: it takes the role driver (use "
                                             "the token of tokens/agent.json)",
                                             caller.principal.value),
                      .id = "null",
                      .data = {}}));
    co_return;
  }
  auto context = read_mcp_context(request, std::move(caller));
  if (context && !context->server.empty()) {
    const auto names = server_.servers();
    const std::vector<std::string_view> known(names.begin(), names.end());
    if (std::ranges::find(known, context->server) == known.end()) {
      context = fail(ErrorCode::invalid_argument, nothing_called("server", context->server, known));
    }
  }
  if (!context) {
    co_await exchange.respond(refusal(400, invalid_request(context.error().message)));
    co_return;
  }
  if (request.method == "POST") {
    co_await post(exchange, std::move(*context));
  } else if (request.method == "GET" && request.header(kSessionHeader)) {
    co_await get(exchange, std::move(*context));
  } else if (request.method == "DELETE" && request.header(kSessionHeader)) {
    co_await remove(exchange, *context);
  } else {
    auto response = refusal(405, invalid_request("this endpoint answers POST; GET and DELETE only "
                                                 "with the Mcp-Session-Id of a legacy session"));
    response.headers.emplace_back("Allow", "POST");
    co_await exchange.respond(std::move(response));
  }
}

asio::awaitable<void> McpHttp::post(HttpExchange& exchange, McpContext context) {
  auto& http = exchange.request();
  const auto type = http.header("Content-Type").value_or("application/json");
  if (!type.starts_with("application/json")) {
    co_await exchange.respond(refusal(415, invalid_request("send Content-Type: application/json")));
    co_return;
  }
  const bool streams = accepts(http, "text/event-stream");
  if (!streams && !accepts(http, "application/json")) {
    co_await exchange.respond(
        refusal(406, invalid_request("accept application/json and text/event-stream")));
    co_return;
  }
  const auto id = http.header(kSessionHeader);
  if (id) context.peer = server_.sessions().find(*id, context.caller.principal);
  if (is_rpc_batch(http.body)) {
    co_await post_batch(exchange, std::move(context));
    co_return;
  }
  const auto message = parse_rpc(http.body);
  if (!message) {
    co_await exchange.respond(refusal(400, message.error()));
    co_return;
  }
  const auto fields = header_fields(http);
  context.headers = fields;
  auto admission = admit_mcp(fields, *message);
  if (!admission) {
    co_await exchange.respond(
        refusal(admission.error().http_status, std::move(admission.error().fault)));
    co_return;
  }
  const bool legacy = admission->era == Era::legacy;
  if (legacy && id && !context.peer && message->method != "initialize") {
    co_await exchange.respond(
        refusal(404, RpcFault{.code = kSessionNotFound,
                              .message = "no such session (it has ended): initialize",
                              .id = message->id.empty() ? "null" : std::string(message->id),
                              .data = {}}));
    co_return;
  }
  if (!message->is_request()) {
    const bool notification = message->kind == RpcKind::notification;
    if (notification) server_.take_notification(*message, context);
    if (!notification && legacy) McpServer::take_response(*message, context);
    if (!notification && !legacy) {
      co_await exchange.respond(
          refusal(400, invalid_request("clients of 2026-07-28 send no responses")));
      co_return;
    }
    HttpResponse accepted;
    accepted.status = 202;
    accepted.content_type.clear();
    co_await exchange.respond(std::move(accepted));
    co_return;
  }
  HttpMcpExchange stream(exchange, streams, context.peer ? context.peer->version : std::string());
  const auto answer = co_await server_.answer(*message, std::move(*admission), context, stream);
  const bool written = co_await stream.finish(answer);
  if (written) server_.delivered(answer);
}

asio::awaitable<void> McpHttp::post_batch(HttpExchange& exchange, McpContext context) {
  const auto fields = header_fields(exchange.request());
  context.headers = fields;
  HttpMcpExchange stream(exchange, false);
  const auto batch = co_await server_.answer_batch(exchange.request().body, context, stream);
  if (!batch) {
    co_await exchange.respond(refusal(400, batch.error()));
    co_return;
  }
  HttpResponse response;
  response.body = batch->message;
  if (response.body.empty()) {
    response.status = 202;
    response.content_type.clear();
  }
  const bool written = co_await exchange.respond(std::move(response));
  if (!written) co_return;
  for (const auto& answer : batch->answers) server_.delivered(answer);
}

asio::awaitable<void> McpHttp::get(HttpExchange& exchange, McpContext context) {
  const auto id = *exchange.request().header(kSessionHeader);
  const auto session = server_.sessions().find(id, context.caller.principal);
  if (!session) {
    co_await exchange.respond(refusal(
        404,
        RpcFault{
            .code = kSessionNotFound, .message = "no such session", .id = "null", .data = {}}));
    co_return;
  }
  if (!accepts(exchange.request(), "text/event-stream")) {
    co_await exchange.respond(refusal(406, invalid_request("accept text/event-stream")));
    co_return;
  }
  const auto last = exchange.request().header("Last-Event-ID").value_or("");
  if (const auto place = read_event_id(last)) {
    context.peer = session;
    co_await get_answer(exchange, std::move(context), *place);
    co_return;
  }
  // From here on what is sent is kept for the session: its client may come back. An earlier stream
  // of it hears nothing more.
  auto& listening = session->listener->outbox;
  listening = listening ? listening->successor(last)
                        : std::make_shared<McpOutbox>(executor_, McpOutbox::Sent::kept);
  const auto outbox = listening;
  bool open = co_await exchange.begin_stream(stream_head());
  if (open) {
    auto opening = priming_event(outbox->place(), session->version);
    opening += sse_comment("gavel");
    open = co_await exchange.write(std::move(opening));
  }
  exchange.cancel_when_ended();
  while (open && !exchange.ended() &&
         server_.sessions().find(id, context.caller.principal) != nullptr) {
    const auto sign_at = std::chrono::steady_clock::now() + server_.options().keep_alive;
    co_await outbox->wait_until(sign_at);
    if (exchange.ended()) break;
    while (open) {
      const auto message = outbox->next();
      if (!message) break;
      open = co_await exchange.write(sse_event(*message, {}, outbox->place()));
    }
    if (open && std::chrono::steady_clock::now() >= sign_at) {
      open = co_await exchange.write(sse_comment("keep-alive"));
    }
  }
  co_await exchange.end_stream();
}

asio::awaitable<void> McpHttp::get_answer(HttpExchange& exchange, McpContext context,
                                          McpStreamPlace place) {
  if (place.ended) {
    auto response = refusal(405, invalid_request("that stream has ended: nothing follows"));
    response.headers.emplace_back("Allow", "POST, DELETE");
    co_await exchange.respond(std::move(response));
    co_return;
  }
  const auto fields = header_fields(exchange.request());
  context.headers = fields;
  HttpMcpExchange stream(exchange, true, context.peer->version);
  const bool open = co_await stream.go_on(place);
  if (!open) co_return;
  const auto answer = co_await server_.answer_again(std::move(place.call), context, stream);
  const bool written = co_await stream.finish(answer);
  if (written) server_.delivered(answer);
}

asio::awaitable<void> McpHttp::remove(HttpExchange& exchange, const McpContext& context) {
  const auto id = *exchange.request().header(kSessionHeader);
  const bool removed = server_.sessions().remove(id, context.caller.principal);
  HttpResponse response;
  response.status = removed ? 204 : 404;
  response.content_type.clear();
  co_await exchange.respond(std::move(response));
}

}  // namespace gavel
