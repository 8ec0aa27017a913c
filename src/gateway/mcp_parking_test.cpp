#include "gateway/mcp_parking.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "base/json.hpp"

namespace gavel {
namespace {

using ::testing::HasSubstr;

const Principal kAgent{"agent"};
const Principal kOther{"other"};
const Digest kRequest = sha256("tools/call add");
const Digest kAnswers = sha256("yes");

class Parking : public ::testing::Test {
protected:
  McpParked parked() {
    McpParked made;
    made.principal = kAgent;
    made.request = kRequest;
    made.call = std::make_shared<WaitingCall>(io_.get_executor());
    made.questions.emplace("it", UpstreamQuestion{"elicitation/create", "{}",
                                                  [this](std::string, const std::string& error) {
                                                    if (!error.empty()) ++unanswered_;
                                                  }});
    return made;
  }
  static ErrorCode code(const auto& result) {
    return result ? ErrorCode::internal : result.error().code;
  }

  asio::io_context io_;
  std::chrono::steady_clock::time_point now_{std::chrono::hours(7)};
  int unanswered_ = 0;
  McpParking parking_{[this] { return now_; }};
};

TEST_F(Parking, ATicketIsGoodOnceForItsPrincipalAndRequest) {
  const auto ticket = *parking_.park(parked());
  EXPECT_EQ(code(parking_.take(ticket, kOther, kRequest)), ErrorCode::invalid_argument);
  EXPECT_EQ(code(parking_.take(ticket, kAgent, sha256("another"))), ErrorCode::invalid_argument);
  EXPECT_TRUE(parking_.take(ticket, kAgent, kRequest));
  const auto again = parking_.take(ticket, kAgent, kRequest);
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, HasSubstr("was used"));
  EXPECT_EQ(unanswered_, 0);
}

TEST_F(Parking, ATicketExpiresAndItsServerHearsThatNobodyAnswered) {
  const auto ticket = *parking_.park(parked());
  now_ += kParkedFor - std::chrono::milliseconds(1);
  const auto late = *parking_.park(parked());
  EXPECT_FALSE(parking_.empty());
  EXPECT_EQ(unanswered_, 0);
  now_ += std::chrono::milliseconds(1);
  EXPECT_EQ(code(parking_.take(ticket, kAgent, kRequest)), ErrorCode::invalid_argument);
  EXPECT_EQ(unanswered_, 1);
  EXPECT_TRUE(parking_.take(late, kAgent, kRequest));
}

TEST_F(Parking, ATicketToBeginAnewIsGoodForOneRound) {
  const auto ticket = parking_.ticket_to_begin_anew(kAgent, kRequest);
  EXPECT_NE(parking_.ticket_to_begin_anew(kAgent, kRequest), ticket) << "each is another";
  EXPECT_FALSE(parking_.begins_anew(ticket, kOther, kRequest));
  EXPECT_FALSE(parking_.begins_anew(ticket, kAgent, sha256("another")));
  ASSERT_TRUE(parking_.begins_anew(ticket, kAgent, kRequest));
  EXPECT_TRUE(parking_.begin_anew(ticket, kAnswers));
  EXPECT_TRUE(parking_.begin_anew(ticket, kAnswers)) << "the same round, sent again";
  EXPECT_EQ(code(parking_.begin_anew(ticket, sha256("no"))), ErrorCode::invalid_argument);
}

TEST_F(Parking, ATicketToBeginAnewExpiresWhetherItWasUsedOrNot) {
  const auto used = parking_.ticket_to_begin_anew(kAgent, kRequest);
  const auto unused = parking_.ticket_to_begin_anew(kAgent, kRequest);
  now_ += kParkedFor - std::chrono::milliseconds(1);
  EXPECT_TRUE(parking_.begin_anew(used, kAnswers));
  now_ += std::chrono::milliseconds(1);
  for (const auto& ticket : {used, unused}) {
    ASSERT_TRUE(parking_.begins_anew(ticket, kAgent, kRequest));
    EXPECT_EQ(code(parking_.begin_anew(ticket, kAnswers)), ErrorCode::invalid_argument);
  }
}

TEST_F(Parking, ATicketWhoseEndWasChangedIsNone) {
  auto ticket = parking_.ticket_to_begin_anew(kAgent, kRequest);
  ticket.insert(ticket.find('-') + 1, "9");
  EXPECT_FALSE(parking_.begins_anew(ticket, kAgent, kRequest));
  McpParking restarted([this] { return now_; });
  EXPECT_FALSE(
      restarted.begins_anew(parking_.ticket_to_begin_anew(kAgent, kRequest), kAgent, kRequest));
}

}  // namespace
}  // namespace gavel
