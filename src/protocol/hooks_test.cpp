#include "protocol/hooks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/mcp.hpp"

namespace gavel {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const HookSettings kSettings{"/w/a", "gavel", "http://127.0.0.1:7420"};

Result<HookEvent> read(AgentProgram program, std::string_view text) {
  return read_hook(program, text, kSettings);
}

TEST(Hooks, ReadsWhatClaudeCodeSends) {
  const auto event =
      read(AgentProgram::claude_code,
           R"({"session_id":"5f/e","cwd":"/w/a","hook_event_name":"PreToolUse","tool_name":"Bash",)"
           R"("tool_input":{"command":"ls","description":"look"},"tool_use_id":"toolu_4"})");
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->moment, HookMoment::before);
  EXPECT_EQ(event->session, "claude-code/5f-e");
  EXPECT_EQ(event->call_id, "toolu_4");
  EXPECT_EQ(event->tool, "own__shell");
  EXPECT_EQ(
      write_json(event->arguments),
      R"({"command":"ls","directory":"/w/a","project":"/w/a","input":{"description":"look"}})");
}

TEST(Hooks, TheAgentsDirectoryIsNoProject) {
  const auto event = read_hook(
      AgentProgram::codex,
      R"({"session_id":"s","cwd":"/etc","hook_event_name":"PreToolUse","tool_name":"Bash",)"
      R"("tool_use_id":"c","tool_input":{"command":"touch a"}})",
      {"", "gavel", ""});
  ASSERT_TRUE(event);
  EXPECT_EQ(event->arguments.at("directory"), "/etc");
  EXPECT_FALSE(event->arguments.contains("project")) << "so nothing counts as inside";
}

TEST(Hooks, ReadsWhatCameOfIt) {
  const auto event =
      read(AgentProgram::claude_code,
           R"({"session_id":"s","cwd":"/w","hook_event_name":"PostToolUse","tool_name":"Read",)"
           R"("tool_input":{"file_path":"a"},"tool_use_id":"t","tool_response":{"lines":3}})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->tool, "own__read");
  EXPECT_FALSE(event->failed);
  EXPECT_THAT(event->result, HasSubstr(R"({\"lines\":3})"));
  const auto failed = read(
      AgentProgram::claude_code,
      R"({"session_id":"s","cwd":"/w","hook_event_name":"PostToolUseFailure","tool_name":"Read",)"
      R"("tool_input":{"file_path":"a"},"tool_use_id":"t","error":"no such file"})");
  ASSERT_TRUE(failed);
  EXPECT_TRUE(failed->failed);
  EXPECT_EQ(failed->reason, "no such file");
}

TEST(Hooks, ReadsWhatThePersonSays) {
  const auto event = read(
      AgentProgram::codex,
      R"({"session_id":"s","cwd":"/w","hook_event_name":"UserPromptSubmit","prompt":"tidy up"})");
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->moment, HookMoment::prompt);
  EXPECT_EQ(event->session, "codex/s");
  EXPECT_EQ(event->prompt, "tidy up");
  EXPECT_FALSE(read(AgentProgram::codex,
                    R"({"session_id":"s","hook_event_name":"UserPromptSubmit","prompt":""})"));
  EXPECT_FALSE(
      read(AgentProgram::codex, R"({"hook_event_name":"UserPromptSubmit","prompt":"tidy up"})"));
}

TEST(Hooks, AResultThatIsCutSaysSo) {
  const auto result_of = [](std::size_t bytes) {
    return read(
               AgentProgram::claude_code,
               R"({"session_id":"s","cwd":"/w","hook_event_name":"PostToolUse","tool_name":"Read",)"
               R"("tool_input":{"file_path":"a"},"tool_response":")" +
                   std::string(bytes, 'x') + "\"}")
        .value()
        .result;
  };
  EXPECT_THAT(result_of(70'000), HasSubstr(R"("_meta":{"com.gavel/cut":true})"));
  EXPECT_THAT(result_of(60'000), Not(HasSubstr("_meta")));
}

TEST(Hooks, ReadsTheFilesOfCodexsPatches) {
  const auto patch = [](const std::string& body) {
    return read(AgentProgram::codex,
                R"({"session_id":"s","cwd":"/w","hook_event_name":"PreToolUse",)"
                R"("tool_name":"apply_patch","tool_use_id":"c","tool_input":{"command":")" +
                    body + R"("}})");
  };
  const auto edit = patch("*** Begin Patch\\n*** Update File: a.c\\n*** Move to: b.c\\n");
  ASSERT_TRUE(edit);
  EXPECT_EQ(edit->tool, "own__edit");
  EXPECT_EQ(write_json(edit->arguments.at("path")), R"(["a.c","b.c"])");
  EXPECT_EQ(patch("*** Delete File: a.c\\n")->tool, "own__delete");
  EXPECT_EQ(patch("nothing that is known")->tool, "own__patch");
}

TEST(Hooks, QuotesCodexsLists) {
  const auto event = read(
      AgentProgram::codex,
      R"({"session_id":"s","cwd":"/w","hook_event_name":"PreToolUse","tool_name":"shell",)"
      R"("tool_use_id":"c","tool_input":{"command":["bash","-lc","echo 'a'"],"workdir":"x"}})");
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->arguments.at("command"), R"('bash' '-lc' 'echo '\''a'\''')");
  EXPECT_EQ(event->arguments.at("directory"), "/w/x");
}

TEST(Hooks, ReadsGeminiWithoutCallIds) {
  const auto event =
      read(AgentProgram::gemini,
           R"({"session_id":"s","cwd":"/w","hook_event_name":"BeforeTool","timestamp":"t",)"
           R"("tool_name":"run_shell_command","tool_input":{"command":"ls","dir_path":"sub"}})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->tool, "own__shell");
  EXPECT_EQ(event->call_id, "");
  EXPECT_EQ(event->arguments.at("directory"), "/w/sub");
}

TEST(Hooks, LeavesGavelsOwnServerToTheGateway) {
  const auto claude = [](const std::string& tool) {
    return read(AgentProgram::claude_code,
                R"({"session_id":"s","cwd":"/w","hook_event_name":"PreToolUse","tool_input":{},)"
                R"("tool_use_id":"t","tool_name":")" +
                    tool + "\"}");
  };
  EXPECT_TRUE(claude("mcp__gavel__pg__query")->through_gavel);
  const auto other = claude("mcp__github__create_issue");
  EXPECT_FALSE(other->through_gavel);
  EXPECT_EQ(other->tool, "own__mcp.github.create_issue");
  const auto endless = claude("mcp__" + std::string(200, 's') + "__" + std::string(200, 't'));
  EXPECT_TRUE(is_valid_tool_name(endless->tool)) << endless->tool;
  const auto gemini = [](const std::string& url) {
    return read(AgentProgram::gemini,
                R"({"session_id":"s","cwd":"/w","hook_event_name":"BeforeTool","tool_input":{},)"
                R"("tool_name":"mcp_gavel_x","mcp_context":{"server_name":"gavel",)"
                R"("tool_name":"x","url":")" +
                    url + "\"}}");
  };
  EXPECT_TRUE(gemini("http://127.0.0.1:7420/mcp")->through_gavel);
  EXPECT_FALSE(gemini("http://evil.example/mcp")->through_gavel) << "only the name is Gavel's";
  EXPECT_FALSE(gemini("http://127.0.0.1:74201/mcp")->through_gavel);
}

TEST(Hooks, UnknownToolsAreNoneOfTheListedOnes) {
  const auto event =
      read(AgentProgram::claude_code,
           R"({"session_id":"s","cwd":"/w","hook_event_name":"PreToolUse","tool_name":"shell",)"
           R"("tool_use_id":"t","tool_input":{"path":"x"}})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->tool, "own__claude-code.shell");
}

TEST(Hooks, AsksForWhatIsForbiddenAsEachProgramWould) {
  for (const std::string_view name : {"claude-code", "codex", "gemini", "opencode", "cursor"}) {
    const auto program = *agent_program_from(name);
    const auto event = read(program, forbidden_event(program, "s", "m1", "/w/a"));
    ASSERT_TRUE(event) << name << ": " << event.error().message;
    EXPECT_EQ(event->moment, HookMoment::before);
    EXPECT_EQ(event->session, std::string(name) + "/s");
    EXPECT_EQ(event->tool, "own__forbidden");
    EXPECT_EQ(event->call_id, program == AgentProgram::gemini ? "" : "m1");
    EXPECT_FALSE(event->through_gavel);
    EXPECT_EQ(write_json(event->arguments), R"({"project":"/w/a","input":{"mark":"m1"}})");
  }
}

TEST(Hooks, WhatIsNotUnderstoodIsAnError) {
  const char* broken[] = {
      "",
      "not JSON",
      "[]",
      "{}",
      R"({"session_id":"s","cwd":"/w","hook_event_name":"Stop","tool_name":"Bash","tool_input":{}})",
      R"({"cwd":"/w","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{}})",
      R"({"session_id":"s","cwd":"/w","hook_event_name":"PreToolUse","tool_input":{}})",
      R"({"session_id":"s","cwd":"/w","hook_event_name":"PreToolUse","tool_name":"Bash"})",
      R"({"session_id":"s","cwd":"/w","hook_event_name":"PreToolUse","tool_name":"Bash",)"
      R"("tool_input":{"command":7}})",
      R"({"session_id":"s","cwd":"w","hook_event_name":"PreToolUse","tool_name":"Bash",)"
      R"("tool_input":{"command":"ls"}})",
      R"({"session_id":"s","cwd":"/w","hook_event_name":"PreToolUse","tool_name":"Edit",)"
      R"("tool_input":{}})",
  };
  for (const auto* text : broken) EXPECT_FALSE(read(AgentProgram::claude_code, text)) << text;
}

TEST(Hooks, BlockingIsExitCode2ForAll) {
  for (const auto* name : {"claude-code", "codex", "gemini", "opencode", "cursor"}) {
    const auto program = agent_program_from(name);
    ASSERT_TRUE(program) << name;
    EXPECT_EQ(to_string(*program), name);
    const auto reply = blocking_reply(*program, "because");
    EXPECT_EQ(reply.exit_code, 2);
    EXPECT_THAT(reply.err, HasSubstr("because"));
    EXPECT_EQ(allowing_reply(*program, HookMoment::before).exit_code, 0);
  }
  EXPECT_FALSE(agent_program_from("emacs"));
}

TEST(Hooks, OverHttpSilenceLetsGoOnAndAReasonBlocks) {
  EXPECT_TRUE(has_http_hooks(AgentProgram::claude_code));
  EXPECT_FALSE(has_http_hooks(AgentProgram::codex));
  EXPECT_EQ(allowing_answer(), "{}");
  EXPECT_EQ(blocking_answer(HookMoment::before, "because"),
            R"({"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny",)"
            R"("permissionDecisionReason":"Blocked by Gavel: because"}})");
  for (const auto moment : {HookMoment::after, HookMoment::prompt}) {
    EXPECT_EQ(blocking_answer(moment, "because"),
              R"({"decision":"block","reason":"Blocked by Gavel: because"})");
  }
}

}  // namespace
}  // namespace gavel
