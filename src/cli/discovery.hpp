#pragma once
// Where the daemon is and who we are to it:
//
//   <state>/daemon.json           {"url":"http://127.0.0.1:7420","pid":4711}, while it runs; over
//                                 TLS also "certificate", the file of the one it shows
//   <state>/tokens/NAME.json      {"principal":"operator","roles":["admin"],"token":"gavel_..."}
//
// <state> is --state, else $GAVEL_STATE, else $XDG_STATE_HOME/gavel, else ~/.local/state/gavel.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/tls.hpp"
#include "cli/world.hpp"

namespace gavel {

inline constexpr std::string_view kDefaultUrl = "http://127.0.0.1:7420";

// Absolute. Error: invalid_argument where not even HOME is set.
Result<std::filesystem::path> state_directory(const std::string& option, const World& world);

struct DaemonRecord {
  std::string url;
  int pid = 0;
  std::string certificate = {};  // empty without TLS
};
// Nothing where no daemon.json is there. Errors: corrupted, permission_denied.
Result<std::optional<DaemonRecord>> read_daemon_record(const std::filesystem::path& state);

// Where requests go, and whom TLS takes for the daemon there.
struct DaemonAddress {
  std::string url;
  TlsTrust trust = {};
};

DaemonAddress address_of(const DaemonRecord& record);

struct TokenRecord {
  std::string principal;
  std::vector<std::string> roles;
  std::string token;  // never printed
};
// Errors: not_found (no such file), invalid_argument, permission_denied.
Result<TokenRecord> read_token(const std::filesystem::path& file);

// A file's text, at most `max_bytes`.
Result<std::string> read_text_file(const std::filesystem::path& file,
                                   std::size_t max_bytes = 16u << 20);
// Creates `file` with `mode`; it appears whole or not at all. already_exists where it is there and
// `replace` is false.
enum class Replace { no, yes };
Status write_text_file(const std::filesystem::path& file, std::string_view text, unsigned mode,
                       Replace replace);

}  // namespace gavel
