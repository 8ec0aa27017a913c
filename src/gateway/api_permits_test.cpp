// Leave for what clients do themselves, against the whole gateway.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "gateway/test_world.hpp"

namespace gavel {
namespace {

using test::World;
using ::testing::HasSubstr;

std::string text_at(const json::value& value, std::string_view pointer) {
  return std::string(value.at_pointer(pointer).as_string());
}

json::value permit(World& world, const std::string& command, const std::string& call_id,
                   int wait_ms = 5000, int status = 200) {
  return world.post(
      "agent", "/v1/sessions/s/permits",
      {{"tool", "own__shell"},
       {"arguments",
        json::object{{"command", command}, {"directory", "/srv/app"}, {"project", "/srv/app"}}},
       {"call_id", call_id},
       {"wait_ms", wait_ms}},
      status);
}

json::value outcome(World& world, const std::string& call_id, int status = 200) {
  return world.post(
      "agent", "/v1/sessions/s/outcomes",
      {{"call_id", call_id},
       {"kind", "ok"},
       {"result",
        json::object{{"content", json::array{json::object{{"type", "text"}, {"text", "done"}}}}}}},
      status);
}

std::string phase_of_first(World& world) {
  return text_at(world.get("/v1/sessions/s/transcript"), "/intents/0/phase");
}

TEST(Permit, AReadIsLeftToTheClientAndItsOutcomeRecorded) {
  World world;
  const auto answer = permit(world, "ls", "c1");
  EXPECT_EQ(text_at(answer, "/kind"), "granted");
  EXPECT_EQ(phase_of_first(world), "in_flight");
  EXPECT_EQ(outcome(world, "c1").at("intent"), answer.at("intent"));
  EXPECT_EQ(phase_of_first(world), "ok");
  EXPECT_EQ(text_at(world.get("/v1/sessions/s/transcript"), "/intents/0/result/content/0/text"),
            "done");
  EXPECT_EQ(outcome(world, "c1").at("intent"), answer.at("intent")) << "saying it twice is fine";
}

TEST(Permit, WhatIsDecidedIsToldHoweverShortThePatience) {
  World world;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(text_at(permit(world, "ls", "c" + std::to_string(i), 0), "/kind"), "granted");
  }
  EXPECT_EQ(text_at(permit(world, "mkdir a", "held", 0), "/kind"), "pending");
}

TEST(Permit, LeaveIsGivenOnce) {
  World world;
  EXPECT_EQ(text_at(permit(world, "ls", "c1"), "/kind"), "granted");
  const auto again = permit(world, "ls", "c1");
  EXPECT_EQ(text_at(again, "/kind"), "refused");
  EXPECT_THAT(text_at(again, "/text"), HasSubstr("given already"));
  EXPECT_EQ(text_at(permit(world, "ls", "c2"), "/kind"), "granted") << "another call is another";
  (void)outcome(world, "c1");
  EXPECT_THAT(text_at(permit(world, "ls", "c1"), "/text"), HasSubstr("done already"));
}

TEST(Permit, AHeldCallIsTakenByTheRepeatedOne) {
  World world;
  const auto held = permit(world, "mkdir a", "c1", 50);
  EXPECT_EQ(text_at(held, "/kind"), "pending");
  EXPECT_THAT(text_at(held, "/text"), HasSubstr("gavel approve s#"));
  EXPECT_EQ(text_at(permit(world, "mkdir a", "c2", 50), "/kind"), "pending");
  const auto pending = world.only_pending();
  EXPECT_EQ(pending.at("intent"), held.at("intent")) << "one action, whatever its call ids";
  world.decide(pending, "allow");
  EXPECT_EQ(phase_of_first(world), "committed") << "approved: nobody has taken it";
  const auto taken = permit(world, "mkdir a", "c3");
  EXPECT_EQ(text_at(taken, "/kind"), "granted");
  EXPECT_EQ(taken.at("intent"), held.at("intent"));
  EXPECT_EQ(outcome(world, "c3").at("intent"), held.at("intent"));
  EXPECT_EQ(text_at(permit(world, "mkdir a", "c4", 50), "/kind"), "pending") << "a new action";
}

TEST(Permit, AWaitingCallHearsOfItsApproval) {
  World world;
  json::value answer;
  std::thread waiting([&] { answer = permit(world, "mkdir a", "c1", 20'000); });
  world.decide(world.only_pending(), "allow");
  waiting.join();
  EXPECT_EQ(text_at(answer, "/kind"), "granted");
}

TEST(Permit, ADeniedCallIsRefused) {
  World world;
  json::value answer;
  std::thread waiting([&] { answer = permit(world, "mkdir a", "c1", 20'000); });
  world.decide(world.only_pending(), "deny");
  waiting.join();
  EXPECT_EQ(text_at(answer, "/kind"), "refused");
  EXPECT_EQ(text_at(answer, "/code"), "denied");
}

TEST(Permit, HaltsAndEpochsHold) {
  World world;
  (void)permit(world, "ls", "c1");
  (void)world.post("operator", "/v1/halts",
                   {{"scope", "toolset:own"}, {"mode", "halt"}, {"reason", "stop"}});
  const auto halted = permit(world, "ls", "c2");
  EXPECT_EQ(text_at(halted, "/kind"), "refused");
  EXPECT_EQ(text_at(halted, "/code"), "halted");
  (void)world.post("operator", "/v1/resume", {{"scope", "toolset:own"}, {"reason", "on"}});
  (void)world.post("agent", "/v1/sessions/s/wake", {{"client", "t"}, {"reason", "r"}});
  EXPECT_EQ(phase_of_first(world), "failed") << "a read that the earlier driver never reported";
  (void)permit(world, "ls", "c3", 50, 409);
}

TEST(Permit, IsOnlyForWhatClientsDoThemselves) {
  World world;
  (void)world.post("agent", "/v1/sessions/s/permits",
                   {{"tool", "box__add"}, {"arguments", json::object{}}}, 400);
  (void)world.post("agent", "/v1/sessions/s/intents",
                   {{"tool", "own__shell"}, {"arguments", json::object{{"command", "ls"}}}}, 404);
  (void)outcome(world, "nothing", 404);
}

}  // namespace
}  // namespace gavel
