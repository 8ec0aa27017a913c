#pragma once
// Halts and freezes (docs/api.md, GET /v1/halts) as text for people.

#include "base/ids.hpp"
#include "base/json.hpp"
#include "cli/table.hpp"

namespace gavel {

Table halts_table(const json::array& halts, Timestamp now);

}  // namespace gavel
