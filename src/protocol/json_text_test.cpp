#include "protocol/json_text.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"

namespace gavel {
namespace {

// The members as "key=value;..." or the error.
std::string members(std::string_view text) {
  std::string out;
  JsonObjectReader reader(text);
  while (const auto member = reader.next()) {
    out.append(member->key).append("=").append(member->value).append(";");
  }
  return reader.status() ? out : "error: " + reader.status().error().message;
}

TEST(JsonObjectReader, GivesEachMemberAsItStands) {
  EXPECT_EQ(members(R"( { "a" : 1 , "b":{"x":[1, 2]} ,"c":"\"}" } )"),
            R"("a"=1;"b"={"x":[1, 2]};"c"="\"}";)");
  EXPECT_EQ(members("{}"), "");
  EXPECT_EQ(members("\t{\n}\r\n"), "");
}

TEST(JsonObjectReader, KnowsAKeyHoweverItIsWritten) {
  JsonObjectReader reader(R"({"a\u0062c":1})");
  const auto member = reader.next();
  ASSERT_TRUE(member);
  EXPECT_TRUE(member->is("abc"));
  EXPECT_FALSE(member->is("ab"));
}

TEST(JsonObjectReader, RefusesWhatIsNoJson) {
  const char* const bad[] = {
      "",
      "[]",
      "1",
      "{",
      "{\"a\"}",
      "{\"a\":}",
      "{\"a\":1,}",
      "{,}",
      "{\"a\":01}",
      "{\"a\":1.}",
      "{\"a\":1e}",
      "{\"a\":+1}",
      "{\"a\":-}",
      "{\"a\":tru}",
      "{\"a\":nul}",
      "{\"a\":\"}",
      "{\"a\":\"\\x\"}",
      "{a:1}",
      "{\"a\":1} x",
      "{\"a\":1}{}",
      "{\"a\":[1 2]}",
      "{\"a\":[1,]}",
      "{\"a\":{\"b\" 1}}",
      "{\"a\":\"\\u12g4\"}",
      "{\"a\":\"\t\"}",
      "{\"a\":[}",
      "{\"a\":\"\\",
      "{\"a\":\"\\u1",
      "{\"a\":{1:2}}",
      "{\"a\" 1}",
      "{\"a\":1 \"b\":2}",
      "{'a':1}",
      "{\"a\":.5}",
      "{\"a",
  };
  for (const char* text : bad) {
    EXPECT_TRUE(members(text).starts_with("error: ")) << text << " gave " << members(text);
  }
}

TEST(JsonObjectReader, AgreesWithTheStrictParserOnValidText) {
  const char* const good[] = {
      R"({"a":-0.5e+10,"b":[true,false,null,[]],"c":{},"d":"\u00e9\n\\\/"})",
      R"({"n":0,"m":-0,"k":1E2,"deep":[[[[{"x":[]}]]]]})",
      "{\"utf\":\"z\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80\"}",
  };
  for (const char* text : good) {
    ASSERT_TRUE(parse_json(text)) << text;
    EXPECT_FALSE(members(text).starts_with("error: ")) << members(text);
  }
}

TEST(JsonObjectReader, BoundsNestingAndRefusesBrokenUtf8) {
  const std::string deep = "{\"a\":" + std::string(200'000, '[') + std::string(200'000, ']') + "}";
  JsonObjectReader reader(deep);
  EXPECT_FALSE(reader.next());
  EXPECT_EQ(reader.status().error().code, ErrorCode::too_large);
  EXPECT_EQ(
      members("{\"a\":\"\xC3\x28\"}"),
      "error: not acceptable JSON: byte 6 (0xc3) is not UTF-8; send the text encoded as UTF-8");
}

TEST(JsonElements, SplitsAnArray) {
  const auto elements = json_elements(R"( [1, {"a":[2,3]} ,"x,]"] )", 10);
  ASSERT_TRUE(elements);
  EXPECT_EQ(*elements, (std::vector<std::string_view>{"1", R"({"a":[2,3]})", R"("x,]")"}));
  EXPECT_TRUE(json_elements("[]", 10)->empty());
  EXPECT_EQ(json_elements("[1,2,3]", 2).error().code, ErrorCode::too_large);
  for (const char* bad : {"", "{}", "[", "[1", "[1,]", "[1 2]", "[1] 2", "[x]", "[\"\xFF\"]"}) {
    EXPECT_FALSE(json_elements(bad, 10)) << bad;
  }
}

TEST(JsonQuote, GoesThereAndBack) {
  for (const char* text : {"", "plain", "with \"quotes\"", "line\nbreak", "back\\slash", "grüß"}) {
    EXPECT_EQ(json_unquote(json_quote(text)), text);
  }
  EXPECT_EQ(json_quote("a\nb"), "\"a\\nb\"");
  EXPECT_FALSE(json_unquote("7"));
  EXPECT_FALSE(json_unquote("\""));
  EXPECT_FALSE(json_unquote("\"\\q\""));
}

TEST(JsonSet, ReplacesOrAppendsAndKeepsEverythingElse) {
  EXPECT_EQ(json_set("{}", {{"a", "1"}}), R"({"a":1})");
  EXPECT_EQ(json_set(R"({"x":1.50,"a":0,"y":[ 1 ]})", {{"a", "{}"}, {"b", "\"n\""}}),
            R"({"x":1.50,"a":{},"y":[ 1 ],"b":"n"})");
}

TEST(JsonDrop, TakesMembersOut) {
  EXPECT_EQ(json_drop(R"({"a":1,"b":2,"c":3})", {"a", "c", "z"}), R"({"b":2})");
  EXPECT_EQ(json_drop("{\"a\":1}", {"a"}), "{}");
}

TEST(MakeOneLine, LeavesNoLineBreak) {
  std::string text = "{\r\n  \"a\": \"x\\ny\"\n}";
  const auto before = parse_json(text);
  make_one_line(text);
  EXPECT_EQ(text.find_first_of("\r\n"), std::string::npos);
  EXPECT_EQ(*parse_json(text), *before);
}

}  // namespace
}  // namespace gavel
