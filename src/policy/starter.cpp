#include "policy/starter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <set>

#include "base/json.hpp"
#include "base/text.hpp"

namespace gavel {
namespace {

constexpr std::size_t kConfigBytesMax = 16u << 20;
constexpr std::size_t kConfigDepthMax = 64;
constexpr std::string_view kRemoved = "REMOVED-BY-GAVEL-INIT";

// Names of variables, headers, flags and query parameters that hold secrets.
constexpr std::string_view kSecretWords[] = {"KEY",    "TOKEN",   "SECRET",     "PASSWORD",
                                             "PASSWD", "PWD",     "CREDENTIAL", "AUTH",
                                             "COOKIE", "PRIVATE", "BEARER",     "SIGNATURE"};
// How well-known kinds of secret begin.
constexpr std::string_view kSecretPrefixes[] = {
    "sk-", "ghp_",    "gho_",   "github_pat_", "glpat-", "xox",       "AKIA",
    "eyJ", "Bearer ", "Basic ", "npm_",        "AIza",   "-----BEGIN"};

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

bool names_secret(std::string_view name) {
  const std::string word = upper(name);
  return std::any_of(std::begin(kSecretWords), std::end(kSecretWords),
                     [&](auto secret) { return word.find(secret) != std::string::npos; });
}

// "scheme://user:password@host" anywhere in the text.
bool holds_password(std::string_view text) {
  const auto scheme = text.find("://");
  if (scheme == std::string_view::npos) return false;
  const std::string_view rest = text.substr(scheme + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?# "));
  const auto at = authority.rfind('@');
  return at != std::string_view::npos && authority.substr(0, at).find(':') != std::string::npos;
}

bool is_secret(std::string_view name, std::string_view value) {
  return names_secret(name) || holds_password(value) ||
         std::any_of(std::begin(kSecretPrefixes), std::end(kSecretPrefixes),
                     [&](auto prefix) { return value.starts_with(prefix); });
}

// An argument that sets or names a secret somewhere inside: "API_TOKEN=x", "Authorization: Bearer
// x", a line for a shell.
bool hides_secret(std::string_view argument) {
  for (std::size_t at = 0; at < argument.size();) {
    const auto end = std::min(argument.find_first_of(" \t\n;&|'\"()", at), argument.size());
    const std::string_view piece = argument.substr(at, end - at);
    const auto mark = piece.find_first_of("=:");
    const bool is_url = mark != std::string_view::npos && piece.substr(mark).starts_with("://");
    if (mark != std::string_view::npos && !is_url && names_secret(piece.substr(0, mark)))
      return true;
    if (is_secret("", piece)) return true;
    if (mark != std::string_view::npos && is_secret("", piece.substr(mark + 1))) return true;
    at = end + 1;
  }
  return is_secret("", argument);
}

// "${VAR}", "${input:key}": the client fills it in; Gavel does not.
bool is_placeholder(std::string_view value) {
  return value.find("${") != std::string_view::npos ||
         value.find("{env:") != std::string_view::npos;
}

// The name as a server of the policy file: [a-z0-9][a-z0-9-]{0,31}.
std::string fit_name(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (fits) {
      out += c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
    if (out.size() == 28) break;  // room for a number
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "server" : out;
}

// Reads the servers of one client's config.
class ConfigReader {
public:
  ConfigReader(ClientKind kind, std::string_view file) : kind_(kind), file_(file) {}

  std::vector<FoundServer> read(const json::value& root) {
    switch (kind_) {
      case ClientKind::claude_code:
        read_servers(find_object(root, "mcpServers"));
        if (const auto* projects = find_object(root, "projects")) {
          for (const auto& project : *projects) {
            read_servers(find_object(project.value(), "mcpServers"));
          }
        }
        break;
      case ClientKind::cursor:
      case ClientKind::gemini:
        read_servers(find_object(root, "mcpServers"));
        break;
      case ClientKind::opencode:
        read_servers(find_object(root, "mcp"));
        break;
      case ClientKind::vscode:
        read_servers(find_object(root, "servers"));
        break;
    }
    return std::move(found_);
  }

private:
  void read_servers(const json::object* servers) {
    if (servers == nullptr) return;
    for (const auto& member : *servers) {
      if (member.value().is_object()) read_server(std::string(member.key()), member.value());
    }
  }

  void read_server(std::string name, const json::value& config) {
    FoundServer server;
    server.client = client_name(kind_);
    server.file = file_;
    server.spec.name = fit_name(name);
    server.name = std::move(name);
    read_command(config, server);
    read_url(config, server);
    const bool local = !server.spec.command.empty();
    if (local == !server.spec.url.empty()) return;  // neither or both: not a server we know
    if (local && server.spec.command.front().ends_with("gavel")) return;  // behind Gavel already
    if (local) {
      read_variables(config, "env", server);
      read_variables(config, "environment", server);
      server.spec.directory = plain(config, "cwd", server);
    } else {
      read_headers(config, server);
    }
    if (find(config, "envFile") != nullptr) {
      server.notes.emplace_back("its envFile is not read; name each variable here");
    }
    if (!bool_or(config, "enabled", true) || bool_or(config, "disabled", false)) {
      server.notes.emplace_back("it was switched off there");
    }
    found_.push_back(std::move(server));
  }

  static std::string plain(const json::value& config, std::string_view key, FoundServer& server) {
    std::string text(string_or(config, key));
    if (!is_placeholder(text)) return text;
    server.notes.push_back(fmt::format("{} was \"{}\": write it out", key, for_display(text, 100)));
    return {};
  }

  static void read_command(const json::value& config, FoundServer& server) {
    std::vector<std::string> words;
    const auto add = [&](const json::array* list) {
      if (list == nullptr) return;
      for (const auto& word : *list) {
        if (word.is_string()) words.emplace_back(view(word.get_string()));
      }
    };
    if (const auto command = string_or(config, "command"); !command.empty()) {
      words.emplace_back(command);
    }
    add(find_array(config, "command"));
    if (!words.empty()) add(find_array(config, "args"));
    bool secret_follows = false;
    for (std::string& word : words) {
      const auto equals = word.find('=');
      const std::string_view flag = std::string_view(word).substr(0, equals);
      const bool is_flag = word.starts_with('-');
      if (is_placeholder(word)) {
        server.notes.push_back(fmt::format(
            "the argument \"{}\" is not filled in here: write it out", for_display(word, 100)));
      }
      if (secret_follows || (is_flag && equals != std::string::npos && names_secret(flag)) ||
          hides_secret(word)) {
        server.secrets.emplace_back(is_flag ? std::string(flag) : "an argument");
        // What is set keeps its name, where all of the argument is one setting.
        const bool is_setting = equals != std::string::npos &&
                                flag.find_first_of(" \t:'\"") == std::string_view::npos &&
                                word.find_first_of(" \t") == std::string::npos;
        word = is_setting ? fmt::format("{}={}", flag, kRemoved) : std::string(kRemoved);
        server.notes.emplace_back(
            "an argument held a secret and was removed; see whether the server also takes it from "
            "its environment");
        secret_follows = false;
        continue;
      }
      secret_follows = is_flag && equals == std::string::npos && names_secret(flag);
    }
    server.spec.command = std::move(words);
  }

  static void read_url(const json::value& config, FoundServer& server) {
    std::string url(string_or(config, "httpUrl", string_or(config, "url")));
    if (url.empty()) return;
    const auto query = url.find('?');
    if (holds_password(url) || (query != std::string::npos && names_secret(url.substr(query)))) {
      server.secrets.emplace_back("url");
      server.notes.emplace_back("its URL held a secret and was cut; send it as a header instead");
      const auto at = holds_password(url) ? url.find('@') : std::string::npos;
      if (query != std::string::npos) url.resize(query);
      if (at != std::string::npos && at < url.size()) {
        url = url.substr(0, url.find("://") + 3) + url.substr(at + 1);
      }
    }
    if (!url.starts_with("http://") && !url.starts_with("https://")) return;
    if (is_placeholder(url))
      server.notes.emplace_back("its URL is not filled in here: write it out");
    if (string_or(config, "type") == "sse") {
      server.notes.emplace_back("the client spoke the old SSE transport with it");
    }
    server.spec.url = std::move(url);
  }

  static bool is_variable_name(std::string_view name) {
    return !name.empty() && !(name.front() >= '0' && name.front() <= '9') &&
           std::all_of(name.begin(), name.end(), [](char c) {
             return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_';
           });
  }
  static bool is_header_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '_';
    });
  }

  static std::string as_text(const json::value& value) {
    return value.is_string() ? std::string(view(value.get_string())) : write_json(value);
  }

  static void read_variables(const json::value& config, std::string_view key, FoundServer& server) {
    const auto* variables = find_object(config, key);
    if (variables == nullptr) return;
    for (const auto& member : *variables) {
      const std::string name{member.key()};
      const std::string value = as_text(member.value());
      if (!is_variable_name(name)) continue;
      if (is_secret(name, value) || is_placeholder(value)) {
        server.spec.environment_files[name] = "";  // the renderer knows the directory
        server.secrets.push_back(name);
      } else {
        server.spec.environment[name] = value;
      }
    }
  }

  static void read_headers(const json::value& config, FoundServer& server) {
    const auto* headers = find_object(config, "headers");
    if (headers == nullptr) return;
    for (const auto& member : *headers) {
      const std::string name{member.key()};
      const std::string value = as_text(member.value());
      if (!is_header_name(name)) continue;
      const bool plain = value.find_first_of("\r\n") == std::string::npos;
      if (is_secret(name, value) || is_placeholder(value) || !plain) {
        server.spec.header_files[name] = "";
        server.secrets.push_back(name);
      } else {
        server.spec.headers[name] = value;
      }
    }
  }

  static std::string client_name(ClientKind kind) {
    const auto& configs = known_configs();
    const auto found = std::find_if(configs.begin(), configs.end(),
                                    [&](const KnownConfig& config) { return config.kind == kind; });
    return std::string(found->client);
  }

  ClientKind kind_;
  std::string file_;
  std::vector<FoundServer> found_;
};

// A text as a YAML scalar in double quotes, which JSON's escapes are valid in.
std::string quoted(std::string_view text) {
  std::string out;
  for (const char c : write_json(json::value(json::string(text)))) {
    if (c == '\x7F') {
      out += "\\x7F";
    } else {
      out += c;
    }
  }
  return out;
}

std::string list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const auto& text : texts) out += (out.size() > 1 ? ", " : "") + quoted(text);
  return out + "]";
}

void add_map(std::string_view key, const std::map<std::string, std::string>& map,
             std::string& out) {
  if (map.empty()) return;
  out += fmt::format("    {}:\n", key);
  for (const auto& [name, value] : map) out += fmt::format("      {}: {}\n", name, quoted(value));
}

bool same_server(const FoundServer& a, const FoundServer& b) {
  return a.spec.command == b.spec.command && a.spec.url == b.spec.url &&
         a.spec.environment == b.spec.environment && a.spec.headers == b.spec.headers &&
         a.spec.directory == b.spec.directory;
}

constexpr std::string_view kHead =
    R"(#
# Gavel's policy: the servers that agents may reach, what their tools can do, and who may do it.
# Check it with `gavel policy check`; ask about a call with `gavel policy explain`.
)";

constexpr std::string_view kNoServers = R"(
# No server was found in the configs of the clients that gavel init knows. An example:
#
# servers:
#   files:
#     command: [npx, -y, "@modelcontextprotocol/server-filesystem", /srv/data]
#     tools:
#       read_text_file: {effect: read}
#       write_file: {effect: destructive}   # it overwrites
)";

constexpr std::string_view kToolsHint =
    R"(    # What each tool could do at worst; `gavel tools` lists them. What is not listed here counts as
    # destructive. Where an argument holds SQL, name it: {effect: read, sql: query}
    tools: {}
)";

constexpr std::string_view kTail = R"(
# What holds where no rule matches: allow, ask (somebody approves), two_step (a delay and a
# confirmation by somebody else) or deny.
defaults:
  read: allow
  write: ask
  destructive: two_step
  irreversible: two_step
  two_step_delay: 30s
  hold_for: 1h

# Exceptions. Of all rules that match, the strictest counts.
rules: []
#  - name: no drops in production
#    tools: ["*__execute"]
#    effects: [destructive, irreversible]
#    verdict: deny
#    reason: write a migration instead and ask for a review

# Limits that are reserved before a call.
budgets: []
#  - {name: per-session, scope: session, calls: 200}
)";

}  // namespace

const std::vector<KnownConfig>& known_configs() {
  static const std::vector<KnownConfig> kConfigs = {
      {ClientKind::claude_code, "Claude Code", ".mcp.json"},
      {ClientKind::claude_code, "Claude Code", "~/.claude.json"},
      {ClientKind::cursor, "Cursor", ".cursor/mcp.json"},
      {ClientKind::cursor, "Cursor", "~/.cursor/mcp.json"},
      {ClientKind::gemini, "Gemini CLI", ".gemini/settings.json"},
      {ClientKind::gemini, "Gemini CLI", "~/.gemini/settings.json"},
      {ClientKind::opencode, "OpenCode", "opencode.json"},
      {ClientKind::opencode, "OpenCode", "opencode.jsonc"},
      {ClientKind::opencode, "OpenCode", "~/.config/opencode/opencode.json"},
      {ClientKind::vscode, "VS Code", ".vscode/mcp.json"},
      {ClientKind::vscode, "VS Code", "~/.config/Code/User/mcp.json"},
  };
  return kConfigs;
}

Result<std::vector<FoundServer>> find_servers(ClientKind kind, std::string_view file,
                                              std::string_view text) {
  if (text.size() > kConfigBytesMax) {
    return fail(ErrorCode::too_large,
                fmt::format("{} is larger than {} bytes; it is left out", file, kConfigBytesMax));
  }
  json::parse_options options;
  options.allow_comments = true;
  options.allow_trailing_commas = true;
  options.max_depth = kConfigDepthMax;
  boost::system::error_code error;
  const json::value root =
      json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} is not JSON ({}); it is left out", file, error.message()));
  }
  return ConfigReader(kind, file).read(root);
}

std::string render_starter(const std::vector<FoundServer>& found, const StarterOptions& options) {
  std::vector<const FoundServer*> servers;
  for (const FoundServer& server : found) {
    const bool known = std::any_of(servers.begin(), servers.end(), [&](const FoundServer* other) {
      return same_server(*other, server);
    });
    if (!known) servers.push_back(&server);
  }
  std::string out = fmt::format("# yaml-language-server: $schema={}\n{}", options.schema, kHead);
  if (servers.empty()) return out + std::string(kNoServers) + std::string(kTail);
  out += "\nservers:\n";
  std::set<std::string> names;
  for (const FoundServer* server : servers) {
    std::string name = server->spec.name;
    for (int i = 2; !names.insert(name).second; ++i) {
      name = fmt::format("{}-{}", server->spec.name, i);
    }
    const auto with_files = [&](std::map<std::string, std::string> files) {
      for (auto& [key, path] : files) {
        path = fmt::format("{}/{}.{}", options.secrets_directory, name, key);
      }
      return files;
    };
    out += fmt::format("  # From {} ({}), where it is called {}.\n", server->client,
                       for_display(server->file, 200), for_display(server->name, 100));
    for (const auto& note : server->notes) out += fmt::format("  # Note: {}.\n", note);
    out += fmt::format("  {}:\n", quoted(name));
    if (!server->spec.command.empty()) {
      out += fmt::format("    command: {}\n", list(server->spec.command));
    }
    if (!server->spec.url.empty()) out += fmt::format("    url: {}\n", quoted(server->spec.url));
    if (!server->spec.directory.empty()) {
      out += fmt::format("    directory: {}\n", quoted(server->spec.directory));
    }
    add_map("environment", server->spec.environment, out);
    add_map("headers", server->spec.headers, out);
    if (!server->spec.environment_files.empty() || !server->spec.header_files.empty()) {
      out +=
          "    # Secrets are not copied here. Put each into its file, readable by Gavel alone.\n";
    }
    add_map("environment_files", with_files(server->spec.environment_files), out);
    add_map("header_files", with_files(server->spec.header_files), out);
    out += kToolsHint;
  }
  return out + std::string(kTail);
}

}  // namespace gavel
