#include "policy/json_schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/schema_program.hpp"

namespace gavel {
namespace {

using testing::HasSubstr;

json::value parsed(std::string_view text) {
  auto value = parse_json(text);
  EXPECT_TRUE(value) << text << ": " << (value ? "" : value.error().message);
  return value.value_or(nullptr);
}

// "" where the value satisfies the schema, else why not.
std::string verdict(std::string_view schema, std::string_view value) {
  const auto compiled = JsonSchema::compile(parsed(schema));
  if (!compiled) return "not a schema: " + compiled.error().message;
  const auto valid = compiled->validate(parsed(value));
  return valid ? "" : valid.error().message;
}

struct Case {
  const char* schema;
  const char* good;  // values, one a line
  const char* bad;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.schema;
}
class Keyword : public testing::TestWithParam<Case> {};

std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

TEST_P(Keyword, TellsGoodFromBad) {
  for (const auto& good : lines(GetParam().good)) {
    EXPECT_EQ(verdict(GetParam().schema, good), "") << good;
  }
  for (const auto& bad : lines(GetParam().bad)) {
    const std::string why = verdict(GetParam().schema, bad);
    EXPECT_NE(why, "") << bad;
    EXPECT_THAT(why, testing::Not(HasSubstr("not a schema"))) << bad;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Any, Keyword,
    testing::Values(
        Case{"true", "1\nnull\n{}", ""}, Case{"false", "", "1\nnull\n{}"}, Case{"{}", "1\n[]", ""},
        Case{R"({"type":"integer"})", "1\n1.0\n-3\n18446744073709551615", "1.5\n\"1\"\ntrue"},
        Case{R"({"type":"number"})", "1\n1.5", "\"1\"\nnull"},
        Case{R"({"type":["string","null"]})", "\"a\"\nnull", "1\n[]"},
        Case{R"({"type":"boolean"})", "true", "0"}, Case{R"({"type":"array"})", "[]", "{}"},
        Case{R"({"enum":["a",1,{"x":[1.0]}]})", "\"a\"\n1.0\n{\"x\":[1]}", "\"b\"\n2\n{\"x\":[]}"},
        Case{R"({"const":{"a":1,"b":2}})", R"({"b":2,"a":1})", R"({"a":1})"},
        Case{R"({"const":1,"enum":[1,2]})", "1", "2"},
        Case{R"({"format":"email","contentEncoding":"base64"})", "\"no\"", ""}));

INSTANTIATE_TEST_SUITE_P(
    Numbers, Keyword,
    testing::Values(Case{R"({"minimum":2,"maximum":4})", "2\n4.0\n\"x\"", "1.9\n5"},
                    Case{R"({"exclusiveMinimum":2,"exclusiveMaximum":4})", "3", "2\n4"},
                    Case{R"({"minimum":2,"exclusiveMinimum":true})", "2.1", "2"},
                    Case{R"({"maximum":9007199254740993})", "9007199254740993", "9007199254740994"},
                    Case{R"({"maximum":9223372036854775807})", "9223372036854775807\n1.5",
                         "9223372036854775808\n1e300"},
                    Case{R"({"minimum":-9223372036854775808})",
                         "-9223372036854775808\n18446744073709551615", "-1e300"},
                    Case{R"({"exclusiveMaximum":1.5})", "1", "2\n18446744073709551615"},
                    Case{R"({"multipleOf":3})", "9\n-3\n18446744073709551615\n3.0", "10\n1.5"},
                    Case{R"({"multipleOf":0.01})", "4.35\n1\n0.07", "0.015"}));

INSTANTIATE_TEST_SUITE_P(
    Strings, Keyword,
    testing::Values(Case{R"({"minLength":2,"maxLength":3})", "\"ab\"\n\"äöü\"\n12345",
                         "\"ä\"\n\"abcd\""},
                    Case{R"({"pattern":"^a+$"})", "\"aa\"\n1", "\"ba\"\n\"aa\\n\""},
                    Case{R"({"pattern":"b"})", "\"abc\"", "\"ac\""},
                    Case{R"({"pattern":"^\\u00e4\\d(?<name>x)\\/$"})", "\"ä1x/\"", "\"a1x/\""},
                    Case{R"({"pattern":"^\\p{L}$"})", "\"ä\"", "\"1\""}));

INSTANTIATE_TEST_SUITE_P(
    Arrays, Keyword,
    testing::Values(Case{R"({"items":{"type":"string"}})", "[]\n[\"a\"]\n{}", "[1]\n[\"a\",null]"},
                    Case{R"({"prefixItems":[{"type":"string"}],"items":false})", "[]\n[\"a\"]",
                         "[1]\n[\"a\",1]"},
                    Case{R"({"items":[{"type":"string"}],"additionalItems":{"type":"null"}})",
                         "[\"a\",null]\n[\"a\"]", "[1]\n[\"a\",1]"},
                    Case{R"({"minItems":1,"maxItems":2})", "[1]\n[1,2]", "[]\n[1,2,3]"},
                    Case{R"({"contains":{"const":1}})", "[0,1]", "[]\n[0]"},
                    Case{R"({"contains":{"const":1},"minContains":2,"maxContains":3})",
                         "[1,1]\n[1,1,1]", "[1]\n[1,1,1,1]"},
                    Case{R"({"contains":{"const":1},"minContains":0})", "[]\n[2]", ""},
                    Case{R"({"uniqueItems":true})", "[1,2]\n[1,\"1\",[1],{\"a\":1}]",
                         "[1,1.0]\n[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]"},
                    Case{R"({"uniqueItems":false})", "[1,1]", ""}));

INSTANTIATE_TEST_SUITE_P(
    Objects, Keyword,
    testing::Values(
        Case{R"({"required":["a"]})", "{\"a\":null}\n[]", "{}"},
        Case{R"({"properties":{"a":{"type":"string"}}})", "{}\n{\"a\":\"x\",\"b\":1}", "{\"a\":1}"},
        Case{R"({"properties":{"a":true},"additionalProperties":false})", "{\"a\":1}", "{\"b\":1}"},
        Case{
            R"({"patternProperties":{"^x":{"type":"null"}},"additionalProperties":{"type":"string"}})",
            "{\"xa\":null,\"b\":\"\"}", "{\"xa\":1}\n{\"b\":1}"},
        Case{R"({"propertyNames":{"maxLength":2}})", "{\"ab\":1}", "{\"abc\":1}"},
        Case{R"({"minProperties":1,"maxProperties":2})", "{\"a\":1}",
             "{}\n{\"a\":1,\"b\":1,\"c\":1}"},
        Case{R"({"dependentRequired":{"a":["b"]}})", "{}\n{\"b\":1}\n{\"a\":1,\"b\":1}",
             "{\"a\":1}"},
        Case{R"({"dependentSchemas":{"a":{"required":["c"]}}})", "{\"b\":1}\n{\"a\":1,\"c\":1}",
             "{\"a\":1}"},
        Case{R"({"dependencies":{"a":["b"],"c":{"maxProperties":1}}})",
             "{\"a\":1,\"b\":1}\n{\"c\":1}", "{\"a\":1}\n{\"c\":1,\"d\":1}"}));

INSTANTIATE_TEST_SUITE_P(
    Logic, Keyword,
    testing::Values(
        Case{R"({"allOf":[{"minimum":1},{"maximum":3}]})", "2", "0\n4"},
        Case{R"({"anyOf":[{"type":"string"},{"minimum":3}]})", "\"a\"\n3", "1"},
        Case{R"({"oneOf":[{"minimum":1},{"maximum":3}]})", "0\n4", "2"},
        Case{R"({"not":{"type":"string"}})", "1", "\"a\""},
        Case{R"({"if":{"minimum":5},"then":{"multipleOf":5},"else":{"const":1}})", "5\n10\n1",
             "6\n2"},
        Case{R"({"then":false,"else":false})", "1", ""},
        Case{R"({"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}},"maxLength":1})", "\"a\"",
             "1\n\"ab\""},
        Case{R"({"$schema":"http://json-schema.org/draft-07/schema#","$ref":"#/definitions/a",
                 "maxLength":1,"definitions":{"a":{"type":"string"}}})",
             "\"ab\"", "1"},
        Case{R"({"$id":"https://example.com/a.json","$ref":"https://example.com/a.json#/$defs/b",
                 "$defs":{"b":{"type":"string"}}})",
             "\"a\"", "1"},
        Case{R"({"$ref":"#b","$defs":{"x":{"$anchor":"b","type":"string"}}})", "\"a\"", "1"},
        Case{R"({"$ref":"#/$defs/a~1b%25","$defs":{"a/b%":{"type":"string"}}})", "\"a\"", "1"},
        Case{R"({"$ref":"#/anyOf/0","anyOf":[{"type":"string"}]})", "\"a\"", "1"},
        Case{R"({"type":"object","properties":{"next":{"$ref":"#"}},"additionalProperties":false})",
             R"({"next":{"next":{}}})", R"({"next":{"other":{}}})"}));

struct Bad {
  const char* schema;
  ErrorCode code;
  const char* message;
};
void PrintTo(const Bad& bad, std::ostream* out) {
  *out << bad.schema;
}
class BadSchema : public testing::TestWithParam<Bad> {};

TEST_P(BadSchema, IsRefusedWithItsPlace) {
  const auto compiled = JsonSchema::compile(parsed(GetParam().schema));
  ASSERT_FALSE(compiled);
  EXPECT_EQ(to_string(compiled.error().code), to_string(GetParam().code));
  EXPECT_THAT(compiled.error().message, HasSubstr(GetParam().message));
}

constexpr auto kInvalid = ErrorCode::invalid_argument;
constexpr auto kUnsupported = ErrorCode::unsupported;

INSTANTIATE_TEST_SUITE_P(
    Kinds, BadSchema,
    testing::Values(
        Bad{"1", kInvalid, "an object or a boolean"},
        Bad{R"({"properties":{"a":{"items":{"type":"strng"}}}})", kInvalid,
            "/properties/a/items: `type` \"strng\" is not one of"},
        Bad{R"({"type":[]})", kInvalid, "`type`"}, Bad{R"({"type":3})", kInvalid, "`type`"},
        Bad{R"({"enum":1})", kInvalid, "`enum` must be a list"},
        Bad{R"({"required":true})", kInvalid, "`required` must be a list of names"},
        Bad{R"({"required":[1]})", kInvalid, "`required` must be a list of names"},
        Bad{R"({"properties":[]})", kInvalid, "`properties` must be an object"},
        Bad{R"({"minLength":-1})", kInvalid, "`minLength` must be a whole number from 0"},
        Bad{R"({"minLength":1.5})", kInvalid, "`minLength`"},
        Bad{R"({"minimum":"1"})", kInvalid, "`minimum` must be a number"},
        Bad{R"({"multipleOf":0})", kInvalid, "`multipleOf` must be over 0"},
        Bad{R"({"allOf":[]})", kInvalid, "`allOf` must be a list of schemas"},
        Bad{R"({"anyOf":{}})", kInvalid, "`anyOf` must be a list of schemas"},
        Bad{R"({"uniqueItems":1})", kInvalid, "`uniqueItems`"},
        Bad{R"({"pattern":1})", kInvalid, "`pattern` must be a string"},
        Bad{R"({"$ref":1})", kInvalid, "`$ref` must be a string"},
        Bad{R"({"$ref":"#/nowhere"})", kInvalid, "there is no such place"},
        Bad{R"({"$ref":"#/allOf/7","allOf":[true]})", kInvalid, "there is no such place"},
        Bad{R"({"$ref":"#nobody"})", kInvalid, "there is no such place"},
        Bad{R"({"$ref":"#"})", kInvalid, "in a circle"},
        Bad{R"({"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"not":{"$ref":"#/$defs/b"}},
                "b":{"if":{"$ref":"#/$defs/a"}}}})",
            kInvalid, "in a circle"},
        Bad{R"({"$id":"a","$ref":"a"})", kInvalid, "in a circle"},
        Bad{R"({"$ref":"https://example.com/schema"})", kUnsupported, "only references inside"},
        Bad{R"({"properties":{"a":{"$id":"https://example.com/b"}}})", kUnsupported, "`$id`"},
        Bad{R"({"items":{"unevaluatedProperties":false}})", kUnsupported,
            "/items: `unevaluatedProperties` is not supported"},
        Bad{R"({"$dynamicRef":"#a"})", kUnsupported, "`$dynamicRef` is not supported"},
        Bad{R"_({"pattern":"^(?!a)"})_", kUnsupported, "`pattern` ^(?!a): "},
        Bad{R"_({"pattern":"(a)\\1"})_", kUnsupported, "RE2"},
        Bad{R"({"patternProperties":{"[":true}})", kUnsupported, "`patternProperties` ["}));

TEST(JsonSchema, StrictKeywordsCatchTypingErrors) {
  SchemaOptions strict;
  strict.strict_keywords = true;
  const auto schema = parsed(R"({"properties":{"amount":{"minumum":3}}})");
  EXPECT_TRUE(JsonSchema::compile(schema));
  const auto refused = JsonSchema::compile(schema, strict);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "/properties/amount: `minumum` is no keyword of JSON Schema; did you mean `minimum`?");
  EXPECT_TRUE(JsonSchema::compile(parsed(R"({"properties":{"minumum":{"type":"null"}}})"), strict));
}

struct Why {
  const char* schema;
  const char* value;
  const char* why;
};
void PrintTo(const Why& why, std::ostream* out) {
  *out << why.schema;
}
class Mismatch : public testing::TestWithParam<Why> {};

TEST_P(Mismatch, NamesPlaceAndReason) {
  EXPECT_EQ(verdict(GetParam().schema, GetParam().value), GetParam().why);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Mismatch,
    testing::Values(
        Why{R"({"properties":{"a/b":{"items":{"minimum":20}}}})", R"({"a/b":[30,12]})",
            "/a~1b/1: 12 is under the minimum, 20"},
        Why{R"({"required":["amount"]})", "{}", "`amount` is missing"},
        Why{R"({"type":["integer","null"]})", "\"x\"",
            "\"x\" is a string; expected null or an integer"},
        Why{R"({"type":"number"})", "[]", "an array is an array; expected a number"},
        Why{R"({"enum":["a","b"]})", "\"c\"", "\"c\" is none of \"a\", \"b\""},
        Why{R"({"const":"DELETE"})", "\"c\"", "\"c\" is not \"DELETE\""},
        Why{R"({"properties":{"amount":{}},"additionalProperties":false})", R"({"amout":1})",
            "`amout` is not allowed here; did you mean `amount`?"},
        Why{R"({"propertyNames":{"maxLength":1}})", R"({"ab":1})",
            "the name `ab`: \"ab\" has 2 characters; the maximum is 1"},
        Why{R"({"pattern":"^a"})", "\"b\\u001b[31m\"", "\"b [31m\" does not match the pattern ^a"},
        Why{R"({"anyOf":[false,false]})", "1", "1 matches none of the 2 alternatives"},
        Why{R"({"oneOf":[true,true]})", "1",
            "1 matches 2 of the 2 alternatives; exactly one is expected"},
        Why{R"({"not":{}})", "1", "1 is what `not` excludes"},
        Why{R"({"uniqueItems":true})", "[1,1]", "holds the same item twice"},
        Why{R"({"dependentRequired":{"a":["b"]}})", R"({"a":1})", "`b` is missing; `a` needs it"},
        Why{"false", "1", "nothing is allowed here"}));

TEST(JsonSchema, NoSchemaAndValueTakeForEver) {
  // Each level asks twice for the one below: 2^40 steps.
  std::string definitions = "\"d40\":true";
  for (int i = 0; i < 40; ++i) {
    const std::string next = "{\"$ref\":\"#/$defs/d" + std::to_string(i + 1) + "\"}";
    definitions += ",\"d" + std::to_string(i) + "\":{\"allOf\":[" + next + "," + next + "]}";
  }
  const std::string tail = ",\"$defs\":{" + definitions + "}}";
  const std::string schema = "{\"$ref\":\"#/$defs/d0\"" + tail;
  const auto compiled = JsonSchema::compile(parsed(schema));
  ASSERT_TRUE(compiled) << compiled.error().message;
  const auto valid = compiled->validate(parsed("1"));
  ASSERT_FALSE(valid);
  EXPECT_EQ(valid.error().code, ErrorCode::too_large);
  // `not` must not turn "cannot tell" into "yes".
  const auto negated = JsonSchema::compile(parsed("{\"not\":{\"$ref\":\"#/$defs/d0\"}" + tail));
  ASSERT_TRUE(negated) << negated.error().message;
  EXPECT_FALSE(negated->validate(parsed("1")));
}

TEST(JsonSchema, ALongChainOfReferencesEndsNothing) {
  json::object definitions;
  for (int i = 0; i < 3000; ++i) {
    definitions["d" + std::to_string(i)] =
        json::object{{"$ref", "#/$defs/d" + std::to_string(i + 1)}};
  }
  definitions["d3000"] = true;
  const json::value schema =
      json::object{{"$ref", "#/$defs/d0"}, {"$defs", std::move(definitions)}};
  const auto compiled = JsonSchema::compile(schema);
  ASSERT_TRUE(compiled) << compiled.error().message;
  const auto valid = compiled->validate(json::value(1));
  ASSERT_FALSE(valid);
  EXPECT_EQ(valid.error().code, ErrorCode::too_large);
}

TEST(JsonSchema, SizesAreLimited) {
  json::array many(kSchemaNodesMax + 1, json::value(true));
  EXPECT_EQ(JsonSchema::compile(json::object{{"allOf", many}}).error().code, ErrorCode::too_large);
  json::value deep = true;
  for (std::size_t i = 0; i <= kSchemaDepthMax; ++i) deep = json::object{{"not", std::move(deep)}};
  EXPECT_EQ(JsonSchema::compile(deep).error().code, ErrorCode::too_large);
  EXPECT_EQ(JsonSchema::compile(json::object{{"pattern", std::string(5000, 'a')}}).error().code,
            ErrorCode::too_large);
  json::object patterns;
  for (int i = 0; i < 300; ++i) patterns["p" + std::to_string(i)] = true;
  EXPECT_EQ(JsonSchema::compile(json::object{{"patternProperties", patterns}}).error().code,
            ErrorCode::too_large);
}

TEST(JsonSchema, APatternCannotBlowUp) {
  const auto compiled = JsonSchema::compile(parsed(R"({"pattern":"^(a+)+$"})"));
  ASSERT_TRUE(compiled);
  EXPECT_FALSE(compiled->validate(json::value(std::string(100'000, 'a') + "b")));
}

TEST(SharedLookups, GiveTheSameAnswersAsTheObject) {
  KeyTable keys;
  const auto program = SchemaProgram::compile(
      parsed(R"({"required":["a"],"properties":{"a":{"required":["a"]},"b":{"minimum":3}}})"), {},
      keys);
  ASSERT_TRUE(program);
  for (const auto* text :
       {R"({"a":{"a":1}})", R"({"a":{}})", R"({"b":4})", R"({"a":{"a":1},"b":2})"}) {
    const auto value = parsed(text);
    SharedLookups shared(value.if_object(), keys.size());
    SharedLookups none(nullptr, 0);
    const auto expected = (*program)->evaluate(value, none, nullptr);
    EXPECT_EQ((*program)->evaluate(value, shared, nullptr), expected) << text;
    EXPECT_EQ((*program)->evaluate(value, shared, nullptr), expected) << text;
  }
}

TEST(SchemaGuard, NeverRejectsWhatTheSchemaAccepts) {
  const std::vector<std::string_view> values = {R"({})",
                                                R"({"a":null})",
                                                R"({"a":"x"})",
                                                R"({"a":-1})",
                                                R"({"a":3})",
                                                R"({"a":3.5})",
                                                R"({"a":9007199254740992})",
                                                R"({"a":9007199254740993})",
                                                R"({"a":18446744073709551615})",
                                                R"({"a":1e300})",
                                                R"({"a":-1e300})",
                                                R"({"a":[3]})",
                                                R"({"b":3})"};
  int rejected = 0;
  for (const auto* member :
       {"true", R"({"type":"string"})", R"({"type":"integer","minimum":3})", R"({"maximum":3})",
        R"({"exclusiveMinimum":3})", R"({"minimum":9007199254740993})",
        R"({"maximum":9007199254740993})", R"({"minimum":3,"exclusiveMaximum":3.5})",
        R"({"type":["null","number"],"exclusiveMaximum":1e299})", "false"}) {
    KeyTable keys;
    keys.intern("other");
    const std::string schema =
        R"({"required":["a"],"properties":{"a":)" + std::string(member) + "}}";
    const auto program = SchemaProgram::compile(parsed(schema), {}, keys);
    ASSERT_TRUE(program) << program.error().message;
    const auto guard = (*program)->guard();
    ASSERT_TRUE(guard);
    EXPECT_EQ(keys.name(guard->key), "a");
    for (const auto text : values) {
      const auto value = parsed(text);
      SharedLookups lookups(value.if_object(), keys.size());
      if (lookups.may_satisfy(*guard, "a")) continue;
      ++rejected;
      EXPECT_EQ((*program)->evaluate(value, lookups, nullptr), SchemaAnswer::differs)
          << schema << " " << text;
    }
  }
  EXPECT_GT(rejected, 50);
}

TEST(SchemaGuard, IsMissingWhereNoMemberIsRequired) {
  for (const auto* schema : {"true", R"({"properties":{"a":{"type":"string"}}})",
                             R"({"minimum":3})", R"({"anyOf":[{"required":["a"]}]})"}) {
    KeyTable keys;
    EXPECT_FALSE(SchemaProgram::compile(parsed(schema), {}, keys).value()->guard()) << schema;
  }
}

}  // namespace
}  // namespace gavel
