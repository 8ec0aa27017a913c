#pragma once
// System calls as they are. This library defines open, write and their like itself; what it wants
// from the kernel it asks for here, so that it never calls itself.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <string>

namespace gavel::crash::raw {

inline int open(const char* path, int flags, unsigned mode = 0) {
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
inline ssize_t write(int fd, const void* data, std::size_t size) {
  return ::syscall(SYS_write, fd, data, size);
}
inline ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) {
  return ::syscall(SYS_pwrite64, fd, data, size, offset);
}
inline ssize_t pread(int fd, void* data, std::size_t size, off_t offset) {
  return ::syscall(SYS_pread64, fd, data, size, offset);
}
inline int ftruncate(int fd, off_t size) {
  return static_cast<int>(::syscall(SYS_ftruncate, fd, size));
}
inline int rename(const std::string& from, const std::string& to) {
  return static_cast<int>(
      ::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0));
}
inline int link(const std::string& from, const std::string& to) {
  return static_cast<int>(::syscall(SYS_linkat, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0));
}
inline int unlink(const std::string& path) {
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path.c_str(), 0));
}
inline int close(int fd) {
  return static_cast<int>(::syscall(SYS_close, fd));
}

}  // namespace gavel::crash::raw
