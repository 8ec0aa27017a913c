#pragma once
// From the text of a policy file to a Policy. Every option stands in one table
// (policy/options.hpp), and the checks here, the JSON Schema for editors and docs/policy.md all
// come from it. All problems of a file are reported at once, each with its line, column and key, so
// that one look mends them.
//
// The text is not trusted: its size, depth and number of nodes (aliases expanded) are limited, tags
// are refused, and it must be UTF-8.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "policy/policy.hpp"

namespace gavel {

inline constexpr std::size_t kPolicyBytesMax = 1u << 20;

struct PolicyProblem {
  enum class Severity { error, warning };
  Severity severity = Severity::error;
  int line = 0;      // from 1; 0: the file as a whole
  int column = 0;    // from 1
  std::string path;  // "servers.pg.tolls", "rules[2].verdict"
  std::string message;
  bool operator==(const PolicyProblem&) const = default;
};

// "gavel.yaml:14:5: servers.pg.tolls: unknown key; did you mean `tools`?" Its severity is for the
// caller to say.
std::string to_text(const PolicyProblem& problem, std::string_view file_name);

struct PolicyCheck {
  std::string file_name;
  std::shared_ptr<const Policy> policy;  // null where a problem is an error
  std::vector<PolicyProblem> problems;   // in the order of the file; errors and warnings
  // One line each.
  std::string text() const;
};

// Never fails: what is wrong stands in the answer.
PolicyCheck check_policy(std::string_view yaml, std::string file_name);

// The policy, or invalid_argument with the errors, one a line. Warnings are dropped.
Result<std::shared_ptr<const Policy>> parse_policy(std::string_view yaml, std::string file_name);

// What holds where there is no file: reads are allowed, writes ask, the rest takes two steps.
std::shared_ptr<const Policy> default_policy();

}  // namespace gavel
