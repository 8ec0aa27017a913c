#include "runtime/tool_trust.hpp"

#include <gtest/gtest.h>

#include "runtime/upstream.hpp"

namespace gavel {
namespace {

TEST(Standing, FollowsPinsFlagsAndPolicy) {
  const Digest now = sha256("now");
  const Digest before = sha256("before");
  const std::vector<ToolFlag> clean;
  const std::vector<ToolFlag> bad{{FlagKind::instructions, "description", ""}};
  const std::vector<ToolFlag> odd{{FlagKind::shadowing, "description", ""}};
  ToolPin pin;
  pin.digest = now;
  ToolPin looked_at = pin;
  looked_at.by_person = true;
  ToolPin other = looked_at;
  other.digest = before;
  ToolPin refused = other;
  refused.refused = now;
  const TrustRules strict{LogId{"x"}, Pins::ask, FlagMode::hold};
  const TrustRules off{LogId{"x"}, Pins::off, FlagMode::off};
  const TrustRules warns{LogId{"x"}, Pins::first_use, FlagMode::warn};
  const struct {
    const TrustRules& rules;
    const ToolPin* pin;
    const std::vector<ToolFlag>& flags;
    Standing expected;
  } table[] = {
      {strict, nullptr, clean, Standing::unseen},    {strict, &pin, clean, Standing::accepted},
      {strict, &other, clean, Standing::changed},    {strict, &refused, clean, Standing::refused},
      {strict, nullptr, bad, Standing::flagged},     {strict, &pin, bad, Standing::flagged},
      {strict, &looked_at, bad, Standing::accepted}, {strict, &pin, odd, Standing::accepted},
      {warns, &pin, bad, Standing::accepted},        {warns, &other, bad, Standing::changed},
      {off, nullptr, bad, Standing::accepted},       {off, &other, clean, Standing::accepted},
      {off, &refused, clean, Standing::refused},
  };
  for (const auto& row : table) {
    EXPECT_EQ(to_string(standing_of(row.rules, row.pin, now, row.flags)), to_string(row.expected))
        << &row - table;
  }
}

TEST(PinnedPart, IsWhatAModelReads) {
  const auto definition =
      *parse_json(R"({"name":"t","title":"T","description":"d","inputSchema":{},"outputSchema":{},)"
                  R"("annotations":{},"_meta":{"x":1},"icons":[]})");
  EXPECT_EQ(canonical_json(pinned_part(definition.get_object())),
            R"({"annotations":{},"description":"d","inputSchema":{},"name":"t",)"
            R"("outputSchema":{},"title":"T"})");
}

TEST(TrustRules, OfAnAttachedServerGoByItsCommand) {
  ServerSpec server;
  server.name = "pg";
  EXPECT_EQ(trust_rules(server).pins, LogId{"control/toolset/pg"});
  server.name = attached_name("pg", "one");
  server.command = {"npx", "a"};
  const auto first = trust_rules(server).pins;
  EXPECT_TRUE(first.value.starts_with("control/attached/pg."));
  server.name = attached_name("pg", "two");
  EXPECT_EQ(trust_rules(server).pins, first);
  server.command = {"npx", "b"};
  EXPECT_NE(trust_rules(server).pins, first);
}

}  // namespace
}  // namespace gavel
