// 2026-07-28: stateless requests.
#include "gateway/mcp_server.hpp"

namespace gavel {
namespace {

// Clients ask this first, and often; it does not change while this process lives.
constexpr std::int64_t kDiscoverTtl = 60'000;

}  // namespace

asio::awaitable<McpAnswer> McpServer::answer_modern(Request& request) {
  const auto& method = request.rpc.method;
  const auto* known = find_mcp_method(method);
  const auto handler = find_handler(method);
  if (handler == nullptr || known == nullptr || !known->modern) {
    co_return fault(method_not_found(request.rpc.id, method), 404);
  }
  co_return co_await (this->*handler)(request);
}

// Of a tools/call: the headers that mirror its arguments.
asio::awaitable<std::expected<void, McpRefusal>> McpServer::check_headers(Request& request) {
  const auto name = McpCatalogue::full_name(request.param("name"), request.context.server);
  const auto schema = co_await catalogue_.mirrored_schema(request.context.caller, name);
  if (schema.is_null()) co_return std::expected<void, McpRefusal>{};
  const auto* params = find(request.rpc.document, "params");
  const auto* arguments = params == nullptr ? nullptr : find(*params, "arguments");
  const json::value none = json::object{};
  co_return check_param_headers(request.context.headers, request.rpc.id, schema,
                                arguments == nullptr ? none : *arguments);
}

asio::awaitable<McpAnswer> McpServer::discover(Request& request) {
  co_return complete(request, discover_result(self_, mcp_capabilities(Era::modern),
                                              kMcpInstructions, kDiscoverTtl));
}

}  // namespace gavel
