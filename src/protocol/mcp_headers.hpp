#pragma once
// The HTTP headers that mirror a message of MCP 2026-07-28, from both sides: what a server must
// refuse where header and body disagree (somebody on the way may have trusted the header), and what
// a client must send.
//
//   MCP-Protocol-Version   params._meta["io.modelcontextprotocol/protocolVersion"]
//   Mcp-Method             method
//   Mcp-Name               params.name | params.uri | params.taskId
//   Mcp-Param-NAME         the argument whose schema says "x-mcp-header": "NAME"
//
// https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/mcp.hpp"

namespace gavel {

struct HeaderField {
  std::string_view name;
  std::string_view value;
};

// How a message that came by HTTP is to be served.
struct McpAdmission {
  Era era = Era::legacy;
  // The revision to speak. For `initialize` it is what the handshake negotiates: empty here.
  std::string version;
  RequestMeta meta;
};
// Why not: the status and the JSON-RPC error of the answer.
struct McpRefusal {
  int http_status = 400;
  RpcFault fault;
};
// Looks at the era first: a message with modern _meta (or a modern version header) must satisfy the
// rules above; any other is legacy. `message` is from parse_rpc. Unknown methods are not refused
// here (modern: 404 with method_not_found).
std::expected<McpAdmission, McpRefusal> admit_mcp(std::span<const HeaderField> headers,
                                                  const RpcMessage& message);

// The Mcp-Param-* headers of a tools/call against the tool's inputSchema and the arguments (JSON
// object). Arguments that are null or missing need none.
std::expected<void, McpRefusal> check_param_headers(std::span<const HeaderField> headers,
                                                    std::string_view id, const json::value& schema,
                                                    const json::value& arguments);

// --- as a client ---

using OwnedHeaders = std::vector<std::pair<std::string, std::string>>;

// MCP-Protocol-Version, Mcp-Method and Mcp-Name of a modern message.
OwnedHeaders modern_headers(std::string_view method, std::string_view params);

// One annotated argument: where it stands and the NAME of its header.
struct ParamHeader {
  std::vector<std::string> path;
  std::string name;
};
// invalid_argument where an annotation breaks the rules; the tool must then not be offered.
Result<std::vector<ParamHeader>> param_headers_of(const json::value& schema);
OwnedHeaders param_headers(const std::vector<ParamHeader>& annotated, const json::value& arguments);

// --- values ---

// As it may stand in a header: plain, or "=?base64?...?=".
std::string encode_header_value(std::string_view value);
// Nothing where the value has characters that no header may have, or broken base64.
std::optional<std::string> decode_header_value(std::string_view value);

}  // namespace gavel
