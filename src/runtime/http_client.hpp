#pragma once
// HTTP/1.1 to one origin, plain or over TLS, with connections that are kept for the next request.
// A reply is read as it comes, so that a stream of events is seen while it flows. Whoever sends
// learns of a failure whether the request can have reached the server.
//
// Every wait ends at the request's deadline, a reply that is destroyed half-read closes its
// connection, and a connection that its server may have closed meanwhile is not used again.
//
// Thread rule: one executor.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "runtime/clock.hpp"
#include "runtime/upstream.hpp"

namespace gavel {

struct OutboundUrl {
  bool tls = false;
  std::string host;  // a name or an address, without brackets
  std::string port;
  std::string target;     // path and query
  std::string authority;  // as the Host header has it
};
// "http://host:port/path?query"; invalid_argument says what is wrong.
Result<OutboundUrl> parse_outbound_url(std::string_view url);

// Which addresses a name may lead to. `local` is this machine and the network around it, and the
// internet; nowhere but with `anywhere` are link-local addresses, where clouds keep credentials.
enum class Reach { internet, local, anywhere };
bool is_public(const asio::ip::address& address);
bool within(Reach reach, const asio::ip::address& address);

struct OutboundRequest {
  std::string method = "POST";
  std::vector<std::pair<std::string, std::string>> headers;  // beside Host and Content-Length
  std::string body;
  SteadyTime deadline;
  std::function<Status()> may_send = {};  // as in UpstreamRequest
};

struct OutboundFailure {
  Delivery delivery = Delivery::not_sent;  // or lost
  Error error;
};

class OutboundReply {
public:
  class Reading;
  explicit OutboundReply(std::unique_ptr<Reading> reading);
  OutboundReply(OutboundReply&&) noexcept;
  OutboundReply& operator=(OutboundReply&&) noexcept;
  ~OutboundReply();

  int status() const;
  // The first header of that name, compared without case; empty where there is none.
  std::string_view header(std::string_view name) const;
  // All of that name as one list, separated by commas.
  std::string header_list(std::string_view name) const;

  // The next bytes of the body; empty at its end. Errors: timeout, unavailable (cut off).
  asio::awaitable<Result<std::string>> read_some();
  // The whole body. too_large over the limit.
  asio::awaitable<Result<std::string>> read_all(std::size_t max_bytes);
  void set_deadline(SteadyTime deadline);

private:
  std::unique_ptr<Reading> reading_;
};

class OutboundHttp {
public:
  struct Options {
    std::string trusted_ca_file;  // PEM, beside the system's; may be empty
    Reach reach = Reach::anywhere;
    std::size_t idle_max = 32;  // connections kept
    // Node closes idle connections after 5 s: a kept one must be younger.
    std::chrono::milliseconds idle_for{4'000};
  };

  // `clock` is borrowed and outlives this. Fails where the certificates cannot be read.
  static Result<std::unique_ptr<OutboundHttp>> make(asio::any_io_executor executor,
                                                    const Clock& clock, OutboundUrl url,
                                                    Options options);
  ~OutboundHttp();
  OutboundHttp(const OutboundHttp&) = delete;
  OutboundHttp& operator=(const OutboundHttp&) = delete;

  // Sends and waits for the head of the reply.
  asio::awaitable<std::expected<OutboundReply, OutboundFailure>> send(OutboundRequest request);
  const OutboundUrl& url() const;

  class Pool;

private:
  explicit OutboundHttp(std::shared_ptr<Pool> pool);
  std::shared_ptr<Pool> pool_;
};

inline constexpr std::size_t kReplyHeadBytesMax = 64u << 10;

}  // namespace gavel
