#include "loop_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include "report.hpp"

namespace gavel::bench {
namespace {

struct Connection {
  int fd = -1;
  std::string in;
  std::size_t request = 0;
  SteadyClock::time_point sent;
};

int dial(const LoopOptions& options) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(options.port));
  inet_pton(AF_INET, options.host.c_str(), &address.sin_addr);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("cannot connect");
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// The length of the complete answer at the start of `in`, or 0.
std::size_t complete(std::string_view in) {
  const auto head = in.find("\r\n\r\n");
  if (head == std::string_view::npos) return 0;
  std::string lower(in.substr(0, head));
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  const auto length_at = lower.find("content-length:");
  if (length_at != std::string::npos) {
    std::size_t length = 0;
    const char* begin = lower.data() + length_at + 15;
    while (*begin == ' ') ++begin;
    std::from_chars(begin, lower.data() + lower.size(), length);
    return in.size() >= head + 4 + length ? head + 4 + length : 0;
  }
  const auto end = in.find("\r\n0\r\n\r\n", head);
  return end == std::string_view::npos ? 0 : end + 7;
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n <= 0) throw std::runtime_error("the server closed the connection");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

LoopResult run_loop(const LoopOptions& options) {
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<Connection> connections(options.connections);
  const std::size_t total = options.requests + options.warmup;
  std::size_t next = 0;
  std::size_t done = 0;
  LoopResult result;
  result.micros.reserve(options.requests);
  SteadyClock::time_point start = SteadyClock::now();
  const auto send_next = [&](std::size_t c) {
    if (next >= total) return;
    connections[c].request = next++;
    const std::string bytes = options.request(c, connections[c].request);
    connections[c].sent = SteadyClock::now();
    send_all(connections[c].fd, bytes);
  };
  for (std::size_t c = 0; c < connections.size(); ++c) {
    connections[c].fd = dial(options);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = c;
    epoll_ctl(poll, EPOLL_CTL_ADD, connections[c].fd, &event);
    send_next(c);
  }
  std::array<epoll_event, 256> events{};
  std::array<char, 65536> buffer{};
  while (done < total) {
    const int n = epoll_wait(poll, events.data(), events.size(), 10'000);
    if (n <= 0) throw std::runtime_error("no answer for 10 s");
    for (int i = 0; i < n; ++i) {
      const std::size_t c = events[static_cast<std::size_t>(i)].data.u64;
      Connection& connection = connections[c];
      const ssize_t got = read(connection.fd, buffer.data(), buffer.size());
      if (got <= 0) throw std::runtime_error("the server closed the connection");
      connection.in.append(buffer.data(), static_cast<std::size_t>(got));
      const std::size_t length = complete(connection.in);
      if (length == 0) continue;
      if (connection.request >= options.warmup)
        result.micros.push_back(micros_since(connection.sent));
      if (!options.accept(std::string_view(connection.in).substr(0, length))) ++result.failures;
      connection.in.erase(0, length);
      if (++done == options.warmup) start = SteadyClock::now();
      send_next(c);
    }
  }
  result.seconds = micros_since(start) / 1e6;
  for (const auto& connection : connections) close(connection.fd);
  close(poll);
  return result;
}

}  // namespace gavel::bench
