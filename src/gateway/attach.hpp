#pragma once
// POST /v1/attach with `Upgrade: gavel-stdio`: a server that lives as long as the connection, and a
// stdio MCP conversation with it through Gavel. It is what `gavel mcp -- command` speaks. Only an
// admin may bring a command to run; its calls are those of an agent, so that the person who
// approves is never the one who asked.

#include "gateway/http_types.hpp"
#include "gateway/mcp_server.hpp"

namespace gavel {

inline constexpr std::string_view kAttachProtocol = "gavel-stdio";

// What the body of the request says.
struct AttachRequest {
  ServerSpec server;
  LogId session;    // made up where the body names none
  Principal agent;  // whose calls these are
};
Result<AttachRequest> parse_attach(std::string_view body);

// Answers the exchange; returns when the connection has ended and the server is detached.
asio::awaitable<void> serve_attach(HttpExchange& exchange, Caller caller,
                                   asio::any_io_executor executor, Harness& harness,
                                   McpServer& server);

}  // namespace gavel
