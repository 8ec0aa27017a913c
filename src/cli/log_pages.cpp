#include "cli/log_pages.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace gavel {
namespace {

constexpr std::uint64_t kPage = 500;

Result<json::value> page_from(const Client& client, const std::string& log, std::uint64_t from,
                              std::uint64_t limit) {
  return client.get(
      fmt::format("/v1/sessions/{}/entries?from={}&limit={}", percent_encode(log), from, limit));
}

}  // namespace

Status read_entries(const Client& client, const std::string& log, std::uint64_t from,
                    const std::function<bool(const json::value&)>& on_entry) {
  for (;;) {
    ASSIGN_OR_RETURN(const auto page, page_from(client, log, from, kPage));
    const auto* entries = find_array(page, "entries");
    if (entries == nullptr || entries->empty()) return {};
    for (const auto& entry : *entries) {
      if (!on_entry(entry)) return {};
    }
    const auto last = static_cast<std::uint64_t>(int_or(entries->back(), "position", 0));
    if (last < from || last >= static_cast<std::uint64_t>(int_or(page, "tail", 0))) return {};
    from = last + 1;
  }
}

Result<std::uint64_t> tail_of(const Client& client, const std::string& log) {
  ASSIGN_OR_RETURN(const auto page, page_from(client, log, 1, 1));
  return static_cast<std::uint64_t>(int_or(page, "tail", 0));
}

}  // namespace gavel
