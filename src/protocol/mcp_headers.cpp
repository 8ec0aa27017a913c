#include "protocol/mcp_headers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "base/digest.hpp"
#include "base/text.hpp"

namespace gavel {
namespace {

constexpr std::string_view kVersionHeader = "MCP-Protocol-Version";
constexpr std::string_view kMethodHeader = "Mcp-Method";
constexpr std::string_view kNameHeader = "Mcp-Name";
constexpr std::string_view kParamPrefix = "Mcp-Param-";
constexpr std::string_view kEncodedBegin = "=?base64?";
constexpr std::string_view kEncodedEnd = "?=";
constexpr std::int64_t kSafeIntegerMax = (std::int64_t{1} << 53) - 1;
constexpr std::size_t kShownBytesMax = 100;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::unexpected<McpRefusal> mismatch(std::string_view id, const std::string& what) {
  return std::unexpected(McpRefusal{.http_status = 400,
                                    .fault = {.code = rpc::kHeaderMismatch,
                                              .message = "Header mismatch: " + what,
                                              .id = id.empty() ? "null" : std::string(id),
                                              .data = {}}});
}

// The header's value. Twice is refused: two readers might see two values.
std::expected<std::optional<std::string_view>, McpRefusal> one_header(
    std::span<const HeaderField> headers, std::string_view name, std::string_view id) {
  std::optional<std::string_view> found;
  for (const auto& header : headers) {
    if (!same_name(header.name, name)) continue;
    if (found) return mismatch(id, fmt::format("{} stands twice", name));
    found = header.value;
  }
  return found;
}

std::expected<void, McpRefusal> check_equal(std::span<const HeaderField> headers,
                                            std::string_view name, std::string_view id,
                                            std::string_view expected) {
  auto found = one_header(headers, name, id);
  if (!found) return std::unexpected(std::move(found).error());
  if (!*found) return mismatch(id, fmt::format("{} is missing", name));
  if (**found != expected) {
    return mismatch(id, fmt::format("{} header value '{}' does not match body value '{}'", name,
                                    for_display(**found, kShownBytesMax),
                                    for_display(expected, kShownBytesMax)));
  }
  return {};
}

// The same, with the encoding that names and parameters may have.
std::expected<void, McpRefusal> check_decoded(std::span<const HeaderField> headers,
                                              std::string_view name, std::string_view id,
                                              std::string_view expected) {
  auto found = one_header(headers, name, id);
  if (!found) return std::unexpected(std::move(found).error());
  if (!*found) return mismatch(id, fmt::format("{} is missing", name));
  const auto decoded = decode_header_value(**found);
  if (!decoded) return mismatch(id, fmt::format("{} has a value that cannot be decoded", name));
  if (*decoded != expected) {
    return mismatch(id, fmt::format("{} header value '{}' does not match body value '{}'", name,
                                    for_display(*decoded, kShownBytesMax),
                                    for_display(expected, kShownBytesMax)));
  }
  return {};
}

std::expected<void, McpRefusal> check_name(std::span<const HeaderField> headers,
                                           const RpcMessage& message) {
  const auto* method = find_mcp_method(message.method);
  if (method == nullptr || method->name_param == NameParam::none) return {};
  const auto* params = find(message.document, "params");
  const auto* value =
      params == nullptr ? nullptr : find(*params, name_param_key(method->name_param));
  // Without it the body is wrong in itself, and whoever handles the method says so.
  if (value == nullptr || !value->is_string()) return {};
  return check_decoded(headers, kNameHeader, message.id, view(value->get_string()));
}

// Legacy messages need no mirrors, but one that is there must not say something else: a proxy may
// look at it without asking for the era.
std::expected<void, McpRefusal> check_mirrors_given(std::span<const HeaderField> headers,
                                                    const RpcMessage& message) {
  auto method = one_header(headers, kMethodHeader, message.id);
  if (!method) return std::unexpected(std::move(method).error());
  if (*method) {
    auto equal = check_equal(headers, kMethodHeader, message.id, message.method);
    if (!equal) return equal;
  }
  auto name = one_header(headers, kNameHeader, message.id);
  if (!name) return std::unexpected(std::move(name).error());
  if (!*name) return {};
  return check_name(headers, message);
}

std::unexpected<McpRefusal> refuse(RpcFault fault) {
  return std::unexpected(McpRefusal{.http_status = 400, .fault = std::move(fault)});
}

std::expected<McpAdmission, McpRefusal> admit_modern(std::span<const HeaderField> headers,
                                                     const RpcMessage& message, RequestMeta meta) {
  if (meta.protocol_version) {
    auto version = check_equal(headers, kVersionHeader, message.id, *meta.protocol_version);
    if (!version) return std::unexpected(std::move(version).error());
    if (era_of(*meta.protocol_version) != Era::modern) {
      return refuse(unsupported_version(message.id, *meta.protocol_version));
    }
  }
  auto method = check_equal(headers, kMethodHeader, message.id, message.method);
  if (!method) return std::unexpected(std::move(method).error());
  auto name = check_name(headers, message);
  if (!name) return std::unexpected(std::move(name).error());
  if (message.is_request()) {
    if (auto complete = require_modern(message, meta); !complete) {
      return refuse(std::move(complete).error());
    }
  }
  return McpAdmission{
      .era = Era::modern, .version = std::string(kMcpModern), .meta = std::move(meta)};
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

Status collect(const json::value& schema, std::vector<std::string>& path,
               std::vector<ParamHeader>& found, std::size_t depth) {
  const auto* properties = find_object(schema, "properties");
  if (properties == nullptr || depth > kJsonDepthMax) return {};
  for (const auto& property : *properties) {
    path.emplace_back(property.key());
    const json::value& described = property.value();
    if (const auto* annotation = find(described, "x-mcp-header")) {
      const std::string_view name =
          annotation->is_string() ? view(annotation->get_string()) : std::string_view{};
      const std::string_view type = string_or(described, "type");
      if (!is_token(name)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("x-mcp-header of {} is no header name", path.back()));
      }
      if (type != "string" && type != "integer" && type != "boolean") {
        return fail(
            ErrorCode::invalid_argument,
            fmt::format("x-mcp-header of {} needs type string, integer or boolean", path.back()));
      }
      const bool twice = std::any_of(found.begin(), found.end(), [&](const ParamHeader& other) {
        return same_name(other.name, name);
      });
      if (twice) {
        return fail(ErrorCode::invalid_argument, fmt::format("x-mcp-header {} stands twice", name));
      }
      found.push_back({path, std::string(name)});
    }
    TRY(collect(described, path, found, depth + 1));
    path.pop_back();
  }
  return {};
}

// Annotations anywhere, reachable or not.
std::size_t count_annotations(const json::value& schema) {
  std::size_t count = 0;
  if (const auto* array = schema.if_array()) {
    for (const auto& element : *array) count += count_annotations(element);
  } else if (const auto* object = schema.if_object()) {
    for (const auto& member : *object) {
      // A property may itself be called x-mcp-header; its value is then a schema.
      if (member.key() == "x-mcp-header" && !member.value().is_object()) ++count;
      count += count_annotations(member.value());
    }
  }
  return count;
}

const json::value* at_path(const json::value& arguments, const std::vector<std::string>& path) {
  const json::value* value = &arguments;
  for (const auto& key : path) {
    value = find(*value, key);
    if (value == nullptr) return nullptr;
  }
  return value->is_null() ? nullptr : value;
}

// The value as the header carries it; nothing for values that no header can carry.
std::optional<std::string> plain_text(const json::value& value) {
  if (value.is_string()) return std::string(view(value.get_string()));
  if (value.is_bool()) return value.get_bool() ? "true" : "false";
  if (value.is_number()) return write_json(value);
  return std::nullopt;
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::expected<McpAdmission, McpRefusal> admit_mcp(std::span<const HeaderField> headers,
                                                  const RpcMessage& message) {
  auto version = one_header(headers, kVersionHeader, message.id);
  if (!version) return std::unexpected(std::move(version).error());
  RequestMeta meta = read_request_meta(message.document);
  const bool initialize = message.method == "initialize";
  const bool modern_header = *version && era_of(**version) == Era::modern;
  if (meta.is_modern() || (modern_header && !initialize)) {
    return admit_modern(headers, message, std::move(meta));
  }
  if (auto mirrors = check_mirrors_given(headers, message); !mirrors) {
    return std::unexpected(std::move(mirrors).error());
  }
  if (initialize) return McpAdmission{.era = Era::legacy, .version = {}, .meta = std::move(meta)};
  const std::string_view spoken = version->value_or(kMcpWithoutHeader);
  if (!era_of(spoken))
    return refuse(unsupported_version(message.id.empty() ? "null" : message.id, spoken));
  return McpAdmission{.era = Era::legacy, .version = std::string(spoken), .meta = std::move(meta)};
}

std::expected<void, McpRefusal> check_param_headers(std::span<const HeaderField> headers,
                                                    std::string_view id, const json::value& schema,
                                                    const json::value& arguments) {
  const auto annotated = param_headers_of(schema);
  if (!annotated) return {};  // not enforced where the tool's own annotations are broken
  for (const auto& param : *annotated) {
    const std::string name = fmt::format("{}{}", kParamPrefix, param.name);
    const json::value* value = at_path(arguments, param.path);
    if (value == nullptr) {
      // A header without its argument disagrees with the body too.
      auto found = one_header(headers, name, id);
      if (!found) return std::unexpected(std::move(found).error());
      if (*found) return mismatch(id, fmt::format("{} has no argument in the body", name));
      continue;
    }
    const auto expected = plain_text(*value);
    if (!expected) return mismatch(id, fmt::format("{} mirrors a value of another type", name));
    auto found = one_header(headers, name, id);
    if (!found) return std::unexpected(std::move(found).error());
    if (value->is_number() && *found) {
      const auto sent = number(**found);
      if (sent && sent == number(*expected)) continue;
    }
    auto equal = check_decoded(headers, name, id, *expected);
    if (!equal) return equal;
  }
  return {};
}

OwnedHeaders modern_headers(std::string_view method, std::string_view params) {
  OwnedHeaders headers;
  headers.emplace_back(kVersionHeader, kMcpModern);
  headers.emplace_back(kMethodHeader, encode_header_value(method));
  const auto* known = find_mcp_method(method);
  const auto key = known == nullptr ? std::string_view{} : name_param_key(known->name_param);
  if (key.empty() || params.empty()) return headers;
  JsonObjectReader reader(params);
  while (const auto member = reader.next()) {
    if (!member->is(key)) continue;
    if (const auto value = json_unquote(member->value)) {
      headers.emplace_back(kNameHeader, encode_header_value(*value));
    }
    break;
  }
  return headers;
}

Result<std::vector<ParamHeader>> param_headers_of(const json::value& schema) {
  std::vector<ParamHeader> found;
  std::vector<std::string> path;
  TRY(collect(schema, path, found, 0));
  if (count_annotations(schema) != found.size()) {
    return fail(ErrorCode::invalid_argument,
                "x-mcp-header stands where plain properties do not lead");
  }
  return found;
}

OwnedHeaders param_headers(const std::vector<ParamHeader>& annotated,
                           const json::value& arguments) {
  OwnedHeaders headers;
  for (const auto& param : annotated) {
    const json::value* value = at_path(arguments, param.path);
    if (value == nullptr) continue;
    if (value->is_int64() &&
        (value->get_int64() > kSafeIntegerMax || value->get_int64() < -kSafeIntegerMax)) {
      continue;  // outside what may be mirrored; the server decides
    }
    if (const auto text = plain_text(*value)) {
      headers.emplace_back(fmt::format("{}{}", kParamPrefix, param.name),
                           encode_header_value(*text));
    }
  }
  return headers;
}

std::string encode_header_value(std::string_view value) {
  const bool plain = std::all_of(value.begin(), value.end(),
                                 [](char c) { return (c >= 0x20 && c <= 0x7E) || c == '\t'; });
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  const bool padded = !value.empty() && (is_space(value.front()) || is_space(value.back()));
  const bool ambiguous = value.starts_with(kEncodedBegin) && value.ends_with(kEncodedEnd);
  if (plain && !padded && !ambiguous) return std::string(value);
  return fmt::format("{}{}{}", kEncodedBegin, to_base64(value), kEncodedEnd);
}

std::optional<std::string> decode_header_value(std::string_view value) {
  const bool plain = std::all_of(value.begin(), value.end(),
                                 [](char c) { return (c >= 0x20 && c <= 0x7E) || c == '\t'; });
  if (!plain) return std::nullopt;
  const std::size_t marks = kEncodedBegin.size() + kEncodedEnd.size();
  if (value.size() < marks || !value.starts_with(kEncodedBegin) || !value.ends_with(kEncodedEnd)) {
    return std::string(value);
  }
  auto decoded = from_base64(value.substr(kEncodedBegin.size(), value.size() - marks));
  if (!decoded || !is_valid_utf8(*decoded)) return std::nullopt;
  return std::move(*decoded);
}

}  // namespace gavel
