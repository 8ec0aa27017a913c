#include "runtime/wanted_changes.hpp"

#include "protocol/json_text.hpp"

namespace gavel {

bool WantedChanges::take(const UpstreamRequest& request) {
  const bool adds = request.method == "resources/subscribe";
  if (!adds && request.method != "resources/unsubscribe") return false;
  const auto uri = json_unquote(json_slice(request.params, {"uri"})).value_or("");
  if (adds && uris_.size() < kSubscribedMax) uris_.insert(uri);
  if (!adds) uris_.erase(uri);
  ++version_;
  return true;
}

std::string WantedChanges::listen_params(const json::object& capabilities) const {
  json::object wanted;
  for (const std::string name : {"tools", "prompts", "resources"}) {
    const auto* offered = find(capabilities, name);
    if (offered != nullptr && bool_or(*offered, "listChanged", false)) {
      wanted[name + "ListChanged"] = true;
    }
  }
  if (!uris_.empty()) {
    json::array uris;
    for (const auto& uri : uris_) uris.emplace_back(uri);
    wanted["resourceSubscriptions"] = std::move(uris);
  }
  if (wanted.empty()) return {};
  return write_json(json::object{{"notifications", std::move(wanted)}});
}

UpstreamReply subscription_taken() {
  UpstreamReply reply;
  reply.delivery = Delivery::answered;
  reply.result = "{}";
  return reply;
}

}  // namespace gavel
