#pragma once
// The entries that the crash tests' child writes: their bytes follow from log and position.

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/ids.hpp"

namespace gavel::crash {

inline std::string entry_at(const LogId& log, Position position) {
  std::string out = fmt::format("{} {} ", log.value, position.value);
  const auto noise = sha256(out).hex();
  for (std::uint64_t i = 0; i < position.value * 37 % 23; ++i) out += noise;
  return out;
}

}  // namespace gavel::crash
