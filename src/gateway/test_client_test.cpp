// The client of the other tests (gateway/test_client.hpp).
#include "gateway/test_client.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <charconv>
#include <csignal>
#include <future>
#include <optional>
#include <thread>

#include "gateway/http_types.hpp"

namespace gavel::test {
namespace {

namespace fs = std::filesystem;

constexpr int kPatienceSeconds = 20;

fs::path tls_fixtures() {
  return fs::path(__FILE__).parent_path().parent_path().parent_path() / "tests/fixtures/tls";
}

}  // namespace

class EventLoop::Impl {
public:
  Impl() : guard(asio::make_work_guard(context)), thread([this] { context.run(); }) {}
  ~Impl() {
    guard.reset();
    context.stop();
    thread.join();
  }
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard;
  std::thread thread;
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

asio::any_io_executor EventLoop::executor() {
  return impl_->context.get_executor();
}

void EventLoop::run(std::function<void()> work) {
  asio::post(impl_->context, std::packaged_task<void()>(work)).get();
}

void EventLoop::await(std::function<asio::awaitable<void>()> work) {
  asio::co_spawn(impl_->context, work, asio::use_future).get();
}

std::string Reply::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return {};
}

TlsFixture::TlsFixture() {
  std::string shape = (fs::temp_directory_path() / "gavel-tls-XXXXXX").string();
  directory_ = ::mkdtemp(shape.data());
  for (const auto* name : {"localhost.pem", "localhost.key"}) {
    fs::copy_file(tls_fixtures() / name, directory_ / name);
  }
  fs::permissions(key(), fs::perms::owner_read | fs::perms::owner_write);
}

TlsFixture::~TlsFixture() {
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

Client::Client(const std::string& endpoint, Wire wire) : endpoint_(endpoint) {
  const auto colon = endpoint.rfind(':');
  std::uint16_t port = 0;
  std::from_chars(endpoint.data() + colon + 1, endpoint.data() + endpoint.size(), port);
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ADD_FAILURE() << "cannot connect to " << endpoint;
  }
  const timeval patience{kPatienceSeconds, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (wire == Wire::tls) start_tls();
}

void Client::start_tls() {
  std::signal(SIGPIPE, SIG_IGN);
  auto* const context = ::SSL_CTX_new(::TLS_client_method());
  ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  ::SSL_CTX_load_verify_file(context, (tls_fixtures() / "localhost.pem").c_str());
  tls_ = ::SSL_new(context);
  ::SSL_CTX_free(context);
  ::SSL_set1_host(tls_, "localhost");
  ::SSL_set_fd(tls_, fd_);
  if (::SSL_connect(tls_) == 1) return;
  close();  // what is asked of it finds its end
}

Client::Client(Client&& other) noexcept
    : authorization(std::move(other.authorization)),
      fd_(std::exchange(other.fd_, -1)),
      tls_(std::exchange(other.tls_, nullptr)),
      endpoint_(std::move(other.endpoint_)),
      raw_(std::move(other.raw_)) {}

Client::~Client() {
  close();
}

bool Client::said_goodbye() const {
  return tls_ != nullptr && (::SSL_get_shutdown(tls_) & SSL_RECEIVED_SHUTDOWN) != 0;
}

void Client::close() {
  ::SSL_free(std::exchange(tls_, nullptr));
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = tls_ != nullptr ? ::SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()))
                                   : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool Client::fill() {
  char chunk[65536];
  errno = 0;
  const auto n =
      tls_ != nullptr ? ::SSL_read(tls_, chunk, sizeof chunk) : ::recv(fd_, chunk, sizeof chunk, 0);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    ADD_FAILURE() << "nothing came for " << kPatienceSeconds << " s; so far: " << raw_;
  }
  if (n <= 0) return false;
  raw_.append(chunk, static_cast<std::size_t>(n));
  return true;
}

Reply Client::receive_head() {
  Reply reply;
  std::size_t end = 0;
  while ((end = raw_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) return reply;
  }
  std::string_view head = std::string_view(raw_).substr(0, end);
  const auto status = head.substr(9, 3);
  std::from_chars(status.data(), status.data() + status.size(), reply.status);
  for (auto line_end = head.find("\r\n"); line_end != std::string_view::npos;
       line_end = head.find("\r\n")) {
    head.remove_prefix(line_end + 2);
    const auto line = head.substr(0, head.find("\r\n"));
    const auto colon = line.find(':');
    reply.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  raw_.erase(0, end + 4);
  chunked_ = reply.header("Transfer-Encoding") == "chunked";
  streaming_ = true;
  content_.clear();
  return reply;
}

Reply Client::receive() {
  auto reply = receive_head();
  if (reply.status == 0) return reply;
  if (reply.status == 100) return receive();
  if (chunked_) {
    while (fill_content()) {
    }
    reply.body = std::exchange(content_, {});
    return reply;
  }
  std::size_t length = 0;
  const auto text = reply.header("Content-Length");
  std::from_chars(text.data(), text.data() + text.size(), length);
  while (raw_.size() < length && fill()) {
  }
  reply.body = raw_.substr(0, length);
  raw_.erase(0, length);
  return reply;
}

// More content of a stream; false at its end.
bool Client::fill_content() {
  if (!chunked_) {
    if (raw_.empty() && !fill()) return false;
    content_ += std::exchange(raw_, {});
    return true;
  }
  std::size_t line_end = 0;
  while ((line_end = raw_.find("\r\n")) == std::string::npos) {
    if (!fill()) return false;
  }
  std::size_t size = 0;
  std::from_chars(raw_.data(), raw_.data() + line_end, size, 16);
  while (raw_.size() < line_end + 2 + size + 2) {
    if (!fill()) return false;
  }
  content_ += raw_.substr(line_end + 2, size);
  raw_.erase(0, line_end + 2 + size + 2);
  return size > 0;
}

std::optional<std::string> Client::read_line() {
  std::size_t end = 0;
  while ((end = content_.find('\n')) == std::string::npos) {
    if (!fill_content()) return std::nullopt;
  }
  auto line = content_.substr(0, end);
  content_.erase(0, end + 1);
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

std::optional<std::string> Client::read_event() {
  std::string data;
  for (;;) {
    const auto line = read_line();
    if (!line) return std::nullopt;
    if (line->starts_with("data: ")) data += line->substr(6);
    if (line->starts_with("id: ")) last_event_id = line->substr(4);
    if (line->starts_with(':')) data = *line;
    if (line->empty() && !data.empty()) return data;
  }
}

bool Client::at_end() {
  return raw_.empty() && !fill();
}

void Client::send_request(std::string_view method, std::string_view target, std::string_view body,
                          const std::vector<std::pair<std::string, std::string>>& headers) {
  auto text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", method, target, endpoint_);
  if (!authorization.empty()) text += "Authorization: " + authorization + "\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  if (!body.empty() || method == "POST") text += fmt::format("Content-Length: {}\r\n", body.size());
  text += "\r\n";
  text += body;
  send(text);
}

Reply Client::request(std::string_view method, std::string_view target, std::string_view body,
                      const std::vector<std::pair<std::string, std::string>>& headers) {
  send_request(method, target, body, headers);
  return receive();
}

}  // namespace gavel::test
