#include "cli/tool_text.hpp"

#include <gtest/gtest.h>

namespace gavel {
namespace {

const Style kPlain{false};

TEST(DefinitionDiff, ShowsMembersThatDifferLineByLine) {
  const auto said = *parse_json(R"({"name":"t","description":"one\ntwo\nthree","title":"T"})");
  const auto says = *parse_json(
      R"({"name":"t","description":"one\n2\u200b\nthree\nfour","inputSchema":{"type":"object"}})");
  EXPECT_EQ(definition_diff(said, says, kPlain),
            "description\n    one\n  - two\n  + 2<U+200B>\n    three\n  + four\n"
            "inputSchema\n  + {\n  +   \"type\": \"object\"\n  + }\n"
            "title\n  - T\n");
  EXPECT_EQ(definition_diff(said, said, kPlain), "");
  EXPECT_EQ(definition_diff(json::value{}, *parse_json(R"({"name":"t"})"), kPlain),
            "name\n  + t\n");
}

TEST(DefinitionDiff, MovesNoCursor) {
  const json::value says = json::object{{"description", "a\u001b[2Jb\rc"}};
  EXPECT_EQ(definition_diff(json::value{}, says, kPlain), "description\n  + a<U+001B>[2Jb c\n");
}

TEST(MarksText, NamesStandingAndFlags) {
  EXPECT_EQ(marks_text(*parse_json("{}")), "");
  EXPECT_EQ(marks_text(*parse_json(R"({"standing":"accepted","flags":[]})")), "");
  EXPECT_EQ(marks_text(*parse_json(
                R"({"standing":"changed","flags":[{"kind":"shadowing"},{"kind":"shadowing"}]})")),
            "changed, shadowing");
}

}  // namespace
}  // namespace gavel
