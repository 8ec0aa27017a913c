#include "app/machine.hpp"

#include <openssl/rand.h>

#include "base/assert.hpp"

namespace gavel {

Timestamp MachineClock::now() const {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count()};
}

SteadyTime MachineClock::steady() const {
  return std::chrono::steady_clock::now();
}

std::uint64_t MachineRandom::next() {
  if (used_ == block_.size()) {
    const int filled = RAND_bytes(reinterpret_cast<unsigned char*>(block_.data()), sizeof block_);
    ASSERT(filled == 1);
    used_ = 0;
  }
  return block_[used_++];
}

}  // namespace gavel
