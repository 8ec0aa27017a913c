#pragma once
// HTTP as the gateway's endpoints see it: a request that was read whole, and an exchange through
// which it is answered exactly once, either with one response, or with a stream, or by an upgrade.
// Nothing here knows Beast; only http_connection.cpp does.

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gavel {

namespace asio = boost::asio;

struct HttpHeader {
  std::string_view name;
  std::string_view value;
};

// Views are valid until the handler returns.
struct HttpRequest {
  std::string_view method;
  std::string_view path;   // percent-encoded, before the '?'
  std::string_view query;  // after the '?'; empty where there is none
  std::vector<HttpHeader> headers;
  std::string body;
  std::string_view scheme = "http";  // or "https"

  // The first header of that name, compared without case.
  std::optional<std::string_view> header(std::string_view name) const;
  std::size_t count_headers(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";  // empty: no such header
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
};

class HttpExchange {
public:
  virtual ~HttpExchange() = default;

  virtual HttpRequest& request() = 0;

  // Each returns false where the client is gone; the handler then has nothing more to say.
  virtual asio::awaitable<bool> respond(HttpResponse response) = 0;
  // Sends the head (its body is ignored); write() and end_stream() follow.
  virtual asio::awaitable<bool> begin_stream(HttpResponse head) = 0;
  virtual asio::awaitable<bool> write(std::string bytes) = 0;
  // With `last` as its last bytes: whoever got those got all, even where it hangs up at once.
  virtual asio::awaitable<bool> end_stream(std::string last = {}) = 0;
  // 101; from then on write() and read_some() carry raw bytes, and the connection ends with the
  // handler.
  virtual asio::awaitable<bool> upgrade(HttpResponse head) = 0;
  // At least one byte, or 0 at the end. Only after upgrade().
  virtual asio::awaitable<std::size_t> read_some(std::span<char> into) = 0;

  // From here on, when the client closes the connection or the server stops, the handler's current
  // wait is cancelled (operation_aborted); waits that it begins later are not, so it asks ended().
  virtual void cancel_when_ended() = 0;
  virtual bool client_gone() const = 0;
  virtual bool server_stopping() const = 0;
  bool ended() const { return client_gone() || server_stopping(); }
};

// ASCII only, as HTTP's names are.
bool equal_ignoring_case(std::string_view a, std::string_view b);

// "%2F" to "/"; nothing where an escape is broken or the result is not UTF-8.
std::optional<std::string> percent_decode(std::string_view text);

// The decoded value of `key` in "a=1&b=2"; nothing where it is missing or broken.
std::optional<std::string> query_value(std::string_view query, std::string_view key);

}  // namespace gavel
