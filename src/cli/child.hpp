#pragma once
// Programs that the command line starts: in the foreground, taking part in its signals, or
// detached, outliving it.

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace gavel {

using Environment = std::map<std::string, std::string>;

// Runs `command` (looked up in PATH) with this process's standard streams, forwards to it the
// signals that are sent to this process alone, and returns its exit code, or 128 + the signal that
// ended it. Errors: not_found, permission_denied, unavailable.
Result<int> run_child(const std::vector<std::string>& command, const Environment& environment);

// How a program ended that was given `input` and waited for.
struct Ended {
  int code = 0;     // or 128 + the signal
  std::string err;  // its standard error, at most 64 KiB
};
// Runs `command` in a process group of its own. Errors: those of run_child, and timeout: the group
// is killed then.
Result<Ended> run_with_input(const std::vector<std::string>& command,
                             const Environment& environment, std::string_view input,
                             std::chrono::milliseconds patience);

// Starts `command` in a session of its own, without a terminal, writing to the end of `log`.
Result<pid_t> start_detached(const std::vector<std::string>& command,
                             const std::filesystem::path& log);
// The exit code of a child that start_detached started, or nothing while it runs.
std::optional<int> exit_code_of(pid_t child);

}  // namespace gavel
