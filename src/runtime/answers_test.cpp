#include "runtime/answers.hpp"

#include <gtest/gtest.h>

namespace gavel {
namespace {

TEST(AnswerOf, AnUnclearProbeLeavesItUnknown) {
  Entry entry;
  entry.position = Position{9};
  entry.body = Probed{IntentId{3}, ProbeVerdict::unclear, "the probe got no answer", {}};
  const CallAnswer answer = answer_of(LogId{"s"}, "bank__book", entry, {});
  EXPECT_EQ(answer.kind, AnswerKind::refused);
  EXPECT_EQ(answer.intent, IntentId{3});
  EXPECT_EQ(answer.code, ErrorCode::timeout);
  EXPECT_TRUE(answer.text.starts_with(
      "It is unknown whether bank__book happened (s#3): the probe got no answer."))
      << answer.text;
}

}  // namespace
}  // namespace gavel
