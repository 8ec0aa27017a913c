#include "base/json.hpp"

#include <gtest/gtest.h>

namespace gavel {
namespace {

std::string canonical(std::string_view text) {
  const auto value = parse_json(text);
  return value ? canonical_json(*value) : "error: " + value.error().message;
}

TEST(Json, CanonicalFormIsThatOfRfc8785) {
  // The example of RFC 8785, section 3.2.2.
  EXPECT_EQ(
      canonical(
          R"({"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
                         "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
                         "literals": [null, true, false]})"),
      "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
      "\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
  // Section 3.2.3: sorting by UTF-16 code units.
  EXPECT_EQ(
      canonical(R"({"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7})"),
      "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\ufb33\":3}");
}

TEST(Json, NumbersFollowEcmaScript) {
  const std::pair<const char*, const char*> table[] = {
      {"1.0", "1"},
      {"-0", "0"},
      {"-0.0", "0"},
      {"1e21", "1e+21"},
      {"1e20", "100000000000000000000"},
      {"0.000001", "0.000001"},
      {"0.0000001", "1e-7"},
      {"-1.5e-9", "-1.5e-9"},
      {"9007199254740993", "9007199254740993"},
      {"18446744073709551615", "18446744073709551615"},
      {"123.456", "123.456"},
  };
  for (const auto& [in, out] : table) EXPECT_EQ(canonical(in), out) << in;
}

TEST(Json, RefusesWhatWouldMeanTwoThings) {
  EXPECT_EQ(canonical(R"({"a":1,"b":{"a":1,"a":2}})"),
            "error: not acceptable JSON at byte 23: the key \"a\" stands twice in one object");
  EXPECT_EQ(canonical(R"({"a":1,"\u0061":2})").substr(0, 5), "error");
  EXPECT_EQ(canonical("123456789012345678901234567890").substr(0, 5), "error");
  EXPECT_EQ(canonical("87777777777777777777.0"), "87777777777777770000");
  EXPECT_EQ(canonical("87777777777777770000"), "87777777777777770000");
  EXPECT_EQ(canonical("87777777777777770001").substr(0, 5), "error");
  EXPECT_EQ(canonical("1e999").substr(0, 5), "error");
  EXPECT_EQ(canonical("\"\xff\"").substr(0, 5), "error");
  EXPECT_EQ(canonical(R"("\ud800")").substr(0, 5), "error");
  EXPECT_EQ(canonical("{} {}").substr(0, 5), "error");
  EXPECT_EQ(canonical("").substr(0, 5), "error");
  EXPECT_EQ(canonical("[1,]").substr(0, 5), "error");
  EXPECT_EQ(canonical("// no\n1").substr(0, 5), "error");
}

TEST(Json, LimitsDepthAndSize) {
  const std::string deep = std::string(100000, '[');
  const auto parsed = parse_json(deep);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::too_large);
  const auto large = parse_json("\"aaaaaaaaaa\"", JsonLimits{.max_bytes = 8});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::too_large);
}

TEST(Json, SliceReturnsTheExactBytes) {
  const std::string_view text =
      R"( {"id" : 1, "params":{"name":"x\"}","arguments" : { "b": 1.0, "a":[1,{"c":"]"}] } ,"z":2}})";
  EXPECT_EQ(json_slice(text, {"params", "arguments"}), R"({ "b": 1.0, "a":[1,{"c":"]"}] })");
  EXPECT_EQ(json_slice(text, {"params", "z"}), "2");
  EXPECT_EQ(json_slice(text, {"id"}), "1");
  EXPECT_EQ(json_slice(text, {"params", "name"}), R"("x\"}")");
  EXPECT_EQ(json_slice(text, {"params", "missing"}), "");
  EXPECT_EQ(json_slice("[1]", {"a"}), "");
  EXPECT_EQ(json_slice(R"({"\u0061":{}})", {"a"}), "{}");
}

TEST(Json, KeysInTheirOwnOrderWhenNotCanonical) {
  const auto value = parse_json(R"({"b":1,"a":[true,null]})");
  ASSERT_TRUE(value);
  EXPECT_EQ(write_json(*value), R"({"b":1,"a":[true,null]})");
  EXPECT_EQ(pretty_json(*value), "{\n  \"b\": 1,\n  \"a\": [\n    true,\n    null\n  ]\n}");
}

TEST(Json, WhatIsNotUtf8IsToldByItsByte) {
  EXPECT_EQ(parse_json("{\"a\":\"\xff\"}").error().message,
            "not acceptable JSON: byte 6 (0xff) is not UTF-8; send the text encoded as UTF-8");
}

TEST(Json, LookUpsDoNotThrow) {
  const auto value = parse_json(R"({"s":"x","n":3,"b":true,"o":{},"a":[]})").value();
  EXPECT_EQ(string_or(value, "s"), "x");
  EXPECT_EQ(string_or(value, "n", "none"), "none");
  EXPECT_EQ(int_or(value, "n", 0), 3);
  EXPECT_TRUE(bool_or(value, "b", false));
  EXPECT_NE(find_object(value, "o"), nullptr);
  EXPECT_NE(find_array(value, "a"), nullptr);
  const json::value number = 1;
  EXPECT_EQ(find(number, "a"), nullptr);
  EXPECT_EQ(string_or(value.get_object(), "s"), "x");
}

}  // namespace
}  // namespace gavel
