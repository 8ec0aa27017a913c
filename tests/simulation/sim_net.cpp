#include "sim_net.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"

namespace gavel::simulation {
namespace {

// Far from what the kernel's own descriptors are.
constexpr int kFirstFd = 1 << 20;
// So much waits to be read or travels before a sender has to wait.
constexpr std::size_t kWindow = 256u << 10;
// What was said last before a process ended, or gave a server up, still arrives if it does so soon.
constexpr Instant kLastWords = std::chrono::milliseconds(20);
constexpr Instant kSoon = std::chrono::seconds(1);
constexpr Instant kRetransmits = std::chrono::milliseconds(200);

constexpr std::array<std::string_view, kLinks> kLinkNames = {"agents", "people", "servers"};
constexpr std::array<std::string_view, kNetFaults> kFaultNames = {
    "partition", "partition_to", "partition_from", "stall", "cut_to", "cut_from", "blackhole"};

// The C library's functions have no place for an owner.
SimNet* network = nullptr;

int failed(int error) {
  errno = error;
  return -1;
}

}  // namespace

SimNet* current_network() {
  return network;
}

std::string_view to_string(Link link) {
  return kLinkNames[static_cast<std::size_t>(link)];
}

std::string_view to_string(NetFault fault) {
  return kFaultNames[static_cast<std::size_t>(fault)];
}

SimNet::SimNet(Schedule& schedule, Coverage& coverage, std::uint64_t dice)
    : schedule_(schedule), coverage_(coverage), rng_(dice), next_fd_(kFirstFd) {
  network = this;
}

SimNet::~SimNet() {
  *alive_ = false;
  network = nullptr;
}

void SimNet::arm(NetFault fault, Link link, std::uint64_t dice) {
  Rng rng(dice);
  LinkState& state = links_[static_cast<std::size_t>(link)];
  const Instant until =
      machine::now() + Instant(rng.between(50'000, rng.one_in(4) ? 90'000'000 : 6'000'000));
  switch (fault) {
    case NetFault::partition:
      state.blocked_until = {until, until};
      break;
    case NetFault::partition_to:
      state.blocked_until[kProduct] = until;
      break;
    case NetFault::partition_from:
      state.blocked_until[kWorld] = until;
      break;
    case NetFault::stall:
      state.stall = Instant(rng.between(50'000, 9'000'000));
      break;
    case NetFault::cut_to:
      state.cut[kProduct] = true;
      break;
    case NetFault::cut_from:
      state.cut[kWorld] = true;
      break;
    case NetFault::blackhole:
      state.blackhole = true;
      break;
  }
}

void SimNet::heal() {
  links_ = {};
  healed_at_ = machine::now();
  const Instant soon = machine::now() + kSoon;
  for (const auto& [id, connection] : std::map(connections_)) {
    const bool late = std::ranges::any_of(connection->halves,
                                          [&](const Half& half) { return half.busy_until > soon; });
    if (connection->dead || late) break_off(connection);
  }
}

// --- on the way ---

// It was sent before the network was healed, and held up for longer than it is from then on.
bool SimNet::is_too_late(Instant sent) const {
  return sent < healed_at_ && machine::now() > healed_at_ + kSoon;
}

// When something that is sent now arrives: never before what was sent earlier.
Instant SimNet::arrival(Connection& connection, Side to) {
  LinkState& link = state(connection);
  Instant at = machine::now() + Instant(rng_.between(50, 3'000));
  if (link.stall > Instant(0)) {
    at += std::exchange(link.stall, Instant(0));
    ++coverage_[fmt::format("network: stall ({})", to_string(connection.link))];
  }
  if (link.blocked_until[to] > at) {
    const bool both = link.blocked_until[kWorld] == link.blocked_until[kProduct];
    const auto kind = both             ? NetFault::partition
                      : to == kProduct ? NetFault::partition_to
                                       : NetFault::partition_from;
    ++coverage_[fmt::format("network: {} ({})", to_string(kind), to_string(connection.link))];
    at = link.blocked_until[to] + kRetransmits + Instant(rng_.between(0, 200'000));
  }
  Half& half = connection.halves[to];
  half.busy_until = std::max(at, half.busy_until);
  return half.busy_until;
}

void SimNet::travel(const ConnectionPtr& connection, Side to, std::string_view bytes) {
  if (connection->broken || connection->dead) return;
  LinkState& link = state(*connection);
  if (link.cut[to] && bytes.size() > 1) {
    link.cut[to] = false;
    const auto kind = to == kProduct ? NetFault::cut_to : NetFault::cut_from;
    ++coverage_[fmt::format("network: {} ({})", to_string(kind), to_string(connection->link))];
    bytes = bytes.substr(0, rng_.below(bytes.size()));
    if (!bytes.empty()) {
      schedule_.after(arrival(*connection, to) - machine::now(),
                      [this, connection, to, sent = machine::now(), part = std::string(bytes)] {
                        if (!is_too_late(sent)) deliver(connection, to, part);
                        break_off(connection);
                      });
      return;
    }
    return break_off(connection);
  }
  if (to == kProduct && link.blackhole) {
    link.blackhole = false;
    connection->dies_after = true;
  }
  // Usually whole, sometimes in pieces of any size.
  while (!bytes.empty()) {
    std::size_t piece = bytes.size();
    if (rng_.one_in(3))
      piece = 1 + rng_.below(rng_.one_in(4) ? std::min<std::size_t>(piece, 3) : piece);
    schedule_.after(
        arrival(*connection, to) - machine::now(),
        [this, connection, to, sent = machine::now(), part = std::string(bytes.substr(0, piece))] {
          if (is_too_late(sent)) return break_off(connection);
          deliver(connection, to, part);
        });
    bytes.remove_prefix(piece);
    if (!bytes.empty()) ++coverage_["network: a message in pieces"];
  }
}

void SimNet::deliver(const ConnectionPtr& connection, Side to, const std::string& bytes) {
  Half& half = connection->halves[to];
  if (connection->broken || connection->dead) return;
  if (half.closed) {
    // Whoever sends to a socket that is gone is told so.
    return break_off(connection);
  }
  if (to == kWorld) {
    if (connection->peer.on_bytes) connection->peer.on_bytes(bytes);
    return;
  }
  half.unread += bytes;
  note(connection->fd, EPOLLIN);
}

void SimNet::deliver_end(const ConnectionPtr& connection, Side to) {
  Half& half = connection->halves[to];
  if (connection->broken || connection->dead || half.ended) return;
  half.ended = true;
  if (to == kWorld) return tell_peer(connection);
  note(connection->fd, EPOLLIN | EPOLLRDHUP);
}

void SimNet::tell_peer(const ConnectionPtr& connection) {
  if (std::exchange(connection->peer_told, true)) return;
  connections_.erase(connection->id);
  // The peer may go while it is told.
  const auto peer = connection->peer;
  if (!connection->halves[kWorld].closed && peer.on_end) peer.on_end();
}

// Both ends learn of it.
void SimNet::break_off(const ConnectionPtr& connection) {
  if (connection->broken) return;
  connection->broken = true;
  note(connection->fd, EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP);
  schedule_.after(Instant(0), [this, connection] { tell_peer(connection); });
}

void SimNet::speak_no_more(const ConnectionPtr& connection) {
  if (connection->dead) return;
  schedule_.after(kLastWords, [this, connection] { break_off(connection); });
}

// --- the world's ends ---

SimNet::ConnectionId SimNet::connect(Link link, std::uint16_t port, Peer peer) {
  auto connection = std::make_shared<Connection>();
  connection->id = ++connected_;
  connection->link = link;
  connection->peer = std::move(peer);
  connections_[connection->id] = connection;
  schedule_.after(arrival(*connection, kProduct) - machine::now(), [this, connection, port] {
    if (connection->broken) return;
    for (auto& [fd, socket] : sockets_) {
      if (!socket.listening || socket.port != port) continue;
      socket.backlog.push_back(connection);
      return note(fd, EPOLLIN);
    }
    ++coverage_["network: nobody listens"];
    break_off(connection);
  });
  return connection->id;
}

void SimNet::send(ConnectionId id, std::string_view bytes) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const auto connection = found->second;
  travel(connection, kProduct, bytes);
}

void SimNet::close(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const auto connection = found->second;
  connection->halves[kWorld].closed = true;
  connections_.erase(found);
  if (connection->dead || connection->broken) return;
  schedule_.after(arrival(*connection, kProduct) - machine::now(),
                  [this, connection] { deliver_end(connection, kProduct); });
}

void SimNet::reset(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const auto connection = found->second;
  if (!connection->dead) break_off(connection);
}

void SimNet::serve(std::uint16_t port, OnConnect on_connect) {
  served_[port] = std::move(on_connect);
}

// --- the product's ends ---

int SimNet::open() {
  sockets_[next_fd_];
  return next_fd_++;
}

int SimNet::bind(int fd, std::uint16_t port) {
  for (const auto& [other, socket] : sockets_) {
    if (socket.listening && socket.port == port) return failed(EADDRINUSE);
  }
  sockets_.at(fd).port = port;
  return 0;
}

int SimNet::listen(int fd) {
  sockets_.at(fd).listening = true;
  return 0;
}

int SimNet::accept(int fd) {
  Socket& listener = sockets_.at(fd);
  while (!listener.backlog.empty()) {
    const auto connection = listener.backlog.front();
    listener.backlog.pop_front();
    if (connection->broken) continue;
    const int taken = open();
    sockets_.at(taken).connection = connection;
    sockets_.at(taken).port = listener.port;
    connection->fd = taken;
    return taken;
  }
  return failed(EAGAIN);
}

int SimNet::connect(int fd, std::uint16_t port) {
  auto connection = std::make_shared<Connection>();
  connection->id = ++connected_;
  connection->link = Link::servers;
  connection->fd = fd;
  Socket& socket = sockets_.at(fd);
  socket.connection = connection;
  socket.connecting = true;
  // There and back.
  const Instant at = std::max(arrival(*connection, kWorld), arrival(*connection, kProduct));
  schedule_.after(at - machine::now(), [this, connection, port] {
    if (!sockets_.contains(connection->fd)) return;
    Socket& waits = sockets_.at(connection->fd);
    waits.connecting = false;
    auto peer = served_.contains(port) ? served_.at(port)(connection->id) : std::nullopt;
    if (!peer) {
      waits.error = ECONNREFUSED;
      connection->broken = connection->peer_told = true;
      return note(connection->fd, EPOLLOUT | EPOLLERR | EPOLLHUP);
    }
    connections_[connection->id] = connection;
    connection->peer = std::move(*peer);
    note(connection->fd, EPOLLOUT);
  });
  return failed(EINPROGRESS);
}

std::uint16_t SimNet::local_port(int fd) const {
  return sockets_.at(fd).port;
}

int SimNet::take_error(int fd) {
  return std::exchange(sockets_.at(fd).error, 0);
}

long SimNet::receive(int fd, char* into, std::size_t size, bool peek) {
  Socket& socket = sockets_.at(fd);
  if (!socket.connection) return failed(ENOTCONN);
  Half& half = socket.connection->halves[kProduct];
  if (socket.no_reading) return 0;
  if (!half.unread.empty()) {
    const std::size_t taken = std::min(size, half.unread.size());
    std::copy_n(half.unread.begin(), taken, into);
    if (!peek) half.unread.erase(0, taken);
    return static_cast<long>(taken);
  }
  if (socket.connection->broken) return failed(ECONNRESET);
  return half.ended ? 0 : failed(EAGAIN);
}

long SimNet::transmit(int fd, std::string_view bytes) {
  Socket& socket = sockets_.at(fd);
  if (!socket.connection || socket.connecting) return failed(ENOTCONN);
  const auto connection = socket.connection;
  if (connection->broken || connection->halves[kProduct].closed) return failed(EPIPE);
  // A sender whose bytes have not arrived for long has to wait with the rest.
  if (bytes.size() > kWindow) bytes = bytes.substr(0, kWindow);
  if (connection->peer.on_sent) connection->peer.on_sent(bytes);
  if (connection->dies_after) {
    ++coverage_[fmt::format("network: blackhole ({})", to_string(connection->link))];
    connection->dies_after = false;
    connection->dead = true;
  }
  travel(connection, kWorld, bytes);
  return static_cast<long>(bytes.size());
}

int SimNet::shut_down(int fd, bool reading, bool writing) {
  Socket& socket = sockets_.at(fd);
  if (!socket.connection) return failed(ENOTCONN);
  const auto connection = socket.connection;
  if (reading) socket.no_reading = true;
  if (writing && !std::exchange(connection->halves[kProduct].closed, true) && !connection->dead) {
    schedule_.after(arrival(*connection, kWorld) - machine::now(),
                    [this, connection] { deliver_end(connection, kWorld); });
  }
  note(fd, EPOLLIN | EPOLLHUP);
  return 0;
}

int SimNet::close_socket(int fd) {
  Socket& socket = sockets_.at(fd);
  for (const auto& waiting : socket.backlog) break_off(waiting);
  if (socket.connection) {
    const auto connection = socket.connection;
    const bool unread = !connection->halves[kProduct].unread.empty();
    if (!connection->halves[kProduct].closed) shut_down(fd, true, true);
    connection->fd = -1;
    // Who closes without having read it all sends a reset.
    if (unread && !connection->dead) break_off(connection);
    // A call that was given up is not on its way for as long as a probe waits, or a person.
    if (connection->link == Link::servers) speak_no_more(connection);
  }
  sockets_.erase(fd);
  return 0;
}

void SimNet::process_died() {
  for (auto& [fd, socket] : std::exchange(sockets_, {})) {
    for (const auto& waiting : socket.backlog) break_off(waiting);
    const auto connection = socket.connection;
    if (!connection || connection->dead) continue;
    connection->fd = -1;
    connection->halves[kProduct].closed = true;
    speak_no_more(connection);
  }
  ready_.clear();
}

// --- readiness ---

std::uint32_t SimNet::events(int fd) const {
  const Socket& socket = sockets_.at(fd);
  if (socket.listening) return socket.backlog.empty() ? 0 : std::uint32_t{EPOLLIN};
  std::uint32_t out = 0;
  if (socket.error != 0) return EPOLLOUT | EPOLLERR | EPOLLHUP;
  if (!socket.connection || socket.connecting) return 0;
  const Half& half = socket.connection->halves[kProduct];
  if (!half.unread.empty() || half.ended || socket.no_reading) out |= EPOLLIN;
  out |= EPOLLOUT;
  if (socket.connection->broken) out |= EPOLLIN | EPOLLERR | EPOLLHUP;
  return out;
}

int SimNet::watch(int epoll, int fd, const epoll_event& event) {
  Socket& socket = sockets_.at(fd);
  socket.epoll = epoll;
  socket.interest = event;
  note(fd, events(fd));
  return 0;
}

int SimNet::unwatch(int fd) {
  const auto found = sockets_.find(fd);
  if (found != sockets_.end()) found->second.epoll = -1;
  return 0;
}

void SimNet::note(int fd, std::uint32_t events) {
  const auto found = sockets_.find(fd);
  if (found == sockets_.end() || found->second.epoll < 0) return;
  Socket& socket = found->second;
  socket.fresh |= events & (socket.interest.events | EPOLLERR | EPOLLHUP);
  if (socket.fresh == 0 || socket.queued) return;
  socket.queued = true;
  ready_.push_back(fd);
}

int SimNet::ready(int epoll, epoll_event* events, int limit) {
  int count = 0;
  for (auto fd = ready_.begin(); fd != ready_.end() && count < limit;) {
    const auto found = sockets_.find(*fd);
    if (found != sockets_.end() && found->second.epoll != epoll && found->second.epoll >= 0) {
      ++fd;
      continue;
    }
    fd = ready_.erase(fd);
    if (found == sockets_.end()) continue;
    Socket& socket = found->second;
    socket.queued = false;
    const auto fresh = std::exchange(socket.fresh, 0);
    if (socket.epoll != epoll) continue;
    events[count] = socket.interest;
    events[count].events = fresh;
    ++count;
  }
  return count;
}

}  // namespace gavel::simulation
