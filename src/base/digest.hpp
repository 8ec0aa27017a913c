#pragma once
// SHA-256 digests: of canonical arguments (what an approval binds to), of payloads (the blob
// store's key) and of entries (the hash chain).

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace gavel {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const Digest&) const = default;
  bool is_zero() const { return *this == Digest{}; }
  // The 32 raw bytes; valid while this Digest lives.
  std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  // 64 lower-case hexadecimal digits.
  std::string hex() const;
  // The first 12 hexadecimal digits, for people.
  std::string short_hex() const;
};

// SHA-256 over the concatenation of `parts`.
Digest sha256(std::initializer_list<std::string_view> parts);
inline Digest sha256(std::string_view bytes) {
  return sha256({bytes});
}

// From 32 raw bytes or 64 hex digits; anything else is invalid_argument.
Result<Digest> digest_from_bytes(std::string_view raw);
Result<Digest> digest_from_hex(std::string_view hex);

std::string to_hex(std::string_view bytes);
Result<std::string> from_hex(std::string_view hex);
// Standard base64 (RFC 4648, padded).
std::string to_base64(std::string_view bytes);
Result<std::string> from_base64(std::string_view text);

// Equal, in time that depends only on the lengths: for tokens and MACs.
bool equal_constant_time(std::string_view a, std::string_view b);

}  // namespace gavel

template <>
struct std::hash<gavel::Digest> {
  std::size_t operator()(const gavel::Digest& digest) const noexcept {
    std::size_t first;  // a digest's bytes are as good as random
    std::memcpy(&first, digest.bytes.data(), sizeof first);
    return first;
  }
};
