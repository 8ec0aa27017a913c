#include "gateway/mcp_changes.hpp"

#include <algorithm>

#include "protocol/json_text.hpp"
#include "protocol/jsonrpc.hpp"
#include "runtime/upstream.hpp"

namespace gavel {
namespace {

bool wants(const McpListener& listener, std::string_view method, const std::string& uri) {
  if (method == "notifications/tools/list_changed") return listener.tools;
  if (method == "notifications/prompts/list_changed") return listener.prompts;
  if (method == "notifications/resources/list_changed") return listener.resources;
  if (method == "notifications/resources/updated") return listener.uris.contains(uri);
  return false;
}

}  // namespace

void McpChanges::announce(const std::string& upstream, std::string_view method,
                          std::string_view params) {
  const bool updated = method == "notifications/resources/updated";
  const auto uri = updated ? json_unquote(json_slice(params, {"uri"})).value_or("") : std::string();
  std::erase_if(listeners_, [](const auto& listener) { return listener.expired(); });
  for (const auto& weak : listeners_) {
    const auto listener = weak.lock();
    if (!listener || !listener->outbox || !wants(*listener, method, uri)) continue;
    const bool sees_it =
        listener->server.empty() ? !is_attached(upstream) : listener->server == upstream;
    if (!sees_it) continue;
    json::object told;
    if (updated) told["uri"] = uri;
    if (!listener->meta.empty()) told["_meta"] = listener->meta;
    listener->outbox->push(rpc_notification(method, told.empty() ? "" : write_json(told)));
  }
}

bool McpChanges::anybody_subscribed(const std::string& uri, const McpListener* except) const {
  return std::ranges::any_of(listeners_, [&](const auto& weak) {
    const auto listener = weak.lock();
    return listener && listener.get() != except && listener->uris.contains(uri);
  });
}

}  // namespace gavel
