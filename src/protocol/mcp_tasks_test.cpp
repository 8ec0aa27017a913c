#include "protocol/mcp_tasks.hpp"

#include <gtest/gtest.h>

namespace gavel {
namespace {

using namespace std::chrono_literals;

json::object object(std::string_view text) {
  return parse_json(text).value().as_object();
}

TEST(Tasks, AreOfferedInTheWordsOfEachEra) {
  const auto legacy = object(R"({"tasks":{"requests":{"tools":{"call":{}}},"list":{}}})");
  const auto modern = object(R"({"extensions":{"io.modelcontextprotocol/tasks":{}}})");
  EXPECT_TRUE(offers_tasks(legacy, Era::legacy));
  EXPECT_FALSE(offers_tasks(legacy, Era::modern));
  EXPECT_TRUE(offers_tasks(modern, Era::modern));
  EXPECT_FALSE(offers_tasks(modern, Era::legacy));
  EXPECT_FALSE(offers_tasks(object(R"({"tasks":{"requests":{}}})"), Era::legacy));
  EXPECT_TRUE(offers_tasks(with_tasks({}), Era::modern));
  EXPECT_TRUE(find(with_tasks(object(R"({"extensions":{"x":{}},"roots":{}})")), "roots"));
}

TEST(Tasks, ATypeOfToolSaysWhetherItWantsThem) {
  EXPECT_EQ(task_support(object(R"({"execution":{"taskSupport":"required"}})")),
            TaskSupport::required);
  EXPECT_EQ(task_support(object(R"({"execution":{"taskSupport":"optional"}})")),
            TaskSupport::optional);
  for (const char* none : {"{}", R"({"execution":{}})", R"({"execution":{"taskSupport":"?"}})"}) {
    EXPECT_EQ(task_support(object(none)), TaskSupport::forbidden) << none;
  }
}

TEST(Tasks, AreMadeInEitherForm) {
  const auto legacy = read_created_task(
      Era::legacy,
      R"({"task":{"taskId":"t","status":"working","ttl":60000,"pollInterval":500,"createdAt":"x"}})");
  ASSERT_TRUE(legacy && *legacy);
  EXPECT_EQ((*legacy)->id, "t");
  EXPECT_EQ((*legacy)->status, TaskStatus::working);
  EXPECT_EQ((*legacy)->poll, 500ms);
  EXPECT_EQ((*legacy)->keeps, 60s);
  const auto modern = read_created_task(
      Era::modern, R"({"resultType":"task","taskId":"u","status":"input_required","ttlMs":null})");
  ASSERT_TRUE(modern && *modern);
  EXPECT_EQ((*modern)->id, "u");
  EXPECT_EQ((*modern)->status, TaskStatus::input_required);
  EXPECT_EQ((*modern)->keeps, std::nullopt);
}

TEST(Tasks, APlainResultIsNone) {
  EXPECT_FALSE(read_created_task(Era::legacy, R"({"content":[]})"));
  EXPECT_FALSE(read_created_task(Era::modern, R"({"content":[],"task":{"taskId":"t"}})"));
  EXPECT_FALSE(read_created_task(Era::legacy, R"({"task":"t"})"));
}

TEST(Tasks, OneThatCannotBeFollowedIsAnError) {
  for (const char* bad :
       {R"({"resultType":"task"})", R"({"resultType":"task","taskId":"","status":"working"})",
        R"({"resultType":"task","taskId":"t","status":"dreaming"})",
        R"({"resultType":"task","taskId":7,"status":"working"})"}) {
    const auto made = read_created_task(Era::modern, bad);
    ASSERT_TRUE(made) << bad;
    EXPECT_FALSE(*made) << bad;
  }
}

TEST(Tasks, SayWhatCameOfThem) {
  const auto done = read_task(R"({"taskId":"t","status":"completed","result":{"content":[ ]}})");
  ASSERT_TRUE(done);
  EXPECT_EQ(done->result, R"({"content":[ ]})");
  const auto failed = read_task(R"({"taskId":"t","status":"failed","error":{"code":-1}})");
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error, R"({"code":-1})");
  const auto asks = read_task(
      R"({"taskId":"t","status":"input_required","inputRequests":{"a":{"method":"roots/list"}}})");
  ASSERT_TRUE(asks);
  EXPECT_EQ(asks->questions, R"({"a":{"method":"roots/list"}})");
  EXPECT_FALSE(read_task("[]"));
}

}  // namespace
}  // namespace gavel
