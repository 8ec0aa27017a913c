#pragma once
// A process for tests: streams in memory, an environment of its own, a clock that stands still.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "cli/command_line.hpp"

namespace gavel::testing {

// A directory that goes away with its object.
class ScratchDirectory {
public:
  ScratchDirectory() {
    std::string shape = (std::filesystem::temp_directory_path() / "gavel-cli-XXXXXX").string();
    path_ = ::mkdtemp(shape.data());
  }
  ~ScratchDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    const auto file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
    return file;
  }

private:
  std::filesystem::path path_;
};

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};

class TestWorld {
public:
  TestWorld() {
    world.environment = {{"HOME", directory.path().string()},
                         {"GAVEL_STATE", (directory.path() / "state").string()},
                         {"PATH", "/usr/bin:/bin"}};
    world.directory = directory.path().string();
    world.process_id = 4711;
    world.now = [] { return Timestamp{1'795'236'180'123}; };
    hooks.version = "0.1.0";
  }

  Ran run(std::vector<std::string> words, const std::string& typed = {}) {
    in.str(typed);
    in.clear();
    out.str({});
    err.str({});
    const int code = run_command_line(std::move(words), world, hooks);
    return {code, out.str(), err.str()};
  }

  ScratchDirectory directory;
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  World world{.in = in, .out = out, .err = err};
  CliHooks hooks;
};

}  // namespace gavel::testing
