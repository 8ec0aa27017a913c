// The functions of libc that change files, defined once more. Loaded with LD_PRELOAD they come
// before libc's: what concerns the watched directory passes the faulty disk, the rest goes straight
// to the kernel.

#include <dlfcn.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <string>

#include "disk.hpp"
#include "raw.hpp"

using gavel::crash::Disk;
using gavel::crash::Kind;
using gavel::crash::Passage;
namespace raw = gavel::crash::raw;

namespace {

// The disk, where this absolute path is on it. Gavel is started with absolute paths.
Disk* disk_of(const char* path) {
  Disk* const disk = Disk::get();
  return disk != nullptr && path != nullptr && disk->watched(std::string(path)) ? disk : nullptr;
}

bool exists(const char* path, struct stat& info) {
  return ::stat(path, &info) == 0;
}

// `really` opens; it is told of as a creation or a truncation where it is one.
template <typename Open>
auto opening(const char* path, int flags, Open really, decltype(really()) failed) {
  Disk* const disk = disk_of(path);
  struct stat info{};
  const bool there = disk != nullptr && exists(path, info);
  const bool creates = disk != nullptr && !there && (flags & O_CREAT) != 0;
  const bool empties = there && (flags & O_TRUNC) != 0 && info.st_size > 0;
  if (!creates && !empties) return really();
  Passage passage(*disk, creates ? Kind::create : Kind::truncate, path);
  if (passage.fails()) return failed;
  if (empties && passage.undo() != nullptr) passage.undo()->will_truncate(path);
  const auto opened = really();
  if (opened == failed || passage.undo() == nullptr) return opened;
  if (creates) {
    passage.undo()->created(path);
  } else {
    const int fd = raw::open(path, O_RDWR | O_CLOEXEC);
    passage.undo()->truncated(fd);
    raw::close(fd);
  }
  return opened;
}

int open_file(int directory, const char* path, int flags, mode_t mode) {
  return opening(
      path, flags,
      [&] { return static_cast<int>(::syscall(SYS_openat, directory, path, flags, mode)); }, -1);
}

FILE* open_stream(const char* name, const char* path, const char* how) {
  using Function = FILE*(const char*, const char*);
  const auto next = reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
  const int flags = how[0] == 'r' ? 0 : how[0] == 'w' ? O_CREAT | O_TRUNC : O_CREAT;
  return opening(path, flags, [&] { return next(path, how); }, static_cast<FILE*>(nullptr));
}

// offset < 0: at the file's own position.
ssize_t write_file(int fd, const void* data, std::size_t size, off_t offset) {
  const auto really = [&](std::size_t share) {
    return offset < 0 ? raw::write(fd, data, share) : raw::pwrite(fd, data, share, offset);
  };
  Disk* const disk = Disk::get();
  const auto path = disk != nullptr ? disk->watched(fd) : std::nullopt;
  if (!path) return really(size);
  Passage passage(*disk, Kind::write, *path);
  if (passage.fails()) return -1;
  size = passage.share(size);
  if (passage.undo() == nullptr) return really(size);
  off_t at = offset;
  if (at < 0) {
    const bool appends = (::fcntl(fd, F_GETFL) & O_APPEND) != 0;
    at = ::lseek(fd, 0, appends ? SEEK_END : SEEK_CUR);
  }
  passage.undo()->will_write(fd, at, size);
  const auto written = really(size);
  passage.undo()->wrote(fd, written > 0 ? static_cast<std::size_t>(written) : 0);
  return written;
}

ssize_t write_pieces(int fd, const iovec* pieces, int count, off_t offset) {
  Disk* const disk = Disk::get();
  if (disk == nullptr || !disk->watched(fd)) {
    return offset < 0 ? ::syscall(SYS_writev, fd, pieces, count)
                      : ::syscall(SYS_pwritev, fd, pieces, count, offset, 0);
  }
  std::string whole;
  for (int i = 0; i < count; ++i) {
    whole.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  }
  return write_file(fd, whole.data(), whole.size(), offset);
}

int sync_file(int fd, long call) {
  Disk* const disk = Disk::get();
  const auto path = disk != nullptr ? disk->watched(fd) : std::nullopt;
  if (!path) return static_cast<int>(::syscall(call, fd));
  struct stat info{};
  ::fstat(fd, &info);
  const bool directory = S_ISDIR(info.st_mode);
  Passage passage(*disk, directory ? Kind::dirsync : Kind::sync, *path);
  if (passage.fails()) {
    if (passage.undo() != nullptr && !directory) passage.undo()->drop(fd);
    errno = EIO;
    return -1;
  }
  // What is undone is written anew at the end anyway: a real sync would only cost time.
  if (passage.lies() || passage.undo() == nullptr) return 0;
  if (directory) {
    passage.undo()->synced_directory(*path);
  } else {
    passage.undo()->synced(fd);
  }
  return 0;
}

// Operations on an open file that change its size or its blocks.
template <typename Call>
int change_file(int fd, Kind kind, bool resizes, Call really) {
  Disk* const disk = Disk::get();
  const auto path = disk != nullptr ? disk->watched(fd) : std::nullopt;
  if (!path) return really();
  Passage passage(*disk, kind, *path);
  if (passage.fails()) return -1;
  if (resizes && passage.undo() != nullptr) passage.undo()->will_resize(fd);
  return really();
}

int allocate_file(int fd, int how, off_t offset, off_t size) {
  const bool resizes = (how & FALLOC_FL_KEEP_SIZE) == 0;
  return change_file(fd, Kind::allocate, resizes, [&] {
    return static_cast<int>(::syscall(SYS_fallocate, fd, how, offset, size));
  });
}

int rename_file(const char* from, const char* to, unsigned flags) {
  Disk* const disk = disk_of(to);
  const auto really = [&] {
    return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
  };
  if (disk == nullptr) return really();
  Passage passage(*disk, Kind::rename, to);
  if (passage.fails()) return -1;
  if (passage.undo() == nullptr) return really();
  passage.undo()->will_replace(to);
  const int done = really();
  if (done == 0) passage.undo()->renamed(from, to);
  return done;
}

int unlink_file(const char* path) {
  Disk* const disk = disk_of(path);
  if (disk == nullptr) return raw::unlink(path);
  struct stat info{};
  if (!exists(path, info)) {
    errno = ENOENT;
    return -1;
  }
  Passage passage(*disk, Kind::unlink, path);
  if (passage.fails()) return -1;
  return passage.undo() != nullptr ? passage.undo()->remove(path) : raw::unlink(path);
}

}  // namespace

extern "C" {

#define EXPORTED __attribute__((visibility("default")))

// Where O_CREAT or O_TMPFILE asks for it, a mode follows.
#define MODE_OF(flags)                  \
  mode_t mode = 0;                      \
  if (((flags) & O_CREAT) != 0) {       \
    va_list arguments;                  \
    va_start(arguments, flags);         \
    mode = va_arg(arguments, unsigned); \
    va_end(arguments);                  \
  }

EXPORTED int open(const char* path, int flags, ...) {
  MODE_OF(flags)
  return open_file(AT_FDCWD, path, flags, mode);
}
EXPORTED int open64(const char* path, int flags, ...) {
  MODE_OF(flags)
  return open_file(AT_FDCWD, path, flags, mode);
}
EXPORTED int openat(int directory, const char* path, int flags, ...) {
  MODE_OF(flags)
  return open_file(directory, path, flags, mode);
}
EXPORTED int openat64(int directory, const char* path, int flags, ...) {
  MODE_OF(flags)
  return open_file(directory, path, flags, mode);
}
EXPORTED int creat(const char* path, mode_t mode) {
  return open_file(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}
EXPORTED FILE* fopen(const char* path, const char* how) {
  return open_stream("fopen", path, how);
}
EXPORTED FILE* fopen64(const char* path, const char* how) {
  return open_stream("fopen64", path, how);
}

EXPORTED ssize_t write(int fd, const void* data, std::size_t size) {
  return write_file(fd, data, size, -1);
}
EXPORTED ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) {
  return write_file(fd, data, size, offset);
}
EXPORTED ssize_t pwrite64(int fd, const void* data, std::size_t size, off_t offset) {
  return write_file(fd, data, size, offset);
}
EXPORTED ssize_t writev(int fd, const iovec* pieces, int count) {
  return write_pieces(fd, pieces, count, -1);
}
EXPORTED ssize_t pwritev(int fd, const iovec* pieces, int count, off_t offset) {
  return write_pieces(fd, pieces, count, offset);
}
EXPORTED ssize_t pwritev64(int fd, const iovec* pieces, int count, off_t offset) {
  return write_pieces(fd, pieces, count, offset);
}

EXPORTED int fsync(int fd) {
  return sync_file(fd, SYS_fsync);
}
EXPORTED int fdatasync(int fd) {
  return sync_file(fd, SYS_fdatasync);
}
EXPORTED int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags) {
  return change_file(fd, Kind::flush, false, [&] {
    return static_cast<int>(::syscall(SYS_sync_file_range, fd, offset, size, flags));
  });
}
EXPORTED int ftruncate(int fd, off_t size) noexcept {
  return change_file(fd, Kind::truncate, true, [&] { return raw::ftruncate(fd, size); });
}
EXPORTED int ftruncate64(int fd, off64_t size) noexcept {
  return change_file(fd, Kind::truncate, true, [&] { return raw::ftruncate(fd, size); });
}
EXPORTED int fallocate(int fd, int how, off_t offset, off_t size) {
  return allocate_file(fd, how, offset, size);
}
EXPORTED int fallocate64(int fd, int how, off64_t offset, off64_t size) {
  return allocate_file(fd, how, offset, size);
}
// Says the error instead of setting errno.
EXPORTED int posix_fallocate(int fd, off_t offset, off_t size) {
  return allocate_file(fd, 0, offset, size) == 0 ? 0 : errno;
}

EXPORTED int rename(const char* from, const char* to) noexcept {
  return rename_file(from, to, 0);
}
EXPORTED int renameat2(int, const char* from, int, const char* to, unsigned flags) noexcept {
  return rename_file(from, to, flags);
}
EXPORTED int link(const char* from, const char* to) noexcept {
  Disk* const disk = disk_of(to);
  if (disk == nullptr) return raw::link(from, to);
  Passage passage(*disk, Kind::link, to);
  if (passage.fails()) return -1;
  const int done = raw::link(from, to);
  if (done == 0 && passage.undo() != nullptr) passage.undo()->created(to);
  return done;
}
EXPORTED int unlink(const char* path) noexcept {
  return unlink_file(path);
}
EXPORTED int remove(const char* path) noexcept {
  struct stat info{};
  const bool directory = ::lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
  if (directory) {
    return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
  }
  return unlink_file(path);
}
EXPORTED int mkdir(const char* path, mode_t mode) noexcept {
  const auto really = [&] {
    return static_cast<int>(::syscall(SYS_mkdirat, AT_FDCWD, path, mode));
  };
  Disk* const disk = disk_of(path);
  struct stat info{};
  if (disk == nullptr || exists(path, info)) return really();
  Passage passage(*disk, Kind::mkdir, path);
  if (passage.fails()) return -1;
  const int done = really();
  if (done == 0 && passage.undo() != nullptr) passage.undo()->made_directory(path);
  return done;
}

}  // extern "C"
