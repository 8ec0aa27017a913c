#include "runtime/http_client.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/url/parse.hpp>
#include <charconv>
#include <deque>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "runtime/event.hpp"

namespace gavel {
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kReadBytes = 32u << 10;

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// Takes a reply apart as its bytes come, without reading them itself.
class ReplyParser final : public http::basic_parser<false> {
public:
  ReplyParser() {
    eager(true);
    header_limit(kReplyHeadBytesMax);
    body_limit(boost::none);
  }

  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  // what came and was not taken yet

  // False where the bytes are no HTTP reply. Bytes after its end are a fault of the server.
  bool feed(std::string_view bytes) {
    while (!bytes.empty() && !is_done()) {
      error_code error;
      const std::size_t used = put(asio::buffer(bytes), error);
      bytes.remove_prefix(used);
      if (error == http::error::need_more) {
        // What it could not use yet has to be given again, with more behind it.
        rest_ = std::string(bytes);
        return true;
      }
      if (error) return false;
    }
    extra_ = extra_ || !bytes.empty();
    return true;
  }
  bool feed_all(std::string_view bytes) {
    if (rest_.empty()) return feed(bytes);
    std::string joined = std::exchange(rest_, {});
    joined += bytes;
    return feed(joined);
  }
  // The connection ended. True where that ends the reply too.
  bool feed_end() {
    if (!got_some()) return false;
    error_code error;
    put_eof(error);
    return !error && is_done();
  }
  bool may_reuse() const { return is_done() && keep_alive() && !extra_ && rest_.empty(); }

private:
  using text = boost::beast::string_view;
  static std::string owned(text view) { return {view.data(), view.size()}; }

  void on_request_impl(http::verb, text, text, int, error_code&) override {}
  void on_response_impl(int code, text, int, error_code&) override { status = code; }
  void on_field_impl(http::field, text name, text value, error_code&) override {
    headers.emplace_back(owned(name), owned(value));
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(text bytes, error_code&) override {
    body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  void on_chunk_header_impl(std::uint64_t, text, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, text bytes, error_code&) override {
    body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  void on_finish_impl(error_code&) override {}

  std::string rest_;
  bool extra_ = false;
};

struct Connection {
  Connection(const asio::any_io_executor& executor, asio::ssl::context* context)
      : socket(executor), deadline(executor) {
    if (context != nullptr) tls.emplace(socket, *context);
  }

  // Closes the socket at `at`, which ends whatever waits on it.
  static void arm(const std::shared_ptr<Connection>& self, SteadyTime at) {
    self->timed_out = false;
    self->deadline.expires_at(at);
    self->deadline.async_wait([self](const error_code& error) {
      if (error) return;
      self->timed_out = true;
      self->close();
    });
  }
  void close() {
    error_code ignored;  // nothing can be done about it, and nothing depends on it
    socket.close(ignored);
  }
  // Nothing to read, and not closed by the server.
  bool is_quiet() {
    char byte = 0;
    const ssize_t got = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  tcp::socket socket;
  std::optional<asio::ssl::stream<tcp::socket&>> tls;
  asio::steady_timer deadline;
  bool timed_out = false;
  SteadyTime idle_since{};
};

// Closes a connection that did not come to be used, on every way out.
struct Unfinished {
  std::shared_ptr<Connection> connection;
  ~Unfinished() {
    if (!connection) return;
    connection->deadline.cancel();
    connection->close();
  }
};

std::string head_of(const OutboundUrl& url, const OutboundRequest& request) {
  std::string head =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method, url.target, url.authority);
  for (const auto& [name, value] : request.headers) {
    head.append(name).append(": ").append(value).append("\r\n");
  }
  if (!request.body.empty() || request.method == "POST") {
    fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", request.body.size());
  }
  return head += "\r\n";
}

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && port != 0;
}

bool is_header_text(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

}  // namespace

class OutboundHttp::Pool : public std::enable_shared_from_this<Pool> {
public:
  Pool(asio::any_io_executor on, const Clock& its_clock, OutboundUrl to, Options with)
      : executor(std::move(on)),
        clock(its_clock),
        url(std::move(to)),
        options(std::move(with)),
        context(asio::ssl::context::tls_client) {}

  using Connected = std::expected<std::shared_ptr<Connection>, Error>;
  using Sent = std::expected<OutboundReply, OutboundFailure>;

  Status trust();
  static asio::awaitable<Sent> send(std::shared_ptr<Pool> self, OutboundRequest request);
  static asio::awaitable<Connected> connect(std::shared_ptr<Pool> self, SteadyTime until);
  static asio::awaitable<Result<std::vector<tcp::endpoint>>> resolve(std::shared_ptr<Pool> self,
                                                                     SteadyTime until);
  std::shared_ptr<Connection> take_idle();
  void give_back(std::shared_ptr<Connection> connection);
  Error unreachable(std::string_view why) const {
    return {ErrorCode::unavailable, fmt::format("cannot reach {}: {}", url.authority, why)};
  }
  Error out_of_reach() const {
    return {ErrorCode::permission_denied,
            fmt::format("{} is at an address of this machine or the network around it, and a "
                        "server from elsewhere named it: it is not asked",
                        url.authority)};
  }
  Error late(std::string_view what) const {
    return {ErrorCode::timeout, fmt::format("{} {} before the deadline", url.authority, what)};
  }

  asio::any_io_executor executor;
  const Clock& clock;
  OutboundUrl url;
  Options options;
  asio::ssl::context context;
  std::deque<std::shared_ptr<Connection>> idle;
};

class OutboundReply::Reading {
public:
  Reading(std::shared_ptr<OutboundHttp::Pool> of, std::shared_ptr<Connection> over)
      : pool(std::move(of)), connection(std::move(over)) {}
  ~Reading() {
    if (connection) {
      connection->deadline.cancel();
      connection->close();
    }
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  // Reads once. An error where the connection ended before the reply did.
  asio::awaitable<Status> read_more();
  void finish();

  std::shared_ptr<OutboundHttp::Pool> pool;
  std::shared_ptr<Connection> connection;  // null once the reply is complete
  ReplyParser parser;
  bool ended = false;
};

asio::awaitable<Status> OutboundReply::Reading::read_more() {
  std::array<char, kReadBytes> buffer;
  error_code error;
  std::size_t size = 0;
  // Held here: the deadline closes the socket and this object may go meanwhile.
  const auto over = connection;
  if (over->tls) {
    std::tie(error, size) = co_await over->tls->async_read_some(asio::buffer(buffer), kTuple);
  } else {
    std::tie(error, size) = co_await over->socket.async_read_some(asio::buffer(buffer), kTuple);
  }
  if (over->timed_out) co_return std::unexpected(pool->late("did not answer"));
  if (error == asio::error::operation_aborted) {
    co_return fail(ErrorCode::cancelled, "the caller no longer waits");
  }
  if (error) {
    // A TLS peer that just hangs up is no clean end: only a length or a last chunk is.
    if (error == asio::error::eof && parser.feed_end()) {
      finish();
      co_return Status{};
    }
    co_return fail(ErrorCode::unavailable,
                   fmt::format("{} broke the connection before its reply was complete ({})",
                               pool->url.authority, error.message()));
  }
  if (!parser.feed_all({buffer.data(), size})) {
    co_return fail(ErrorCode::unavailable,
                   fmt::format("{} answered with no valid HTTP", pool->url.authority));
  }
  if (parser.is_done()) finish();
  co_return Status{};
}

void OutboundReply::Reading::finish() {
  ended = true;
  connection->deadline.cancel();
  if (parser.may_reuse()) {
    pool->give_back(std::move(connection));
  } else {
    connection->close();
  }
  connection = nullptr;
}

OutboundReply::OutboundReply(std::unique_ptr<Reading> reading) : reading_(std::move(reading)) {}
OutboundReply::OutboundReply(OutboundReply&&) noexcept = default;
OutboundReply& OutboundReply::operator=(OutboundReply&&) noexcept = default;
OutboundReply::~OutboundReply() = default;

int OutboundReply::status() const {
  return reading_->parser.status;
}

std::string_view OutboundReply::header(std::string_view name) const {
  for (const auto& [key, value] : reading_->parser.headers) {
    if (same_name(key, name)) return value;
  }
  return {};
}

std::string OutboundReply::header_list(std::string_view name) const {
  std::string list;
  for (const auto& [key, value] : reading_->parser.headers) {
    if (!same_name(key, name)) continue;
    if (!list.empty()) list += ", ";
    list += value;
  }
  return list;
}

asio::awaitable<Result<std::string>> OutboundReply::read_some() {
  Reading& reading = *reading_;
  while (reading.parser.body.empty() && !reading.ended) {
    const Status more = co_await reading.read_more();
    if (!more) co_return std::unexpected(more.error());
  }
  co_return std::exchange(reading.parser.body, {});
}

asio::awaitable<Result<std::string>> OutboundReply::read_all(std::size_t max_bytes) {
  std::string whole;
  for (;;) {
    auto piece = co_await read_some();
    if (!piece) co_return std::unexpected(std::move(piece).error());
    if (piece->empty()) co_return whole;
    whole += *piece;
    if (whole.size() > max_bytes) {
      co_return fail(ErrorCode::too_large, fmt::format("{} answered with over {} bytes",
                                                       reading_->pool->url.authority, max_bytes));
    }
  }
}

void OutboundReply::set_deadline(SteadyTime deadline) {
  if (reading_->connection) Connection::arm(reading_->connection, deadline);
}

// --- connections ---

Status OutboundHttp::Pool::trust() {
  if (!url.tls) return {};
  error_code error;
  context.set_default_verify_paths(error);
  if (!error && !options.trusted_ca_file.empty()) {
    context.load_verify_file(options.trusted_ca_file, error);
  }
  if (error) {
    return fail(ErrorCode::unavailable,
                fmt::format("cannot load the certificates to trust: {}", error.message()));
  }
  context.set_verify_mode(asio::ssl::verify_peer);
  return {};
}

std::shared_ptr<Connection> OutboundHttp::Pool::take_idle() {
  while (!idle.empty()) {
    auto connection = std::move(idle.back());
    idle.pop_back();
    const bool young = clock.steady() - connection->idle_since < options.idle_for;
    if (young && connection->socket.is_open() && connection->is_quiet()) return connection;
    connection->close();
  }
  return nullptr;
}

void OutboundHttp::Pool::give_back(std::shared_ptr<Connection> connection) {
  connection->idle_since = clock.steady();
  idle.push_back(std::move(connection));
  if (idle.size() > options.idle_max) {
    idle.front()->close();
    idle.pop_front();
  }
}

asio::awaitable<Result<std::vector<tcp::endpoint>>> OutboundHttp::Pool::resolve(
    std::shared_ptr<Pool> self, SteadyTime until) {
  error_code not_literal;
  const auto address = asio::ip::make_address(self->url.host, not_literal);
  if (!not_literal) {
    const auto port = static_cast<std::uint16_t>(std::stoul(self->url.port));
    co_return std::vector<tcp::endpoint>{tcp::endpoint(address, port)};
  }
  // The system's resolver cannot be interrupted: what it finds too late is found in vain.
  struct Lookup {
    explicit Lookup(const asio::any_io_executor& executor) : resolver(executor), done(executor) {}
    tcp::resolver resolver;
    Event done;
    bool finished = false;
    error_code error;
    std::vector<tcp::endpoint> endpoints;
  };
  const auto lookup = std::make_shared<Lookup>(self->executor);
  lookup->resolver.async_resolve(
      self->url.host, self->url.port,
      [lookup](const error_code& error, const tcp::resolver::results_type& found) {
        lookup->finished = true;
        lookup->error = error;
        for (const auto& each : found) lookup->endpoints.push_back(each.endpoint());
        lookup->done.notify();
      });
  while (!lookup->finished) {
    if (co_await lookup->done.wait_until(until) == Woken::deadline) {
      co_return std::unexpected(self->late("was not found"));
    }
  }
  if (lookup->error) co_return std::unexpected(self->unreachable(lookup->error.message()));
  co_return lookup->endpoints;
}

asio::awaitable<OutboundHttp::Pool::Connected> OutboundHttp::Pool::connect(
    std::shared_ptr<Pool> self, SteadyTime until) {
  auto endpoints = co_await resolve(self, until);
  if (!endpoints) co_return std::unexpected(std::move(endpoints).error());
  const auto reach = self->options.reach;
  for (const auto& endpoint : *endpoints) {
    if (!within(reach, endpoint.address())) co_return std::unexpected(self->out_of_reach());
  }
  auto connection =
      std::make_shared<Connection>(self->executor, self->url.tls ? &self->context : nullptr);
  Unfinished unfinished{connection};
  Connection::arm(connection, until);
  const auto [error, where] = co_await asio::async_connect(connection->socket, *endpoints, kTuple);
  if (connection->timed_out) co_return std::unexpected(self->late("took no connection"));
  if (error) co_return std::unexpected(self->unreachable(error.message()));
  error_code ignored;  // only latency depends on it
  connection->socket.set_option(tcp::no_delay(true), ignored);
  if (connection->tls) {
    auto& tls = *connection->tls;
    tls.set_verify_callback(asio::ssl::host_name_verification(self->url.host));
    // Names only: an address is not sent.
    ::SSL_set_tlsext_host_name(tls.native_handle(), self->url.host.c_str());
    const auto [refused] = co_await tls.async_handshake(asio::ssl::stream_base::client, kTuple);
    if (connection->timed_out) co_return std::unexpected(self->late("did not finish TLS"));
    if (refused) {
      co_return std::unexpected(self->unreachable(fmt::format(
          "TLS: {}; is its certificate one that this machine trusts?", refused.message())));
    }
  }
  unfinished.connection = nullptr;
  co_return connection;
}

asio::awaitable<OutboundHttp::Pool::Sent> OutboundHttp::Pool::send(std::shared_ptr<Pool> self,
                                                                   OutboundRequest request) {
  for (const auto& [name, value] : request.headers) {
    ASSERT(is_header_text(name) && is_header_text(value));
  }
  auto connection = self->take_idle();
  if (connection) {
    Connection::arm(connection, request.deadline);
  } else {
    auto made = co_await connect(self, request.deadline);
    if (!made) {
      co_return std::unexpected(OutboundFailure{Delivery::not_sent, std::move(made).error()});
    }
    connection = std::move(*made);
  }
  auto reading = std::make_unique<OutboundReply::Reading>(self, connection);
  const Status allowed = request.may_send ? request.may_send() : Status{};
  if (!allowed) co_return std::unexpected(OutboundFailure{Delivery::not_sent, allowed.error()});
  const std::string head = head_of(self->url, request);
  const std::array<asio::const_buffer, 2> buffers{asio::buffer(head), asio::buffer(request.body)};
  error_code error;
  std::size_t written = 0;
  if (connection->tls) {
    std::tie(error, written) = co_await asio::async_write(*connection->tls, buffers, kTuple);
  } else {
    std::tie(error, written) = co_await asio::async_write(connection->socket, buffers, kTuple);
  }
  if (error) {
    // Without its last byte the request says nothing that a server could act on.
    const bool whole = written == head.size() + request.body.size();
    Error why = connection->timed_out ? self->late("did not take the request")
                                      : self->unreachable(error.message());
    co_return std::unexpected(
        OutboundFailure{whole ? Delivery::lost : Delivery::not_sent, std::move(why)});
  }
  while (!reading->parser.is_header_done()) {
    const Status more = co_await reading->read_more();
    if (!more) co_return std::unexpected(OutboundFailure{Delivery::lost, more.error()});
    if (reading->ended && !reading->parser.is_header_done()) {
      co_return std::unexpected(OutboundFailure{
          Delivery::lost, {ErrorCode::unavailable, self->url.authority + " gave no reply"}});
    }
  }
  co_return OutboundReply(std::move(reading));
}

// --- the client ---

Result<std::unique_ptr<OutboundHttp>> OutboundHttp::make(asio::any_io_executor executor,
                                                         const Clock& clock, OutboundUrl url,
                                                         Options options) {
  auto pool =
      std::make_shared<Pool>(std::move(executor), clock, std::move(url), std::move(options));
  TRY(pool->trust());
  return std::unique_ptr<OutboundHttp>(new OutboundHttp(std::move(pool)));
}

OutboundHttp::OutboundHttp(std::shared_ptr<Pool> pool) : pool_(std::move(pool)) {}

OutboundHttp::~OutboundHttp() {
  for (const auto& connection : pool_->idle) connection->close();
  pool_->idle.clear();
}

const OutboundUrl& OutboundHttp::url() const {
  return pool_->url;
}

asio::awaitable<std::expected<OutboundReply, OutboundFailure>> OutboundHttp::send(
    OutboundRequest request) {
  return Pool::send(pool_, std::move(request));
}

namespace {

bool is_link_local(const asio::ip::address& address) {
  if (address.is_v6()) return address.to_v6().is_link_local();
  return (address.to_v4().to_uint() >> 16) == 0xA9FE;  // 169.254.0.0/16
}

bool is_public(const asio::ip::address_v4& address) {
  const auto bits = address.to_uint();
  const auto in = [&](std::uint32_t net, int length) { return (bits ^ net) >> (32 - length) == 0; };
  const bool local = in(0x00000000, 8) || in(0x0A000000, 8) || in(0x64400000, 10) ||
                     in(0x7F000000, 8) || in(0xA9FE0000, 16) || in(0xAC100000, 12) ||
                     in(0xC0A80000, 16) || in(0xC0000000, 24) || in(0xC6120000, 15);
  return !local && !in(0xE0000000, 3);  // multicast and reserved
}

// ::ffff:10.0.0.1 is 10.0.0.1.
asio::ip::address unmapped(const asio::ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
}

}  // namespace

bool is_public(const asio::ip::address& given) {
  const auto address = unmapped(given);
  if (address.is_v4()) return is_public(address.to_v4());
  // 2000::/3 is all that is given out of IPv6.
  return (address.to_v6().to_bytes()[0] & 0xE0) == 0x20;
}

bool within(Reach reach, const asio::ip::address& given) {
  if (reach == Reach::anywhere) return true;
  const auto address = unmapped(given);
  return reach == Reach::internet ? is_public(address) : !is_link_local(address);
}

Result<OutboundUrl> parse_outbound_url(std::string_view url) {
  const auto bad = [&](std::string_view why) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("\"{}\" is no URL of a server: {}", for_display(url, 200), why));
  };
  const auto parsed = boost::urls::parse_uri(boost::urls::string_view(url.data(), url.size()));
  if (!parsed) return bad("it should look like https://host:port/path");
  OutboundUrl made;
  if (parsed->scheme_id() == boost::urls::scheme::https) {
    made.tls = true;
  } else if (parsed->scheme_id() != boost::urls::scheme::http) {
    return bad("it must begin with http:// or https://");
  }
  if (parsed->has_userinfo()) return bad("give credentials as a header, not inside the URL");
  made.host = std::string(parsed->host_address());
  if (made.host.empty()) return bad("it names no host");
  made.port = parsed->has_port() ? std::string(parsed->port()) : (made.tls ? "443" : "80");
  if (!is_port(made.port)) return bad("its port is not one");
  made.authority = std::string(parsed->encoded_host_and_port());
  made.target = std::string(parsed->encoded_path());
  if (made.target.empty()) made.target = "/";
  if (parsed->has_query()) made.target += "?" + std::string(parsed->encoded_query());
  return made;
}

}  // namespace gavel
