// A JSON-RPC message from anybody: parsed, checked as HTTP would, and answered without repeating a
// byte that was refused.
#include "base/assert.hpp"
#include "protocol/jsonrpc.hpp"
#include "protocol/line_framer.hpp"
#include "protocol/mcp_headers.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gavel;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto message = parse_rpc(text);
  if (!message) {
    ASSERT(parse_json(rpc_error_response(message.error())).has_value());
    (void)split_rpc_batch(text);
    return 0;
  }
  const HeaderField headers[] = {{"mcp-protocol-version", "2026-07-28"},
                                 {"mcp-method", message->method}};
  (void)admit_mcp(headers, *message);
  (void)admit_mcp({}, *message);
  if (message->kind == RpcKind::error) (void)read_rpc_error(message->error);
  if (message->is_request()) {
    ASSERT(parse_rpc(rpc_response(message->id, "{}")).has_value());
  }
  return 0;
}
