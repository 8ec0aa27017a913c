#pragma once
// Makes the upstream that a server of the policy asks for: a child over stdio where it has a
// command, a client of Streamable HTTP where it has a URL.

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.hpp"
#include "protocol/mcp.hpp"
#include "runtime/child_process.hpp"
#include "runtime/clock.hpp"
#include "runtime/oauth_store.hpp"
#include "runtime/redaction.hpp"
#include "runtime/upstream.hpp"

namespace gavel {

// How long an upstream waits for what, and how often it tries.
struct UpstreamTiming {
  std::chrono::milliseconds probe{10'000};      // for the answer to server/discover
  std::chrono::milliseconds handshake{60'000};  // for initialize; npx may download first
  std::chrono::milliseconds backoff_first{100};
  std::chrono::milliseconds backoff_max{30'000};
  std::chrono::milliseconds stable_after{10'000};  // lived so long: the backoff starts anew
  // A request waits for a restart that is no further away than this.
  std::chrono::milliseconds restart_patience{2'000};
  int eager_restarts = 5;  // failures in a row after which only a request starts it again
  ClosePatience close;
};

struct UpstreamOptions {
  const Clock* clock = nullptr;  // borrowed; both outlive the upstream
  Random* random = nullptr;
  Implementation client{"gavel", "0.1.0"};
  std::function<void(std::string_view)> log_line;  // for the operator's log; never secrets
  std::function<void()> on_tools_changed;          // the server's tools/list is another now
  // Every notification of the server that belongs to no request, with its params (JSON text).
  std::function<void(std::string_view method, std::string_view params)> on_notification;
  // What a legacy server is told in initialize that it may ask (elicitation, sampling, roots). A
  // server over HTTP gets a session of its own for each set that callers have.
  json::object capabilities;
  UpstreamTiming timing;
  std::shared_ptr<Redactor> redactor = std::make_shared<Redactor>();  // told the server's secrets
  OAuthStore* logins = nullptr;  // borrowed, outlives the upstream; null: they end with it
  std::string trusted_ca_file;   // PEM, beside the system's certificates; may be empty
};

// `spec` has a command or a URL. Nothing is started before the first request.
std::unique_ptr<Upstream> make_upstream(asio::any_io_executor executor, const ServerSpec& spec,
                                        UpstreamOptions options);

// A server that refuses server/discover and offers the very revision that was asked in is asked
// once more: it may only have wanted to say so.
inline constexpr int kDiscoverTries = 2;

// The secret in a file: its content without the newline at its end. Errors name the file, never
// what it holds.
Result<std::string> read_secret_file(const std::string& path);
// The same of a file of several lines: a key in PEM.
Result<std::string> read_key_file(const std::string& path);
inline constexpr std::size_t kSecretBytesMax = 64u << 10;

// The last lines of a server's stderr, safe to show on a terminal.
std::string shown_stderr(std::string_view tail);

}  // namespace gavel
