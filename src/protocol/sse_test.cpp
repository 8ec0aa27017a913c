#include "protocol/sse.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace gavel {
namespace {

std::vector<std::string> events(SseParser& parser) {
  std::vector<std::string> all;
  while (const auto event = parser.next()) {
    all.push_back(event->type + "|" + event->id + "|" + event->data);
  }
  return all;
}

std::vector<std::string> parse(std::string_view stream) {
  SseParser parser;
  EXPECT_TRUE(parser.feed(stream));
  return events(parser);
}

using Events = std::vector<std::string>;

TEST(SseParser, TakesTheExamplesOfTheSpecification) {
  EXPECT_EQ(parse("data: YHOO\ndata: +2\ndata: 10\n\n"), Events{"message||YHOO\n+2\n10"});
  EXPECT_EQ(parse(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
                  "data:  third event\n\n"),
            (Events{"message|1|first event", "message||second event", "message|| third event"}));
  EXPECT_EQ(parse("data\n\ndata\ndata\n\ndata:"), (Events{"message||", "message||\n"}));
  EXPECT_EQ(parse("data:test\n\ndata: test\n\n"), (Events{"message||test", "message||test"}));
}

TEST(SseParser, EveryKindOfLineEndInAnyPieces) {
  const std::string stream =
      "\xEF\xBB\xBF"
      "event: a\r\ndata: 1\r\n\r\nid: 7\rdata: 2\r\rdata: 3\n\n";
  const Events expected{"a||1", "message|7|2", "message|7|3"};
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    SseParser parser;
    Events all;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      ASSERT_TRUE(parser.feed(std::string_view(stream).substr(at, piece)));
      for (auto& event : events(parser)) all.push_back(std::move(event));
    }
    EXPECT_EQ(all, expected) << piece;
  }
}

TEST(SseParser, AnEventThatIsNotFinishedNeverHappened) {
  EXPECT_TRUE(parse("data: 1\n").empty());
  EXPECT_TRUE(parse("event: only a name\n\n").empty());
}

TEST(SseParser, KnowsRetryIdsAndComments) {
  SseParser parser;
  ASSERT_TRUE(parser.feed(": hi\n:\nretry: 250\nid: a\n\nretry: soon\nretry: -1\nid: b\0c\n\n"));
  EXPECT_EQ(parser.retry(), std::chrono::milliseconds(250));
  EXPECT_EQ(parser.comments(), 2u);
  ASSERT_TRUE(parser.feed(std::string_view("id: x\0y\n\n", 9)));
  EXPECT_NE(parser.last_event_id(), "x");
  EXPECT_TRUE(parse("unknown: field\n\n").empty());
}

TEST(SseParser, IsBounded) {
  SseParser lines({.max_line_bytes = 10, .max_event_bytes = 100});
  EXPECT_TRUE(lines.feed("data: 1234"));
  const auto refused = lines.feed("5");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::too_large);
  EXPECT_FALSE(lines.feed("\n\n"));

  SseParser whole({.max_line_bytes = 100, .max_event_bytes = 10});
  EXPECT_TRUE(whole.feed("data: 12345\n"));
  EXPECT_TRUE(whole.feed("data: 1234\n"));
  EXPECT_FALSE(whole.feed("data: 1234\n"));
}

TEST(SseWriter, WritesWhatTheParserReads) {
  for (const char* data : {"", "one", "one\ntwo", "a\r\nb", "{\"x\":1}", "\n"}) {
    SseParser parser;
    ASSERT_TRUE(parser.feed(sse_event(data, "kind", "9")));
    const auto event = parser.next();
    ASSERT_TRUE(event) << data;
    EXPECT_EQ(event->type, "kind");
    EXPECT_EQ(event->id, "9");
    if (std::string_view(data).find('\r') == std::string_view::npos) {
      EXPECT_EQ(event->data, data);
    }
  }
  EXPECT_EQ(sse_event("x"), "data: x\n\n");
  EXPECT_EQ(sse_comment(), ":\n\n");
  EXPECT_EQ(sse_comment("keep\nalive"), ": keep alive\n\n");
  EXPECT_TRUE(parse(sse_comment("x")).empty());
}

}  // namespace
}  // namespace gavel
