#include "cli/links.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <string>

#include "base/text.hpp"

namespace gavel {
namespace fs = std::filesystem;

namespace {

constexpr int kLinksMax = 40;

// Where `path` leads, whether or not anything is there yet.
Result<std::string> followed(fs::path path) {
  std::error_code error;
  for (int links = 0; links < kLinksMax; ++links) {
    path = fs::weakly_canonical(path, error);
    if (error) break;
    // One that leads to nothing yet would be written through.
    const bool dangles = fs::is_symlink(fs::symlink_status(path, error));
    if (!dangles) return path.string();
    const auto target = fs::read_symlink(path, error);
    if (error) break;
    path = path.parent_path() / target;
  }
  return fail(ErrorCode::unavailable,
              fmt::format("nobody can say where {} leads", for_display(path.string(), 200)));
}

Status follow(json::value& value, const std::string& directory) {
  if (!value.is_string()) return {};
  const fs::path path(std::string(view(value.get_string())));
  if (path.empty() || path.string().front() == '~') return {};
  ASSIGN_OR_RETURN(value, followed(path.is_absolute() ? path : fs::path(directory) / path));
  return {};
}

}  // namespace

Status resolve_links(json::object& arguments) {
  std::string directory;
  for (const auto* key : {"directory", "project"}) {
    if (auto* value = arguments.if_contains(key)) TRY(follow(*value, "/"));
  }
  if (const auto* value = arguments.if_contains("directory");
      value != nullptr && value->is_string()) {
    directory = std::string(view(value->get_string()));
  }
  auto* path = arguments.if_contains("path");
  if (path == nullptr) return {};
  if (path->is_array()) {
    for (auto& item : path->get_array()) TRY(follow(item, directory));
    return {};
  }
  return follow(*path, directory);
}

}  // namespace gavel
