#include "cli/command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/json.hpp"
#include "cli/discovery.hpp"
#include "cli/test_world.hpp"

namespace gavel {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::TestWorld;

TEST(CommandLine, PrintsTheHelpWhereNothingIsAsked) {
  TestWorld world;
  const auto ran = world.run({});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("approvals"));
  EXPECT_THAT(ran.out, Not(HasSubstr("__values")));
}

TEST(CommandLine, PrintsTheHelpOfASubcommand) {
  TestWorld world;
  const auto ran = world.run({"approve", "--help"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("--yes"));
}

TEST(CommandLine, SuggestsTheSubcommandThatWasMeant) {
  TestWorld world;
  const auto ran = world.run({"sesions"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, HasSubstr("did you mean \"sessions\""));
}

TEST(CommandLine, SuggestsTheOptionThatWasMeant) {
  TestWorld world;
  const auto ran = world.run({"approve", "17", "--reson", "x"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("--reason"));
}

TEST(CommandLine, SaysWhatIsMissing) {
  TestWorld world;
  EXPECT_THAT(world.run({"approve"}).err, HasSubstr("INTENT"));
  EXPECT_THAT(world.run({"token"}).err, HasSubstr("gavel token --help"));
  EXPECT_THAT(world.run({"token", "nwe"}).err, HasSubstr("did you mean \"new\""));
  EXPECT_EQ(world.run({"completion", "tcsh"}).code, 2);
}

TEST(CommandLine, SaysWhatToWriteInsteadOfAWrongOption) {
  struct Case {
    std::vector<std::string> words;
    std::string said;
  };
  const std::vector<Case> cases = {
      {{"approve"}, "gavel: INTENT is missing: SESSION#N, or N where one pending call has it"},
      {{"approve", "s#1", "--reason"}, "gavel: --reason needs a value: --reason TEXT"},
      {{"log", "s", "--from", "x"},
       "gavel: --from takes a whole number, as in --from 10, not \"x\""},
      {{"log", "s", "--from=-3"}, "as in --from 10, not \"-3\""},
      {{"approve", "s#1", "--yes=maybe"}, "gavel: --yes stands alone: it takes no value"},
      {{"completion", "bsh"},
       "gavel: SHELL is one of bash, zsh, fish, not \"bsh\" (did you mean \"bash\"?)"},
      {{"sessions", "--color", "neve"}, "not \"neve\" (did you mean \"never\"?)"},
      {{"show", "a", "b"}, "gavel: \"b\" is one argument too many"},
      {{"show", "a", "-z"}, "gavel: gavel show has no option -z"},
  };
  for (const auto& [words, said] : cases) {
    TestWorld world;
    const auto ran = world.run(words);
    EXPECT_EQ(ran.code, 2) << said;
    EXPECT_THAT(ran.err, HasSubstr(said));
    EXPECT_THAT(ran.err, HasSubstr("--help")) << said;
  }
}

TEST(CommandLine, ScriptsAndStartersComeAsJsonToo) {
  TestWorld world;
  const auto script = parse_json(world.run({"completion", "bash", "--json"}).out);
  ASSERT_TRUE(script);
  EXPECT_EQ(string_or(*script, "shell"), "bash");
  EXPECT_EQ(string_or(*script, "script"), world.run({"completion", "bash"}).out);
  const auto printed = parse_json(world.run({"init", "--print", "--json"}).out);
  ASSERT_TRUE(printed);
  EXPECT_EQ(string_or(*printed, "text"), world.run({"init", "--print"}).out);
  EXPECT_NE(find_array(*printed, "servers"), nullptr);
  const auto written = parse_json(world.run({"init", "--json"}).out);
  ASSERT_TRUE(written);
  EXPECT_EQ(string_or(*written, "file"), (world.directory.path() / "gavel.yaml").string());
}

TEST(CommandLine, GivesErrorsAsJsonWhereJsonIsAsked) {
  TestWorld world;
  const auto ran = world.run({"sesions", "--json"});
  const auto error = parse_json(ran.err);
  ASSERT_TRUE(error.has_value()) << ran.err;
  EXPECT_EQ(string_or(*find(*error, "error"), "code"), "invalid_argument");
}

TEST(CommandLine, TakesGlobalOptionsBeforeAndAfterTheSubcommand) {
  TestWorld world;
  EXPECT_EQ(world.run({"--json", "version"}).out, "{\"version\":\"0.1.0\"}\n");
  EXPECT_EQ(world.run({"version", "--json"}).out, "{\"version\":\"0.1.0\"}\n");
  EXPECT_EQ(world.run({"--version"}).out, "gavel 0.1.0\n");
}

TEST(CommandLine, SaysHowToStartADaemonWhereNoneRuns) {
  TestWorld world;
  world.directory.write("state/tokens/operator.json",
                        R"({"principal":"operator","roles":["admin"],"token":"gavel_x"})");
  // Port 9 (discard) on loopback: nobody listens there.
  const auto ran = world.run({"sessions", "--url", "http://127.0.0.1:9"});
  EXPECT_EQ(ran.code, 8);
  EXPECT_THAT(ran.err, HasSubstr("no daemon at http://127.0.0.1:9"));
  EXPECT_THAT(ran.err, HasSubstr("gavel up"));
}

TEST(CommandLine, SaysTheSameWhereThereIsNoTokenEither) {
  TestWorld world;
  const auto ran = world.run({"sessions", "--url", "http://127.0.0.1:9"});
  EXPECT_EQ(ran.code, 8);
  EXPECT_THAT(ran.err, HasSubstr("gavel up"));
}

TEST(CommandLine, RefusesAUrlThatIsNone) {
  TestWorld world;
  world.directory.write("state/tokens/operator.json", R"({"token":"gavel_x"})");
  for (const auto* url : {"127.0.0.1:7420", "http://", "http://x:99999", "http://x/path",
                          "http://[::1", "http://x:1:2"}) {
    EXPECT_EQ(world.run({"sessions", "--url", url}).code, 2) << url;
  }
  EXPECT_EQ(world.run({"sessions", "--url", "https://x/path"}).code, 2);
}

TEST(Up, GivesItsOptionsToTheApplication) {
  TestWorld world;
  UpOptions seen;
  world.hooks.up = [&](const UpOptions& options) {
    seen = options;
    return 17;
  };
  world.directory.write("my.yaml", "servers: {}\n");
  const auto ran = world.run({"up", "--config", "my.yaml", "--state", "here", "--listen",
                              "127.0.0.1:0", "--log-level", "debug", "--poll", "0"});
  EXPECT_EQ(ran.code, 17);
  EXPECT_EQ(seen.config_path, (world.directory.path() / "my.yaml").string());
  EXPECT_EQ(seen.state_directory, (world.directory.path() / "here").string());
  EXPECT_EQ(seen.listen, "127.0.0.1:0");
  EXPECT_EQ(seen.log_level, "debug");
  EXPECT_EQ(seen.poll_micros, 0u);
  world.run({"up", "--config", "my.yaml"});
  EXPECT_EQ(seen.listen, "") << "what the policy says";
  EXPECT_EQ(seen.poll_micros, 200u);
}

TEST(Up, RefusesToPollForLongerThanAnybodyWaits) {
  TestWorld world;
  world.hooks.up = [](const UpOptions&) { return 0; };
  const auto ran = world.run({"up", "--poll", "10001"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("--poll 10001: at most 10000"));
  EXPECT_EQ(world.run({"up", "--poll", "10000"}).code, 0);
}

TEST(Up, RefusesAConfigurationThatIsNotThere) {
  TestWorld world;
  world.hooks.up = [](const UpOptions&) { return 0; };
  const auto ran = world.run({"up", "--config", "none.yaml"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_THAT(ran.err, HasSubstr("gavel init"));
}

TEST(Token, MakesAFileThatOnlyItsOwnerReads) {
  TestWorld world;
  const auto ran = world.run({"token", "new", "ci", "--role", "driver", "--role", "observer"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto file = world.directory.path() / "state/tokens/ci.json";
  struct stat info{};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  const auto record = read_token(file);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->principal, "ci");
  EXPECT_EQ(record->roles, (std::vector<std::string>{"driver", "observer"}));
  EXPECT_EQ(record->token.size(), 6u + 64u);
  EXPECT_THAT(ran.out, Not(HasSubstr(record->token)));
  EXPECT_THAT(world.run({"token", "list"}).out, Not(HasSubstr(record->token)));
  EXPECT_THAT(world.run({"token", "list"}).out, HasSubstr("driver, observer"));
}

TEST(Token, NeverReplacesOneAndTakesNoPathForAName) {
  TestWorld world;
  ASSERT_EQ(world.run({"token", "new", "ci"}).code, 0);
  EXPECT_EQ(world.run({"token", "new", "ci"}).code, 4);
  EXPECT_EQ(world.run({"token", "new", "../ci"}).code, 2);
  EXPECT_EQ(world.run({"token", "new", "x", "--role", "king"}).code, 2);
}

TEST(Run, NeedsAProgramAfterTheDashes) {
  TestWorld world;
  EXPECT_EQ(world.run({"run"}).code, 2);
  const auto ran = world.run({"run", "claude", "--x"});
  EXPECT_EQ(ran.code, 2);
}

TEST(Incidents, SaysWhereItLookedForThem) {
  TestWorld world;
  const auto ran = world.run({"incidents", "list"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_THAT(ran.err, HasSubstr("GAVEL_INCIDENTS"));
}

TEST(Doctor, SaysWhatIsWrongAndWhatToDo) {
  TestWorld world;
  world.directory.write("state/tokens/operator.json", R"({"token":"gavel_x"})");
  ASSERT_EQ(::chmod((world.directory.path() / "state").c_str(), 0755), 0);
  const auto ran = world.run({"doctor", "--url", "http://127.0.0.1:9"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr("chmod 700"));
  EXPECT_THAT(ran.out, HasSubstr("fail"));
  EXPECT_THAT(ran.out, HasSubstr("no daemon"));
}

}  // namespace
}  // namespace gavel
