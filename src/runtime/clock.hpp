#pragma once
// The clock and the source of randomness, as ports: the daemon passes the machine's, a simulated
// world its own. Beside timers, nothing else in the runtime reads either.

#include <cstdint>
#include <string>

#include "base/ids.hpp"
#include "runtime/upstream.hpp"

namespace gavel {

class Clock {
public:
  virtual ~Clock() = default;
  // Wall-clock time, for what entries carry.
  virtual Timestamp now() const = 0;
  // Monotonic time, for deadlines inside the process.
  virtual SteadyTime steady() const = 0;
};

class Random {
public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;
};

// Where `deadline`, a wall-clock time of an entry, lies on the monotonic clock.
SteadyTime steady_deadline(const Clock& clock, Timestamp deadline);

// `bytes` random bytes as lower-case hex.
std::string random_hex(Random& random, std::size_t bytes);

}  // namespace gavel
