#include "app/state_directory.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/json.hpp"

namespace gavel {

namespace fs = std::filesystem;

Status prepare_state_directory(const fs::path& directory) {
  std::error_code error;
  if (!fs::exists(directory, error)) {
    // "state/" is state, and not something in it.
    const auto path = directory.has_filename() ? directory : directory.parent_path();
    const auto parent = path.parent_path();
    if (!parent.empty()) fs::create_directories(parent, error);
    // With its mode from the start: whoever dies here leaves none that is open to others.
    if (!error && ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
      error.assign(errno, std::generic_category());
    }
  }
  if (error) {
    return fail(ErrorCode::permission_denied,
                fmt::format("cannot make the state directory {}: {}; choose another with --state",
                            directory.string(), error.message()));
  }
  struct stat info{};
  if (stat(directory.c_str(), &info) != 0) {
    return fail(ErrorCode::permission_denied,
                fmt::format("cannot read {}: {}", directory.string(), std::strerror(errno)));
  }
  if ((info.st_mode & 077) != 0) {
    return fail(
        ErrorCode::permission_denied,
        fmt::format("{} is open to others (mode {:04o}), and tokens lie in it; do: chmod 700 {}",
                    directory.string(), info.st_mode & 07777, directory.string()));
  }
  return {};
}

Result<DaemonFile> DaemonFile::write(const fs::path& directory, const Where& where) {
  const fs::path path = directory / "daemon.json";
  const fs::path fresh = directory / "daemon.json.new";
  json::object content{{"url", where.url}, {"pid", getpid()}};
  if (!where.certificate.empty()) content["certificate"] = where.certificate;
  {
    std::ofstream out(fresh, std::ios::trunc);
    out << write_json(content) << '\n';
    out.flush();
    if (!out)
      return fail(ErrorCode::storage_failed, fmt::format("cannot write {}", fresh.string()));
  }
  std::error_code error;
  fs::rename(fresh, path, error);
  if (error) return fail(ErrorCode::storage_failed, fmt::format("cannot write {}", path.string()));
  return DaemonFile(path);
}

DaemonFile::~DaemonFile() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove(path_, ignored);
}

DaemonFile::DaemonFile(DaemonFile&& other) noexcept : path_(std::move(other.path_)) {
  other.path_.clear();
}

Result<std::string> read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return fail(ErrorCode::not_found,
                fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  }
  return std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace gavel
