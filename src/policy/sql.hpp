#pragma once
// What a piece of SQL could do at worst, by PostgreSQL's own parser (libpg_query). Of several
// statements, and of everything inside one, the worst counts. What is not known to be harmless is
// not: an unknown function may write, a text that does not parse may do anything.

#include <cstddef>
#include <string>
#include <string_view>

#include "core/entry.hpp"

namespace gavel {

struct SqlClass {
  Effect effect = Effect::irreversible;
  std::string reason;  // "DELETE without WHERE"
  bool operator==(const SqlClass&) const = default;
};

inline constexpr std::size_t kSqlBytesMax = 1u << 20;

SqlClass classify_sql(std::string_view sql);

// Whether both are the same statements but for the values in them. False where one does not parse.
bool same_sql_shape(std::string_view a, std::string_view b);

}  // namespace gavel
