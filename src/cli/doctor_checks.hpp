#pragma once
// What `gavel doctor` looks at: each check says how it is and, if it is not well, what to do.

#include <string>
#include <vector>

#include "cli/context.hpp"

namespace gavel {

enum class Health { ok, warning, failed };

struct Finding {
  Health health = Health::ok;
  std::string check;   // "state directory"
  std::string text;    // how it is
  std::string advice;  // what to do; empty where all is well
};

// Runs all checks. None of them changes anything; the log gets the forbidden calls of
// doctor_guard.hpp.
std::vector<Finding> examine(const Context& context, const std::string& config_path);

}  // namespace gavel
