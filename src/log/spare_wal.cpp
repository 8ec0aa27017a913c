#include "log/spare_wal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace gavel {
namespace {

// A spare is made after this share of it was written to the current log, in steps with pauses, so
// that appends hardly notice.
constexpr std::size_t kWantedAfterShare = 64;
constexpr std::size_t kStepBytes = 1u << 20;
constexpr auto kPause = std::chrono::milliseconds(10);

}  // namespace

SpareWal::SpareWal(std::string path, std::size_t bytes)
    : FileSystemWrapper(rocksdb::FileSystem::Default()), path_(std::move(path)), bytes_(bytes) {
  struct stat status{};
  ready_ =
      ::stat(path_.c_str(), &status) == 0 && static_cast<std::size_t>(status.st_size) == bytes_;
  thread_ = std::thread([this] { run(); });
}

SpareWal::~SpareWal() {
  stop();
}

void SpareWal::stop() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

rocksdb::IOStatus SpareWal::NewWritableFile(const std::string& name,
                                            const rocksdb::FileOptions& options,
                                            std::unique_ptr<rocksdb::FSWritableFile>* result,
                                            rocksdb::IODebugContext* debug) {
  if (name.ends_with(".log")) {
    bool ready = false;
    {
      const std::lock_guard lock(mutex_);
      ready = std::exchange(ready_, false);
      in_use_ = ready;
      wanted_ = false;
      written_ = 0;
    }
    if (ready && target()->ReuseWritableFile(name, path_, options, result, debug).ok()) {
      return rocksdb::IOStatus::OK();
    }
  }
  return target()->NewWritableFile(name, options, result, debug);
}

void SpareWal::written(std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    written_ += bytes;
    if (ready_ || wanted_ || written_ < bytes_ / kWantedAfterShare) return;
    wanted_ = true;
  }
  changed_.notify_one();
}

void SpareWal::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return closing_ || (wanted_ && !ready_); });
      if (closing_) return;
    }
    const bool filled = fill();
    bool better = false;
    {
      const std::lock_guard lock(mutex_);
      ready_ = filled;
      // Not at once again: the disk may be full.
      if (!filled) written_ = 0;
      wanted_ = false;
      better = filled && !in_use_ && !closing_;
    }
    if (better && begin_) begin_();
  }
}

bool SpareWal::fill() {
  const std::string unfinished = path_ + ".tmp";
  const int fd = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const std::string zeros(kStepBytes, '\0');
  std::size_t left = bytes_;
  bool going = true;
  while (left > 0 && going) {
    const auto size = ::write(fd, zeros.data(), std::min(left, zeros.size()));
    going = size > 0 && ::fdatasync(fd) == 0 && pause();
    left -= size > 0 ? static_cast<std::size_t>(size) : 0;
  }
  const bool whole = left == 0 && ::fsync(fd) == 0;
  ::close(fd);
  if (whole && std::rename(unfinished.c_str(), path_.c_str()) == 0) return true;
  ::unlink(unfinished.c_str());
  return false;
}

bool SpareWal::pause() {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, kPause, [this] { return closing_; });
}

}  // namespace gavel
