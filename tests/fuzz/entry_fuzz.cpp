// Any bytes as a log: entries of length-prefixed chunks are decoded, re-encoded, shown and folded
// into a session and a control state; a decoded entry must survive its own bytes, and folding must
// be repeatable.
#include "base/assert.hpp"
#include "core/codec.hpp"
#include "core/fold.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gavel;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  State state;
  State twin;
  ControlState control;
  (void)decode_snapshot(rest);
  while (!rest.empty()) {
    const std::size_t length =
        std::min<std::size_t>(static_cast<std::uint8_t>(rest.front()), rest.size() - 1);
    const auto bytes = rest.substr(1, length);
    rest.remove_prefix(1 + length);
    const auto entry = decode(state.tail.next(), bytes);
    if (!entry) continue;
    const auto again = decode(entry->position, encode(*entry));
    ASSERT(again && *again == *entry);
    (void)to_json(*entry);
    fold(state, *entry);
    fold(twin, *again);
    Entry other = *entry;
    other.position = control.tail.next();
    fold(control, other);
  }
  ASSERT(state == twin);
  const auto restored = decode_snapshot(encode_snapshot(state));
  ASSERT(restored && *restored == state);
  return 0;
}
