#include "policy/probe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel {
namespace {

using testing::HasSubstr;

json::value parsed(std::string_view text) {
  return parse_json(text).value();
}

ProbeSpec probe_with(std::string_view arguments, std::string_view sql_argument = "") {
  ProbeSpec probe;
  probe.tool = "pg__query";
  probe.sql_argument = sql_argument;
  probe.arguments = parsed(arguments).get_object();
  probe.happened = true;
  return probe;
}

std::string expanded(std::string_view arguments, std::string_view call,
                     std::string_view sql_argument = "") {
  const auto result = expand_probe(probe_with(arguments, sql_argument), parsed(call), "k'1");
  return result ? write_json(*result) : "error: " + result.error().message;
}

TEST(ExpandProbe, FillsTemplatesIn) {
  EXPECT_EQ(expanded(R"({"a":"${args.n}","b":["${args.list}",{"c":"${key}"}],"d":1})",
                     R"({"n":7,"list":[1,{"x":null}]})"),
            R"({"a":7,"b":[[1,{"x":null}],{"c":"k'1"}],"d":1})");
  EXPECT_EQ(expanded(R"({"a":"id=${args.n}, ${args.list}, ${args.s}."})",
                     R"({"n":7.5,"list":[1,"x"],"s":"te\"xt"})"),
            R"({"a":"id=7.5, [1,\"x\"], te\"xt."})");
  EXPECT_EQ(expanded(R"({"a":"$${key} costs $5 {x} $"})", "{}"),
            R"({"a":"${key} costs $5 {x} $"})");
}

TEST(ExpandProbe, WhatIsFilledInIsNoTemplate) {
  EXPECT_EQ(expanded(R"({"a":"<${args.s}>"})", R"({"s":"${key}"})"), R"({"a":"<${key}>"})");
}

TEST(ExpandProbe, SaysWhatIsMissing) {
  EXPECT_THAT(expanded(R"({"a":"${args.nobody}"})", "{}"),
              HasSubstr("the call has no argument nobody"));
  EXPECT_THAT(expanded(R"({"a":"x ${args.nobody}"})", "[]"), HasSubstr("no argument nobody"));
  EXPECT_THAT(expanded(R"({"a":["${arg.x}"]})", "{}"), HasSubstr("${arg.x} is unknown"));
  EXPECT_THAT(expanded(R"({"a":{"b":"${args.}"}})", "{}"), HasSubstr("is unknown"));
  EXPECT_THAT(expanded(R"({"a":"x ${key"})", "{}"), HasSubstr("without its }"));
}

TEST(ExpandProbe, ValuesInSqlStayValues) {
  const auto sql = [](std::string_view text, std::string_view call) {
    return expanded(write_json(json::object{{"sql", json::string(text)}}), call, "sql");
  };
  EXPECT_EQ(sql("SELECT 1 FROM t WHERE key = '${key}' AND n = ${args.n}", R"({"n":5})"),
            R"({"sql":"SELECT 1 FROM t WHERE key = 'k''1' AND n = 5"})");
  EXPECT_EQ(sql("SELECT 1 FROM t WHERE name = '${args.s}'", R"({"s":"O'Brien"})"),
            R"({"sql":"SELECT 1 FROM t WHERE name = 'O''Brien'"})");
  EXPECT_EQ(
      sql("SELECT 1 FROM t WHERE name = '${args.s}'", R"({"s":"' OR true; DROP TABLE t; --"})"),
      R"({"sql":"SELECT 1 FROM t WHERE name = ''' OR true; DROP TABLE t; --'"})");
  EXPECT_EQ(sql("SELECT ${args.b}", R"({"b":true})"), R"({"sql":"SELECT true"})");
}

TEST(ExpandProbe, SqlCannotBeChangedByTheCall) {
  const auto refused = [](std::string_view text, std::string_view argument, std::string_view why) {
    const std::string call = write_json(json::object{{"s", json::string(argument)}});
    EXPECT_THAT(expanded(write_json(json::object{{"sql", json::string(text)}}), call, "sql"),
                HasSubstr(why))
        << text;
  };
  refused("SELECT 1 FROM t WHERE n = ${args.s}", "1; DROP TABLE t", "does not only read");
  refused("SELECT 1 FROM t WHERE n = ${args.s}", "1 OR true", "would change the probe's SQL");
  refused("SELECT 1 FROM t WHERE n = ${args.s}", "(SELECT 1)", "would change the probe's SQL");
  refused("SELECT 1 FROM ${args.s}", "other", "would change the probe's SQL");
  refused("SELECT 1 FROM t WHERE n = E'${args.s}'", "\\' OR true --", "probe's SQL");
  refused("${args.s}", "SELECT 1", "must stand in the policy");
}

TEST(CheckProbeArguments, LooksAtTemplatesAndSqlWithoutACall) {
  EXPECT_TRUE(check_probe_arguments(probe_with(R"({"a":"${args.x}","b":"${key}"})")));
  EXPECT_FALSE(check_probe_arguments(probe_with(R"({"a":"${nobody}"})")));
  EXPECT_TRUE(check_probe_arguments(probe_with(R"({"sql":"SELECT '${args.x}'"})", "sql")));
  EXPECT_TRUE(
      check_probe_arguments(probe_with(R"({"sql":"SELECT 1 WHERE ${args.x} = 1"})", "sql")));
  EXPECT_FALSE(check_probe_arguments(probe_with(R"({"sql":"TRUNCATE t"})", "sql")));
  EXPECT_FALSE(check_probe_arguments(probe_with(R"({"sql":["SELECT 1"]})", "sql")));
}

ProbeVerdict judged(std::string_view happened, std::string_view absent, std::string_view result) {
  ProbeSpec probe;
  probe.happened = parsed(happened);
  if (!absent.empty()) probe.absent = parsed(absent);
  return judge_probe(probe, parsed(result));
}

TEST(JudgeProbe, FollowsTheSchemas) {
  constexpr std::string_view kHappened =
      R"({"properties":{"content":{"contains":{"properties":{"text":{"pattern":"\"n\":[1-9]"}}}}}})";
  constexpr std::string_view kAbsent =
      R"({"properties":{"content":{"contains":{"properties":{"text":{"pattern":"\"n\":0"}}}}}})";
  constexpr std::string_view kOne = R"({"content":[{"type":"text","text":"[{\"n\":1}]"}]})";
  constexpr std::string_view kNone = R"({"content":[{"type":"text","text":"[{\"n\":0}]"}]})";
  constexpr std::string_view kOdd = R"({"content":[{"type":"text","text":"what?"}]})";
  EXPECT_EQ(judged(kHappened, "", kOne), ProbeVerdict::happened);
  EXPECT_EQ(judged(kHappened, "", kNone), ProbeVerdict::absent);
  EXPECT_EQ(judged(kHappened, kAbsent, kOne), ProbeVerdict::happened);
  EXPECT_EQ(judged(kHappened, kAbsent, kNone), ProbeVerdict::absent);
  EXPECT_EQ(judged(kHappened, kAbsent, kOdd), ProbeVerdict::unclear);
  EXPECT_EQ(judged("true", "true", kOne), ProbeVerdict::unclear);
}

TEST(JudgeProbe, WhatCannotBeReadIsUnclear) {
  EXPECT_EQ(judged("true", "", R"({"isError":true,"content":[]})"), ProbeVerdict::unclear);
  EXPECT_EQ(judged("true", "", "[]"), ProbeVerdict::unclear);
  EXPECT_EQ(judged(R"({"type":"nonsense"})", "", "{}"), ProbeVerdict::unclear);
  EXPECT_EQ(judged("true", R"({"unevaluatedItems":false})", "{}"), ProbeVerdict::unclear);
}

}  // namespace
}  // namespace gavel
