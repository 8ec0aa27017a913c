#include "cli/refs.hpp"

#include <gtest/gtest.h>

namespace gavel {
namespace {

json::array pending(std::initializer_list<std::pair<const char*, int>> items) {
  json::array out;
  for (const auto& [session, intent] : items) {
    out.push_back(json::object{{"session", session}, {"intent", intent}});
  }
  return out;
}

TEST(IntentRef, UnderstandsTheThreeForms) {
  EXPECT_EQ(parse_intent_ref("refund-42#17").value(), (IntentRef{"refund-42", 17}));
  EXPECT_EQ(parse_intent_ref("#17").value(), (IntentRef{"", 17}));
  EXPECT_EQ(parse_intent_ref("17").value(), (IntentRef{"", 17}));
}

TEST(IntentRef, RefusesWhatIsNoNumber) {
  for (const auto* text : {"", "refund", "refund#", "refund#x", "#0", "17x", "-3", "a#1#"}) {
    const auto ref = parse_intent_ref(text);
    ASSERT_FALSE(ref.has_value()) << text;
    EXPECT_EQ(ref.error().code, ErrorCode::invalid_argument);
  }
}

TEST(IntentRef, IsCompletedFromTheOnePendingIntentOfThatNumber) {
  const auto ref = complete_ref({"", 17}, pending({{"a", 3}, {"b", 17}}));
  EXPECT_EQ(ref.value(), (IntentRef{"b", 17}));
}

TEST(IntentRef, IsLeftAloneWhereItNamesItsSession) {
  EXPECT_EQ(complete_ref({"x", 17}, pending({{"b", 17}})).value(), (IntentRef{"x", 17}));
}

TEST(IntentRef, IsAmbiguousWhereTwoSessionsHaveTheNumber) {
  const auto ref = complete_ref({"", 17}, pending({{"a", 17}, {"b", 17}}));
  ASSERT_FALSE(ref.has_value());
  EXPECT_EQ(ref.error().code, ErrorCode::conflict);
  EXPECT_NE(ref.error().message.find("a#17, b#17"), std::string::npos);
}

TEST(IntentRef, IsNotFoundWhereNothingPendingHasTheNumber) {
  const auto ref = complete_ref({"", 4}, pending({{"a", 17}}));
  ASSERT_FALSE(ref.has_value());
  EXPECT_EQ(ref.error().code, ErrorCode::not_found);
}

TEST(SessionOrIntent, TakesASessionWithoutNumber) {
  EXPECT_EQ(parse_session_or_intent("refund")->intent, std::nullopt);
  EXPECT_EQ(parse_session_or_intent("17")->session, "17");
  EXPECT_EQ(parse_session_or_intent("refund#5")->intent, 5u);
  EXPECT_FALSE(parse_session_or_intent("refund#").has_value());
}

}  // namespace
}  // namespace gavel
