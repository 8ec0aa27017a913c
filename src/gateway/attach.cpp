#include "gateway/attach.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "gateway/api_json.hpp"
#include "gateway/mcp_http.hpp"
#include "gateway/mcp_stdio.hpp"
#include "runtime/control_plane.hpp"

namespace gavel {
namespace {

constexpr std::size_t kNameMax = 64;
constexpr std::size_t kSuffixBytes = 4;

bool is_server_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

asio::awaitable<void> refuse(HttpExchange& exchange, Error error, int status = 0) {
  HttpResponse response;
  response.status = status == 0 ? mapping(error.code).http_status : status;
  if (status == 426) response.headers = {{"Upgrade", std::string(kAttachProtocol)}};
  response.body = error_json(error);
  co_await exchange.respond(std::move(response));
}

}  // namespace

Result<AttachRequest> parse_attach(std::string_view text) {
  ASSIGN_OR_RETURN(const auto body, parse_json(text));
  AttachRequest request;
  request.server.name = std::string(string_or(body, "name"));
  if (!is_server_name(request.server.name)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("\"name\" must be 1 to {} of a-z, 0-9 and '-'", kNameMax));
  }
  const auto* command = find_array(body, "command");
  if (command == nullptr || command->empty()) {
    return fail(ErrorCode::invalid_argument,
                "\"command\" must be a list: the program, then its "
                "arguments");
  }
  for (const auto& word : *command) {
    if (!word.is_string())
      return fail(ErrorCode::invalid_argument, "\"command\" holds strings only");
    request.server.command.emplace_back(view(word.get_string()));
  }
  if (const auto* environment = find_object(body, "environment")) {
    for (const auto& variable : *environment) {
      if (!variable.value().is_string()) {
        return fail(ErrorCode::invalid_argument, "\"environment\" holds strings only");
      }
      request.server.environment.emplace(std::string(variable.key()),
                                         view(variable.value().get_string()));
    }
  }
  request.server.directory = std::string(string_or(body, "directory"));
  request.agent = Principal{std::string(string_or(body, "agent", "agent"))};
  request.session = LogId{std::string(string_or(body, "session"))};
  if (request.session.empty()) {
    request.session = LogId{log_name_of({"mcp", request.server.name, random_id(kSuffixBytes)})};
  }
  TRY(check_session_name(request.session));
  return request;
}

asio::awaitable<void> serve_attach(HttpExchange& exchange, Caller caller,
                                   asio::any_io_executor executor, Harness& harness,
                                   McpServer& server) {
  auto& http = exchange.request();
  if (!caller.has(Role::admin)) {
    co_await refuse(exchange, {ErrorCode::permission_denied,
                               fmt::format("{} may not attach a server: it takes the role admin",
                                           caller.principal.value)});
    co_return;
  }
  if (!equal_ignoring_case(http.header("Upgrade").value_or(""), kAttachProtocol)) {
    co_await refuse(exchange, {ErrorCode::invalid_argument, "send the header Upgrade: gavel-stdio"},
                    426);
    co_return;
  }
  auto request = parse_attach(http.body);
  if (!request) {
    co_await refuse(exchange, request.error());
    co_return;
  }
  const auto attached =
      co_await harness.attach(std::move(request->server), request->session, caller);
  if (!attached) {
    co_await refuse(exchange, attached.error());
    co_return;
  }
  McpContext context;
  context.caller = Caller{request->agent, {Role::driver}};
  context.session = request->session;
  context.server = *attached;
  const auto epoch = co_await harness.wake(request->session, context.caller, "gavel mcp",
                                           fmt::format("gavel mcp {}", public_name(*attached)));
  if (!epoch) {
    co_await harness.detach(*attached);
    co_await refuse(exchange, epoch.error());
    co_return;
  }
  context.epoch = *epoch;
  HttpResponse head;
  head.headers = {{"Connection", "Upgrade"},
                  {"Upgrade", std::string(kAttachProtocol)},
                  {"Gavel-Session", request->session.value},
                  {"Gavel-Epoch", std::to_string(epoch->value)}};
  const bool upgraded = co_await exchange.upgrade(std::move(head));
  if (upgraded) {
    co_await McpStdio::run(
        std::make_shared<McpStdio>(executor, server, exchange, std::move(context)));
  }
  co_await harness.detach(*attached);
}

}  // namespace gavel
