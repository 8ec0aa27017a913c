#pragma once
// The daemon's HTTP API (docs/api.md) as calls that give JSON or an Error. The daemon's errors come
// back as they were: same code, same message.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "cli/discovery.hpp"
#include "cli/http_client.hpp"
#include "protocol/sse.hpp"

namespace gavel {

inline constexpr std::chrono::seconds kPatience{30};
// The daemon says something at least this often on a stream, if only a comment.
inline constexpr std::chrono::seconds kStreamSilenceMax{120};

// The daemon's server-sent events, one at a time.
class EventStream {
public:
  struct Event {
    std::string id;
    std::string data;
  };
  explicit EventStream(std::unique_ptr<HttpStream> stream) : stream_(std::move(stream)) {}

  // The next event; nothing at the stream's end. After `timeout` it may be asked again. Other
  // errors: what the daemon said in an error event, unavailable where it was lost or stayed silent.
  Result<std::optional<Event>> next(Deadline deadline);

private:
  std::unique_ptr<HttpStream> stream_;
  SseParser parser_;
  Deadline heard_until_ = deadline_in(kStreamSilenceMax);
};

class Client {
public:
  // `token` may be empty: the daemon then says what is missing.
  static Result<Client> make(DaemonAddress address, std::string token);

  // `target` with its query, percent-encoded.
  Result<json::value> get(const std::string& target) const;
  Result<json::value> post(const std::string& target, const json::value& body) const;
  // Like post, for what may take long (wake resolves what was in flight).
  Result<json::value> post(const std::string& target, const json::value& body,
                           std::chrono::milliseconds patience) const;

  // One request of MCP's modern era at `target` ("/mcp?session=S"): its result. `params` is the
  // text of a JSON object. Errors of JSON-RPC are invalid_argument.
  Result<json::value> mcp(const std::string& target, std::string_view method,
                          std::string_view params, std::string_view version) const;

  // Server-sent events of `target`, those after `last_event_id` where it is not empty.
  Result<EventStream> events(const std::string& target, const std::string& last_event_id) const;

  Result<HttpUpgraded> upgrade(const std::string& target, const json::value& body,
                               std::string_view protocol) const;

  const std::string& url() const { return address_.url; }
  const DaemonAddress& address() const { return address_; }

private:
  Client(DaemonAddress address, std::string token, HttpClient http);
  HttpSend request(std::string method, const std::string& target) const;
  Result<json::value> exchange(const HttpSend& request, std::chrono::milliseconds patience) const;
  std::unexpected<Error> unreachable(const Error& error) const;

  DaemonAddress address_;
  std::string token_;
  HttpClient http_;
};

// The Error that an answer with a status of 400 or more means.
Error error_of(const HttpAnswer& answer);

}  // namespace gavel
