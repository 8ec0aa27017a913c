#include "cli/session_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/codec.hpp"

namespace gavel {
namespace {

constexpr std::size_t kNameMax = 40;

std::string_view base_name(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// Lower case, everything else than [a-z0-9] to single dashes.
std::string dashed(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool upper = c >= 'A' && c <= 'Z';
    const char lower = upper ? static_cast<char>(c - 'A' + 'a') : c;
    const bool plain = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9');
    if (plain) {
      out += lower;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
    if (out.size() == kNameMax) break;
  }
  while (out.ends_with('-')) out.pop_back();
  return out;
}

// Programs that only start another one.
bool is_launcher(std::string_view name) {
  constexpr std::array<std::string_view, 20> kLaunchers = {
      "npx",  "npm",     "node", "bunx",   "bun",    "deno", "uvx", "uv",   "pipx", "python",
      "exec", "python3", "env",  "docker", "podman", "run",  "sh",  "bash", "pnpm", "dlx"};
  return std::ranges::find(kLaunchers, name) != kLaunchers.end();
}

}  // namespace

std::string session_name_for(std::string_view program, Timestamp now, int process_id) {
  auto name = dashed(base_name(program));
  if (name.empty()) name = "agent";
  // "2026-11-21T04:43:00.123Z" to "20261121-044300"
  const auto iso = to_iso8601(now);
  std::string digits;
  for (const char c : iso.substr(0, 19)) {
    if (c >= '0' && c <= '9') digits += c;
    if (c == 'T') digits += '-';
  }
  return fmt::format("{}-{}-{}", name, digits, process_id);
}

std::string server_name_for(const std::vector<std::string>& command) {
  std::string_view chosen;
  for (const auto& word : command) {
    if (word.starts_with('-') || word.find('=') != std::string::npos) continue;
    chosen = word;
    if (!is_launcher(base_name(word))) break;
  }
  // "@scope/server-x@1.2" to "server-x"; "/opt/x-mcp.js" to "x-mcp".
  auto name = base_name(chosen);
  if (const auto at = name.find('@', 1); at != std::string_view::npos) name = name.substr(0, at);
  if (const auto colon = name.find(':'); colon != std::string_view::npos) {
    name = name.substr(0, colon);
  }
  for (const std::string_view extension : {".js", ".mjs", ".cjs", ".py", ".ts", ".sh"}) {
    if (name.ends_with(extension)) name.remove_suffix(extension.size());
  }
  std::string out = dashed(name);
  for (const std::string_view prefix : {"mcp-server-", "server-", "mcp-"}) {
    if (out.starts_with(prefix) && out.size() > prefix.size()) {
      out.erase(0, prefix.size());
      break;
    }
  }
  for (const std::string_view suffix : {"-mcp-server", "-mcp", "-server"}) {
    if (out.ends_with(suffix) && out.size() > suffix.size()) {
      out.erase(out.size() - suffix.size());
      break;
    }
  }
  return out.empty() ? "server" : out;
}

}  // namespace gavel
