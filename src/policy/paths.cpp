#include "policy/paths.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace gavel {
namespace {

// Parts of a path that make it a secret, lower case; globs. One part, or several in a row.
constexpr std::string_view kSecrets[] = {".ssh",
                                         ".gnupg",
                                         ".aws",
                                         ".azure",
                                         ".kube",
                                         ".docker",
                                         ".config/gcloud",
                                         ".config/gh",
                                         ".netrc",
                                         ".pgpass",
                                         ".my.cnf",
                                         ".npmrc",
                                         ".pypirc",
                                         ".git-credentials",
                                         ".env",
                                         ".env.*",
                                         ".envrc",
                                         ".vault-token",
                                         ".password-store",
                                         ".mozilla",
                                         ".terraform.d",
                                         "keyrings",
                                         "id_rsa*",
                                         "id_dsa*",
                                         "id_ecdsa*",
                                         "id_ed25519*",
                                         "*.pem",
                                         "*.key",
                                         "*.p12",
                                         "*.pfx",
                                         "*.kdbx",
                                         "*.keystore",
                                         "shadow",
                                         "gshadow",
                                         "sudoers",
                                         "sudoers.d",
                                         ".local/state/gavel",
                                         ".local/state/gavel/*",
                                         ".credentials.json",
                                         "credentials",
                                         "credentials.json",
                                         "auth.json",
                                         "proc/*/environ",
                                         "proc/*/mem",
                                         "*_history"};
constexpr std::string_view kNoSecrets[] = {".env.example", ".env.sample", ".env.template"};

// What guards or starts things: to change it is to leave the fence.
constexpr std::string_view kGuards[] = {
    ".claude",        ".claude.json",     ".codex",   ".gemini",   ".opencode",  "opencode.json",
    "opencode.jsonc", ".config/opencode", ".cursor",  ".mcp.json", "gavel.yaml", ".git",
    ".bashrc",        ".bash_profile",    ".profile", ".zshrc",    ".zshenv",    ".zprofile",
    ".husky",         ".vscode",          ".idea",    ".direnv"};

constexpr std::string_view kHarmlessDevices[] = {"/dev/null",    "/dev/stdout", "/dev/stderr",
                                                 "/dev/stdin",   "/dev/tty",    "/dev/zero",
                                                 "/dev/urandom", "/dev/random"};

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    const auto part = path.substr(0, slash);
    if (!part.empty()) parts.push_back(part);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return parts;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool has_glob(std::string_view text) {
  return text.find_first_of("*?[") != std::string_view::npos;
}

template <std::size_t N>
bool holds(const std::vector<std::string_view>& parts, const std::string_view (&patterns)[N]) {
  for (const auto pattern : patterns) {
    const auto wanted = parts_of(pattern);
    for (std::size_t from = 0; from + wanted.size() <= parts.size(); ++from) {
      std::size_t matched = 0;
      while (matched < wanted.size() && glob_match(wanted[matched], parts[from + matched])) {
        ++matched;
      }
      if (matched == wanted.size()) return true;
    }
  }
  return false;
}

// A glob that begins with a dot may mean any hidden file; one that names no secret itself may mean
// a secret only where its letters allow it, which is not looked into.
bool may_be_hidden(const std::vector<std::string_view>& parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [](std::string_view part) { return part.front() == '.' && has_glob(part); });
}

bool is_secret(const std::string& path) {
  const std::string folded = lower(path);
  const auto parts = parts_of(folded);
  if (parts.empty()) return false;
  if (std::find(std::begin(kNoSecrets), std::end(kNoSecrets), parts.back()) !=
      std::end(kNoSecrets)) {
    return false;
  }
  return holds(parts, kSecrets) || may_be_hidden(parts);
}

bool is_inside(const std::string& path, const std::string& project) {
  if (project.size() < 2 || project.front() != '/') return false;
  return path == project || (path.starts_with(project) && path[project.size()] == '/');
}

PathClass classify_absolute(const std::string& path, Access access, const std::string& project) {
  const std::string shown = for_display(path, 200);
  const bool writes = access == Access::write;
  if (std::find(std::begin(kHarmlessDevices), std::end(kHarmlessDevices), path) !=
          std::end(kHarmlessDevices) ||
      path.starts_with("/dev/fd/")) {
    return {Effect::read, "no file: " + shown};
  }
  if (path.starts_with("/dev/tcp/") || path.starts_with("/dev/udp/")) {
    return {Effect::irreversible, "opens a connection: " + shown};
  }
  if (path == "/dev" || path.starts_with("/dev/")) {
    return {writes ? Effect::irreversible : Effect::destructive, "a device: " + shown};
  }
  const bool inside = is_inside(path, project);
  // What lies above the project is not the agent's doing.
  const std::string own = inside ? path.substr(project.size()) : path;
  if (is_secret(own)) {
    return {Effect::destructive, (writes ? "writes a secret: " : "reads a secret: ") + shown};
  }
  if (!writes) {
    if (access == Access::read_all && !inside) {
      return {Effect::destructive, "reads everything below, outside the project: " + shown};
    }
    return {Effect::read, "reads " + shown};
  }
  const std::string folded = lower(own);
  if (holds(parts_of(folded), kGuards)) {
    return {Effect::destructive, "changes what guards or starts the agent: " + shown};
  }
  if (inside) return {Effect::write, "writes inside the project: " + shown};
  return {Effect::destructive, "writes outside the project: " + shown};
}

}  // namespace

std::string join_path(std::string_view directory, std::string_view path) {
  std::string whole;
  std::string root = "/";
  if (path.starts_with('~')) {
    const auto slash = path.find('/');
    root = std::string(path.substr(0, slash)) + "/";
    whole = slash == std::string_view::npos ? "" : std::string(path.substr(slash + 1));
  } else if (path.starts_with('/')) {
    whole = path;
  } else {
    if (directory.starts_with('~')) {
      const std::string joined = fmt::format("{}/{}", directory, path);
      return join_path({}, joined);
    }
    whole = fmt::format("{}/{}", directory, path);
  }
  std::vector<std::string_view> kept;
  for (const auto part : parts_of(whole)) {
    if (part == ".") continue;
    if (part == "..") {
      // Above a home directory lies what is not known.
      if (kept.empty() && root != "/") root = "/";
      if (!kept.empty()) kept.pop_back();
      continue;
    }
    kept.push_back(part);
  }
  std::string out = root;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (i > 0) out += '/';
    out += kept[i];
  }
  if (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

PathClass classify_path(std::string_view path, Access access, const PathContext& context) {
  if (path.empty()) return {Effect::read, "no file"};
  if (path.find('\0') != std::string_view::npos) {
    return {Effect::irreversible, "a path with a zero byte"};
  }
  const std::string project =
      context.project.empty() ? std::string() : join_path("/", context.project);
  if (path.starts_with('/') || path.starts_with('~')) {
    return classify_absolute(join_path("/", path), access, project);
  }
  if (context.directories.empty()) {
    return {Effect::destructive,
            "a relative path from nobody knows where: " + for_display(path, 200)};
  }
  PathClass worst{Effect::read, ""};
  for (const auto& directory : context.directories) {
    PathClass here = classify_absolute(join_path(directory, path), access, project);
    if (worst.reason.empty() || here.effect > worst.effect) worst = std::move(here);
  }
  return worst;
}

}  // namespace gavel
