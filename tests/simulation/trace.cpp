#include "trace.hpp"

#include <fmt/format.h>

namespace gavel::simulation {

void Trace::mix(std::string_view data) {
  for (const char c : data) {
    hash_ ^= static_cast<unsigned char>(c);
    hash_ *= 0x100000001b3u;
  }
}

void Trace::line(std::string_view text) {
  const std::string whole =
      fmt::format("{:12.3f} {}", static_cast<double>(machine::now().count()) / 1e3 - 3.6e6, text);
  mix(whole);
  if (keep_ == Keep::lines) lines_.push_back(whole);
}

std::string Trace::digest() const {
  return fmt::format("{:016x}", hash_);
}

}  // namespace gavel::simulation
