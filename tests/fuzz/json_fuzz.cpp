// Whatever parse_json accepts must survive being written: canonical form is a fixed point, and
// slices are JSON themselves.
#include "base/assert.hpp"
#include "base/json.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gavel;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = parse_json(text);
  if (!value) return 0;
  const std::string canonical = canonical_json(*value);
  const auto again = parse_json(canonical);
  ASSERT(again.has_value());
  ASSERT(canonical_json(*again) == canonical);
  const auto written = parse_json(write_json(*value));
  ASSERT(written && canonical_json(*written) == canonical);
  if (const auto* object = value->if_object()) {
    for (const auto& member : *object) {
      const auto slice =
          json_slice(text, {std::string_view(member.key().data(), member.key().size())});
      const auto parsed = parse_json(slice);
      ASSERT(parsed && canonical_json(*parsed) == canonical_json(member.value()));
    }
  }
  return 0;
}
