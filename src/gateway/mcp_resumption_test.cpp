#include "gateway/mcp_resumption.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "base/digest.hpp"
#include "gateway/mcp_outbox.hpp"
#include "protocol/sse.hpp"

namespace gavel {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const McpStreamedCall kCall{LogId{"mcp-old-1"}, IntentId{17}, "\"seven\""};

TEST(McpEventIds, NameACallOrItsEnd) {
  const auto name = stream_name(kCall);
  const auto place = read_event_id(event_id(name, 3));
  ASSERT_TRUE(place);
  EXPECT_EQ(place->call.session, kCall.session);
  EXPECT_EQ(place->call.intent, kCall.intent);
  EXPECT_EQ(place->call.request_id, kCall.request_id);
  EXPECT_EQ(place->name, name);
  EXPECT_EQ(place->event, 3U);
  EXPECT_FALSE(place->ended);
  EXPECT_TRUE(read_event_id(last_event_id(name))->ended);
}

TEST(McpEventIds, AnythingElseIsNone) {
  const auto said = [](std::string_view text) { return event_id(to_base64(text), 1); };
  const auto name = stream_name(kCall);
  for (const auto& id :
       {std::string(), std::string("call."), std::string("call..1"), "call." + name,
        "call." + name + ".", "call." + name + ".x", "call." + name + ".-1",
        "call." + name + ".1.2", event_id(name, 1).substr(1), said("no JSON"), said("[]"),
        said("{}"), said(R"({"log":"a","intent":-1,"request":"1"})"),
        said(R"({"log":"a","intent":"1","request":"1"})"),
        said(R"({"log":"a","intent":1,"request":"{}"})"),
        said(R"({"log":"a","intent":1,"request":"1,2"})"),
        said(R"({"log":"a","intent":1,"request":""})"), said(std::string(9'000, ' '))}) {
    EXPECT_FALSE(read_event_id(id)) << id;
  }
  EXPECT_THAT(stream_name({kCall.session, kCall.intent, std::string(3'000, '1')}), IsEmpty());
}

TEST(McpEventIds, OlderClientsGetNoEventWithoutData) {
  for (const std::string version : {"2025-11-25", "2025-06-18"}) {
    SseParser parser;
    ASSERT_TRUE(parser.feed(priming_event("x.1", version)));
    const auto event = parser.next();
    EXPECT_EQ(event.has_value(), version == "2025-11-25");
    EXPECT_EQ(parser.last_event_id(), "x.1");
    EXPECT_TRUE(parser.retry());
  }
}

class Outbox : public ::testing::Test {
protected:
  std::shared_ptr<McpOutbox> outbox(McpOutbox::Sent sent = McpOutbox::Sent::kept) {
    return std::make_shared<McpOutbox>(io_.get_executor(), sent);
  }
  static std::vector<std::string> read(McpOutbox& outbox) {
    std::vector<std::string> all;
    while (auto message = outbox.next()) all.push_back(*message);
    return all;
  }

  asio::io_context io_;
};

TEST_F(Outbox, ASuccessorGoesOnBehindAPlace) {
  const auto first = outbox();
  const auto opened = first->place();
  for (const std::string message : {"a", "b", "c"}) first->push(message);
  EXPECT_EQ(first->next(), "a");
  const auto behind_a = first->place();
  EXPECT_EQ(first->next(), "b");
  const auto second = first->successor(behind_a);
  EXPECT_THAT(read(*first), IsEmpty()) << "a message is on one stream";
  EXPECT_THAT(read(*second), ElementsAre("b", "c"));
  second->push("d");
  EXPECT_THAT(read(*second->successor(opened)), ElementsAre("a", "b", "c", "d"));
}

TEST_F(Outbox, WithoutAPlaceOfItsOwnASuccessorBeginsNow) {
  const auto first = outbox();
  first->push("a");
  const auto beyond = first->place().substr(0, first->place().find('.')) + ".9";
  for (const auto& place : {std::string(), outbox()->place(), beyond, std::string("x")}) {
    const auto next = first->successor(place);
    EXPECT_THAT(read(*next), IsEmpty()) << place;
    next->push("b");
    EXPECT_THAT(read(*next), ElementsAre("b"));
  }
  EXPECT_THAT(read(*first), ElementsAre("a")) << "its own reader still has it";
}

TEST_F(Outbox, KeepsTheLastMessagesAndNotTooManyBytes) {
  const auto many = outbox();
  const auto opened = many->place();
  for (std::size_t i = 0; i < kOutboxMessagesMax + 2; ++i) {
    many->push(std::to_string(i));
    many->next();
  }
  const auto kept = read(*many->successor(opened));
  EXPECT_EQ(kept.size(), kOutboxMessagesMax);
  EXPECT_EQ(kept.front(), "2");

  const auto large = outbox();
  large->push("small");
  large->push(std::string(kOutboxBytesMax + 1, 'x'));
  EXPECT_EQ(read(*large).size(), 1U) << "the last one is kept however large it is";

  const auto plain = outbox(McpOutbox::Sent::forgotten);
  const auto start = plain->place();
  plain->push("a");
  EXPECT_THAT(read(*plain), ElementsAre("a"));
  EXPECT_THAT(read(*plain->successor(start)), IsEmpty());
}

}  // namespace
}  // namespace gavel
