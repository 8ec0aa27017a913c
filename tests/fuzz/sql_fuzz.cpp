// Any text as SQL:
//   - what does not parse counts as the worst; every class has its reason;
//   - beside another statement nothing gets more harmless, and blanks change nothing;
//   - a text has its own shape, and only if it parses.
#include <algorithm>
#include <string>

#include "base/assert.hpp"
#include "bytes.hpp"
#include "policy/sql.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gavel;
  const std::string sql(fuzz::text_of(data, size));
  const auto classed = classify_sql(sql);
  ASSERT(!classed.reason.empty());
  ASSERT(classify_sql(sql) == classed);
  const bool parses = same_sql_shape(sql, sql);
  ASSERT(parses || classed.effect == Effect::irreversible);
  if (!parses) return 0;
  ASSERT(same_sql_shape(sql + "\n", sql));
  ASSERT(classify_sql("\n" + sql + "\n").effect == classed.effect);
  // A text without a statement counts as the worst, but adds nothing to others.
  if (classed == classify_sql("")) return 0;
  for (const std::string other : {"SELECT 1", "DELETE FROM users"}) {
    const auto alone = classify_sql(other).effect;
    ASSERT(classify_sql(other + ";\n" + sql).effect >= std::max(alone, classed.effect));
    ASSERT(classify_sql(sql + "\n;" + other).effect >= std::max(alone, classed.effect));
  }
  return 0;
}
