#include "gateway/router.hpp"

#include <gtest/gtest.h>

#include "base/text.hpp"
#include "gateway/api_query.hpp"
#include "gateway/http_types.hpp"

namespace gavel {
namespace {

Router sessions_router() {
  Router router;
  router.add("GET", "/v1/sessions");
  router.add("GET", "/v1/sessions/{}");
  router.add("POST", "/v1/sessions/{}/intents/{}/vote");
  router.add("GET", "/v1/halts");
  router.add("POST", "/v1/halts");
  return router;
}

TEST(Router, FindsTheRouteAndDecodesItsParameters) {
  const auto router = sessions_router();
  const auto plain = router.match("GET", "/v1/sessions");
  ASSERT_TRUE(std::holds_alternative<RouteFound>(plain));
  EXPECT_EQ(std::get<RouteFound>(plain).route, 0U);
  const auto control = router.match("GET", "/v1/sessions/control%2Feverything");
  ASSERT_TRUE(std::holds_alternative<RouteFound>(control));
  EXPECT_EQ(std::get<RouteFound>(control).parameters,
            std::vector<std::string>{"control/everything"});
  const auto vote = router.match("POST", "/v1/sessions/a/intents/17/vote");
  ASSERT_TRUE(std::holds_alternative<RouteFound>(vote));
  EXPECT_EQ(std::get<RouteFound>(vote).parameters, (std::vector<std::string>{"a", "17"}));
}

TEST(Router, TellsWhichMethodsAreAllowed) {
  const auto match = sessions_router().match("DELETE", "/v1/halts");
  ASSERT_TRUE(std::holds_alternative<RouteWrongMethod>(match));
  EXPECT_EQ(std::get<RouteWrongMethod>(match).allow, "GET, POST");
}

TEST(Router, OtherPathsAreUnknown) {
  const auto router = sessions_router();
  for (const auto* path : {"", "/", "/v1", "/v1/sessions/", "/v1/sessions/a/b", "/v2/sessions"}) {
    EXPECT_TRUE(std::holds_alternative<RouteUnknown>(router.match("GET", path))) << path;
  }
}

TEST(Router, BrokenEscapesAreMalformed) {
  const auto router = sessions_router();
  for (const auto* path :
       {"/v1/sessions/%", "/v1/sessions/%2", "/v1/sessions/%zz", "/v1/sessions/%ff"}) {
    EXPECT_TRUE(std::holds_alternative<RouteMalformed>(router.match("GET", path))) << path;
  }
}

TEST(PercentEncoding, RoundTrips) {
  const std::string text = "control/agent/zo\xC3\xAB & co?";
  EXPECT_EQ(percent_decode(percent_encode(text)), text);
}

TEST(Query, FindsValuesByName) {
  EXPECT_EQ(query_value("a=1&b=two+words&c", "b"), "two words");
  EXPECT_EQ(query_value("a=1&b=2&c", "c"), "");
  EXPECT_EQ(query_value("a=1", "b"), std::nullopt);
  EXPECT_EQ(query_value("ab=1", "a"), std::nullopt);
}

TEST(Query, NumbersMustBeNumbersWithinTheirRange) {
  EXPECT_EQ(*query_number("limit=5", "limit", 100, 1, 10), 5U);
  EXPECT_EQ(*query_number("", "limit", 100, 1, 10), 100U);
  for (const auto* bad : {"limit=0", "limit=11", "limit=-1", "limit=x", "limit=", "limit=5x"}) {
    const auto number = query_number(bad, "limit", 100, 1, 10);
    ASSERT_FALSE(number) << bad;
    EXPECT_EQ(number.error().code, ErrorCode::invalid_argument);
  }
}

TEST(Router, APathBeginsWithASlash) {
  Router router;
  router.add("GET", "/v1/health");
  for (const std::string_view path :
       {"v1/health", "http://localhost/v1/health", "//v1/health", "*", ""}) {
    EXPECT_TRUE(std::holds_alternative<RouteUnknown>(router.match("GET", path))) << path;
  }
}

}  // namespace
}  // namespace gavel
