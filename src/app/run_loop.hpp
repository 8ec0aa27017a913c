#pragma once
// The daemon's loop over its handlers. Who sleeps is woken late: on a virtual machine the wake
// costs more than a whole read does here (bench/README.md). So the loop looks for more for a moment
// after each piece of work before it sleeps; an idle daemon sleeps.

#include <boost/asio/io_context.hpp>
#include <chrono>

#include "runtime/clock.hpp"

namespace gavel {

// Until `io` is stopped or has no work left. After work it polls for `patience` before it waits;
// never where there is one processor, as whoever it waits for needs that.
void run_loop(boost::asio::io_context& io, const Clock& clock, std::chrono::microseconds patience);

}  // namespace gavel
