#pragma once
// Names that the command line makes up: of sessions and of wrapped servers. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"

namespace gavel {

// "claude-20261121-044300-4711"
std::string session_name_for(std::string_view program, Timestamp now, int process_id);

// What a stdio server is called, from its command: {"npx","-y",
// "@modelcontextprotocol/server-filesystem","/data"} to "filesystem". Of [a-z0-9-], never empty.
std::string server_name_for(const std::vector<std::string>& command);

}  // namespace gavel
