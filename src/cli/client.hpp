#pragma once
// The daemon's HTTP API (docs/api.md) as calls that give JSON or an Error. The daemon's errors come
// back as they were: same code, same message.

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "cli/http_client.hpp"

namespace gavel {

class Client {
public:
  // `token` may be empty: the daemon then says what is missing.
  static Result<Client> make(std::string url, std::string token);

  // `target` with its query, percent-encoded.
  Result<json::value> get(const std::string& target) const;
  Result<json::value> post(const std::string& target, const json::value& body) const;
  // Like post, for what may take long (wake resolves what was in flight).
  Result<json::value> post(const std::string& target, const json::value& body,
                           std::chrono::milliseconds patience) const;

  // Server-sent events of `target` until `on_event` returns false or the stream ends. Returns the
  // last event id that was seen, to resume from. Idle streams are cut by the daemon's keep-alive
  // comments not coming for `kStreamSilenceMax`.
  struct Event {
    std::string_view id;
    std::string_view data;
  };
  Status watch(const std::string& target, std::string& last_event_id,
               const std::function<bool(const Event&)>& on_event) const;

  Result<HttpUpgraded> upgrade(const std::string& target, const json::value& body,
                               std::string_view protocol) const;

  const std::string& url() const { return url_; }

private:
  Client(std::string url, std::string token, HttpClient http);
  HttpSend request(std::string method, const std::string& target) const;
  Result<json::value> exchange(const HttpSend& request, std::chrono::milliseconds patience) const;
  std::unexpected<Error> unreachable(const Error& error) const;

  std::string url_;
  std::string token_;
  HttpClient http_;
};

// The Error that an answer with a status of 400 or more means.
Error error_of(const HttpAnswer& answer);

inline constexpr std::chrono::seconds kPatience{30};
inline constexpr std::chrono::seconds kStreamSilenceMax{120};

}  // namespace gavel
