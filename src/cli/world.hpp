#pragma once
// The process as commands see it: streams, environment, terminal, clock. run_cli makes the real
// one; tests make their own, so that nothing below reads a global.

#include <cstddef>
#include <functional>
#include <istream>
#include <map>
#include <optional>
#include <ostream>
#include <string>

#include "base/ids.hpp"

namespace gavel {

struct TerminalSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};

struct World {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  std::function<TerminalSize()> terminal_size = [] { return TerminalSize{}; };
  std::map<std::string, std::string> environment = {};
  std::string directory = {};  // the working directory, absolute
  std::string program = {};    // path of this binary, for starting the daemon
  int process_id = 0;
  std::function<Timestamp()> now = [] { return Timestamp{}; };
  // Ends the process after so many seconds, whatever it does then. May be empty.
  std::function<void(unsigned seconds)> limit_life = {};

  // The variable's value, or nothing where it is unset or empty.
  std::optional<std::string> variable(const std::string& name) const {
    const auto found = environment.find(name);
    if (found == environment.end() || found->second.empty()) return std::nullopt;
    return found->second;
  }
};

}  // namespace gavel
