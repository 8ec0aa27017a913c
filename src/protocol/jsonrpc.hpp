#pragma once
// JSON-RPC 2.0 as MCP uses it: one message in, its kind and raw parts out; messages built from raw
// parts. Payloads (params, result, error) are never re-serialised: they stay the bytes that came.
//
//   request       id + method [+ params]        response   id + result
//   notification  method [+ params]             error      id (or null) + error
//
// An id is a string or an integer and is kept as its JSON token ("7" or "\"a\"").

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "protocol/json_text.hpp"

namespace gavel {

namespace rpc {
inline constexpr int kParseError = -32700;
inline constexpr int kInvalidRequest = -32600;
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kInvalidParams = -32602;
inline constexpr int kInternalError = -32603;
// What servers made with the official SDKs say, before 2026-07-28, to what they cannot place.
inline constexpr int kLegacyRefusal = -32000;
// Of MCP 2026-07-28.
inline constexpr int kHeaderMismatch = -32020;
inline constexpr int kMissingClientCapability = -32021;
inline constexpr int kUnsupportedVersion = -32022;
// Gavel's own lie outside -32768..-32000, which JSON-RPC and MCP reserve.
inline constexpr int kGavelBusy = -31001;
inline constexpr int kGavelUnavailable = -31002;
}  // namespace rpc

enum class RpcKind { request, notification, response, error };

// The views point into the text that was parsed.
struct RpcMessage {
  RpcKind kind = RpcKind::notification;
  std::string_view id;      // JSON token; empty in a notification, may be "null" in an error
  std::string method;       // of requests and notifications
  std::string_view params;  // JSON object text; empty where there is none
  std::string_view result;  // JSON object text
  std::string_view error;   // JSON object text
  json::value document;     // the whole message, from parse_rpc only; null from slice_rpc

  bool is_request() const { return kind == RpcKind::request; }
};

// Why a message is refused, and the id under which to say so ("null" where it could not be read).
struct RpcFault {
  int code = rpc::kInvalidRequest;
  std::string message;
  std::string id = "null";
  std::string data;  // JSON text; may be empty
};
template <typename T>
using RpcResult = std::expected<T, RpcFault>;

// A message from somebody whose params will be looked into: strict (base/json), with its document.
RpcResult<RpcMessage> parse_rpc(std::string_view text, const JsonLimits& limits = {});
// The same without a document: for answers that are passed on whole. Several times faster.
RpcResult<RpcMessage> slice_rpc(std::string_view text);

// Batches exist in MCP 2025-03-26 only. True where the text is an array.
bool is_rpc_batch(std::string_view text);
// Its messages, each to be parsed on its own. An empty batch is a fault.
RpcResult<std::vector<std::string_view>> split_rpc_batch(std::string_view text);
inline constexpr std::size_t kRpcBatchMax = 64;
inline constexpr std::size_t kRpcIdBytesMax = 1024;

std::string rpc_request(std::string_view id, std::string_view method, std::string_view params);
// `params` may be empty.
std::string rpc_notification(std::string_view method, std::string_view params);
std::string rpc_response(std::string_view id, std::string_view result);
// `error`: JSON text of an error object.
std::string rpc_error_response(std::string_view id, std::string_view error);
std::string rpc_error_response(const RpcFault& fault);
// The error object alone. `data`: JSON text; may be empty.
std::string rpc_error_object(int code, std::string_view message, std::string_view data = {});

// What an error object says; code 0 where it is none.
struct RpcErrorView {
  std::int64_t code = 0;
  std::string message;
  std::string_view data;  // view into the error's text
};
RpcErrorView read_rpc_error(std::string_view error);

}  // namespace gavel
