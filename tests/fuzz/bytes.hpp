#pragma once
// The fuzzer's bytes as decisions: numbers, choices and texts, taken off the front. When they are
// used up, every answer is the smallest, so that any input ends.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gavel::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

class Bytes {
public:
  explicit Bytes(std::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  // Below `n`, which is 1 to 256.
  std::uint64_t pick(std::uint64_t n) { return byte() % n; }
  std::uint64_t number(std::size_t bytes) {
    std::uint64_t value = 0;
    while (bytes-- > 0) value = value << 8 | byte();
    return value;
  }
  // Mostly small, sometimes at the end of the numbers: what counters are broken with.
  std::uint64_t extreme() {
    const auto choice = byte();
    if (choice < 224) return choice % 16;
    return choice % 2 == 0 ? UINT64_MAX - choice % 8 : number(8);
  }
  // As long as a byte says.
  std::string_view text() { return take(byte()); }
  std::string_view take(std::size_t size) {
    const auto out = rest_.substr(0, size);
    rest_.remove_prefix(out.size());
    return out;
  }
  // Up to `separator`, which is dropped; all that is left where there is none.
  std::string_view until(char separator) {
    const auto out = rest_.substr(0, rest_.find(separator));
    rest_.remove_prefix(out.size() == rest_.size() ? out.size() : out.size() + 1);
    return out;
  }

private:
  std::string_view rest_;
};

}  // namespace gavel::fuzz
