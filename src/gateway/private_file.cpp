#include "gateway/private_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "gateway/descriptor.hpp"

namespace gavel {
namespace {

// All that its group and others may do, and the bits that lend an identity.
constexpr mode_t kOpenToOthers = 07077;

Status check_private(const struct stat& info, std::size_t bytes_max) {
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::invalid_argument, "not a regular file");
  if ((info.st_mode & kOpenToOthers) != 0) {
    return fail(ErrorCode::permission_denied,
                fmt::format("mode {:04o}, so others may have read the secret in it; make a new "
                            "one and chmod 600 it",
                            info.st_mode & 07777));
  }
  if (info.st_uid != ::geteuid()) {
    return fail(ErrorCode::permission_denied, "owned by another user");
  }
  if (static_cast<std::size_t>(info.st_size) > bytes_max) {
    return fail(ErrorCode::too_large, fmt::format("over {} bytes", bytes_max));
  }
  return {};
}

}  // namespace

Result<std::string> read_private_file(const std::filesystem::path& path, std::size_t bytes_max,
                                      Links links) {
  const int follow = links == Links::follow ? 0 : O_NOFOLLOW;
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | follow));
  if (!file.is_open()) return fail(ErrorCode::unavailable, std::strerror(errno));
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return fail(ErrorCode::unavailable, std::strerror(errno));
  TRY(check_private(info, bytes_max));
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const auto n = ::read(file.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(ErrorCode::unavailable, "could not be read to its end");
    done += static_cast<std::size_t>(n);
  }
  return text;
}

}  // namespace gavel
