#pragma once
// What runs of many seeds have to reach. Names are counted where things happen ("entry: held",
// "intent: held -> aborted"). What the product's and the world's enums say is derived from them, so
// that a new kind, code or phase is expected from the day it exists; what no run can reach is
// exempted, each with its reason.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "trace.hpp"

namespace gavel::simulation {

// Somebody was told of this code, or it stands in a log.
void count_code(Coverage& coverage, std::string_view code);
inline void count_code(Coverage& coverage, ErrorCode code) {
  count_code(coverage, to_string(code));
}

struct Exemption {
  std::string_view names;  // a pattern of fnmatch(3)
  std::string_view reason;
};
std::span<const Exemption> exemptions();

// All that the enums say.
std::vector<std::string> coverage_derived();
// Without what is exempted, and with what no enum says.
std::vector<std::string> coverage_expected();

// One line for each name that was not reached, or that was and is exempted.
std::vector<std::string> coverage_gaps(const Coverage& coverage);

}  // namespace gavel::simulation
