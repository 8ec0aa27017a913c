#include "cli/store_access.hpp"

#include <fmt/format.h>

#include <variant>

#include "core/codec.hpp"

namespace gavel {
namespace fs = std::filesystem;

Result<fs::path> store_directory(const Context& context, const std::string& directory) {
  fs::path base;
  if (directory.empty()) {
    ASSIGN_OR_RETURN(base, context.state());
  } else {
    base = fs::path(directory).is_absolute() ? fs::path(directory)
                                             : fs::path(context.world().directory) / directory;
  }
  std::error_code error;
  if (fs::is_directory(base / "store", error)) return base / "store";
  if (!directory.empty() && fs::is_directory(base, error)) return base;
  return fail(
      ErrorCode::not_found,
      fmt::format("there is no store in {}; name the state directory with --state", base.string()));
}

std::vector<Digest> blobs_of_entry(std::string_view bytes) {
  const auto entry = decode(Position{1}, bytes);
  if (!entry) return {};
  const Payload* payload = payload_of(entry->body);
  if (payload == nullptr || payload->is_inline()) return {};
  return {payload->digest};
}

}  // namespace gavel
