#include "protocol/mcp.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace gavel {
namespace {

constexpr std::size_t kShownBytesMax = 100;

json::object to_json(const Implementation& implementation) {
  return {{"name", implementation.name}, {"version", implementation.version}};
}

Implementation read_implementation(const json::object& object) {
  const json::value value(object);
  return {std::string(string_or(value, "name")), std::string(string_or(value, "version"))};
}

json::array versions_json() {
  json::array versions;
  for (const auto version : mcp_versions()) versions.emplace_back(json::string(version));
  return versions;
}

// The best revision that both speak; empty where there is none.
std::string best_version(const json::array& offered) {
  for (const auto version : mcp_versions()) {
    for (const auto& each : offered) {
      if (each.is_string() && view(each.get_string()) == version) return std::string(version);
    }
  }
  return {};
}

RpcFault invalid_params(std::string_view id, std::string message) {
  return {.code = rpc::kInvalidParams,
          .message = std::move(message),
          .id = std::string(id),
          .data = {}};
}

void read_meta_member(RequestMeta& into, std::string_view key, const json::value& value) {
  const auto text = [&] { return value.is_string() ? view(value.get_string()) : ""; };
  if (key == meta::kProtocolVersion) {
    // Of another type: present, and no revision that anybody speaks.
    into.protocol_version = std::string(text());
  } else if (key == meta::kClientInfo) {
    if (value.is_object()) into.client = read_implementation(value.get_object());
  } else if (key == meta::kClientCapabilities) {
    if (value.is_object()) into.client_capabilities = value.get_object();
  } else if (key == meta::kLogLevel) {
    into.log_level = text();
  } else if (key == meta::kProgressToken) {
    if (value.is_string() || value.is_number()) into.progress_token = write_json(value);
  } else if (key == meta::kIdempotencyKey) {
    into.idempotency_key = text();
  } else if (!key.starts_with(meta::kReservedPrefix) && !key.starts_with(meta::kGavelPrefix)) {
    if (key == meta::kClaudeToolUseId || key == meta::kCodexCallId) into.call_id = text();
    into.rest[json::string_view(key.data(), key.size())] = value;
  }
}

}  // namespace

RequestMeta read_request_meta(const json::value& document) {
  RequestMeta found;
  const auto* params = find(document, "params");
  const auto* members = params == nullptr ? nullptr : find_object(*params, "_meta");
  if (members == nullptr) return found;
  for (const auto& member : *members) {
    read_meta_member(found, {member.key().data(), member.key().size()}, member.value());
  }
  return found;
}

json::object only_questions(const json::object& capabilities) {
  json::object kept;
  for (const std::string_view name : {"elicitation", "sampling", "roots"}) {
    const auto* value = capabilities.if_contains(name);
    if (value != nullptr && value->is_object()) kept[name] = *value;
  }
  return kept;
}

std::string_view question_capability(std::string_view method) {
  if (method == "elicitation/create") return "elicitation";
  if (method == "sampling/createMessage") return "sampling";
  if (method == "roots/list") return "roots";
  return {};
}

json::object every_question() {
  return {{"elicitation", json::object{{"form", json::object{}}, {"url", json::object{}}}},
          {"roots", json::object{}},
          {"sampling", json::object{}}};
}

json::object lacking_capability(const json::object& capabilities, std::string_view method,
                                std::string_view params) {
  const auto name = question_capability(method);
  if (name.empty()) return {};
  const auto* declared = find_object(capabilities, name);
  std::string_view part;
  if (method == "elicitation/create") {
    part = json_unquote(json_slice(params, {"mode"})).value_or("form") == "url" ? "url" : "form";
    // An empty object is of the revisions that knew forms alone.
    if (part == "form" && declared != nullptr && !declared->contains("url")) part = {};
  } else if (method == "sampling/createMessage" && !json_slice(params, {"tools"}).empty()) {
    part = "tools";
  }
  if (declared != nullptr && (part.empty() || declared->contains(part))) return {};
  json::object wanted;
  if (!part.empty()) wanted[part] = json::object{};
  return {{name, std::move(wanted)}};
}

std::string wrong_questions(std::string_view result, const json::object& capabilities) {
  const auto document = parse_json(result);
  const auto* questions = document ? find_object(*document, "inputRequests") : nullptr;
  if (questions == nullptr || questions->empty()) {
    const bool only_waits = document && !string_or(*document, "requestState").empty();
    return only_waits ? "" : ", but not for what";
  }
  for (const auto& question : *questions) {
    const auto method = string_or(question.value(), "method");
    const auto* params = find(question.value(), "params");
    if (question_capability(method).empty()) {
      return fmt::format(" by {}, which is no question", json_quote(for_display(method, 100)));
    }
    const auto asked = params == nullptr ? std::string("{}") : write_json(*params);
    if (!lacking_capability(capabilities, method, asked).empty()) {
      return fmt::format(" by {}, which this client did not declare", json_quote(method));
    }
  }
  return {};
}

std::string cannot_be_asked(const json::object& capabilities, std::string_view method) {
  const auto name = question_capability(method);
  if (find_object(capabilities, name) == nullptr) {
    return rpc_error_object(rpc::kMethodNotFound,
                            fmt::format("the client cannot be asked: {}", method));
  }
  return rpc_error_object(rpc::kInvalidParams,
                          fmt::format("the client did not declare this part of \"{}\"", name));
}

std::string to_modern_question(std::string_view method, std::string_view params) {
  if (method != "elicitation/create") return std::string(params);
  return json_drop(params.empty() ? "{}" : params, {"elicitationId"});
}

std::string to_legacy_question(std::string_view method, std::string_view params,
                               std::string_view made_up) {
  const bool lacks_id = method == "elicitation/create" &&
                        json_slice(params, {"mode"}) == R"("url")" &&
                        json_slice(params, {"elicitationId"}).empty();
  if (!lacks_id) return std::string(params);
  return json_set(params, {{"elicitationId", json_quote(made_up)}});
}

json::object urls_required(std::string_view error) {
  static constexpr std::int64_t kUrlElicitationRequired = -32042;
  const auto view = read_rpc_error(error);
  const auto data = view.code == kUrlElicitationRequired ? parse_json(view.data)
                                                         : Result<json::value>(json::object{});
  const auto* elicitations = data ? find_array(*data, "elicitations") : nullptr;
  json::object requests;
  for (const auto& each : elicitations == nullptr ? json::array{} : *elicitations) {
    if (!each.is_object() || string_or(each, "url").empty()) continue;
    json::object params = each.get_object();
    params.erase("elicitationId");
    params["mode"] = "url";
    requests[fmt::format("elicitation_{}", requests.size() + 1)] =
        json::object{{"method", "elicitation/create"}, {"params", std::move(params)}};
  }
  return requests;
}

std::optional<int> log_severity(std::string_view level) {
  static constexpr std::array<std::string_view, 8> kLevels = {
      "debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"};
  const auto* found = std::find(kLevels.begin(), kLevels.end(), level);
  if (found == kLevels.end()) return std::nullopt;
  return static_cast<int>(found - kLevels.begin());
}

RpcFault unsupported_version(std::string_view id, std::string_view requested) {
  // As server/discover says it: the revisions that a request can name. The others are initialized.
  // What was requested may have come in a header, with any bytes.
  const json::object data{{"supported", json::array{json::string(kMcpModern)}},
                          {"requested", for_display(requested, kShownBytesMax)}};
  return {.code = rpc::kUnsupportedVersion,
          .message = "Unsupported protocol version",
          .id = std::string(id),
          .data = write_json(data)};
}

RpcFault method_not_found(std::string_view id, std::string_view method) {
  return {.code = rpc::kMethodNotFound,
          .message = fmt::format("Method not found: {}", method),
          .id = std::string(id),
          .data = {}};
}

RpcResult<void> require_modern(const RpcMessage& message, const RequestMeta& meta) {
  const std::string_view id = message.id.empty() ? "null" : message.id;
  if (!meta.protocol_version) {
    return std::unexpected(
        invalid_params(id, fmt::format("params._meta lacks \"{}\"", meta::kProtocolVersion)));
  }
  if (era_of(*meta.protocol_version) != Era::modern) {
    return std::unexpected(unsupported_version(id, *meta.protocol_version));
  }
  if (message.is_request() && !meta.client_capabilities) {
    return std::unexpected(invalid_params(
        id, fmt::format("params._meta lacks the object \"{}\"", meta::kClientCapabilities)));
  }
  return {};
}

void add_modern_meta(json::object& meta, const Implementation& client,
                     const json::object& capabilities) {
  meta[meta::kProtocolVersion] = json::string(kMcpModern);
  meta[meta::kClientInfo] = to_json(client);
  meta[meta::kClientCapabilities] = capabilities;
}

std::string params_with_meta(std::string_view params, const json::object& meta) {
  const std::string_view object = params.empty() ? "{}" : params;
  if (meta.empty()) return std::string(object);
  return json_set(object, {{"_meta", write_json(meta)}});
}

std::string without_round(std::string_view params) {
  const bool brings = params.contains("\"inputResponses\"") || params.contains("\"requestState\"");
  if (!brings) return std::string(params);
  return json_drop(params, {"inputResponses", "requestState"});
}

std::string initialize_params(std::string_view version, const Implementation& client,
                              const json::object& capabilities) {
  return write_json(json::object{{"protocolVersion", json::string(version)},
                                 {"capabilities", capabilities},
                                 {"clientInfo", to_json(client)}});
}

Result<ServerGreeting> read_initialize_result(std::string_view result) {
  ASSIGN_OR_RETURN(const auto document, parse_json(result));
  ServerGreeting greeting;
  greeting.version = string_or(document, "protocolVersion");
  if (era_of(greeting.version) != Era::legacy) {
    return fail(ErrorCode::unsupported,
                fmt::format("the server wants to speak MCP \"{}\"; Gavel speaks {}",
                            greeting.version, write_json(versions_json())));
  }
  if (const auto* server = find_object(document, "serverInfo")) {
    greeting.server = read_implementation(*server);
  }
  if (const auto* capabilities = find_object(document, "capabilities")) {
    greeting.capabilities = *capabilities;
  }
  greeting.instructions = string_or(document, "instructions");
  return greeting;
}

Result<ServerGreeting> read_discover_result(std::string_view result) {
  ASSIGN_OR_RETURN(const auto document, parse_json(result));
  const auto* versions = find_array(document, "supportedVersions");
  const auto* capabilities = find_object(document, "capabilities");
  if (versions == nullptr || capabilities == nullptr) {
    return fail(ErrorCode::invalid_argument,
                "the answer to server/discover lacks supportedVersions or capabilities");
  }
  ServerGreeting greeting;
  greeting.version = best_version(*versions);
  if (greeting.version.empty()) {
    return fail(ErrorCode::unsupported,
                fmt::format("the server speaks MCP {}; Gavel speaks {}", write_json(*versions),
                            write_json(versions_json())));
  }
  const auto* members = find(document, "_meta");
  const auto* server = members == nullptr ? nullptr : find_object(*members, meta::kServerInfo);
  if (server != nullptr) greeting.server = read_implementation(*server);
  greeting.capabilities = *capabilities;
  greeting.instructions = string_or(document, "instructions");
  return greeting;
}

ProbeError read_probe_error(std::string_view error) {
  const RpcErrorView found = read_rpc_error(error);
  if (found.code == rpc::kHeaderMismatch || found.code == rpc::kMissingClientCapability) {
    return {.modern = true, .version = std::string(kMcpModern)};
  }
  if (found.code != rpc::kUnsupportedVersion) return {};
  ProbeError probe{.modern = true, .version = {}};
  const auto data = parse_json(found.data);
  const auto* supported = data ? find_array(*data, "supported") : nullptr;
  if (supported != nullptr) probe.version = best_version(*supported);
  return probe;
}

RpcResult<InitializeRequest> read_initialize(const RpcMessage& message) {
  const auto* params = find(message.document, "params");
  const std::string_view version =
      params == nullptr ? std::string_view{} : string_or(*params, "protocolVersion");
  if (version.empty()) {
    return std::unexpected(
        invalid_params(message.id, "initialize needs the string params.protocolVersion"));
  }
  InitializeRequest request;
  request.version = version;
  if (const auto* client = find_object(*params, "clientInfo")) {
    request.client = read_implementation(*client);
  }
  if (const auto* capabilities = find_object(*params, "capabilities")) {
    request.capabilities = *capabilities;
  }
  return request;
}

std::string initialize_result(std::string_view version, const Implementation& server,
                              const json::object& capabilities, std::string_view instructions) {
  json::object result{{"protocolVersion", json::string(version)},
                      {"capabilities", capabilities},
                      {"serverInfo", to_json(server)}};
  if (!instructions.empty()) result["instructions"] = json::string(instructions);
  return write_json(result);
}

std::string discover_result(const Implementation& server, const json::object& capabilities,
                            std::string_view instructions, std::int64_t ttl_ms) {
  json::object result{{"resultType", "complete"},
                      {"supportedVersions", json::array{json::string(kMcpModern)}},
                      {"capabilities", capabilities},
                      {"ttlMs", ttl_ms},
                      {"cacheScope", "private"}};
  if (!instructions.empty()) result["instructions"] = json::string(instructions);
  result["_meta"] = json::object{{json::string_view(meta::kServerInfo), to_json(server)}};
  return write_json(result);
}

ResultType result_type(std::string_view result) {
  JsonObjectReader reader(result);
  while (const auto member = reader.next()) {
    if (!member->is("resultType")) continue;
    const auto type = json_unquote(member->value);
    if (type == "complete") return ResultType::complete;
    if (type == "input_required") return ResultType::input_required;
    if (type == "task") return ResultType::task;
    return ResultType::unknown;
  }
  return ResultType::complete;
}

std::string to_modern_result(std::string_view method, std::string_view result,
                             const Implementation& server, Caching caching) {
  bool has_type = false;
  bool is_complete = true;
  bool has_ttl = false;
  bool has_scope = false;
  std::string_view old_meta;
  JsonObjectReader reader(result);
  while (const auto member = reader.next()) {
    has_type = has_type || member->is("resultType");
    is_complete = is_complete && !(member->is("resultType") && member->value != R"("complete")");
    has_ttl = has_ttl || member->is("ttlMs");
    has_scope = has_scope || member->is("cacheScope");
    if (member->is("_meta") && member->value.starts_with('{')) old_meta = member->value;
  }
  const std::string server_info = write_json(to_json(server));
  const std::string new_meta =
      json_set(old_meta.empty() ? "{}" : old_meta, {{meta::kServerInfo, server_info}});
  std::string out = json_set(result, {{"_meta", new_meta}});
  std::string added;
  if (!has_type) added += R"(,"resultType":"complete")";
  const auto* known = find_mcp_method(method);
  if (known != nullptr && known->cacheable && is_complete) {
    if (!has_ttl) added += fmt::format(",\"ttlMs\":{}", std::max<std::int64_t>(caching.ttl_ms, 0));
    if (!has_scope) {
      added += fmt::format(",\"cacheScope\":\"{}\"", caching.is_public ? "public" : "private");
    }
  }
  // `out` has at least _meta, so a comma is right.
  out.insert(out.size() - 1, added);
  return out;
}

std::string to_legacy_result(std::string_view result) {
  std::string out = json_drop(result, {"resultType", "ttlMs", "cacheScope"});
  std::string new_meta;
  bool drop_meta = false;
  bool drop_structured = false;
  JsonObjectReader reader(out);
  while (const auto member = reader.next()) {
    if (member->is("structuredContent")) drop_structured = !member->value.starts_with('{');
    if (!member->is("_meta") || !member->value.starts_with('{')) continue;
    new_meta = json_drop(member->value, {meta::kServerInfo});
    drop_meta = new_meta == "{}";
  }
  // Before 2026-07-28 structured content was an object; the text beside it says the same.
  if (drop_structured) out = json_drop(out, {"structuredContent"});
  if (drop_meta) return json_drop(out, {"_meta"});
  return new_meta.empty() ? out : json_set(out, {{"_meta", new_meta}});
}

std::string text_result(std::string_view text, ToolOutcome outcome, const json::object& meta) {
  json::object result{
      {"content", json::array{json::object{{"type", "text"}, {"text", json::string(text)}}}}};
  if (outcome == ToolOutcome::error) result["isError"] = true;
  if (!meta.empty()) result["_meta"] = meta;
  return write_json(result);
}

}  // namespace gavel
