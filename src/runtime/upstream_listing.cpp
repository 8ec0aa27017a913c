#include "runtime/upstream_listing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "protocol/mcp.hpp"

namespace gavel {
namespace {

constexpr std::int64_t kTtlMaxMs = 86'400'000;  // a longer one is no promise that anybody keeps

Error reply_error(const Upstream& upstream, const std::string& method, const UpstreamReply& reply) {
  if (reply.delivery != Delivery::answered) return reply.error;
  return {ErrorCode::unavailable, fmt::format("{} refused {}: {}", upstream.name(), method,
                                              for_display(reply.rpc_error, 1000))};
}

// The next page's cursor; empty after the last.
Result<std::string> add_page(const json::value& page, const std::string& array,
                             UpstreamListing& into) {
  const auto* items = find_array(page, array);
  if (items == nullptr) return fail(ErrorCode::unavailable, fmt::format("no list \"{}\"", array));
  for (const auto& item : *items) {
    if (item.is_object()) into.items.push_back(item.get_object());
  }
  const auto* ttl = find(page, "ttlMs");
  if (ttl != nullptr && ttl->is_int64()) {
    const std::chrono::milliseconds said(std::clamp<std::int64_t>(ttl->get_int64(), 0, kTtlMaxMs));
    into.ttl = std::min(into.ttl.value_or(said), said);
  }
  return std::string(string_or(page, "nextCursor"));
}

}  // namespace

asio::awaitable<Result<UpstreamListing>> list_all(Upstream& upstream, const Clock& clock,
                                                  std::string method, std::string array) {
  const std::string name = upstream.name();
  const SteadyTime deadline = clock.steady() + kListTimeout;
  UpstreamListing listing;
  std::set<std::string> cursors;
  std::string cursor;
  for (std::size_t page = 0; page < kListPagesMax; ++page) {
    UpstreamRequest request;
    request.method = method;
    request.params = cursor.empty() ? "{}" : write_json(json::object{{"cursor", cursor}});
    request.deadline = deadline;
    // Some legacy servers list only what the client can take part in; whoever calls declares its
    // own.
    request.caller.capabilities = every_question();
    const UpstreamReply reply = co_await upstream.request(std::move(request));
    if (reply.delivery != Delivery::answered || reply.result.empty()) {
      co_return std::unexpected(reply_error(upstream, method, reply));
    }
    const auto result = parse_json(reply.result);
    if (!result) co_return std::unexpected(result.error());
    auto next = add_page(*result, array, listing);
    if (!next) {
      co_return fail(next.error().code,
                     fmt::format("{} answered {} with {}", name, method, next.error().message));
    }
    if (listing.items.size() > kListItemsMax) {
      co_return fail(ErrorCode::too_large, fmt::format("{} lists more than {} items for {}", name,
                                                       kListItemsMax, method));
    }
    cursor = std::move(*next);
    if (cursor.empty()) co_return listing;
    if (!cursors.insert(cursor).second) {
      co_return fail(ErrorCode::too_large,
                     fmt::format("{} pages {} without end: it gave the cursor \"{}\" twice", name,
                                 method, for_display(cursor, 100)));
    }
  }
  co_return fail(ErrorCode::too_large, fmt::format("{} pages {} without end (over {} pages)", name,
                                                   method, kListPagesMax));
}

}  // namespace gavel
