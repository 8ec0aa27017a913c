#pragma once
// The faulty disk under one directory. Every operation that changes it passes here, gets the next
// number, and is written to a trace; at one number, or from it on, the plan of the environment is
// carried out. It lives in a shared library that is loaded before libc (interpose.cpp).
//
//     GAVEL_CRASH_ROOT    the directory; nothing happens without it
//     GAVEL_CRASH_TRASH   a directory beside it for what was removed and may come back
//     GAVEL_CRASH_TRACE   a file: "NUMBER KIND PATH" a line, "! NUMBER MODE" at the end
//     GAVEL_CRASH_CUT     the number; 0: never
//     GAVEL_CRASH_MODE    what happens there, see Mode
//     GAVEL_CRASH_SEED    for what is chosen at random
//     GAVEL_CRASH_LIES    1: a sync says that it was done, and does nothing

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "undo.hpp"

namespace gavel::crash {

enum class Kind {
  create,
  write,
  sync,
  dirsync,
  flush,  // sync_file_range: begins to write, promises nothing
  truncate,
  allocate,
  rename,
  link,
  unlink,
  mkdir,
};

enum class Mode {
  count,    // nothing happens
  before,   // kill -9 before the operation; what was written is there
  after,    // kill -9 right after it
  power,    // the power fails before it: what was not synced is gone
  scatter,  // the power fails after it: of what was not synced some is there
  tear,     // the power fails after it: the last write is cut
  shorten,  // writes are done by halves from there on
  eio,      // nothing can be written from there on
  blip,     // this operation fails with EIO, the next ones do not
  enospc,   // no room from there on
};

class Disk {
public:
  // Nothing where the environment names no directory.
  static Disk* get();

  // The path of an open file or directory below the root.
  std::optional<std::string> watched(int fd) const;
  bool watched(const std::string& path) const;

private:
  friend class Passage;
  Disk();
  void trace(const std::string& line) const;
  [[noreturn]] void die();

  std::string root_;
  int trace_ = -1;
  Mode mode_ = Mode::count;
  std::uint64_t cut_ = 0;
  std::uint64_t seed_ = 0;
  bool lies_ = false;
  std::mutex mutex_;
  std::uint64_t count_ = 0;
  std::optional<Undo> undo_;  // where something may be undone
};

// One operation on its way to the disk: one at a time. May not return.
class Passage {
public:
  Passage(Disk& disk, Kind kind, const std::string& path);
  ~Passage();
  Passage(const Passage&) = delete;
  Passage& operator=(const Passage&) = delete;

  // The operation must not be done: errno says why.
  bool fails();
  // How much of a write is to be done.
  std::size_t share(std::size_t size) const;
  // A sync is to be claimed and not done.
  bool lies() const { return disk_.lies_; }
  Undo* undo() { return disk_.undo_ ? &*disk_.undo_ : nullptr; }

private:
  Disk& disk_;
  const std::unique_lock<std::mutex> lock_;
  const Kind kind_;
  bool at_cut_ = false;
  bool past_cut_ = false;
};

}  // namespace gavel::crash
