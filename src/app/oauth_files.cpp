#include "app/oauth_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/assert.hpp"
#include "gateway/descriptor.hpp"
#include "gateway/private_file.hpp"

namespace gavel {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> cannot_write(const fs::path& path, int error) {
  return fail(ErrorCode::unavailable,
              fmt::format("cannot keep the login in {}: {}", path.string(), std::strerror(error)));
}

Status write_synced(const fs::path& path, const std::string& text) {
  const Descriptor file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.is_open() || ::fchmod(file.get(), 0600) != 0) return cannot_write(path, errno);
  std::size_t done = 0;
  while (done < text.size()) {
    const auto n = ::write(file.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return cannot_write(path, errno);
    done += static_cast<std::size_t>(n);
  }
  if (::fsync(file.get()) != 0) return cannot_write(path, errno);
  return {};
}

Status sync_directory(const fs::path& directory) {
  const Descriptor file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file.is_open() || ::fsync(file.get()) != 0) return cannot_write(directory, errno);
  return {};
}

}  // namespace

fs::path OAuthFiles::path_of(const std::string& server) const {
  // The policy's names are of [a-z0-9-].
  ASSERT(!server.empty() && server.find('/') == std::string::npos);
  return directory_ / (server + ".json");
}

Result<std::optional<std::string>> OAuthFiles::load(const std::string& server) {
  const auto path = path_of(server);
  std::error_code error;
  if (!fs::exists(path, error)) {
    if (error) return fail(ErrorCode::unavailable, path.string() + ": " + error.message());
    return std::nullopt;
  }
  auto text = read_private_file(path, kOAuthFileBytesMax, Links::refuse);
  if (!text) {
    return fail(text.error().code, fmt::format("{}: {}", path.string(), text.error().message));
  }
  return std::optional(std::move(*text));
}

Status OAuthFiles::save(const std::string& server, const std::string& text) {
  std::error_code error;
  if (fs::create_directories(directory_, error)) {
    fs::permissions(directory_, fs::perms::owner_all, error);
  }
  if (error) return cannot_write(directory_, error.value());
  const auto path = path_of(server);
  const fs::path fresh = path.string() + ".new";
  TRY(write_synced(fresh, text));
  fs::rename(fresh, path, error);
  if (error) return cannot_write(path, error.value());
  return sync_directory(directory_);
}

Status OAuthFiles::remove(const std::string& server) {
  const auto path = path_of(server);
  std::error_code error;
  if (!fs::remove(path, error) && !error) return {};
  if (error) return cannot_write(path, error.value());
  return sync_directory(directory_);
}

}  // namespace gavel
