#include "cli/json_edit.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cli/hook_setup.hpp"

namespace gavel {
namespace {

const std::vector<std::string> kList{"hooks", "Pre"};

std::string appended(std::string_view text) {
  const auto out = append_element(text, kList, "7");
  return out ? *out : "error: " + out.error().message;
}

TEST(JsonEdit, MakesWhatIsMissing) {
  EXPECT_EQ(appended(""), "{\n  \"hooks\": {\n    \"Pre\": [\n      7\n    ]\n  }\n}\n");
  EXPECT_EQ(appended("{\"a\": 1}"),
            "{\"a\": 1,\n  \"hooks\": {\n    \"Pre\": [\n      7\n    ]\n  }\n}");
}

TEST(JsonEdit, KeepsCommentsOrderAndIndentation) {
  EXPECT_EQ(appended("{\n  // first\n  \"hooks\": {\n    \"Pre\": [\n      1 // one\n    ]\n  },\n"
                     "  \"z\": [ 1,2 ] /* end */\n}\n"),
            "{\n  // first\n  \"hooks\": {\n    \"Pre\": [\n      1,\n      7 // one\n    ]\n  },\n"
            "  \"z\": [ 1,2 ] /* end */\n}\n");
  EXPECT_EQ(appended("{\"hooks\":{\"Pre\":[1,],},}"), "{\"hooks\":{\"Pre\":[1,\n  7\n],},}");
}

TEST(JsonEdit, WritesNothingIntoComments) {
  EXPECT_EQ(appended("{\"hooks\":{\"Pre\":[1, /* a\n b */ ]}}"),
            "{\"hooks\":{\"Pre\":[1,\n  7 /* a\n b */ ]}}");
  EXPECT_EQ(appended("{\"hooks\":{\"Pre\":[1 // one,\n ,\n]}}"),
            "{\"hooks\":{\"Pre\":[1 // one,\n ,\n  7\n]}}");
  EXPECT_EQ(appended("{\"hooks\":{\"Pre\":[1, /* a */ // b\n]}}"),
            "{\"hooks\":{\"Pre\":[1, /* a */ // b\n  7\n]}}");
}

TEST(JsonEdit, KeepsTheCommentsAroundWhatItRemoves) {
  const auto without_seven = [](std::string_view text) {
    return remove_elements(text, kList, [](std::string_view element) { return element == "7"; })
        .value();
  };
  EXPECT_EQ(without_seven("{\"hooks\":{\"Pre\":[1, // one\n 7]}}"),
            "{\"hooks\":{\"Pre\":[1 // one\n]}}");
  EXPECT_EQ(without_seven("{\"hooks\":{\"Pre\":[1, 7 /* , */ , ]}}"),
            "{\"hooks\":{\"Pre\":[1, ]}}");
  EXPECT_EQ(without_seven("{\"hooks\":{\"Pre\":[7, // ours\n // about 1\n 1]}}"),
            "{\"hooks\":{\"Pre\":[// ours\n // about 1\n 1]}}");
}

TEST(JsonEdit, RefusesANameThatStandsTwice) {
  EXPECT_EQ(appended("{\"hooks\":{},\"hooks\":{}}"), "error: \"hooks\" stands twice in it");
}

TEST(JsonEdit, RefusesWhatItDoesNotUnderstand) {
  for (const auto* text :
       {"{", "[]", "7", "{\"hooks\": 7}", "{\"hooks\": {\"Pre\": {}}}", "{\"hooks\": []}", "{} x",
        "{\"a\" 1}", "{\"a\": }", "{\"a\": \"x}", "/* {}", "{\"\\", "{\"a\": \"\\"}) {
    EXPECT_TRUE(appended(text).starts_with("error: ")) << text;
  }
}

TEST(JsonEdit, RemovesWhatItAppendedAndNothingElse) {
  const auto is_seven = [](std::string_view element) { return element == "7"; };
  for (const auto* text :
       {"{}", "{\n  \"a\": 1\n}\n", "{\n  \"hooks\": {\n    \"Post\": [7]\n  }\n}\n",
        "{\n  \"hooks\": {\n    \"Pre\": [\n      1\n    ]\n  }\n}\n",
        "{\n  // mine\n  \"b\": [7]\n}\n"}) {
    const auto back = remove_elements(appended(text), kList, is_seven);
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(*back, text);
  }
}

TEST(HookSetup, EditsAreStableAndReversible) {
  const std::vector<std::string> command{"/opt/my gavel/gavel", "hook", "x"};
  for (const auto program : {AgentProgram::claude_code, AgentProgram::codex, AgentProgram::gemini,
                             AgentProgram::cursor}) {
    const std::string start = "{\n  \"version\": 1,\n  \"theme\": \"dark\"\n}\n";
    const std::vector<std::string> run{"/opt/my gavel/gavel", "hook",
                                       std::string(to_string(program))};
    const auto once = with_hooks(program, start, {run, {}});
    ASSERT_TRUE(once) << once.error().message;
    EXPECT_NE(once->find("'/opt/my gavel/gavel' hook"), std::string::npos) << *once;
    EXPECT_NE(once->find("|| exit 2"), std::string::npos);
    EXPECT_EQ(with_hooks(program, *once, {run, {}}).value(), *once);
    EXPECT_EQ(without_hooks(program, *once).value(), start);
    auto moved = run;
    moved[0] = "/usr/bin/gavel";
    const auto other = with_hooks(program, *once, {moved, {}});
    ASSERT_TRUE(other);
    EXPECT_EQ(other->find("my gavel"), std::string::npos) << "the old one is replaced";
  }
}

TEST(HookSetup, FindsWhatItWroteAndWhetherItIsWhole) {
  for (const auto program : {AgentProgram::claude_code, AgentProgram::codex, AgentProgram::gemini,
                             AgentProgram::cursor, AgentProgram::opencode}) {
    const std::vector<std::string> run{"/opt/my gavel/gavel", "hook",
                                       std::string(to_string(program))};
    const auto text = with_hooks(program, "", {run, {}}).value();
    const auto found = find_hooks(program, text).value();
    ASSERT_TRUE(found) << text;
    EXPECT_EQ(found->command, "'/opt/my gavel/gavel' hook " + run[2] + " || exit 2");
    EXPECT_TRUE(found->whole) << text;
    EXPECT_FALSE(find_hooks(program, "{}").value());
    EXPECT_FALSE(find_hooks(program, "").value());
    // Whatever is changed in it, it is not as it was written.
    auto changed = text;
    const std::string word = program == AgentProgram::opencode ? "reject(new" : "600";
    changed.replace(changed.rfind(word), word.size(),
                    program == AgentProgram::opencode ? "new" : "1");
    const auto half = find_hooks(program, changed).value();
    ASSERT_TRUE(half) << changed;
    EXPECT_FALSE(half->whole) << changed;
  }
}

TEST(HookSetup, RequestsOverHttpAndCommandsReplaceEachOther) {
  const auto program = AgentProgram::claude_code;
  const std::string url = "https://127.0.0.1:7420/v1/hooks/claude-code?wait=9";
  const HookWay http{{}, url};
  const HookWay command{{"gavel", "hook", "claude-code"}, {}};
  const std::string start = "{\n  \"theme\": \"dark\"\n}\n";
  const auto asks = with_hooks(program, start, http).value();
  const auto found = find_hooks(program, asks).value();
  ASSERT_TRUE(found) << asks;
  EXPECT_EQ(found->url, url);
  EXPECT_EQ(found->command, "");
  EXPECT_TRUE(found->whole) << asks;
  EXPECT_EQ(with_hooks(program, asks, http).value(), asks);
  EXPECT_EQ(without_hooks(program, asks).value(), start);
  const auto runs = with_hooks(program, asks, command).value();
  EXPECT_EQ(runs, with_hooks(program, start, command).value());
  EXPECT_EQ(with_hooks(program, runs, http).value(), asks);
  // What others ask is theirs.
  for (
      const auto* other :
      {R"({"type":"http","url":"https://audit.example.com/v1/hooks/claude-code"})",
       R"({"type":"command","command":"curl https://x/v1/hooks/claude-code-audit"})",
       R"({"type":"http","url":"https://x/v1/hooks/claude-code2","headers":{"Gavel-Session":""}})"}) {
    const auto text = fmt::format(R"({{"hooks":{{"PreToolUse":[{{"hooks":[{}]}}]}}}})", other);
    EXPECT_EQ(without_hooks(program, text).value(), text);
    EXPECT_FALSE(find_hooks(program, text).value()) << text;
  }
  // It must say that a failure blocks.
  for (const std::string word : {"\"block\"", "$GAVEL_PROJECT", "Bearer"}) {
    auto changed = asks;
    changed.replace(changed.rfind(word), word.size(), word.front() == '"' ? "\"continue\"" : "x");
    EXPECT_FALSE(find_hooks(program, changed).value()->whole) << changed;
  }
}

TEST(HookSetup, ShowsTheLinesThatChange) {
  EXPECT_EQ(line_diff("a\nb\nc\n", "a\nx\nc\n"), "  a\n- b\n+ x\n  c\n");
  EXPECT_EQ(line_diff("a\n", "a\n"), "");
  EXPECT_EQ(line_diff("", "a\n"), "+ a\n");
}

}  // namespace
}  // namespace gavel
