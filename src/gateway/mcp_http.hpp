#pragma once
// MCP's Streamable HTTP transport at /mcp, both eras on one endpoint:
//
//   POST    one message (2025-03-26: or a batch); answered by JSON, or by a stream of events where
//           the answer takes long or notifications come first
//   GET     the stream of a legacy session: signs of life, and what changes; or, with the
//           Last-Event-ID of a call's stream that broke, the rest of that
//   DELETE  ends a legacy session

#include "gateway/http_types.hpp"
#include "gateway/mcp_server.hpp"

namespace gavel {

class McpHttp {
public:
  // `server` must outlive this.
  McpHttp(asio::any_io_executor executor, McpServer& server)
      : executor_(std::move(executor)), server_(server) {}

  asio::awaitable<void> handle(HttpExchange& exchange, Caller caller);

private:
  asio::awaitable<void> post(HttpExchange& exchange, McpContext context);
  asio::awaitable<void> post_batch(HttpExchange& exchange, McpContext context);
  asio::awaitable<void> get(HttpExchange& exchange, McpContext context);
  asio::awaitable<void> get_answer(HttpExchange& exchange, McpContext context,
                                   McpStreamPlace place);
  asio::awaitable<void> remove(HttpExchange& exchange, const McpContext& context);

  asio::any_io_executor executor_;
  McpServer& server_;
};

// Session, epoch and server that the request's query or headers name. Errors: invalid_argument.
Result<McpContext> read_mcp_context(const HttpRequest& request, Caller caller);

}  // namespace gavel
