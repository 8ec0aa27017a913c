#include "runtime/task_following.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <deque>

#include "runtime/upstream_world_test.hpp"

namespace gavel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Answers what it is asked about a task with what the test lays out, one after another.
class TaskServer final : public TestUpstream {
public:
  TaskServer() : TestUpstream("s") {}
  std::deque<UpstreamReply> replies;
  std::vector<std::string> asked;  // method and params

  asio::awaitable<UpstreamReply> request(UpstreamRequest request) override {
    EXPECT_TRUE(request.follows_tasks);
    asked.push_back(fmt::format("{} {}", request.method, request.params));
    UpstreamReply reply;
    if (!replies.empty()) {
      reply = std::move(replies.front());
      replies.pop_front();
    }
    co_return reply;
  }
};

UpstreamReply says(std::string status, std::string more = {}) {
  UpstreamReply reply;
  reply.delivery = Delivery::answered;
  reply.result =
      fmt::format(R"({{"taskId":"t","status":"{}","pollIntervalMs":1{}}})", status, more);
  return reply;
}

UpstreamReply refuses(int code) {
  UpstreamReply reply;
  reply.delivery = Delivery::answered;
  reply.rpc_error = fmt::format(R"({{"code":{},"message":"no such task"}})", code);
  return reply;
}

class TaskFollowing : public testing::Test {
protected:
  TaskEnd follow(std::string revision = "2026-07-28") {
    const TaskStarted task{IntentId{3}, 1, "t", std::move(revision), Duration{1}};
    return world_.wait(follow_task(
        world_.io.get_executor(), world_.clock, task, {}, [this] { return server_; },
        [this] { return side_; }));
  }

  UpstreamWorld world_;
  std::shared_ptr<TaskServer> server_ = std::make_shared<TaskServer>();
  CallerSide side_;
};

TEST_F(TaskFollowing, EndsWithWhatTheModernServerSaysOfIt) {
  server_->replies = {says("working"), says("completed", R"(,"result":{"content":[]})")};
  EXPECT_EQ(follow().reply.result, R"({"content":[]})");
  EXPECT_THAT(server_->asked,
              ElementsAre(R"(tasks/get {"taskId":"t"})", R"(tasks/get {"taskId":"t"})"));
  server_->replies = {says("failed", R"(,"error":{"code":-1,"message":"m"})")};
  EXPECT_EQ(follow().reply.rpc_error, R"({"code":-1,"message":"m"})");
  server_->replies = {says("cancelled")};
  EXPECT_TRUE(follow().cancelled);
}

TEST_F(TaskFollowing, FetchesTheResultOfALegacyServer) {
  UpstreamReply result;
  result.delivery = Delivery::answered;
  result.result = R"({"content":[1]})";
  server_->replies = {says("failed"), result};
  EXPECT_EQ(follow("2025-11-25").reply.result, R"({"content":[1]})");
  EXPECT_EQ(server_->asked.back(), R"(tasks/result {"taskId":"t"})");
}

TEST_F(TaskFollowing, ALossOfTheConnectionIsNoEnd) {
  UpstreamReply lost;
  lost.delivery = Delivery::lost;
  lost.error = {ErrorCode::timeout, "late"};
  server_->replies = {lost, UpstreamReply{}, says("completed", R"(,"result":{})")};
  EXPECT_EQ(follow().reply.result, "{}");
}

TEST_F(TaskFollowing, WhatNobodyKnowsAnyMoreIsLost) {
  server_->replies = {refuses(-32602)};
  const auto forgotten = follow();
  EXPECT_EQ(forgotten.reply.delivery, Delivery::lost);
  EXPECT_THAT(forgotten.reply.error.message, HasSubstr("no such task"));
  server_->replies = {says("completed")};
  EXPECT_EQ(follow().reply.delivery, Delivery::lost) << "it does not say with what result";
  server_->replies = {says("dreaming")};
  EXPECT_EQ(follow().reply.delivery, Delivery::lost);
  server_ = nullptr;
  EXPECT_THAT(follow().reply.error.message, HasSubstr("no server of the policy"));
}

constexpr std::string_view kAsks =
    R"(,"inputRequests":{"a":{"method":"elicitation/create","params":{"message":"m"}}})";

TEST_F(TaskFollowing, WhatItAsksForIsSentOnceItIsAnswered) {
  side_.capabilities = {{"elicitation", json::object{}}};
  side_.on_question = [](UpstreamQuestion question) {
    EXPECT_EQ(question.method, "elicitation/create");
    question.answer(R"({"action":"accept"})", {});
  };
  server_->replies = {says("input_required", std::string(kAsks)), says("working"),
                      says("completed", R"(,"result":{})")};
  EXPECT_EQ(follow().reply.result, "{}");
  EXPECT_EQ(server_->asked[1],
            R"(tasks/update {"taskId":"t","inputResponses":{"a":{"action":"accept"}}})");
}

TEST_F(TaskFollowing, WhoLeftIsAskedAgainAndWhoRefusesEndsIt) {
  side_.capabilities = {{"elicitation", json::object{}}};
  int times = 0;
  side_.on_question = [&](UpstreamQuestion question) {
    // Gavel's own, of a client that is gone; then one of a client.
    const int code = ++times < 3 ? rpc::kInternalError : -1;
    question.answer({}, rpc_error_object(code, "no"));
  };
  const auto asks = says("input_required", std::string(kAsks));
  server_->replies = {asks, asks, asks, says("cancelled"), says("cancelled")};
  EXPECT_TRUE(follow().cancelled);
  EXPECT_EQ(times, 3);
  EXPECT_THAT(server_->asked[3], HasSubstr("tasks/cancel"));
}

TEST_F(TaskFollowing, WhatNobodyCanBeAskedWaits) {
  server_->replies = {says("input_required", std::string(kAsks)),
                      says("input_required", std::string(kAsks)),
                      says("completed", R"(,"result":{})")};
  EXPECT_EQ(follow().reply.result, "{}");
  EXPECT_EQ(server_->asked.size(), 3u);
}

}  // namespace
}  // namespace gavel
