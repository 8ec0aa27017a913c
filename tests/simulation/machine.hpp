#pragma once
// The machine that the simulator runs on. Linked into a program, machine.cpp stands in for the
// monotonic clock and for what Asio asks of the kernel while it waits: time stands still until
// advance() moves it, and waiting takes none. The product's objects are linked as they are;
// whatever reads a clock in this process, by intention or not, reads this one.
//
// Thread rule: one thread.

#include <boost/asio/io_context.hpp>
#include <chrono>

namespace gavel::simulation {

namespace asio = boost::asio;

// Time since the machine was switched on.
using Instant = std::chrono::microseconds;

namespace machine {

void reset();
Instant now();
// `to` is not before now().
void advance_to(Instant to);

// Runs handlers until none is ready; at most `limit`. Returns how many ran.
std::size_t run_ready(asio::io_context& io, std::size_t limit);
// How long `io` would sleep now, in Asio's own resolution: at most five minutes. Nothing is ready.
std::chrono::milliseconds idle_for(asio::io_context& io);

}  // namespace machine

// An io_context that can die as with kill -9: what waits is dropped where it stands, nothing runs
// any more.
class MortalContext : public asio::io_context {
public:
  using asio::io_context::io_context;
  void kill() { shutdown(); }
};

}  // namespace gavel::simulation
