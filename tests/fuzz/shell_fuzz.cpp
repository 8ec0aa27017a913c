// Any text as a shell command: it ends, and what does not parse is never harmless.
#include <cstdint>
#include <string_view>

#include "base/assert.hpp"
#include "policy/shell.hpp"
#include "policy/shell_parser.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto classed = gavel::classify_shell(text, {"/srv/app", {"/srv/app"}});
  const bool parses = gavel::parse_shell(text).has_value();
  ASSERT(!classed.reason.empty());
  ASSERT(parses || classed.effect == gavel::Effect::irreversible);
  return 0;
}
