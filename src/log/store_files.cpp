#include "log/store_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace gavel {
namespace {

// The file: 8 bytes of magic, the commit as 8 little-endian bytes, zeros to a page.
constexpr std::string_view kMagic = "GAVELWM1";
constexpr std::size_t kPage = 4096;

class Fd {
public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

private:
  int fd_;
};

std::uint64_t parse_page(std::string_view page) {
  if (page.size() < 16 || !page.starts_with(kMagic)) return 0;
  std::uint64_t commit = 0;
  for (std::size_t i = 16; i-- > 8;) commit = commit << 8 | static_cast<std::uint8_t>(page[i]);
  return commit;
}

std::string holder_of(int fd) {
  std::array<char, 32> text{};
  const auto size = ::pread(fd, text.data(), text.size() - 1, 0);
  const std::string pid(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  return pid.empty() ? "" : fmt::format(" (pid {})", pid.substr(0, pid.find('\n')));
}

}  // namespace

Error system_error(std::string_view doing, const std::string& path, int code) {
  const auto advice = code == ENOSPC || code == EDQUOT || code == EFBIG
                          ? "; free some space and start gavel again: what it acknowledged is kept"
                          : "";
  return {ErrorCode::storage_failed, fmt::format("cannot {} {}: {}{}", doing, path,
                                                 std::generic_category().message(code), advice)};
}

Status sync_directories(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code failed;
  fs::path path = fs::absolute(directory, failed).lexically_normal();
  if (failed) return std::unexpected(system_error("find", directory, failed.value()));
  for (;; path = path.parent_path()) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // A file system that cannot sync directories has nothing to sync.
    if (fd.get() >= 0 && ::fsync(fd.get()) != 0 && errno != EINVAL && errno != EROFS) {
      return std::unexpected(system_error("sync", path.string(), errno));
    }
    if (path == path.root_path()) return {};
  }
}

Result<std::unique_ptr<StoreLock>> StoreLock::take(const std::string& directory, bool create) {
  const std::string path = directory + "/gavel.lock";
  const int flags = create ? O_RDWR | O_CREAT : O_RDONLY;
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  if (fd.get() < 0 && errno == ENOENT) {
    return fail(ErrorCode::not_found, fmt::format("there is no store in {}", directory));
  }
  if (fd.get() < 0) return std::unexpected(system_error("open", path, errno));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return std::unexpected(system_error("lock", path, errno));
    return fail(ErrorCode::unavailable,
                fmt::format("another gavel{} uses {}: stop it, or use another directory",
                            holder_of(fd.get()), directory));
  }
  if (create) {
    const auto pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd.get(), 0) != 0 ||
        ::pwrite(fd.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
      return std::unexpected(system_error("write", path, errno));
    }
  }
  return std::unique_ptr<StoreLock>(new StoreLock(fd.release()));
}

StoreLock::~StoreLock() {
  ::close(fd_);
}

std::uint64_t Watermark::read(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 16> page{};
  const auto size = ::pread(fd.get(), page.data(), page.size(), 0);
  return size == 16 ? parse_page({page.data(), page.size()}) : 0;
}

Result<std::unique_ptr<Watermark>> Watermark::map(const std::string& path, std::uint64_t initial) {
  const Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (fd.get() < 0) return std::unexpected(system_error("open", path, errno));
  // Written in full, so that a store into the mapping never needs a new block.
  std::string page(kPage, '\0');
  if (::pread(fd.get(), page.data(), kPage, 0) < 0 || !std::string_view(page).starts_with(kMagic)) {
    page.assign(kPage, '\0');
    page.replace(0, kMagic.size(), kMagic);
  }
  if (::pwrite(fd.get(), page.data(), kPage, 0) != static_cast<ssize_t>(kPage)) {
    return std::unexpected(system_error("write", path, errno));
  }
  void* mapped = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (mapped == MAP_FAILED) return std::unexpected(system_error("map", path, errno));
  std::unique_ptr<Watermark> watermark(new Watermark(static_cast<char*>(mapped)));
  watermark->set(initial);
  return watermark;
}

Watermark::~Watermark() {
  ::munmap(page_, kPage);
}

void Watermark::set(std::uint64_t commit) {
  std::array<char, 8> bytes{};
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(commit >> (8 * i));
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data(), bytes.size());
  std::atomic_ref(*reinterpret_cast<std::uint64_t*>(page_ + kMagic.size()))
      .store(word, std::memory_order_release);
}

}  // namespace gavel
