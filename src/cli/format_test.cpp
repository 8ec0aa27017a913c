#include "cli/format.hpp"

#include <gtest/gtest.h>

namespace gavel {
namespace {

TEST(SpanText, PicksTheUnitThatPeopleWouldSay) {
  EXPECT_EQ(span_text(Duration{0}), "0ms");
  EXPECT_EQ(span_text(Duration{850}), "850ms");
  EXPECT_EQ(span_text(Duration{12'340}), "12.3s");
  EXPECT_EQ(span_text(Duration{245'000}), "4m 05s");
  EXPECT_EQ(span_text(Duration{12'000'000}), "3h 20m");
  EXPECT_EQ(span_text(Duration{187'200'000}), "2d 4h");
  EXPECT_EQ(span_text(Duration{-1500}), "-1.5s");
}

TEST(RelativeText, SaysBothPastAndFuture) {
  const Timestamp now{1'000'000'000};
  EXPECT_EQ(relative_text(Timestamp{}, now), "-");
  EXPECT_EQ(relative_text(Timestamp{now.ms - 500}, now), "just now");
  EXPECT_EQ(relative_text(Timestamp{now.ms - 12'000}, now), "12s ago");
  EXPECT_EQ(relative_text(Timestamp{now.ms - 7'200'000}, now), "2h ago");
  EXPECT_EQ(relative_text(Timestamp{now.ms + 300'000}, now), "in 5m");
}

TEST(BytesText, UsesBinaryUnits) {
  EXPECT_EQ(bytes_text(512), "512 B");
  EXPECT_EQ(bytes_text(3482), "3.4 KiB");
  EXPECT_EQ(bytes_text(5ull << 30), "5.0 GiB");
}

TEST(ParseIso8601, ReadsWhatTheDaemonWrites) {
  EXPECT_EQ(parse_iso8601("1970-01-01T00:00:00.000Z"), Timestamp{0});
  EXPECT_EQ(parse_iso8601("2026-11-21T04:43:00.123Z"), Timestamp{1'795'236'180'123});
  EXPECT_EQ(parse_iso8601("2026-11-21T04:43:00Z"), Timestamp{1'795'236'180'000});
}

TEST(ParseIso8601, RefusesAnythingElse) {
  for (const auto* text :
       {"", "now", "2026-11-21", "2026-02-30T00:00:00.000Z", "2026-11-21T24:00:00.000Z",
        "2026-11-21T04:43:00.123", "2026-11-21T04:43:00.123Z ", "2026-11-21T04:43:00.+23Z"}) {
    EXPECT_EQ(parse_iso8601(text), std::nullopt) << text;
  }
}

TEST(ClockText, IsTheTimeOfTheUtcDay) {
  EXPECT_EQ(clock_text(Timestamp{1'795'236'180'123}), "04:43:00.123");
}

}  // namespace
}  // namespace gavel
