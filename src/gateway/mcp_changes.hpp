#pragma once
// Who wants to hear of what changes at the upstreams: lists of tools, prompts and resources, and
// the resources that a client subscribed to. A client listens by the GET stream of its legacy
// session, by its line connection, or by subscriptions/listen.

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "gateway/mcp_outbox.hpp"

namespace gavel {

struct McpListener {
  std::string server;  // the one it sees; empty for all
  bool tools = false;  // whether it hears of changed lists
  bool prompts = false;
  bool resources = false;
  std::set<std::string> uris;          // of resources that it subscribed to
  json::object meta;                   // set into the params of each notification; may be empty
  std::shared_ptr<McpOutbox> outbox;   // null while nobody reads, or may come back to read
  std::set<std::string> elicitations;  // URLs that it was asked to open, by their ids

  // What became of that URL is told to it; an empty id is none.
  void hear_of_elicitation(std::string id);
};

// The listeners of one server. They belong to others and leave when those let them go.
class McpChanges {
public:
  void add(const std::shared_ptr<McpListener>& listener) { listeners_.push_back(listener); }
  // What an upstream announced; anything else than a change is nobody's.
  void announce(const std::string& upstream, std::string_view method, std::string_view params);
  // Whether anybody but `except` is subscribed to the resource.
  bool anybody_subscribed(const std::string& uri, const McpListener* except) const;

private:
  std::vector<std::weak_ptr<McpListener>> listeners_;
};

inline constexpr std::size_t kSubscriptionsMax = 1024;  // of one listener
inline constexpr std::size_t kElicitationsMax = 64;     // of one listener that may still be opened

}  // namespace gavel
