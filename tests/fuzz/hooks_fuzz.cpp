// What agent programs send to `gavel hook`: a byte for the program, then its event.
//   - What is accepted names a tool and a session that a log may have, and arguments that are JSON.
//   - What is refused has its reason, and the reply to it blocks.
#include <algorithm>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "bytes.hpp"
#include "protocol/hooks.hpp"
#include "protocol/mcp.hpp"

namespace {

bool may_be_named(std::string_view session) {
  return std::ranges::all_of(session, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._/@:-").contains(c);
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gavel;
  fuzz::Bytes bytes(fuzz::text_of(data, size));
  const auto program = static_cast<AgentProgram>(bytes.pick(5));
  const HookSettings settings{"/srv/app", "gavel", "http://127.0.0.1:7420"};
  const auto event = read_hook(program, bytes.rest(), settings);
  if (!event) {
    ASSERT(!event.error().message.empty());
    const auto reply = blocking_reply(program, event.error().message);
    ASSERT(reply.exit_code == kHookBlocks && !reply.err.empty());
    return 0;
  }
  ASSERT(event->through_gavel || is_valid_tool_name(event->tool));
  ASSERT(event->session.size() <= 256 && may_be_named(event->session));
  ASSERT(parse_json(write_json(event->arguments)).has_value());
  ASSERT(event->result.empty() || parse_json(event->result).has_value());
  return 0;
}
