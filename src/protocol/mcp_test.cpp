#include "protocol/mcp.hpp"

#include <gtest/gtest.h>

#include <set>

namespace gavel {
namespace {

// Captured from Claude Code 2.1.329.
constexpr std::string_view kClaudeCall =
    R"({"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"},"_meta":{)"
    R"("io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
    R"("io.modelcontextprotocol/clientInfo":{"name":"claude-code","version":"2.1.329"},)"
    R"("io.modelcontextprotocol/clientCapabilities":{"roots":{"listChanged":true}},)"
    R"("claudecode/toolUseId":"toolu_4","progressToken":1}},"jsonrpc":"2.0","id":1})";
// From Codex 0.169.0.
constexpr std::string_view kCodexCall =
    R"({"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"_meta":{"callId":"call_5",)"
    R"("x-codex-turn-metadata":{"session_id":"s"},"progressToken":"p"},"name":"echo",)"
    R"("arguments":{"text":"hi"}}})";

json::value value(std::string_view text) {
  return parse_json(text).value();
}
std::string text_in(std::string_view object, std::string_view key) {
  const json::value parsed = value(object);
  return std::string(string_or(parsed, key));
}
RpcMessage message(std::string_view text) {
  return parse_rpc(text).value();
}

TEST(McpVersions, FallIntoTwoEras) {
  EXPECT_EQ(era_of("2026-07-28"), Era::modern);
  for (const char* old : {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}) {
    EXPECT_EQ(era_of(old), Era::legacy) << old;
    EXPECT_EQ(negotiate_legacy(old), old);
  }
  for (const char* other : {"", "2026-07-29", "1999-01-01", "2026-07-28 "}) {
    EXPECT_FALSE(era_of(other)) << other;
    EXPECT_EQ(negotiate_legacy(other), "2025-11-25");
  }
  EXPECT_EQ(negotiate_legacy("2026-07-28"), "2025-11-25");
  EXPECT_TRUE(allows_batches("2025-03-26"));
  EXPECT_FALSE(allows_batches("2025-06-18"));
}

TEST(McpMethods, AreATableWithoutTwins) {
  std::set<std::string_view> names;
  for (const auto& method : mcp_methods()) {
    EXPECT_TRUE(names.insert(method.name).second) << method.name;
    EXPECT_TRUE(method.legacy || method.modern) << method.name;
    EXPECT_EQ(method.kind == RpcKind::notification, method.name.starts_with("notifications/"));
    EXPECT_EQ(find_mcp_method(method.name), &method);
  }
  EXPECT_EQ(find_mcp_method("tools/destroy"), nullptr);
  EXPECT_EQ(name_param_key(find_mcp_method("tools/call")->name_param), "name");
  EXPECT_EQ(name_param_key(find_mcp_method("resources/read")->name_param), "uri");
  EXPECT_EQ(name_param_key(find_mcp_method("tasks/get")->name_param), "taskId");
  EXPECT_EQ(name_param_key(find_mcp_method("tools/list")->name_param), "");
  EXPECT_FALSE(find_mcp_method("ping")->modern);
  EXPECT_FALSE(find_mcp_method("server/discover")->legacy);
}

TEST(RequestMeta, IsReadFromWhatClientsSend) {
  const auto call = message(kClaudeCall);
  const auto claude = read_request_meta(call.document);
  EXPECT_TRUE(claude.is_modern());
  EXPECT_EQ(claude.client, (Implementation{"claude-code", "2.1.329"}));
  EXPECT_TRUE(claude.client_capabilities->contains("roots"));
  EXPECT_EQ(claude.progress_token, "1");
  EXPECT_EQ(claude.call_id, "toolu_4");
  EXPECT_EQ(write_json(claude.rest), R"({"claudecode/toolUseId":"toolu_4"})");
  EXPECT_TRUE(require_modern(call, claude));

  const auto codex = read_request_meta(message(kCodexCall).document);
  EXPECT_FALSE(codex.is_modern());
  EXPECT_EQ(codex.progress_token, "\"p\"");
  EXPECT_EQ(codex.call_id, "call_5");
  EXPECT_TRUE(codex.rest.contains("x-codex-turn-metadata"));
}

TEST(RequestMeta, ReservedKeysAreNotPassedOn) {
  const auto meta = read_request_meta(
      value(R"({"params":{"_meta":{"com.gavel/fencingToken":99,"com.gavel/idempotencyKey":"k",)"
            R"("io.modelcontextprotocol/logLevel":"debug","traceparent":"00-1-2-3"}}})"));
  EXPECT_EQ(meta.idempotency_key, "k");
  EXPECT_EQ(meta.log_level, "debug");
  EXPECT_EQ(write_json(meta.rest), R"({"traceparent":"00-1-2-3"})");
  EXPECT_FALSE(read_request_meta(value("{}")).is_modern());
  EXPECT_FALSE(read_request_meta(value(R"({"params":{"_meta":7}})")).is_modern());
}

TEST(RequireModern, NamesWhatIsMissing) {
  const auto check = [](std::string_view meta) {
    const auto text = R"({"jsonrpc":"2.0","id":5,"method":"tools/list","params":{"_meta":)" +
                      std::string(meta) + "}}";
    const auto parsed = parse_rpc(text).value();
    const auto checked = require_modern(parsed, read_request_meta(parsed.document));
    return checked ? RpcFault{.code = 0, .message = {}, .id = {}, .data = {}} : checked.error();
  };
  EXPECT_EQ(check("{}").code, rpc::kInvalidParams);
  const auto version = check(R"({"io.modelcontextprotocol/protocolVersion":"2099-01-01"})");
  EXPECT_EQ(version.code, rpc::kUnsupportedVersion);
  EXPECT_EQ(version.id, "5");
  EXPECT_EQ(text_in(version.data, "requested"), "2099-01-01");
  EXPECT_EQ(value(version.data).at("supported").at(0).as_string(), "2026-07-28");
  EXPECT_EQ(check(R"({"io.modelcontextprotocol/protocolVersion":7})").code,
            rpc::kUnsupportedVersion);
  EXPECT_EQ(check(R"({"io.modelcontextprotocol/protocolVersion":"2026-07-28"})").code,
            rpc::kInvalidParams);
}

TEST(ParamsWithMeta, KeepsTheParamsBytes) {
  EXPECT_EQ(params_with_meta(R"({"x":1.50})", {}), R"({"x":1.50})");
  EXPECT_EQ(params_with_meta("", {{"k", 1}}), R"({"_meta":{"k":1}})");
  EXPECT_EQ(params_with_meta(R"({"_meta":{"old":1},"x":[ ]})", {{"k", 1}}),
            R"({"_meta":{"k":1},"x":[ ]})");
}

TEST(Opening, AsAServerInBothEras) {
  const auto asked = message(
      R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18",)"
      R"("capabilities":{"elicitation":{}},"clientInfo":{"name":"codex","version":"0.169.0"}}})");
  const auto request = read_initialize(asked);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->version, "2025-06-18");
  EXPECT_EQ(request->client.name, "codex");
  EXPECT_TRUE(request->capabilities.contains("elicitation"));
  const auto bad = message(R"({"jsonrpc":"2.0","id":0,"method":"initialize"})");
  EXPECT_EQ(read_initialize(bad).error().code, rpc::kInvalidParams);

  const Implementation gavel{"gavel", "0.1.0"};
  const auto initialized = value(initialize_result("2025-06-18", gavel, {{"tools", {}}}, "hello"));
  EXPECT_EQ(string_or(initialized, "protocolVersion"), "2025-06-18");
  EXPECT_EQ(string_or(initialized, "instructions"), "hello");
  const auto discovered = value(discover_result(gavel, {}, "", 1000));
  EXPECT_EQ(string_or(discovered, "resultType"), "complete");
  EXPECT_EQ(int_or(discovered, "ttlMs", 0), 1000);
  EXPECT_EQ(find(discovered, "instructions"), nullptr);
}

TEST(Opening, AsAClientReadsWhatItWritesAsAServer) {
  const Implementation gavel{"gavel", "0.1.0"};
  const auto modern = read_discover_result(discover_result(gavel, {{"tools", 1}}, "be kind", 0));
  ASSERT_TRUE(modern);
  EXPECT_EQ(modern->version, "2026-07-28");
  EXPECT_EQ(modern->server, gavel);
  EXPECT_EQ(modern->instructions, "be kind");
  const auto legacy = read_initialize_result(initialize_result("2025-11-25", gavel, {}, ""));
  ASSERT_TRUE(legacy);
  EXPECT_EQ(legacy->version, "2025-11-25");
  EXPECT_EQ(text_in(initialize_params("2025-11-25", gavel, {}), "protocolVersion"), "2025-11-25");
}

TEST(Opening, AServerOfAnotherRevisionIsNotUnderstood) {
  EXPECT_EQ(read_initialize_result(R"({"protocolVersion":"2026-07-28"})").error().code,
            ErrorCode::unsupported);
  EXPECT_FALSE(read_initialize_result("nonsense"));
  EXPECT_EQ(read_discover_result(R"({"supportedVersions":["2031-01-01"],"capabilities":{}})")
                .error()
                .code,
            ErrorCode::unsupported);
  EXPECT_EQ(
      read_discover_result(R"({"supportedVersions":["2025-06-18"],"capabilities":{}})")->version,
      "2025-06-18");
  EXPECT_EQ(read_discover_result("{}").error().code, ErrorCode::invalid_argument);
}

TEST(ProbeErrors, OnlyTheModernOnesMeanAModernServer) {
  EXPECT_FALSE(read_probe_error(R"({"code":-32601,"message":"Method not found"})").modern);
  EXPECT_FALSE(read_probe_error(R"({"code":-32000,"message":"not initialized"})").modern);
  EXPECT_FALSE(read_probe_error("").modern);
  EXPECT_TRUE(read_probe_error(R"({"code":-32020,"message":"Header mismatch"})").modern);
  const auto other = read_probe_error(
      R"({"code":-32022,"message":"x","data":{"supported":["2030-01-01"],"requested":"y"}})");
  EXPECT_TRUE(other.modern);
  EXPECT_EQ(other.version, "");
  EXPECT_EQ(read_probe_error(
                R"({"code":-32022,"message":"x","data":{"supported":["2025-11-25","2030-01-01"]}})")
                .version,
            "2025-11-25");
}

TEST(Capabilities, OnlyWhatAServerMayAskForIsPassedOn) {
  const auto declared =
      parse_json(R"({"elicitation":{"form":{}},"roots":{},"sampling":true,"extensions":{"x":{}}})");
  EXPECT_EQ(write_json(only_questions(declared->as_object())),
            R"({"elicitation":{"form":{}},"roots":{}})");
  EXPECT_EQ(question_capability("sampling/createMessage"), "sampling");
  EXPECT_EQ(question_capability("tools/call"), "");
}

TEST(Questions, WhatAClientLacksIsSaidAsItWouldBeDeclared) {
  const auto lacking = [](std::string_view declared, std::string_view method,
                          std::string_view params) {
    return write_json(lacking_capability(value(declared).as_object(), method, params));
  };
  const std::string_view form = "elicitation/create";
  const std::string_view url = R"({"mode":"url","url":"https://x"})";
  EXPECT_EQ(lacking("{}", form, "{}"), R"({"elicitation":{"form":{}}})");
  EXPECT_EQ(lacking("{}", form, url), R"({"elicitation":{"url":{}}})");
  EXPECT_EQ(lacking(R"({"elicitation":{}})", form, ""), "{}") << "of those that knew forms alone";
  EXPECT_EQ(lacking(R"({"elicitation":{"form":{}}})", form, "{}"), "{}");
  EXPECT_EQ(lacking(R"({"elicitation":{"form":{}}})", form, url), R"({"elicitation":{"url":{}}})");
  EXPECT_EQ(lacking(R"({"elicitation":{"url":{}}})", form, url), "{}");
  EXPECT_EQ(lacking(R"({"elicitation":{"url":{}}})", form, "{}"), R"({"elicitation":{"form":{}}})");
  EXPECT_EQ(lacking("{}", "sampling/createMessage", "{}"), R"({"sampling":{}})");
  EXPECT_EQ(lacking(R"({"sampling":{}})", "sampling/createMessage", R"({"tools":[]})"),
            R"({"sampling":{"tools":{}}})");
  EXPECT_EQ(lacking(R"({"sampling":{"tools":{}}})", "sampling/createMessage", R"({"tools":[]})"),
            "{}");
  EXPECT_EQ(lacking("{}", "roots/list", ""), R"({"roots":{}})");
  EXPECT_EQ(lacking(R"({"roots":{}})", "roots/list", ""), "{}");
  const json::object every = every_question();
  for (const std::string_view method :
       {"elicitation/create", "sampling/createMessage", "roots/list"}) {
    EXPECT_TRUE(lacking_capability(every, method, "{}").empty()) << method;
  }
}

TEST(Questions, OfUrlModeHaveAnIdInTheOlderEraAlone) {
  const std::string_view method = "elicitation/create";
  EXPECT_EQ(to_modern_question(method, R"({"mode":"url","url":"u","elicitationId":"e"})"),
            R"({"mode":"url","url":"u"})");
  EXPECT_EQ(to_legacy_question(method, R"({"mode":"url","url":"u"})", "e"),
            R"({"mode":"url","url":"u","elicitationId":"e"})");
  const std::string_view own = R"({"mode":"url","url":"u","elicitationId":"own"})";
  EXPECT_EQ(to_legacy_question(method, own, "e"), own);
  EXPECT_EQ(to_legacy_question(method, R"({"message":"m"})", "e"), R"({"message":"m"})");
  EXPECT_EQ(to_modern_question("roots/list", ""), "");
}

TEST(Questions, UrlsThatALegacyServerRequiresAreAModernServersQuestions) {
  const auto asked = urls_required(
      R"({"code":-32042,"message":"open it","data":{"elicitations":[)"
      R"({"mode":"url","elicitationId":"e","url":"https://x","message":"m"},{"mode":"form"}]}})");
  EXPECT_EQ(write_json(asked), R"({"elicitation_1":{"method":"elicitation/create",)"
                               R"("params":{"mode":"url","message":"m","url":"https://x"}}})");
  EXPECT_TRUE(urls_required(R"({"code":-32041,"message":"m","data":{"elicitations":[]}})").empty());
  EXPECT_TRUE(urls_required(R"({"code":-32042,"message":"m"})").empty());
}

TEST(Questions, WhatARoundBringsIsTakenOutForAnOlderServer) {
  const std::string_view params = R"({"name":"t","arguments":{"a":1}})";
  EXPECT_EQ(without_round(params), params);
  EXPECT_EQ(
      without_round(R"({"name":"t","arguments":{},"inputResponses":{"a":{}},"requestState":"s"})"),
      R"({"name":"t","arguments":{}})");
}

TEST(Capabilities, AnInputRequiredAsksWhatWasDeclaredAndSaysWhat) {
  const auto declared = parse_json(R"({"elicitation":{}})");
  const auto wrong = [&](std::string_view result) {
    return wrong_questions(result, declared->as_object());
  };
  EXPECT_EQ(wrong(R"({"inputRequests":{"a":{"method":"elicitation/create"}}})"), "");
  EXPECT_EQ(wrong(R"({"requestState":"later"})"), "");
  EXPECT_EQ(wrong(R"({"inputRequests":{}})"), ", but not for what");
  EXPECT_EQ(wrong(R"({"inputRequests":[]})"), ", but not for what");
  EXPECT_EQ(wrong(R"({"inputRequests":{"a":{"method":"roots/list"}}})"),
            R"( by "roots/list", which this client did not declare)");
  EXPECT_EQ(wrong(R"({"inputRequests":{"a":{"method":"tools/call"}}})"),
            R"( by "tools/call", which is no question)");
}

TEST(LogLevels, RiseFromDebugToEmergency) {
  EXPECT_EQ(log_severity("debug"), 0);
  EXPECT_EQ(log_severity("emergency"), 7);
  EXPECT_LT(log_severity("info"), log_severity("warning"));
  EXPECT_FALSE(log_severity("loud"));
}

TEST(ModernResult, AQuestionIsNotCacheable) {
  const auto asked = to_modern_result("resources/read", R"({"resultType":"input_required"})", {});
  EXPECT_EQ(asked.find("ttlMs"), std::string::npos) << asked;
  EXPECT_NE(to_modern_result("resources/read", "{}", {}).find("ttlMs"), std::string::npos);
}

TEST(ResultType, AbsentMeansComplete) {
  EXPECT_EQ(result_type("{}"), ResultType::complete);
  EXPECT_EQ(result_type(R"({"resultType":"complete"})"), ResultType::complete);
  EXPECT_EQ(result_type(R"({"resultType":"input_required"})"), ResultType::input_required);
  EXPECT_EQ(result_type(R"({"resultType":"task"})"), ResultType::task);
  EXPECT_EQ(result_type(R"({"resultType":"?"})"), ResultType::unknown);
}

TEST(Translation, ToTheModernEraAddsWhatIsMissing) {
  const Implementation gavel{"gavel", "1"};
  EXPECT_EQ(to_modern_result("tools/call", R"({"content":[ ],"n":1.50})", gavel),
            R"({"content":[ ],"n":1.50,"_meta":{"io.modelcontextprotocol/serverInfo":)"
            R"({"name":"gavel","version":"1"}},"resultType":"complete"})");
  const auto list = value(
      to_modern_result("tools/list", R"({"tools":[],"_meta":{"k":1}})", gavel, {.ttl_ms = 5}));
  EXPECT_EQ(int_or(list, "ttlMs", -1), 5);
  EXPECT_EQ(string_or(list, "cacheScope"), "private");
  EXPECT_EQ(int_or(list.at("_meta"), "k", 0), 1);
  const auto kept = value(to_modern_result(
      "tools/list", R"({"tools":[],"resultType":"complete","ttlMs":9,"cacheScope":"public"})",
      gavel, {.ttl_ms = 5}));
  EXPECT_EQ(int_or(kept, "ttlMs", -1), 9);
  EXPECT_EQ(string_or(kept, "cacheScope"), "public");
  EXPECT_EQ(text_in(to_modern_result("tools/list", "{}", gavel, {.is_public = true}), "cacheScope"),
            "public");
}

TEST(Translation, ToTheLegacyEraTakesOutWhatItDoesNotKnow) {
  EXPECT_EQ(to_legacy_result(R"({"content":[ ],"resultType":"complete","ttlMs":1,)"
                             R"("cacheScope":"private","_meta":{)"
                             R"("io.modelcontextprotocol/serverInfo":{"name":"x"}}})"),
            R"({"content":[ ]})");
  EXPECT_EQ(to_legacy_result(R"({"a":1,"_meta":{"k":1}})"), R"({"a":1,"_meta":{"k":1}})");
  EXPECT_EQ(to_legacy_result(R"({"structuredContent":[1],"x":1})"), R"({"x":1})");
  EXPECT_EQ(to_legacy_result(R"({"structuredContent":{"a":1}})"),
            R"({"structuredContent":{"a":1}})");
}

TEST(ToolResults, OfOneText) {
  EXPECT_EQ(text_result("no\nway", ToolOutcome::error),
            R"({"content":[{"type":"text","text":"no\nway"}],"isError":true})");
  EXPECT_EQ(text_result("ok", ToolOutcome::ok, {{"com.gavel/replayed", true}}),
            R"({"content":[{"type":"text","text":"ok"}],"_meta":{"com.gavel/replayed":true}})");
}

TEST(ToolNames, FollowTheRule) {
  for (const char* good : {"a", "pg__query", "A.b-c_9"}) EXPECT_TRUE(is_valid_tool_name(good));
  for (const char* bad : {"", "a b", "a/b", "grüß"}) EXPECT_FALSE(is_valid_tool_name(bad));
  EXPECT_TRUE(is_valid_tool_name(std::string(128, 'a')));
  EXPECT_FALSE(is_valid_tool_name(std::string(129, 'a')));
}

TEST(Faults, AreReadyToSend) {
  EXPECT_EQ(method_not_found("7", "x").code, rpc::kMethodNotFound);
  EXPECT_TRUE(parse_rpc(rpc_error_response(method_not_found("7", "x"))));
  EXPECT_TRUE(parse_rpc(rpc_error_response(unsupported_version("7", "x"))));
}

}  // namespace
}  // namespace gavel
