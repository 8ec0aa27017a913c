#include "runtime/clock.hpp"

#include <fmt/format.h>

namespace gavel {

SteadyTime steady_deadline(const Clock& clock, Timestamp deadline) {
  return clock.steady() + (deadline - clock.now());
}

std::string random_hex(Random& random, std::size_t bytes) {
  std::string out;
  while (out.size() < bytes * 2) out += fmt::format("{:016x}", random.next());
  out.resize(bytes * 2);
  return out;
}

}  // namespace gavel
