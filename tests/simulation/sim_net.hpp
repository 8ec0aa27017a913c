#pragma once
// The simulated network, and the sockets of the machine's kernel over it. The product opens sockets
// as it always does; sim_sockets.cpp stands in for the C library and asks here. Programs of the
// world (agents, people, tool servers) stand at the other ends, as Peers.
//
//   product ─ send() ─► Connection ─ segments of seeded size, late, in order ─► Peer
//           ◄─ recv() ─┘            ◄─ held while its link is cut, or cut off ◄─┘
//
// Each connection belongs to a link (whom Gavel talks to), and each link breaks in its own ways: it
// stalls, is partitioned in one direction or in both, or loses a connection in the middle of a
// message; what was sent before arrived, and nobody is told how much that was.
//
// One network at a time; one thread.

#include <sys/epoll.h>

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "machine.hpp"
#include "rng.hpp"
#include "schedule.hpp"
#include "trace.hpp"

namespace gavel::simulation {

enum class Link : std::uint8_t { agents, people, servers };
inline constexpr std::size_t kLinks = 3;
std::string_view to_string(Link);

enum class NetFault : std::uint8_t {
  partition,       // nothing goes either way for a while
  partition_to,    // nothing reaches Gavel
  partition_from,  // nothing that Gavel says arrives
  stall,           // what is sent next, either way, is late
  cut_to,          // the next message to Gavel ends in its middle, and so does its connection
  cut_from,        // the same of what Gavel says
  blackhole,       // the next connection goes dead without a word once Gavel has heard all
};
inline constexpr std::size_t kNetFaults = static_cast<std::size_t>(NetFault::blackhole) + 1;
std::string_view to_string(NetFault);

class SimNet {
public:
  // A program of the world's at its end of a connection. Neither is called from inside a call of
  // the network's. on_end comes once, and nothing after it: the other end closed, or it broke.
  struct Peer {
    std::function<void(std::string_view bytes)> on_bytes;
    std::function<void()> on_end;
    // Called at once as the product sends, before anything travels.
    std::function<void(std::string_view bytes)> on_sent = {};
  };
  using ConnectionId = std::uint64_t;
  // A connection of the product's to a port of the world's; the peer that answers it, or nothing
  // where it is refused.
  using OnConnect = std::function<std::optional<Peer>(ConnectionId)>;

  SimNet(Schedule& schedule, Coverage& coverage, std::uint64_t dice);
  ~SimNet();
  SimNet(const SimNet&) = delete;
  SimNet& operator=(const SimNet&) = delete;

  // --- the world's ends ---
  // Nobody may listen there: then the peer hears its end.
  ConnectionId connect(Link link, std::uint16_t port, Peer peer);
  void send(ConnectionId id, std::string_view bytes);
  void close(ConnectionId id);
  // Both ends learn that it broke.
  void reset(ConnectionId id);
  void serve(std::uint16_t port, OnConnect on_connect);

  void arm(NetFault fault, Link link, std::uint64_t dice);
  // No faults any more; what would still be long on its way breaks.
  void heal();
  // The product's process is gone: nobody reads at its sockets any more, and what it said last
  // arrives soon or never.
  void process_died();

  // --- the product's ends: as the calls of the same names; -1 with errno ---
  int open();
  bool owns(int fd) const { return sockets_.contains(fd); }
  int bind(int fd, std::uint16_t port);
  int listen(int fd);
  int accept(int fd);
  int connect(int fd, std::uint16_t port);
  std::uint16_t local_port(int fd) const;
  int take_error(int fd);
  long receive(int fd, char* into, std::size_t size, bool peek);
  long transmit(int fd, std::string_view bytes);
  int shut_down(int fd, bool reading, bool writing);
  int close_socket(int fd);
  std::uint32_t events(int fd) const;
  int watch(int epoll, int fd, const epoll_event& event);
  int unwatch(int fd);
  int ready(int epoll, epoll_event* events, int limit);

private:
  enum Side : std::size_t { kWorld = 0, kProduct = 1 };
  struct Half {
    bool closed = false;    // by whoever is at this end
    bool ended = false;     // the other end's last byte has arrived
    Instant busy_until{0};  // when what was sent to this end last arrives
    std::string unread;     // of the product
  };
  struct Connection {
    ConnectionId id = 0;
    Link link = Link::agents;
    std::array<Half, 2> halves;
    Peer peer;
    bool peer_told = false;
    bool broken = false;
    bool dead = false;        // a black hole
    bool dies_after = false;  // becomes one once the product was sent something whole
    int fd = -1;              // of the product's socket; -1 before accept and after close
  };
  using ConnectionPtr = std::shared_ptr<Connection>;
  struct Socket {
    std::uint16_t port = 0;
    bool listening = false;
    std::deque<ConnectionPtr> backlog;
    ConnectionPtr connection;
    bool connecting = false;
    int error = 0;
    bool no_reading = false;
    int epoll = -1;
    epoll_event interest{};
    bool queued = false;
    std::uint32_t fresh = 0;  // what became ready since the last look
  };
  struct LinkState {
    std::array<Instant, 2> blocked_until{};  // towards that side
    Instant stall{0};
    std::array<bool, 2> cut{};  // what is sent to that side next is cut off
    bool blackhole = false;
  };

  Instant arrival(Connection& connection, Side to);
  bool is_too_late(Instant sent) const;
  void travel(const ConnectionPtr& connection, Side to, std::string_view bytes);
  void deliver(const ConnectionPtr& connection, Side to, const std::string& bytes);
  void deliver_end(const ConnectionPtr& connection, Side to);
  void break_off(const ConnectionPtr& connection);
  // What the product said there arrives soon or never.
  void speak_no_more(const ConnectionPtr& connection);
  void tell_peer(const ConnectionPtr& connection);
  void note(int fd, std::uint32_t events);
  LinkState& state(const Connection& connection) {
    return links_[static_cast<std::size_t>(connection.link)];
  }

  Schedule& schedule_;
  Coverage& coverage_;
  Rng rng_;
  std::array<LinkState, kLinks> links_;
  std::map<ConnectionId, ConnectionPtr> connections_;
  std::map<std::uint16_t, OnConnect> served_;
  std::map<int, Socket> sockets_;
  std::deque<int> ready_;
  ConnectionId connected_ = 0;
  Instant healed_at_{0};
  int next_fd_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// The one that the machine's sockets are of; null where there is none.
SimNet* current_network();

}  // namespace gavel::simulation
