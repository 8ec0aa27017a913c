#include "disk.hpp"

#include <signal.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <string_view>

#include "raw.hpp"

namespace gavel::crash {
namespace {

constexpr std::array<std::string_view, 11> kKinds = {"create", "write",    "sync",     "dirsync",
                                                     "flush",  "truncate", "allocate", "rename",
                                                     "link",   "unlink",   "mkdir"};
constexpr std::array<std::string_view, 10> kModes = {
    "count", "before", "after", "power", "scatter", "tear", "shorten", "eio", "blip", "enospc"};

std::string variable(const char* name) {
  const char* value = ::getenv(name);
  return value != nullptr ? value : "";
}

Mode parse_mode(std::string_view name) {
  for (std::size_t i = 0; i < kModes.size(); ++i) {
    if (kModes[i] == name) return static_cast<Mode>(i);
  }
  return Mode::count;
}

// Before this library's constructor, nothing is watched: a sanitizer may not be ready for it.
bool ready = false;

__attribute__((constructor)) void begin() {
  ready = true;
}

}  // namespace

Disk* Disk::get() {
  if (!ready) return nullptr;
  // Never destroyed: threads of the product outlive static objects.
  static Disk* const disk = variable("GAVEL_CRASH_ROOT").empty() ? nullptr : new Disk;
  return disk;
}

Disk::Disk()
    : root_(variable("GAVEL_CRASH_ROOT")),
      mode_(parse_mode(variable("GAVEL_CRASH_MODE"))),
      cut_(std::strtoull(variable("GAVEL_CRASH_CUT").c_str(), nullptr, 10)),
      seed_(std::strtoull(variable("GAVEL_CRASH_SEED").c_str(), nullptr, 10)),
      lies_(variable("GAVEL_CRASH_LIES") == "1") {
  trace_ = raw::open(variable("GAVEL_CRASH_TRACE").c_str(),
                     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  switch (mode_) {
    case Mode::power:
    case Mode::scatter:
    case Mode::tear:
    case Mode::eio:
    case Mode::blip:
      undo_.emplace(variable("GAVEL_CRASH_TRASH"));
      break;
    default:
      break;
  }
  seed_ ^= cut_ << 32;
}

std::optional<std::string> Disk::watched(int fd) const {
  struct stat info{};
  if (::fstat(fd, &info) != 0 || (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))) return {};
  std::array<char, PATH_MAX> path{};
  const auto name = "/proc/self/fd/" + std::to_string(fd);
  const auto size = ::readlink(name.c_str(), path.data(), path.size());
  if (size <= 0) return {};
  std::string found(path.data(), static_cast<std::size_t>(size));
  if (!watched(found)) return {};
  return found;
}

bool Disk::watched(const std::string& path) const {
  return path.starts_with(root_) && (path.size() == root_.size() || path[root_.size()] == '/');
}

void Disk::trace(const std::string& line) const {
  (void)raw::write(trace_, line.data(), line.size());
}

void Disk::die() {
  if (undo_ && mode_ == Mode::power) undo_->roll_back(Loss::everything, seed_);
  if (undo_ && mode_ == Mode::scatter) undo_->roll_back(Loss::some, seed_);
  if (undo_ && mode_ == Mode::tear) undo_->roll_back(Loss::last_write, seed_);
  trace("! " + std::to_string(count_) + " " + std::string(kModes[static_cast<std::size_t>(mode_)]) +
        "\n");
  for (;;) ::kill(::getpid(), SIGKILL);
}

Passage::Passage(Disk& disk, Kind kind, const std::string& path)
    : disk_(disk), lock_(disk.mutex_), kind_(kind) {
  ++disk_.count_;
  at_cut_ = disk_.count_ == disk_.cut_;
  past_cut_ = disk_.cut_ != 0 && disk_.count_ >= disk_.cut_;
  const auto inside = path.size() > disk_.root_.size() ? path.substr(disk_.root_.size() + 1) : ".";
  disk_.trace(std::to_string(disk_.count_) + " " +
              std::string(kKinds[static_cast<std::size_t>(kind)]) + " " + inside + "\n");
  if (!at_cut_) return;
  const bool syncs = kind == Kind::sync || kind == Kind::dirsync;
  const bool lossy = disk_.mode_ == Mode::scatter || disk_.mode_ == Mode::tear;
  // Of what a sync has just made durable, nothing can be lost: then the power fails before it.
  if (disk_.mode_ == Mode::before || disk_.mode_ == Mode::power || (lossy && syncs)) disk_.die();
}

Passage::~Passage() {
  const auto mode = disk_.mode_;
  const int code = errno;
  if (at_cut_ && (mode == Mode::after || mode == Mode::scatter || mode == Mode::tear)) disk_.die();
  errno = code;
}

bool Passage::fails() {
  // It only begins to write: what fails then is told by the next sync.
  if (kind_ == Kind::flush) return false;
  const bool adds = kind_ == Kind::write || kind_ == Kind::create || kind_ == Kind::allocate ||
                    kind_ == Kind::mkdir || kind_ == Kind::link;
  if (past_cut_ && disk_.mode_ == Mode::enospc && adds) {
    errno = ENOSPC;
    return true;
  }
  if ((past_cut_ && disk_.mode_ == Mode::eio) || (at_cut_ && disk_.mode_ == Mode::blip)) {
    errno = EIO;
    return true;
  }
  return false;
}

std::size_t Passage::share(std::size_t size) const {
  return past_cut_ && disk_.mode_ == Mode::shorten && size > 1 ? size / 2 : size;
}

}  // namespace gavel::crash
