// MCP of both eras, from both sides. The input is lines of headers, an empty line, and a message.
//   - What parse_rpc accepts, slice_rpc accepts with the same parts.
//   - A modern message that is admitted has each mirrored header once, and it says what the body
//     says; what Gavel's own client would send for a message is admitted.
//   - A result that is translated is JSON, twice as good as once, and back again what it was.
//   - Text edits keep every member that they are not about.
#include <algorithm>
#include <vector>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "bytes.hpp"
#include "protocol/jsonrpc.hpp"
#include "protocol/mcp_headers.hpp"

namespace {

using namespace gavel;

bool same_header(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    const auto lower = [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return lower(x) == lower(y);
  });
}

std::vector<std::string_view> values_of(const std::vector<HeaderField>& headers,
                                        std::string_view name) {
  std::vector<std::string_view> values;
  for (const auto& header : headers) {
    if (same_header(header.name, name)) values.push_back(header.value);
  }
  return values;
}

void check_admission(const std::vector<HeaderField>& headers, const RpcMessage& message) {
  const auto admitted = admit_mcp(headers, message);
  if (!admitted) {
    ASSERT(admitted.error().http_status >= 400);
    ASSERT(parse_json(rpc_error_response(admitted.error().fault)).has_value());
    return;
  }
  const auto methods = values_of(headers, "Mcp-Method");
  ASSERT(methods.size() <= 1);
  ASSERT(methods.empty() || methods[0] == message.method);
  ASSERT(values_of(headers, "MCP-Protocol-Version").size() <= 1);
  if (admitted->era == Era::legacy) return;
  ASSERT(methods.size() == 1);
  const auto* params = find(message.document, "params");
  const auto* known = find_mcp_method(message.method);
  if (params == nullptr || known == nullptr || known->name_param == NameParam::none) return;
  const auto name = string_or(*params, name_param_key(known->name_param));
  const auto sent = values_of(headers, "Mcp-Name");
  ASSERT(name.empty() || (sent.size() == 1 && decode_header_value(sent[0]) == name));
}

// What Gavel sends as a client must pass where Gavel is the server.
void check_own_headers(const RpcMessage& message) {
  const auto own = modern_headers(message.method, message.params);
  std::vector<HeaderField> headers;
  for (const auto& [name, value] : own) headers.push_back({name, value});
  const auto meta = read_request_meta(message.document);
  const auto admitted = admit_mcp(headers, message);
  const bool plain = std::ranges::all_of(message.method, [](char c) { return c > 32 && c < 127; });
  if (plain && !message.method.starts_with("=?") && meta.protocol_version == kMcpModern &&
      require_modern(message, meta)) {
    ASSERT(admitted.has_value());
  }
}

void check_param_mirror(const RpcMessage& message) {
  const auto* params = find(message.document, "params");
  if (params == nullptr) return;
  const auto* schema = find(*params, "inputSchema");
  const auto* arguments = find(*params, "arguments");
  if (schema == nullptr || arguments == nullptr) return;
  const auto annotated = param_headers_of(*schema);
  if (!annotated) return;
  const auto own = param_headers(*annotated, *arguments);
  std::vector<HeaderField> headers;
  for (const auto& [name, value] : own) headers.push_back({name, value});
  const auto checked = check_param_headers(headers, message.id, *schema, *arguments);
  // One that is missing was not sent because no header can carry it, and is refused.
  ASSERT(checked.has_value() || own.size() < annotated->size());
  if (headers.empty()) return;
  headers.push_back(headers.front());
  ASSERT(!check_param_headers(headers, message.id, *schema, *arguments));
}

bool is_object_text(std::string_view text) {
  JsonObjectReader reader(text);
  while (reader.next()) {
  }
  return reader.status().has_value();
}

std::vector<std::pair<std::string, std::string>> members_of(std::string_view object,
                                                            std::string_view but) {
  std::vector<std::pair<std::string, std::string>> members;
  JsonObjectReader reader(object);
  while (const auto member = reader.next()) {
    if (!member->is(but)) members.emplace_back(member->key, member->value);
  }
  ASSERT(reader.status());
  return members;
}

void check_edits(std::string_view object) {
  const auto set = json_set(object, {{"_meta", R"({"k":1})"}});
  ASSERT(members_of(set, "_meta") == members_of(object, "_meta"));
  const auto dropped = json_drop(object, {"_meta"});
  ASSERT(members_of(dropped, "_meta") == members_of(object, "_meta"));
  ASSERT(members_of(dropped, "no such member") == members_of(object, "_meta"));
  std::string line(object);
  make_one_line(line);
  ASSERT(line.find('\n') == std::string::npos && line.find('\r') == std::string::npos);
  ASSERT(members_of(line, "").size() == members_of(object, "").size());
}

void check_translation(std::string_view result) {
  const Implementation gavel{"gavel", "1"};
  for (const std::string_view method : {"tools/call", "tools/list"}) {
    const auto modern = to_modern_result(method, result, gavel, {.ttl_ms = 5});
    ASSERT(is_object_text(modern));
    ASSERT(result_type(modern) == result_type(result));
    ASSERT(to_modern_result(method, modern, gavel, {.ttl_ms = 5}) == modern);
    const auto legacy = to_legacy_result(modern);
    ASSERT(is_object_text(legacy));
    ASSERT(to_legacy_result(legacy) == legacy);
  }
}

void check_message(std::string_view text, const std::vector<HeaderField>& headers) {
  const auto message = parse_rpc(text);
  const auto sliced = slice_rpc(text);
  if (!message) {
    ASSERT(parse_json(rpc_error_response(message.error())).has_value());
    return;
  }
  ASSERT(sliced && sliced->kind == message->kind && sliced->id == message->id);
  ASSERT(sliced->method == message->method && sliced->params == message->params);
  ASSERT(sliced->result == message->result && sliced->error == message->error);
  check_admission(headers, *message);
  check_own_headers(*message);
  check_param_mirror(*message);
  if (message->is_request()) {
    const auto again = rpc_request(message->id, message->method, message->params);
    const auto parsed = parse_rpc(again);
    ASSERT(parsed && parsed->method == message->method);
    ASSERT(parsed->params == (message->params.empty() ? "{}" : message->params));
    (void)read_initialize(*message);
  }
  if (message->kind == RpcKind::response) {
    check_edits(message->result);
    check_translation(message->result);
    (void)read_discover_result(message->result);
    (void)read_initialize_result(message->result);
  }
  if (message->kind == RpcKind::error) (void)read_probe_error(message->error);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(fuzz::text_of(data, size));
  std::vector<HeaderField> headers;
  while (!bytes.empty() && headers.size() < 32) {
    const auto line = bytes.until('\n');
    if (line.empty()) break;
    const auto colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    headers.push_back({line.substr(0, colon), line.substr(colon + 2)});
    const auto& value = headers.back().value;
    if (is_valid_utf8(value)) ASSERT(decode_header_value(encode_header_value(value)) == value);
    (void)decode_header_value(value);
  }
  check_message(bytes.rest(), headers);
  if (is_object_text(bytes.rest())) {
    check_edits(bytes.rest());
    check_translation(bytes.rest());
  }
  return 0;
}
