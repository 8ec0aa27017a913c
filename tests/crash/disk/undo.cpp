#include "undo.hpp"

#include <algorithm>

#include "raw.hpp"

namespace gavel::crash {
namespace {

constexpr off_t kPage = 4096;
constexpr off_t kSector = 512;

off_t size_of(int fd) {
  struct stat info{};
  return ::fstat(fd, &info) == 0 ? info.st_size : 0;
}

std::string read_at(int fd, off_t offset, off_t size) {
  std::string out(static_cast<std::size_t>(std::max<off_t>(size, 0)), '\0');
  std::size_t got = 0;
  while (got < out.size()) {
    const auto n =
        raw::pread(fd, out.data() + got, out.size() - got, offset + static_cast<off_t>(got));
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  return out;
}

std::string parent_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

}  // namespace

std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

Undo::File& Undo::file(int fd) {
  struct stat info{};
  ::fstat(fd, &info);
  File& found = files_[{info.st_dev, info.st_ino}];
  // Kept open, so that no other file gets this one's number.
  if (found.fd < 0) {
    const auto name = "/proc/self/fd/" + std::to_string(fd);
    found.fd = raw::open(name.c_str(), O_RDWR | O_CLOEXEC);
  }
  return found;
}

std::string Undo::spare_name() {
  return trash_ + "/" + std::to_string(::getpid()) + "." + std::to_string(++spares_);
}

void Undo::will_write(int fd, off_t offset, std::size_t size) {
  File& changed = file(fd);
  Change change;
  change.offset = offset;
  change.size = size;
  change.old_size = size_of(changed.fd);
  const off_t end = std::min(change.old_size, offset + static_cast<off_t>(size));
  change.old = read_at(changed.fd, offset, end - offset);
  change.order = ++order_;
  changed.changes.push_back(std::move(change));
}

void Undo::wrote(int fd, std::size_t size) {
  File& changed = file(fd);
  if (size == 0) {
    changed.changes.pop_back();
  } else {
    changed.changes.back().size = size;
  }
}

void Undo::will_resize(int fd) {
  File& changed = file(fd);
  Change change;
  change.old_size = size_of(changed.fd);
  // How short it gets is not known yet: all of it, but for what is too large to be data of a test.
  constexpr off_t kKeptMax = 128 << 20;
  change.old = read_at(changed.fd, 0, std::min(change.old_size, kKeptMax));
  change.order = ++order_;
  changed.changes.push_back(std::move(change));
}

void Undo::will_truncate(const std::string& path) {
  truncation_ = {};
  const int fd = raw::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  truncation_.old_size = size_of(fd);
  truncation_.old = read_at(fd, 0, truncation_.old_size);
  raw::close(fd);
}

void Undo::truncated(int fd) {
  truncation_.order = ++order_;
  file(fd).changes.push_back(std::exchange(truncation_, {}));
}

void Undo::will_replace(const std::string& path) {
  replaced_ = spare_name();
  if (raw::link(path, replaced_) != 0) replaced_.clear();
}

int Undo::remove(const std::string& path) {
  const auto saved = spare_name();
  if (raw::rename(path, saved) != 0) return -1;
  entries_.push_back({Entry::Kind::removed, path, "", saved});
  return 0;
}

void Undo::created(const std::string& path) {
  entries_.push_back({Entry::Kind::created, path, "", ""});
}

void Undo::made_directory(const std::string& path) {
  entries_.push_back({Entry::Kind::directory, path, "", ""});
}

void Undo::renamed(const std::string& from, const std::string& to) {
  entries_.push_back({Entry::Kind::renamed, to, from, std::exchange(replaced_, {})});
}

void Undo::synced(int fd) {
  file(fd).changes.clear();
}

void Undo::synced_directory(const std::string& path) {
  std::erase_if(entries_, [&](const Entry& entry) {
    if (parent_of(entry.path) != path && parent_of(entry.from) != path) return false;
    if (!entry.saved.empty()) raw::unlink(entry.saved);
    return true;
  });
}

void Undo::drop(int fd) {
  File& changed = file(fd);
  std::uint64_t random = 0;
  for (auto change = changed.changes.rbegin(); change != changed.changes.rend(); ++change) {
    undo(changed, *change, Loss::everything, random);
  }
  changed.changes.clear();
}

void Undo::roll_back(Loss loss, std::uint64_t seed) {
  std::uint64_t random = seed;
  std::uint64_t last = 0;
  for (const auto& [id, changed] : files_) {
    for (const auto& change : changed.changes) {
      if (change.size > 0) last = std::max(last, change.order);
    }
  }
  for (const auto& [id, changed] : files_) {
    for (auto change = changed.changes.rbegin(); change != changed.changes.rend(); ++change) {
      if (loss == Loss::last_write && change->order != last) continue;
      undo(changed, *change, loss, random);
    }
  }
  if (loss == Loss::last_write) return;
  // A journal keeps a beginning of what was done to directories.
  const auto kept = loss == Loss::everything ? 0 : next_random(random) % (entries_.size() + 1);
  while (entries_.size() > kept) {
    undo(entries_.back());
    entries_.pop_back();
  }
}

void Undo::undo(const File& changed, const Change& change, Loss loss, std::uint64_t& random) {
  if (change.size == 0) {
    if (loss == Loss::some && next_random(random) % 2 == 0) return;
    if (!change.old.empty()) raw::pwrite(changed.fd, change.old.data(), change.old.size(), 0);
    raw::ftruncate(changed.fd, change.old_size);
    return;
  }
  const off_t end = change.offset + static_cast<off_t>(change.size);
  off_t at = change.offset;
  if (loss == Loss::last_write) {
    const auto sectors = static_cast<std::uint64_t>((end - 1) / kSector - at / kSector + 1);
    at = std::max(at, (at / kSector + static_cast<off_t>(next_random(random) % sectors)) * kSector);
    // A write inside one sector is torn at a byte: the sector reached the disk half.
    if (sectors == 1) at += static_cast<off_t>(next_random(random) % change.size);
  }
  const bool extended = end > change.old_size && size_of(changed.fd) == end;
  off_t kept_end = std::max(change.old_size, at);
  std::string old = change.old;
  old.resize(change.size, '\0');
  while (at < end) {
    const off_t next = std::min(end, (at / kPage + 1) * kPage);
    if (loss == Loss::some && next_random(random) % 2 == 0) {
      kept_end = std::max(kept_end, next);
    } else {
      raw::pwrite(changed.fd, old.data() + (at - change.offset),
                  static_cast<std::size_t>(next - at), at);
    }
    at = next;
  }
  if (extended) raw::ftruncate(changed.fd, kept_end);
}

void Undo::undo(const Entry& entry) {
  switch (entry.kind) {
    case Entry::Kind::created:
      raw::unlink(entry.path);
      return;
    case Entry::Kind::directory:
      raw::rename(entry.path, spare_name());
      return;
    case Entry::Kind::renamed:
      raw::rename(entry.path, entry.from);
      if (!entry.saved.empty()) raw::rename(entry.saved, entry.path);
      return;
    case Entry::Kind::removed:
      raw::rename(entry.saved, entry.path);
      return;
  }
}

}  // namespace gavel::crash
