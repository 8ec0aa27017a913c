#pragma once
// A listing of one upstream (tools/list, resources/list, ...) with all its pages. How many pages,
// items and seconds that may take is bounded: a server whose cursors never end gets an error, not a
// part of its list passed for the whole.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "runtime/clock.hpp"
#include "runtime/upstream.hpp"

namespace gavel {

struct UpstreamListing {
  std::vector<json::object> items;
  // How long the server lets it be kept, the shortest of its pages; nothing of a legacy server,
  // which does not say.
  std::optional<std::chrono::milliseconds> ttl;
};

// `array`: the member of the result that holds the items ("tools" of "tools/list"). Errors:
// unavailable and those of the server's reply, too_large (over the bounds below, or a cursor that
// was given before).
asio::awaitable<Result<UpstreamListing>> list_all(Upstream& upstream, const Clock& clock,
                                                  std::string method, std::string array);

inline constexpr std::size_t kListPagesMax = 64;
inline constexpr std::size_t kListItemsMax = 4096;
inline constexpr std::chrono::seconds kListTimeout{60};  // of all pages

}  // namespace gavel
