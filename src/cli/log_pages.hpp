#pragma once
// Reading a log through the API, page by page.

#include <cstdint>
#include <functional>
#include <string>

#include "base/json.hpp"
#include "cli/client.hpp"

namespace gavel {

// Gives the entries of `log` from position `from` on, until `on_entry` returns false or the tail is
// reached. not_found where the log does not exist.
Status read_entries(const Client& client, const std::string& log, std::uint64_t from,
                    const std::function<bool(const json::value&)>& on_entry);

Result<std::uint64_t> tail_of(const Client& client, const std::string& log);

}  // namespace gavel
