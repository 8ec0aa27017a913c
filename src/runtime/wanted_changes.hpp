#pragma once
// What Gavel wants to hear of the changes at one server: its lists, where it announces them, and
// the resources that clients subscribed to. An older server is told of each subscription; a modern
// one by the next subscriptions/listen, which names everything.

#include <cstdint>
#include <set>
#include <string>

#include "runtime/upstream.hpp"

namespace gavel {

class WantedChanges {
public:
  // Takes in what resources/subscribe and resources/unsubscribe say; false for other requests.
  bool take(const UpstreamRequest& request);
  // The params of subscriptions/listen (JSON text) at a server of these capabilities; empty where
  // there is nothing to hear of.
  std::string listen_params(const json::object& capabilities) const;

  const std::set<std::string>& uris() const { return uris_; }
  std::uint64_t version() const { return version_; }  // grows with every subscription taken in

private:
  std::set<std::string> uris_;
  std::uint64_t version_ = 0;
};

// The answer to a subscription that the next subscriptions/listen will name.
UpstreamReply subscription_taken();

inline constexpr std::size_t kSubscribedMax = 4096;
inline constexpr std::chrono::seconds kListenDelayMin{1};
inline constexpr std::chrono::seconds kListenDelayMax{60};

}  // namespace gavel
