#pragma once
// A TCP connection, plain or over TLS, that a thread waits on, with a deadline for every wait. The
// command line does one thing at a time, so it needs no event loop.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "cli/tls.hpp"

namespace gavel {

using Deadline = std::chrono::steady_clock::time_point;
// Only where the wait belongs to the peer, as in a watch.
inline constexpr Deadline kNoDeadline = Deadline::max();
Deadline deadline_in(std::chrono::milliseconds span);

class Socket {
public:
  // Tries each address of `host`. Errors: unavailable (nobody listens, unknown host), timeout.
  static Result<Socket> connect(const std::string& host, std::uint16_t port, Deadline deadline);

  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  // Makes it a TLS connection to who is trusted to be `host`. Errors: those of TlsSession, timeout.
  Status secure(const std::string& host, const TlsTrust& trust, Deadline deadline);

  // One thread may read while another writes.
  // At least one byte, or 0 at the end. Errors: unavailable, timeout, cancelled (a signal came).
  Result<std::size_t> read_some(std::span<char> into, Deadline deadline);
  Status write_all(std::string_view bytes, Deadline deadline);
  // No more will be written; the peer sees the end.
  void finish_writing();
  int fd() const { return fd_; }

private:
  Result<std::size_t> read_tls(std::span<char> into, Deadline deadline);
  Status write_tls(std::string_view bytes, Deadline deadline);
  int fd_;
  std::unique_ptr<TlsSession> tls_ = {};  // null: plain
};

}  // namespace gavel
