#include "app/run_loop.hpp"

#include <thread>

namespace gavel {

void run_loop(boost::asio::io_context& io, const Clock& clock, std::chrono::microseconds patience) {
  if (patience.count() == 0 || std::thread::hardware_concurrency() < 2) {
    io.run();
    return;
  }
  while (io.run_one() > 0) {
    SteadyTime until = clock.steady() + patience;
    while (!io.stopped()) {
      const bool worked = io.poll() > 0;
      const SteadyTime now = clock.steady();
      if (worked) until = now + patience;
      if (now >= until) break;
    }
  }
}

}  // namespace gavel
