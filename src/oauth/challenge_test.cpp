#include "oauth/challenge.hpp"

#include <gmock/gmock.h>

namespace gavel {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

TEST(BearerChallenge, SaysWhereTheMetadataAreAndWhichScopesAreWanted) {
  const auto challenge = parse_bearer_challenge(
      R"(Bearer realm="x", error="insufficient_scope", scope="a b", resource_metadata="https://m/")");
  ASSERT_TRUE(challenge);
  EXPECT_EQ(challenge->resource_metadata, "https://m/");
  EXPECT_THAT(challenge->scopes, ElementsAre("a", "b"));
  EXPECT_EQ(challenge->error, "insufficient_scope");
}

TEST(BearerChallenge, IsFoundAmongOthers) {
  for (const std::string_view header :
       {R"(Basic realm="a, Bearer b", Bearer scope=a)", R"(bearer scope="a", Basic realm="x")",
        R"(Negotiate YWJj==, Bearer scope="a")", R"(,, BEARER   Scope = "a")",
        R"(Negotiate, Bearer scope="a")"}) {
    const auto challenge = parse_bearer_challenge(header);
    ASSERT_TRUE(challenge) << header;
    EXPECT_THAT(challenge->scopes, ElementsAre("a")) << header;
  }
  EXPECT_EQ(parse_bearer_challenge("Bearer"), BearerChallenge{});
}

TEST(BearerChallenge, IsNothingWhereNoneIsThere) {
  for (const std::string_view header : {"", "Basic realm=\"x\"", "DPoP a=b", "=", "\"", "@"}) {
    EXPECT_FALSE(parse_bearer_challenge(header)) << header;
  }
}

TEST(BearerChallenge, ReadsBrokenTextToItsEnd) {
  for (const std::string_view header :
       {"Bearer scope=\"a", "Bearer scope=\"a\\", "Bearer =", "Bearer a=b=c", "Bearer \x01"}) {
    EXPECT_TRUE(parse_bearer_challenge(header)) << header;
  }
  EXPECT_EQ(parse_bearer_challenge(R"(Bearer error="a\"b")")->error, "a\"b");
}

TEST(Scopes, AreSplitOnceEachAndBounded) {
  EXPECT_THAT(split_scopes("  b a  b "), ElementsAre("b", "a"));
  EXPECT_THAT(split_scopes("ok q\"x \x80 y\\z"), ElementsAre("ok"));
  EXPECT_THAT(split_scopes(std::string(kScopeBytesMax + 1, 'x')), SizeIs(0));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += std::to_string(i) + " ";
  EXPECT_THAT(split_scopes(many), SizeIs(kScopesMax));
}

TEST(Scopes, GrowWithoutLosingAny) {
  EXPECT_EQ(join_scopes(scopes_with({"a", "b"}, {"b", "c"})), "a b c");
  EXPECT_TRUE(has_scopes({"a", "b"}, {"b"}));
  EXPECT_TRUE(has_scopes({}, {}));
  EXPECT_FALSE(has_scopes({"a"}, {"a", "b"}));
}

}  // namespace
}  // namespace gavel
