#pragma once
// Who asks, and from where. A principal is the owner of a bearer token; tokens are files of mode
// 0600, one per principal, under <state directory>/tokens:
//
//   {"principal": "operator", "roles": ["admin", "approver"], "token": "gavel_..."}
//
// The directory is read again every few seconds, and when a token is unknown and a file may have
// come since, so that tokens can be added and taken away while the daemon runs. Only digests are
// kept in memory and compared, in constant time. Against DNS rebinding, Host must name loopback or
// a name that was configured, and Origin, where present, too.

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "gateway/http_types.hpp"
#include "runtime/harness.hpp"

namespace gavel {

class Authenticator {
public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  // `directory` is the tokens directory itself; it may not exist yet.
  explicit Authenticator(std::filesystem::path directory,
                         Clock clock = &std::chrono::steady_clock::now);

  // `authorization` is the header's value. Error: unauthenticated, with what to send instead.
  Result<Caller> authenticate(std::optional<std::string_view> authorization);

  // Files that were not accepted, each with why: "agent.json: mode 0644 ...".
  const std::vector<std::string>& problems() const { return problems_; }

private:
  struct Known {
    Digest token;
    Caller caller;
  };
  const Known* find(const Digest& token) const;
  void read_directory(std::chrono::steady_clock::time_point now);
  // Whether reading the directory again may give more than the last time.
  bool may_have_changed() const;

  std::filesystem::path directory_;
  Clock clock_;
  std::vector<Known> known_;
  std::vector<std::string> problems_;
  std::optional<std::chrono::steady_clock::time_point> read_at_;
  std::chrono::steady_clock::time_point looked_at_;  // for a token that was not known
  std::int64_t changed_ns_ = 0;                      // the directory's own time when it was read
  // Read from then on, no later change can hide behind that time.
  std::chrono::steady_clock::time_point settled_at_;
};

// One token file's contents. Errors: invalid_argument, with the member that is wrong.
struct TokenFile {
  Principal principal;
  std::vector<Role> roles;
  std::string token;
};
Result<TokenFile> parse_token_file(std::string_view text);

// Makes <state_directory>/tokens with operator.json (admin, approver) and agent.json (driver),
// where they are missing. Existing files are left alone.
Status create_default_tokens(const std::filesystem::path& state_directory);

// The hosts beside loopback's that requests may name: those of `names` and of the addresses
// listened on ("HOST:PORT") that are neither loopback nor all addresses.
std::vector<std::string> answered_hosts(std::span<const std::string> listen,
                                        std::vector<std::string> names);

// permission_denied unless the request's Host is a name of loopback or one of `names`, and its
// Origin, where it has one, is of loopback or, over https, of one of `names`.
Status check_host_and_origin(const HttpRequest& request, std::span<const std::string> names = {});

}  // namespace gavel
