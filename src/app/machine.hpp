#pragma once
// The machine's own clock and randomness, behind the runtime's ports. The only place that reads
// them.

#include <array>

#include "runtime/clock.hpp"

namespace gavel {

class MachineClock final : public Clock {
public:
  Timestamp now() const override;
  SteadyTime steady() const override;
};

// From the system's cryptographic source, in blocks.
class MachineRandom final : public Random {
public:
  std::uint64_t next() override;

private:
  std::array<std::uint64_t, 64> block_{};
  std::size_t used_ = block_.size();
};

}  // namespace gavel
