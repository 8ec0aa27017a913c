#include "cli/discovery.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cli/test_world.hpp"

namespace gavel {
namespace {

using testing::ScratchDirectory;
using testing::TestWorld;

TEST(StateDirectory, PrefersTheOptionThenTheEnvironmentThenHome) {
  TestWorld test;
  auto& world = test.world;
  world.directory = "/work";
  world.environment = {{"GAVEL_STATE", "/a"}, {"XDG_STATE_HOME", "/b"}, {"HOME", "/c"}};
  EXPECT_EQ(state_directory("x/../y", world).value(), "/work/y");
  EXPECT_EQ(state_directory("", world).value(), "/a");
  world.environment.erase("GAVEL_STATE");
  EXPECT_EQ(state_directory("", world).value(), "/b/gavel");
  world.environment.erase("XDG_STATE_HOME");
  EXPECT_EQ(state_directory("", world).value(), "/c/.local/state/gavel");
  world.environment.erase("HOME");
  EXPECT_EQ(state_directory("", world).error().code, ErrorCode::invalid_argument);
}

TEST(DaemonRecord, IsNothingWhereNoDaemonRuns) {
  const ScratchDirectory scratch;
  EXPECT_EQ(read_daemon_record(scratch.path()).value(), std::nullopt);
}

TEST(DaemonRecord, IsReadAndMistrusted) {
  const ScratchDirectory scratch;
  scratch.write("daemon.json", R"({"url":"http://127.0.0.1:1","pid":7})");
  EXPECT_EQ(read_daemon_record(scratch.path()).value()->pid, 7);
  EXPECT_EQ(read_daemon_record(scratch.path()).value()->certificate, "");
  scratch.write("daemon.json", R"({"url":"https://127.0.0.1:1","pid":7,"certificate":"/c.pem"})");
  const auto address = address_of(*read_daemon_record(scratch.path()).value());
  EXPECT_EQ(address.url, "https://127.0.0.1:1");
  EXPECT_EQ(address.trust.certificate, "/c.pem");
  scratch.write("daemon.json", "{}");
  EXPECT_EQ(read_daemon_record(scratch.path()).error().code, ErrorCode::corrupted);
}

TEST(Token, IsRefusedWhereItCouldEndAHeader) {
  const ScratchDirectory scratch;
  const auto file = scratch.write("t.json", "{\"token\":\"a\\r\\nHost: x\"}");
  EXPECT_EQ(read_token(file).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(read_token(scratch.path() / "none").error().code, ErrorCode::not_found);
}

TEST(WriteTextFile, AppearsWithItsModeAndReplacesOnlyWhenTold) {
  const ScratchDirectory scratch;
  const auto file = scratch.path() / "x";
  ASSERT_TRUE(write_text_file(file, "one", 0600, Replace::no).has_value());
  EXPECT_EQ(write_text_file(file, "two", 0600, Replace::no).error().code,
            ErrorCode::already_exists);
  EXPECT_EQ(read_text_file(file).value(), "one");
  ASSERT_TRUE(write_text_file(file, "two", 0600, Replace::yes).has_value());
  EXPECT_EQ(read_text_file(file).value(), "two");
  struct stat info{};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_EQ(read_text_file(file, 2).error().code, ErrorCode::too_large);
}

}  // namespace
}  // namespace gavel
