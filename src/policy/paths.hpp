#pragma once
// What reaching for a file could do at worst, by where it lies: inside the project an agent may
// write, outside it may break what is not its own, and secrets are not even to be read. Lexical: a
// symbolic link is its caller's to resolve.

#include <string>
#include <string_view>
#include <vector>

#include "core/entry.hpp"

namespace gavel {

// Where paths are looked at from. `project` and `directories` are absolute.
struct PathContext {
  std::string project;                   // empty: nothing counts as inside
  std::vector<std::string> directories;  // that a relative path may mean; empty: not known
};

enum class Access { read, read_all, write };  // read_all: with everything below

struct PathClass {
  Effect effect = Effect::irreversible;
  std::string reason;  // "writes outside the project: /etc/passwd"
};

// `path` may hold `*`, `?` and `[`, and begin with `~`.
PathClass classify_path(std::string_view path, Access access, const PathContext& context);

// `path` from `directory`, without `.` and `..`; "~" stays where it begins with that.
std::string join_path(std::string_view directory, std::string_view path);

}  // namespace gavel
