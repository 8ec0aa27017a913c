// A stream of events fed whole and fed byte by byte must give the same events.
#include <vector>

#include "base/assert.hpp"
#include "protocol/sse.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gavel;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const SseLimits limits{.max_line_bytes = 512, .max_event_bytes = 1024};
  SseParser whole(limits);
  SseParser bytewise(limits);
  const bool accepted = whole.feed(text).has_value();
  bool accepted_bytewise = true;
  for (const char& c : text)
    accepted_bytewise = bytewise.feed({&c, 1}).has_value() && accepted_bytewise;
  ASSERT(accepted == accepted_bytewise);
  if (!accepted) return 0;
  for (;;) {
    const auto a = whole.next();
    const auto b = bytewise.next();
    ASSERT(a.has_value() == b.has_value());
    if (!a) return 0;
    ASSERT(a->data == b->data && a->type == b->type && a->id == b->id);
  }
}
