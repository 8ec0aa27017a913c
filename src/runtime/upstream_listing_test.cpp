#include "runtime/upstream_listing.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "policy/parse.hpp"
#include "runtime/tool_directory.hpp"
#include "runtime/upstream_world_test.hpp"

namespace gavel {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class SetClock final : public Clock {
public:
  Timestamp now() const override { return {}; }
  SteadyTime steady() const override { return at; }
  SteadyTime at{1h};
};

// A server that answers any list with pages of one tool each.
class PagedServer final : public TestUpstream {
public:
  PagedServer() : TestUpstream("paged") {}
  // The cursor after this one; empty after the last page.
  std::function<std::string(const std::string& cursor)> after = [](const std::string&) {
    return std::string();
  };
  std::vector<std::int64_t> ttls;  // of the pages; none of those beyond
  std::size_t tools_per_page = 1;
  std::size_t asked = 0;

  asio::awaitable<UpstreamReply> request(UpstreamRequest request) override {
    const std::string cursor(json_unquote(json_slice(request.params, {"cursor"})).value_or(""));
    json::array tools;
    for (std::size_t i = 0; i < tools_per_page; ++i) {
      tools.push_back(json::object{{"name", fmt::format("t{}-{}", cursor, i)}});
    }
    json::object page{{"tools", std::move(tools)}};
    if (asked < ttls.size()) page["ttlMs"] = ttls[asked];
    ++asked;
    const auto next = after(cursor);
    if (!next.empty()) page["nextCursor"] = next;
    UpstreamReply reply;
    reply.delivery = Delivery::answered;
    reply.result = write_json(page);
    co_return reply;
  }
};

class ListingTest : public testing::Test {
protected:
  Result<UpstreamListing> list() {
    return world_.wait(list_all(server_, world_.clock, "tools/list", "tools"));
  }
  // Cursors "1", "2", ... up to the last.
  void pages(int last) {
    server_.after = [last](const std::string& cursor) {
      const int number = cursor.empty() ? 1 : std::stoi(cursor) + 1;
      return number > last ? std::string() : std::to_string(number);
    };
  }
  UpstreamWorld world_;
  PagedServer server_;
};

TEST_F(ListingTest, HasTheItemsOfAllPages) {
  pages(3);
  server_.ttls = {700, 300, 500};
  const auto listed = list();
  ASSERT_TRUE(listed) << listed.error().message;
  EXPECT_EQ(listed->items.size(), 4u);
  EXPECT_EQ(server_.asked, 4u);
  EXPECT_EQ(listed->ttl, 300ms);
}

TEST_F(ListingTest, SaysNothingOfHowLongItMayBeKeptWhereTheServerDoesNot) {
  EXPECT_EQ(list()->ttl, std::nullopt);
  server_.ttls = {-1, 0, -5};
  EXPECT_EQ(list()->ttl, 0ms) << "it may not be kept at all";
  EXPECT_EQ(list()->ttl, 0ms) << "nor is there less than that";
  EXPECT_EQ(list()->ttl, std::nullopt);
}

TEST_F(ListingTest, CursorsThatNeverEndAreAnError) {
  pages(1'000'000);
  const auto endless = list();
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().code, ErrorCode::too_large);
  EXPECT_THAT(endless.error().message, HasSubstr("paged pages tools/list without end"));
  EXPECT_EQ(server_.asked, kListPagesMax);
}

TEST_F(ListingTest, ACursorThatComesAgainIsAnErrorAtOnce) {
  server_.after = [](const std::string& cursor) { return cursor == "a" ? "b" : "a"; };
  const auto circle = list();
  ASSERT_FALSE(circle);
  EXPECT_THAT(circle.error().message, HasSubstr("twice"));
  EXPECT_EQ(server_.asked, 3u);
}

TEST_F(ListingTest, MoreItemsThanItsBoundAreAnError) {
  server_.tools_per_page = kListItemsMax + 1;
  const auto many = list();
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().code, ErrorCode::too_large);
}

TEST_F(ListingTest, ToolsAreListedAnewOnceTheirTimeIsOver) {
  SetClock clock;
  ToolDirectory directory(clock);
  const auto policy = parse_policy("rules: []", "gavel.yaml");
  ASSERT_TRUE(policy);
  server_.ttls = {1000};
  const auto list = [&] { return world_.wait(directory.list(server_, **policy)); };
  ASSERT_TRUE(list());
  EXPECT_EQ(directory.fresh_for("paged"), 1s);
  ASSERT_TRUE(list());
  EXPECT_EQ(server_.asked, 1u);
  clock.at += 1s;
  EXPECT_EQ(directory.fresh_for("paged"), 0s);
  EXPECT_NE(directory.known("paged"), nullptr) << "calls go by it until there is another";
  ASSERT_TRUE(list());
  EXPECT_EQ(server_.asked, 2u);
  // This time it did not say how long: until it announces a change.
  EXPECT_EQ(directory.fresh_for("paged"), std::chrono::milliseconds::max());
  directory.forget("paged");
  EXPECT_EQ(directory.fresh_for("paged"), 0s);
}

}  // namespace
}  // namespace gavel
