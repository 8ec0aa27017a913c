#include <algorithm>
#include <array>

#include "protocol/mcp.hpp"

namespace gavel {
namespace {

constexpr std::array kVersions = {kMcpModern, kMcpLegacy, std::string_view("2025-06-18"),
                                  kMcpWithoutHeader, std::string_view("2024-11-05")};

constexpr McpMethod request(std::string_view name) {
  return {.name = name, .capability = {}};
}
constexpr McpMethod notification(std::string_view name, Sender sender) {
  return {.name = name, .sender = sender, .kind = RpcKind::notification, .capability = {}};
}

constexpr McpMethod from_server(McpMethod method) {
  method.sender = Sender::server;
  return method;
}
constexpr McpMethod from_either(McpMethod method) {
  method.sender = Sender::either;
  return method;
}
constexpr McpMethod legacy_only(McpMethod method) {
  method.modern = false;
  return method;
}
constexpr McpMethod modern_only(McpMethod method) {
  method.legacy = false;
  return method;
}
constexpr McpMethod named(McpMethod method, NameParam param) {
  method.name_param = param;
  return method;
}
constexpr McpMethod cached(McpMethod method) {
  method.cacheable = true;
  return method;
}
constexpr McpMethod needs(std::string_view capability, McpMethod method) {
  method.capability = capability;
  return method;
}

constexpr std::array kMethods = {
    legacy_only(request("initialize")),
    legacy_only(from_either(request("ping"))),
    modern_only(cached(request("server/discover"))),
    modern_only(request("subscriptions/listen")),
    needs("tools", cached(request("tools/list"))),
    needs("tools", named(request("tools/call"), NameParam::name)),
    needs("resources", cached(request("resources/list"))),
    needs("resources", cached(request("resources/templates/list"))),
    needs("resources", cached(named(request("resources/read"), NameParam::uri))),
    needs("resources", legacy_only(request("resources/subscribe"))),
    needs("resources", legacy_only(request("resources/unsubscribe"))),
    needs("prompts", cached(request("prompts/list"))),
    needs("prompts", named(request("prompts/get"), NameParam::name)),
    needs("completions", request("completion/complete")),
    needs("logging", legacy_only(request("logging/setLevel"))),
    named(from_either(request("tasks/get")), NameParam::task_id),
    named(from_either(request("tasks/cancel")), NameParam::task_id),
    modern_only(named(request("tasks/update"), NameParam::task_id)),
    legacy_only(from_either(request("tasks/result"))),
    legacy_only(from_either(request("tasks/list"))),
    needs("sampling", legacy_only(from_server(request("sampling/createMessage")))),
    needs("elicitation", legacy_only(from_server(request("elicitation/create")))),
    needs("roots", legacy_only(from_server(request("roots/list")))),
    legacy_only(notification("notifications/initialized", Sender::client)),
    legacy_only(notification("notifications/roots/list_changed", Sender::client)),
    notification("notifications/cancelled", Sender::either),
    notification("notifications/progress", Sender::either),
    notification("notifications/message", Sender::server),
    notification("notifications/tools/list_changed", Sender::server),
    notification("notifications/prompts/list_changed", Sender::server),
    notification("notifications/resources/list_changed", Sender::server),
    notification("notifications/resources/updated", Sender::server),
    legacy_only(notification("notifications/elicitation/complete", Sender::server)),
    legacy_only(notification("notifications/tasks/status", Sender::either)),
    modern_only(notification("notifications/tasks", Sender::server)),
    modern_only(notification("notifications/subscriptions/acknowledged", Sender::server)),
};

}  // namespace

std::span<const std::string_view> mcp_versions() {
  return kVersions;
}

std::optional<Era> era_of(std::string_view version) {
  if (version == kMcpModern) return Era::modern;
  const bool known = std::find(kVersions.begin(), kVersions.end(), version) != kVersions.end();
  return known ? std::optional(Era::legacy) : std::nullopt;
}

std::string_view negotiate_legacy(std::string_view requested) {
  const auto found = std::find(kVersions.begin(), kVersions.end(), requested);
  return found != kVersions.end() && *found != kMcpModern ? *found : kMcpLegacy;
}

bool allows_batches(std::string_view version) {
  return version == "2025-03-26";
}

std::span<const McpMethod> mcp_methods() {
  return kMethods;
}

const McpMethod* find_mcp_method(std::string_view name) {
  const auto* found = std::find_if(kMethods.begin(), kMethods.end(),
                                   [&](const McpMethod& method) { return method.name == name; });
  return found == kMethods.end() ? nullptr : found;
}

std::string_view name_param_key(NameParam param) {
  switch (param) {
    case NameParam::none:
      return {};
    case NameParam::name:
      return "name";
    case NameParam::uri:
      return "uri";
    case NameParam::task_id:
      return "taskId";
  }
  return {};
}

bool is_valid_tool_name(std::string_view name) {
  if (name.empty() || name.size() > kToolNameBytesMax) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
  });
}

}  // namespace gavel
