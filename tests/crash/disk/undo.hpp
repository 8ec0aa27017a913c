#pragma once
// What a power cut would take away: for each file the changes since its last sync, for directories
// the entries made, moved and removed since theirs. roll_back() takes it away, all of it or what
// a seed chooses. The strictest reading of POSIX: a synced file whose directory was not synced may
// be without its name.

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace gavel::crash {

enum class Loss {
  everything,  // all that was not synced
  some,        // any pages of it, and directory entries from any one on
  last_write,  // the end of the write made last, from any sector on
};

class Undo {
public:
  // Files that are replaced or removed are kept in `trash`, on the same file system.
  explicit Undo(std::string trash) : trash_(std::move(trash)) {}

  // Before the change. `fd` may be open for writing only.
  void will_write(int fd, off_t offset, std::size_t size);
  void will_resize(int fd);
  void will_truncate(const std::string& path);
  void truncated(int fd);  // after will_truncate
  void will_replace(const std::string& path);
  // Removes the name; what it named can come back.
  int remove(const std::string& path);
  // After the change.
  void wrote(int fd, std::size_t size);
  void created(const std::string& path);
  void made_directory(const std::string& path);
  void renamed(const std::string& from, const std::string& to);

  void synced(int fd);
  void synced_directory(const std::string& path);

  void roll_back(Loss loss, std::uint64_t seed);
  // What was written to one file since its last sync is dropped: a kernel that could not write
  // pages tells so once and forgets them.
  void drop(int fd);

private:
  struct Change {
    off_t offset = 0;      // of a write
    std::size_t size = 0;  // of a write; 0: the file was resized
    off_t old_size = 0;
    std::string old;  // what was there: from `offset` on, or of a resize its cut-off end
    std::uint64_t order = 0;
  };
  struct File {
    int fd = -1;  // our own, for reading and writing
    std::vector<Change> changes;
  };
  struct Entry {
    enum class Kind { created, directory, renamed, removed } kind;
    std::string path;
    std::string from;   // of a rename
    std::string saved;  // in the trash: what the path named before, or nothing
  };

  File& file(int fd);
  std::string spare_name();
  void undo(const File& file, const Change& change, Loss loss, std::uint64_t& random);
  void undo(const Entry& entry);

  const std::string trash_;
  std::map<std::pair<dev_t, ino_t>, File> files_;
  std::vector<Entry> entries_;
  std::string replaced_;  // of the rename that is about to happen
  Change truncation_;
  std::uint64_t order_ = 0;
  std::uint64_t spares_ = 0;
};

// A step of splitmix64.
std::uint64_t next_random(std::uint64_t& state);

}  // namespace gavel::crash
