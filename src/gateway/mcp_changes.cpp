#include "gateway/mcp_changes.hpp"

#include <algorithm>

#include "protocol/json_text.hpp"
#include "protocol/jsonrpc.hpp"
#include "runtime/upstream.hpp"

namespace gavel {
namespace {

constexpr std::string_view kUpdated = "notifications/resources/updated";
constexpr std::string_view kOpened = "notifications/elicitation/complete";

// `which`: the resource, or the elicitation.
bool wants(const McpListener& listener, std::string_view method, const std::string& which) {
  if (method == "notifications/tools/list_changed") return listener.tools;
  if (method == "notifications/prompts/list_changed") return listener.prompts;
  if (method == "notifications/resources/list_changed") return listener.resources;
  if (method == kUpdated) return listener.uris.contains(which);
  if (method == kOpened) return listener.elicitations.contains(which);
  return false;
}

}  // namespace

void McpListener::hear_of_elicitation(std::string id) {
  if (id.empty()) return;
  if (elicitations.size() >= kElicitationsMax) elicitations.erase(elicitations.begin());
  elicitations.insert(std::move(id));
}

void McpChanges::announce(const std::string& upstream, std::string_view method,
                          std::string_view params) {
  const std::string_view member = method == kUpdated  ? "uri"
                                  : method == kOpened ? "elicitationId"
                                                      : std::string_view{};
  const auto which =
      member.empty() ? std::string() : json_unquote(json_slice(params, {member})).value_or("");
  std::erase_if(listeners_, [](const auto& listener) { return listener.expired(); });
  for (const auto& weak : listeners_) {
    const auto listener = weak.lock();
    if (!listener || !listener->outbox || !wants(*listener, method, which)) continue;
    const bool sees_it =
        listener->server.empty() ? !is_attached(upstream) : listener->server == upstream;
    if (!sees_it) continue;
    json::object told;
    if (!member.empty()) told[member] = which;
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
