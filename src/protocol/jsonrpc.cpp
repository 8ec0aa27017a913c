#include "protocol/jsonrpc.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace gavel {
namespace {

bool is_object(std::string_view token) {
  return !token.empty() && token.front() == '{';
}

bool is_integer(std::string_view token) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), number);
  return error == std::errc{} && end == token.data() + token.size();
}

bool is_id(std::string_view token) {
  if (token.empty() || token.size() > kRpcIdBytesMax) return false;
  return token.front() == '"' || is_integer(token);
}

// The members of the envelope as they stand; empty where missing.
struct Envelope {
  std::string_view version;
  std::string_view id;
  std::string_view method;
  std::string_view params;
  std::string_view result;
  std::string_view error;

  std::string_view* part(const JsonMember& member) {
    if (member.is("jsonrpc")) return &version;
    if (member.is("id")) return &id;
    if (member.is("method")) return &method;
    if (member.is("params")) return &params;
    if (member.is("result")) return &result;
    if (member.is("error")) return &error;
    return nullptr;
  }
};

std::unexpected<RpcFault> fault(int code, std::string message, std::string_view id) {
  return std::unexpected(RpcFault{.code = code,
                                  .message = std::move(message),
                                  .id = is_id(id) ? std::string(id) : "null",
                                  .data = {}});
}

RpcResult<RpcMessage> classify(const Envelope& envelope) {
  const auto invalid = [&](std::string message) {
    return fault(rpc::kInvalidRequest, std::move(message), envelope.id);
  };
  if (envelope.version != "\"2.0\"") return invalid("\"jsonrpc\" must be \"2.0\"");
  RpcMessage message;
  message.id = envelope.id;
  if (!envelope.method.empty()) {
    auto method = json_unquote(envelope.method);
    if (!method || method->empty()) return invalid("\"method\" must be a string");
    if (!envelope.result.empty() || !envelope.error.empty()) {
      return invalid("a request carries neither \"result\" nor \"error\"");
    }
    if (!envelope.params.empty() && !is_object(envelope.params)) {
      return fault(rpc::kInvalidParams, "\"params\" must be an object", envelope.id);
    }
    if (!envelope.id.empty() && !is_id(envelope.id)) {
      return invalid("\"id\" must be a string or an integer");
    }
    message.kind = envelope.id.empty() ? RpcKind::notification : RpcKind::request;
    message.method = std::move(*method);
    message.params = envelope.params;
    return message;
  }
  if (envelope.result.empty() == envelope.error.empty()) {
    return invalid("a message carries one of \"method\", \"result\" and \"error\"");
  }
  if (!envelope.result.empty()) {
    if (!is_id(envelope.id)) return invalid("an answer's \"id\" must be a string or an integer");
    if (!is_object(envelope.result)) return invalid("\"result\" must be an object");
    message.kind = RpcKind::response;
    message.result = envelope.result;
    return message;
  }
  if (!envelope.id.empty() && envelope.id != "null" && !is_id(envelope.id)) {
    return invalid("\"id\" must be a string, an integer or null");
  }
  if (!is_object(envelope.error)) return invalid("\"error\" must be an object");
  if (message.id.empty()) message.id = "null";
  message.kind = RpcKind::error;
  message.error = envelope.error;
  return message;
}

}  // namespace

RpcResult<RpcMessage> slice_rpc(std::string_view text) {
  Envelope envelope;
  JsonObjectReader reader(text);
  while (const auto member = reader.next()) {
    std::string_view* part = envelope.part(*member);
    if (part == nullptr) continue;
    if (!part->empty()) {
      return fault(rpc::kInvalidRequest, fmt::format("the key {} stands twice", member->key),
                   envelope.id);
    }
    *part = member->value;
  }
  if (const auto& status = reader.status(); !status) {
    return fault(rpc::kParseError, status.error().message, {});
  }
  return classify(envelope);
}

RpcResult<RpcMessage> parse_rpc(std::string_view text, const JsonLimits& limits) {
  auto document = parse_json(text, limits);
  if (!document) return fault(rpc::kParseError, document.error().message, {});
  if (!document->is_object()) {
    return fault(rpc::kInvalidRequest, "a message is one JSON object", {});
  }
  auto message = slice_rpc(text);
  if (message) message->document = std::move(*document);
  return message;
}

bool is_rpc_batch(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '[';
}

RpcResult<std::vector<std::string_view>> split_rpc_batch(std::string_view text) {
  auto elements = json_elements(text, kRpcBatchMax);
  if (!elements) {
    const bool large = elements.error().code == ErrorCode::too_large;
    return fault(large ? rpc::kInvalidRequest : rpc::kParseError, elements.error().message, {});
  }
  if (elements->empty()) return fault(rpc::kInvalidRequest, "a batch must not be empty", {});
  return std::move(*elements);
}

std::string rpc_request(std::string_view id, std::string_view method, std::string_view params) {
  return fmt::format(R"({{"jsonrpc":"2.0","id":{},"method":{},"params":{}}})", id,
                     json_quote(method), params.empty() ? "{}" : params);
}

std::string rpc_notification(std::string_view method, std::string_view params) {
  if (params.empty()) return fmt::format(R"({{"jsonrpc":"2.0","method":{}}})", json_quote(method));
  return fmt::format(R"({{"jsonrpc":"2.0","method":{},"params":{}}})", json_quote(method), params);
}

std::string rpc_response(std::string_view id, std::string_view result) {
  return fmt::format(R"({{"jsonrpc":"2.0","id":{},"result":{}}})", id, result);
}

std::string rpc_error_response(std::string_view id, std::string_view error) {
  return fmt::format(R"({{"jsonrpc":"2.0","id":{},"error":{}}})", id, error);
}

std::string rpc_error_response(const RpcFault& fault) {
  return rpc_error_response(fault.id, rpc_error_object(fault.code, fault.message, fault.data));
}

std::string rpc_error_object(int code, std::string_view message, std::string_view data) {
  if (data.empty()) {
    return fmt::format(R"({{"code":{},"message":{}}})", code, json_quote(message));
  }
  return fmt::format(R"({{"code":{},"message":{},"data":{}}})", code, json_quote(message), data);
}

RpcErrorView read_rpc_error(std::string_view error) {
  RpcErrorView found;
  JsonObjectReader reader(error);
  while (const auto member = reader.next()) {
    if (member->is("code")) {
      const auto value = member->value;
      std::from_chars(value.data(), value.data() + value.size(), found.code);
    } else if (member->is("message")) {
      found.message = json_unquote(member->value).value_or("");
    } else if (member->is("data")) {
      found.data = member->value;
    }
  }
  return found;
}

}  // namespace gavel
