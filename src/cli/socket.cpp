#include "cli/socket.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <utility>

namespace gavel {
namespace {

// For the peer to take the word that nothing more will come.
constexpr std::chrono::seconds kGoodbye{5};

std::unexpected<Error> system_error(std::string_view what, int error) {
  return fail(ErrorCode::unavailable, fmt::format("{}: {}", what, std::strerror(error)));
}

// Waits until the socket can be read or written.
Status wait_ready(int fd, short events, Deadline deadline) {
  for (;;) {
    int wait_ms = -1;
    if (deadline != kNoDeadline) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
              .count();
      if (left <= 0) return fail(ErrorCode::timeout, "no answer in time");
      wait_ms = static_cast<int>(std::min<std::int64_t>(left, INT_MAX));
    }
    pollfd waiting{.fd = fd, .events = events, .revents = 0};
    const int ready = ::poll(&waiting, 1, wait_ms);
    if (ready > 0) return {};
    if (ready < 0 && errno == EINTR) return fail(ErrorCode::cancelled, "interrupted");
    if (ready < 0) return system_error("cannot wait for the network", errno);
  }
}

// Waits for what TLS needs to go on. A TLS read may have to write, and the other way round.
Status wait_wanted(int fd, TlsSession::Wants wants, Deadline deadline) {
  return wait_ready(fd, wants == TlsSession::Wants::readable ? POLLIN : POLLOUT, deadline);
}

struct AddressDeleter {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

Result<Socket> connect_to(const addrinfo& address, Deadline deadline) {
  Socket socket(::socket(address.ai_family,
                         address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,  // NOLINT
                         address.ai_protocol));
  if (socket.fd() < 0) return system_error("no socket", errno);
  const int on = 1;
  ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket.fd(), address.ai_addr, address.ai_addrlen) == 0) return socket;
  if (errno != EINPROGRESS) return system_error("cannot connect", errno);
  TRY(wait_ready(socket.fd(), POLLOUT, deadline));
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return system_error("cannot connect", error);
  return socket;
}

}  // namespace

Deadline deadline_in(std::chrono::milliseconds span) {
  return std::chrono::steady_clock::now() + span;
}

Result<Socket> Socket::connect(const std::string& host, std::uint16_t port, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) {
    return fail(ErrorCode::unavailable,
                fmt::format("cannot find host \"{}\": {}", host, ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, AddressDeleter> addresses(found);
  Result<Socket> last = fail(ErrorCode::unavailable, "no address to connect to");
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    last = connect_to(*address, deadline);
    if (last) return last;
  }
  return last;
}

Socket::Socket(Socket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), tls_(std::move(other.tls_)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(tls_, other.tls_);
  return *this;
}

Socket::~Socket() {
  tls_.reset();
  if (fd_ >= 0) ::close(fd_);
}

Status Socket::secure(const std::string& host, const TlsTrust& trust, Deadline deadline) {
  ASSIGN_OR_RETURN(tls_, TlsSession::make(fd_, host, trust));
  for (;;) {
    ASSIGN_OR_RETURN(const auto done, tls_->handshake());
    if (done.wants == TlsSession::Wants::nothing) return {};
    TRY(wait_wanted(fd_, done.wants, deadline));
  }
}

Result<std::size_t> Socket::read_tls(std::span<char> into, Deadline deadline) {
  for (;;) {
    ASSIGN_OR_RETURN(const auto done, tls_->read(into));
    if (done.wants == TlsSession::Wants::nothing) return done.bytes;
    TRY(wait_wanted(fd_, done.wants, deadline));
  }
}

Status Socket::write_tls(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    ASSIGN_OR_RETURN(const auto done, tls_->write(bytes));
    bytes.remove_prefix(done.bytes);
    if (done.wants != TlsSession::Wants::nothing) TRY(wait_wanted(fd_, done.wants, deadline));
  }
  return {};
}

Result<std::size_t> Socket::read_some(std::span<char> into, Deadline deadline) {
  if (tls_) return read_tls(into, deadline);
  for (;;) {
    const auto n = ::recv(fd_, into.data(), into.size(), 0);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      TRY(wait_ready(fd_, POLLIN, deadline));
    } else if (errno != EINTR) {
      return system_error("the connection broke", errno);
    }
  }
}

Status Socket::write_all(std::string_view bytes, Deadline deadline) {
  if (tls_) return write_tls(bytes, deadline);
  while (!bytes.empty()) {
    const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      TRY(wait_ready(fd_, POLLOUT, deadline));
    } else if (errno != EINTR) {
      return system_error("the connection broke", errno);
    }
  }
  return {};
}

void Socket::finish_writing() {
  if (tls_) {
    const auto until = deadline_in(kGoodbye);
    for (auto said = tls_->finish(); said && said->wants == TlsSession::Wants::writable;
         said = tls_->finish()) {
      if (!wait_ready(fd_, POLLOUT, until)) break;
    }
  }
  ::shutdown(fd_, SHUT_WR);
}

}  // namespace gavel
