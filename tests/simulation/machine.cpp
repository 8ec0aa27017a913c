#include "machine.hpp"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <ctime>
#include <optional>

#include "base/assert.hpp"
#include "sim_net.hpp"

namespace gavel::simulation {
namespace {

// The functions below have no place for an owner: they are the C library's.
Instant the_time{0};
asio::io_context* waiting = nullptr;
std::optional<std::chrono::milliseconds> asked;
Rng random_bytes(0);

}  // namespace

void machine::reset() {
  the_time = std::chrono::hours(1);
  random_bytes = Rng(1);
}

Instant machine::now() {
  return the_time;
}

void machine::advance_to(Instant to) {
  ASSERT(to >= the_time);
  the_time = to;
}

std::size_t machine::run_ready(asio::io_context& io, std::size_t limit) {
  std::size_t ran = 0;
  while (ran < limit && io.poll_one() > 0) ++ran;
  return ran;
}

std::chrono::milliseconds machine::idle_for(asio::io_context& io) {
  asked.reset();
  waiting = &io;
  io.run_one();
  waiting = nullptr;
  return asked.value_or(std::chrono::milliseconds(0));
}

}  // namespace gavel::simulation

// libstdc++'s clocks.
namespace std::chrono {
inline namespace _V2 {

steady_clock::time_point steady_clock::now() noexcept {
  return time_point(duration_cast<duration>(gavel::simulation::the_time));
}

system_clock::time_point system_clock::now() noexcept {
  return time_point(duration_cast<duration>(gavel::simulation::the_time));
}

}  // namespace _V2
}  // namespace std::chrono

extern "C" {

// Without it, Asio looks at its timers whenever it runs, and says how long it means to sleep.
int timerfd_create(int /*clock*/, int /*flags*/) noexcept {
  errno = ENOSYS;
  return -1;
}

// Of descriptors only sockets of the simulated network become ready.
int epoll_wait(int epoll, epoll_event* events, int limit, int timeout) {
  using gavel::simulation::waiting;
  if (auto* const network = gavel::simulation::current_network()) {
    if (const int ready = network->ready(epoll, events, limit); ready > 0) return ready;
  }
  if (timeout != 0 && waiting != nullptr) {
    gavel::simulation::asked = std::chrono::milliseconds(timeout);
    boost::asio::post(*waiting, [] {});
  }
  return 0;
}

// What the gateway draws its ids from, and where it has the date from.
int RAND_bytes(unsigned char* into, int count) {
  for (int i = 0; i < count; ++i)
    into[i] = static_cast<unsigned char>(gavel::simulation::random_bytes.next());
  return 1;
}

time_t time(time_t* into) noexcept {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(gavel::simulation::the_time);
  if (into != nullptr) *into = now.count();
  return now.count();
}

}  // extern "C"
