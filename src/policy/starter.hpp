#pragma once
// The pure part of `gavel init`: finds MCP servers in the configs of known clients and writes a
// commented policy file for them, which parse_policy accepts. What looks like a secret is never
// copied: the file refers to a path instead, and the path's owner puts the secret there.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "policy/policy.hpp"

namespace gavel {

enum class ClientKind { claude_code, cursor, gemini, opencode, vscode };

// A client's config file and where its user may have it.
struct KnownConfig {
  ClientKind kind;
  std::string_view client;  // for people: "Claude Code"
  std::string_view path;    // relative to the project, or to the home directory after "~/"
};
const std::vector<KnownConfig>& known_configs();

struct FoundServer {
  std::string client;                // "Claude Code"
  std::string file;                  // where it was found
  std::string name;                  // as the client calls it
  ServerSpec spec;                   // secrets replaced by files, and the name made fit
  std::vector<std::string> secrets;  // names of variables and headers that were not copied
  std::vector<std::string> notes;    // for people: what could not be taken over
};

// The servers in one config file. `file` is its path, for messages. Comments and trailing commas
// are accepted, as these clients do. Errors: invalid_argument where it is not JSON.
Result<std::vector<FoundServer>> find_servers(ClientKind kind, std::string_view file,
                                              std::string_view text);

struct StarterOptions {
  std::string secrets_directory = "/etc/gavel/secrets";
  std::string schema = "/usr/share/gavel/schema/gavel.schema.json";  // for editors; a path or a URL
};

// The starter file. Servers of the same name are numbered; none at all gives a commented example.
std::string render_starter(const std::vector<FoundServer>& found,
                           const StarterOptions& options = {});

}  // namespace gavel
