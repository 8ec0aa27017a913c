#pragma once
// The two small files beside the database: the lock that keeps a second process out and says who
// holds it, and the watermark. The watermark is the number of the last commit that was
// acknowledged, in a page that the kernel writes when it likes: it outlives this process, it is
// never ahead of the synced log, and so a log that ends before it has lost something.

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"

namespace gavel {

class StoreLock {
public:
  // Takes the lock of the store in `directory`. unavailable, naming the process, where another
  // holds it; not_found where `create` is false and there is no store.
  static Result<std::unique_ptr<StoreLock>> take(const std::string& directory, bool create);
  ~StoreLock();
  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;

private:
  explicit StoreLock(int fd) : fd_(fd) {}
  int fd_;
};

class Watermark {
public:
  // Maps the file, which it creates with `initial` where it is missing or has another form.
  static Result<std::unique_ptr<Watermark>> map(const std::string& path, std::uint64_t initial);
  // What the file says; 0 where it is missing or has another form.
  static std::uint64_t read(const std::string& path);
  ~Watermark();
  Watermark(const Watermark&) = delete;
  Watermark& operator=(const Watermark&) = delete;

  void set(std::uint64_t commit);

private:
  explicit Watermark(char* page) : page_(page) {}
  char* page_;
};

// Syncs a directory and those above it: a file's name is as durable as the directories that lead to
// it, and a synced file whose name a power cut takes away is lost. Also where nothing was created:
// whoever did may have died before this. Directories that may not be opened are left out.
Status sync_directories(const std::string& directory);

// "cannot <doing> <path>: <errno in words>" as storage_failed, with what to do about a full disk.
Error system_error(std::string_view doing, const std::string& path, int code);

}  // namespace gavel
