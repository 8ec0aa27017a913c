#pragma once
// HTTP/1.1 for the command line: one request per connection, answered whole, as a stream of bytes
// (server-sent events), or with an upgrade that hands the connection over. Every wait has a
// deadline. Parsing is Boost.Beast's, in http_client.cpp alone.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "cli/socket.hpp"

namespace gavel {

struct Endpoint {
  std::string host;  // without brackets
  std::uint16_t port = 80;
  std::string authority;  // for the Host header: "127.0.0.1:7420"
  bool tls = false;
  TlsTrust trust = {};
};
// "http://127.0.0.1:7420" or https; a trailing slash is accepted. Error: invalid_argument.
Result<Endpoint> parse_endpoint(std::string_view url);

struct HttpSend {
  std::string method = "GET";
  std::string target;  // "/v1/health?x=1", percent-encoded
  std::string body;    // sent as JSON where it is not empty
  std::vector<std::pair<std::string, std::string>> headers;
};

struct HttpAnswer {
  int status = 0;
  std::string content_type = {};
  std::string session = {};  // header Gavel-Session
  std::string body = {};
};

// A response body as it comes.
class HttpStream {
public:
  virtual ~HttpStream() = default;
  // The next bytes; nothing at the end. Errors: unavailable, timeout, cancelled.
  virtual Result<std::optional<std::string>> next(Deadline deadline) = 0;
};

struct HttpUpgraded {
  Socket socket;
  std::string session;    // header Gavel-Session
  std::string leftovers;  // bytes that came after the answer's head
};

class HttpClient {
public:
  explicit HttpClient(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}

  // Whatever status came is a value. Errors: unavailable, timeout, cancelled, too_large.
  Result<HttpAnswer> send(const HttpSend& request, Deadline deadline) const;
  // Returns when the head came. A status other than 200 is the answer instead of the stream.
  using Opened = std::pair<HttpAnswer, std::unique_ptr<HttpStream>>;
  Result<Opened> open_stream(const HttpSend& request, Deadline deadline) const;
  // 101, or the answer that came instead.
  using Upgraded = std::pair<HttpAnswer, std::optional<HttpUpgraded>>;
  Result<Upgraded> upgrade(const HttpSend& request, std::string_view protocol,
                           Deadline deadline) const;

private:
  Result<Socket> begin(const HttpSend& request, std::string_view upgrade_to,
                       Deadline deadline) const;
  Endpoint endpoint_;
};

inline constexpr std::uint64_t kAnswerBytesMax = 256u << 20;

}  // namespace gavel
