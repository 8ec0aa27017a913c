#include "cli/redirect_listener.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

namespace gavel {
namespace {

constexpr std::string_view kPath = "/callback";
constexpr std::size_t kHeadBytesMax = 32u << 10;
// A connection that says nothing must not keep the browser waiting behind it.
constexpr std::chrono::seconds kRequestPatience{5};

Result<Socket> accept_one(int listening, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - deadline_in({}));
    if (left.count() <= 0) return fail(ErrorCode::timeout, "nobody came back from the browser");
    pollfd waiting{.fd = listening, .events = POLLIN, .revents = 0};
    const auto wait_ms = static_cast<int>(std::min<std::int64_t>(left.count(), INT_MAX));
    const int ready = ::poll(&waiting, 1, wait_ms);
    if (ready < 0 && errno == EINTR) return fail(ErrorCode::cancelled, "interrupted");
    if (ready <= 0) continue;
    const int fd = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);  // NOLINT
    if (fd >= 0) return Socket(fd);
  }
}

Result<std::string> read_head(Socket& socket) {
  const Deadline deadline = deadline_in(kRequestPatience);
  std::string head;
  std::array<char, 4096> buffer;
  while (!head.contains("\r\n\r\n")) {
    ASSIGN_OR_RETURN(const auto size, socket.read_some(buffer, deadline));
    if (size == 0 || head.size() > kHeadBytesMax) {
      return fail(ErrorCode::invalid_argument, "no request came");
    }
    head.append(buffer.data(), size);
  }
  return head;
}

// What cannot be said is lost with the browser: the terminal says it, too.
void answer(Socket& socket, std::string_view status, std::string_view text) {
  const auto body =
      fmt::format("<!doctype html><meta charset=\"utf-8\"><title>Gavel</title><p>{}</p>\n", text);
  const auto reply = fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n"
      "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{}",
      status, body.size(), body);
  if (socket.write_all(reply, deadline_in(kRequestPatience))) socket.finish_writing();
}

}  // namespace

Result<std::string> redirect_query(std::string_view head, std::string_view path) {
  const auto line = head.substr(0, head.find("\r\n"));
  const auto end = line.rfind(" HTTP/1.");
  if (!line.starts_with("GET ") || end == std::string_view::npos || end < 4) {
    return fail(ErrorCode::not_found, "not asked for");
  }
  const auto target = line.substr(4, end - 4);
  const auto split = std::min(target.find('?'), target.size());
  if (target.substr(0, split) != path || split == target.size()) {
    return fail(ErrorCode::not_found, "not asked for");
  }
  return std::string(target.substr(split + 1));
}

Result<RedirectListener> RedirectListener::open(std::uint16_t port) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));  // NOLINT
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const int on = 1;
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket.fd(), generic, size) != 0 || ::listen(socket.fd(), 8) != 0 ||
      ::getsockname(socket.fd(), generic, &size) != 0) {
    return fail(ErrorCode::unavailable,
                fmt::format("cannot listen on 127.0.0.1:{} for the browser: {}; choose another "
                            "with --port",
                            port, std::strerror(errno)));
  }
  return RedirectListener(std::move(socket), ntohs(address.sin_port));
}

std::string RedirectListener::redirect_uri() const {
  return fmt::format("http://127.0.0.1:{}{}", port_, kPath);
}

Status RedirectListener::wait(Deadline deadline,
                              const std::function<Status(std::string query)>& take) {
  for (;;) {
    ASSIGN_OR_RETURN(auto socket, accept_one(socket_.fd(), deadline));
    const auto head = read_head(socket);
    if (!head && head.error().code == ErrorCode::cancelled) return std::unexpected(head.error());
    if (!head) continue;
    auto query = redirect_query(*head, kPath);
    if (!query) {
      answer(socket, "404 Not Found", "Nothing is here.");
      continue;
    }
    const auto done = take(std::move(*query));
    answer(socket, done ? "200 OK" : "400 Bad Request",
           done ? "Gavel is logged in. You can close this window."
                : "Gavel is not logged in: the terminal says why.");
    return done;
  }
}

}  // namespace gavel
