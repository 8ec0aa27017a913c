#include "cli/pump.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <thread>

namespace gavel {
namespace {

constexpr std::size_t kBlock = 64u << 10;
// After the input's end, how long the peer may take to say the last of it.
constexpr std::chrono::seconds kLinger{10};

bool write_fd(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
      pollfd waiting{.fd = fd, .events = POLLOUT, .revents = 0};
      ::poll(&waiting, 1, -1);
      continue;
    }
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

// Tells the forwarding thread to end. An eventfd, because that thread waits in poll().
class StopSignal {
public:
  StopSignal() : fd_(::eventfd(0, EFD_CLOEXEC)) {}
  ~StopSignal() { ::close(fd_); }
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  void raise() const {
    const std::uint64_t one = 1;
    (void)!::write(fd_, &one, sizeof one);
  }
  int fd() const { return fd_; }

private:
  int fd_;
};

void forward_input(int in_fd, Socket& socket, const StopSignal& stop, std::atomic<bool>& ended) {
  std::array<char, kBlock> block;  // NOLINT: filled by the read
  for (;;) {
    std::array<pollfd, 2> waiting = {pollfd{.fd = in_fd, .events = POLLIN, .revents = 0},
                                     pollfd{.fd = stop.fd(), .events = POLLIN, .revents = 0}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) break;
    if (waiting[1].revents != 0) return;
    if (waiting[0].revents == 0) continue;
    const auto n = ::read(in_fd, block.data(), block.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) break;
    const std::string_view bytes(block.data(), static_cast<std::size_t>(n));
    if (!socket.write_all(bytes, kNoDeadline)) return;
  }
  ended = true;
  socket.finish_writing();
}

}  // namespace

Result<PumpEnd> pump(Socket& socket, std::string_view first, int in_fd, int out_fd) {
  if (!write_fd(out_fd, first)) return PumpEnd::output;
  const StopSignal stop;
  std::atomic<bool> input_ended = false;
  std::jthread forward([&] { forward_input(in_fd, socket, stop, input_ended); });
  const auto finish = [&] {
    ::shutdown(socket.fd(), SHUT_RDWR);
    stop.raise();
    forward.join();
  };

  std::array<char, kBlock> block;  // NOLINT: filled by the read
  Deadline last = kNoDeadline;
  for (;;) {
    // Short waits, because the input's end sets a limit while this waits.
    const auto wait = std::min(last, deadline_in(std::chrono::seconds{1}));
    const auto size = socket.read_some(block, wait);
    if (!size && size.error().code == ErrorCode::timeout) {
      if (input_ended && last == kNoDeadline) last = deadline_in(kLinger);
      if (std::chrono::steady_clock::now() < last) continue;
      finish();
      return PumpEnd::input;
    }
    if (!size && size.error().code == ErrorCode::cancelled) continue;
    if (!size || *size == 0) {
      finish();
      return input_ended ? PumpEnd::input : PumpEnd::socket;
    }
    if (!write_fd(out_fd, {block.data(), *size})) {
      finish();
      return PumpEnd::output;
    }
  }
}

}  // namespace gavel
