// Listings, and what is passed to one upstream as it is.
#include <fmt/format.h>

#include "base/text.hpp"
#include "gateway/mcp_server.hpp"

namespace gavel {
namespace {

constexpr std::chrono::seconds kPassPatience{30};
// Beyond the time that a person takes to answer what the server asks.
constexpr std::chrono::minutes kQuestionsPatience{11};

json::object params_without_meta(const RpcMessage& message) {
  const auto* params = find_object(message.document, "params");
  json::object copy = params == nullptr ? json::object{} : *params;
  copy.erase("_meta");
  return copy;
}

RpcFault wrong_params(const RpcMessage& message, std::string text) {
  return RpcFault{.code = rpc::kInvalidParams,
                  .message = std::move(text),
                  .id = std::string(message.id),
                  .data = {}};
}

}  // namespace

// Every listing is answered whole, so no cursor was ever given.
std::optional<McpAnswer> McpServer::refuse_cursor(const Request& request) {
  const auto cursor = request.text("cursor");
  if (cursor.empty() || cursor == "null") return std::nullopt;
  return fault(wrong_params(request.rpc,
                            "this cursor was not given by Gavel, which answers every "
                            "listing whole; ask without a cursor"),
               200);
}

asio::awaitable<McpAnswer> McpServer::list_tools(Request& request) {
  if (auto refused = refuse_cursor(request)) co_return std::move(*refused);
  const auto tasks = knows_legacy_tasks(request) ? ToolTasks::offered : ToolTasks::hidden;
  const auto list =
      co_await catalogue_.list_tools(request.context.caller, request.context.server, tasks);
  co_return list ? complete(request, *list) : failed(request, list.error());
}

asio::awaitable<McpAnswer> McpServer::list_prompts(Request& request) {
  if (auto refused = refuse_cursor(request)) co_return std::move(*refused);
  const auto list = co_await catalogue_.list_prompts(request.context.server);
  co_return list ? complete(request, *list) : failed(request, list.error());
}

asio::awaitable<McpAnswer> McpServer::list_resources(Request& request) {
  if (auto refused = refuse_cursor(request)) co_return std::move(*refused);
  const auto list = co_await catalogue_.list_resources(request.context.server);
  co_return list ? complete(request, *list) : failed(request, list.error());
}

asio::awaitable<McpAnswer> McpServer::list_templates(Request& request) {
  if (auto refused = refuse_cursor(request)) co_return std::move(*refused);
  const auto list = co_await catalogue_.list_templates(request.context.server);
  co_return list ? complete(request, *list) : failed(request, list.error());
}

// Each asking is an action of its own.
CallRequest McpServer::pass_request(const Request& request, const std::string& server,
                                    const json::object& params) {
  auto asked = action_request(request);
  asked.tool = tool_name(public_name(server), request.rpc.method);
  asked.arguments = write_json(params);
  asked.meta = request.meta.rest;
  asked.patience = std::chrono::steady_clock::now() + kPassPatience;
  return asked;
}

// A client that goes away cancels the request at the upstream.
asio::awaitable<McpAnswer> McpServer::pass(Request& request, std::string server,
                                           json::object params) {
  McpAttendance attendance(executor_, request.exchange, options_, client_of(request));
  const auto start = [&] {
    auto asked = pass_request(request, server, params);
    asked.side = attendance.side();
    if (!asked.side.capabilities.empty()) asked.patience += kQuestionsPatience;
    return WaitingCall::start_pass(executor_, harness_, server, std::move(asked));
  };
  auto resumed = resume(request, server);
  if (!resumed) co_return fault(resumed.error(), 200);
  if (!resumed->questions.empty()) co_return park(request, std::move(*resumed));
  auto running = resumed->call ? resumed->call : start();
  for (int round = 1;; ++round) {
    CallGuard guard(running);
    const auto end = co_await attendance.attend(running, {}, request.rpc.method);
    if (end == McpAttendance::End::asked) {
      guard.release();
      co_return asked(request, attendance, std::move(running));
    }
    if (end == McpAttendance::End::stopping) {
      co_return failed(request, {ErrorCode::unavailable, "gavel is stopping; ask again later"});
    }
    if (end == McpAttendance::End::left) co_return McpAnswer{};
    const auto reply = running->take_reply();
    const bool asks = request.era == Era::legacy && !reply.result.empty() &&
                      result_type(reply.result) == ResultType::input_required;
    if (!asks || round == kRoundsMax) co_return relay(request, reply);
    const auto input = co_await attendance.gather_input(reply.result);
    if (!input) co_return failed(request, input.error());
    if (input->empty()) co_return McpAnswer{};
    auto brought = parse_json(*input);
    if (!brought) co_return failed(request, brought.error());
    params.erase("requestState");
    for (auto& member : brought->as_object()) params[member.key()] = std::move(member.value());
    running = start();
  }
}

asio::awaitable<McpAnswer> McpServer::read_resource(Request& request) {
  const std::string uri(request.param("uri"));
  if (uri.empty()) {
    co_return fault(wrong_params(request.rpc, "\"uri\" must be a string"), 200);
  }
  const auto owner = co_await catalogue_.owner_of(uri, request.context.server);
  if (owner) co_return co_await pass(request, *owner, params_without_meta(request.rpc));
  if (!request.context.server.empty()) co_return failed(request, owner.error());
  // It may be of a template: whoever can read it has it.
  McpAnswer last = failed(request, owner.error());
  for (const auto& server : harness_.upstreams()) {
    const auto capabilities = co_await harness_.upstream_capabilities(server);
    if (!capabilities || !capabilities->contains("resources")) continue;
    auto asked = pass_request(request, server, params_without_meta(request.rpc));
    asked.side = caller_side(request);
    const auto reply = co_await harness_.pass(server, std::move(asked));
    if (!reply.result.empty()) co_return relay(request, reply);
    if (!reply.rpc_error.empty()) last = relay(request, reply);
  }
  co_return last;
}

asio::awaitable<McpAnswer> McpServer::get_prompt(Request& request) {
  const auto owner = catalogue_.split_name(request.param("name"), request.context.server);
  if (!owner) co_return failed(request, owner.error());
  auto params = params_without_meta(request.rpc);
  params["name"] = owner->second;
  co_return co_await pass(request, owner->first, std::move(params));
}

asio::awaitable<McpAnswer> McpServer::complete_argument(Request& request) {
  auto params = params_without_meta(request.rpc);
  auto* reference = params.if_contains("ref");
  const auto kind = reference == nullptr ? std::string_view{} : string_or(*reference, "type");
  if (kind == "ref/prompt") {
    const auto owner = catalogue_.split_name(string_or(*reference, "name"), request.context.server);
    if (!owner) co_return failed(request, owner.error());
    reference->as_object()["name"] = owner->second;
    co_return co_await pass(request, owner->first, std::move(params));
  }
  if (kind == "ref/resource") {
    const auto owner = co_await catalogue_.owner_of(std::string(string_or(*reference, "uri")),
                                                    request.context.server);
    if (!owner) co_return failed(request, owner.error());
    co_return co_await pass(request, *owner, std::move(params));
  }
  co_return fault(
      wrong_params(request.rpc, "\"ref\" must be of type \"ref/prompt\" or \"ref/resource\""), 200);
}

}  // namespace gavel
