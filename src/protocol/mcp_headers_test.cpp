#include "protocol/mcp_headers.hpp"

#include <gtest/gtest.h>

namespace gavel {
namespace {

constexpr std::string_view kModernCall =
    R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{},)"
    R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
    R"("io.modelcontextprotocol/clientCapabilities":{}}}})";

using Headers = std::vector<HeaderField>;

const Headers kGoodHeaders = {{"mcp-protocol-version", "2026-07-28"},
                              {"mcp-method", "tools/call"},
                              {"mcp-name", "echo"},
                              {"user-agent", "claude-code/2.1.329"}};

std::expected<McpAdmission, McpRefusal> admit(const Headers& headers, std::string_view text) {
  return admit_mcp(headers, parse_rpc(text).value());
}

Headers with(std::string_view name, std::string_view value) {
  Headers headers = kGoodHeaders;
  for (auto& header : headers) {
    if (header.name == name) header.value = value;
  }
  return headers;
}

Headers without(std::string_view name) {
  Headers headers = kGoodHeaders;
  std::erase_if(headers, [&](const HeaderField& header) { return header.name == name; });
  return headers;
}

TEST(AdmitMcp, AModernCallWithItsHeaders) {
  const auto admitted = admit(kGoodHeaders, kModernCall);
  ASSERT_TRUE(admitted) << admitted.error().fault.message;
  EXPECT_EQ(admitted->era, Era::modern);
  EXPECT_EQ(admitted->version, "2026-07-28");
}

TEST(AdmitMcp, HeadersThatDoNotMirrorTheBodyAreRefused) {
  Headers twice = kGoodHeaders;
  twice.push_back({"Mcp-Name", "echo"});
  for (const auto& headers :
       {with("mcp-name", "delete_everything"), with("mcp-method", "tools/list"),
        with("mcp-method", "TOOLS/CALL"), with("mcp-protocol-version", "2025-11-25"),
        with("mcp-name", "=?base64?!!!?="), with("mcp-name", "ec\x01ho"), without("mcp-name"),
        without("mcp-method"), without("mcp-protocol-version"), twice}) {
    const auto refused = admit(headers, kModernCall);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().http_status, 400);
    EXPECT_EQ(refused.error().fault.code, rpc::kHeaderMismatch) << refused.error().fault.message;
    EXPECT_EQ(refused.error().fault.id, "1");
  }
}

TEST(AdmitMcp, AnEncodedNameIsDecodedFirst) {
  EXPECT_TRUE(admit(with("mcp-name", "=?base64?ZWNobw==?="), kModernCall));
  const std::string_view call =
      R"({"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///grüß",)"
      R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
      R"("io.modelcontextprotocol/clientCapabilities":{}}}})";
  const std::string name = encode_header_value("file:///grüß");
  EXPECT_TRUE(admit({{"MCP-Protocol-Version", "2026-07-28"},
                     {"Mcp-Method", "resources/read"},
                     {"Mcp-Name", name}},
                    call));
}

TEST(AdmitMcp, ARevisionThatNobodySpeaksIsNamed) {
  const std::string_view call =
      R"({"jsonrpc":"2.0","id":1,"method":"tools/list","params":{)"
      R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2099-01-01"}}})";
  const auto modern =
      admit({{"mcp-protocol-version", "2099-01-01"}, {"mcp-method", "tools/list"}}, call);
  ASSERT_FALSE(modern);
  EXPECT_EQ(modern.error().fault.code, rpc::kUnsupportedVersion);
  EXPECT_EQ(modern.error().http_status, 400);
  const auto legacy = admit({{"mcp-protocol-version", "1999-01-01"}},
                            R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})");
  ASSERT_FALSE(legacy);
  EXPECT_EQ(legacy.error().fault.code, rpc::kUnsupportedVersion);
}

TEST(AdmitMcp, BytesOfAHeaderThatAreNoTextAreNotRepeated) {
  const auto refused = admit({{"MCP-Protocol-Version", "2025-\xb1\xff"}},
                             R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})");
  ASSERT_FALSE(refused);
  EXPECT_TRUE(parse_json(rpc_error_response(refused.error().fault)));
}

TEST(AdmitMcp, MissingMetadataIsAnInvalidRequest) {
  const Headers headers{{"mcp-protocol-version", "2026-07-28"}, {"mcp-method", "tools/list"}};
  for (const char* params :
       {"{}", R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}})"}) {
    const auto refused =
        admit(headers, R"({"jsonrpc":"2.0","id":1,"method":"tools/list","params":)" +
                           std::string(params) + "}");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().fault.code, rpc::kInvalidParams);
    EXPECT_EQ(refused.error().http_status, 400);
  }
}

TEST(AdmitMcp, OlderClientsAreServedAsTheySpeak) {
  const std::string_view list = R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})";
  EXPECT_EQ(admit({{"Mcp-Protocol-Version", "2025-06-18"}}, list)->version, "2025-06-18");
  // Gemini sends no version at all.
  const auto gemini = admit({}, list);
  ASSERT_TRUE(gemini);
  EXPECT_EQ(gemini->era, Era::legacy);
  EXPECT_EQ(gemini->version, "2025-03-26");
  const auto initialize =
      admit({}, R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{}})");
  ASSERT_TRUE(initialize);
  EXPECT_EQ(initialize->era, Era::legacy);
  EXPECT_TRUE(admit({}, R"({"jsonrpc":"2.0","id":1,"result":{}})"));
}

TEST(AdmitMcp, OlderClientsMayMirrorButNotSomethingElse) {
  const std::string_view call =
      R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop","arguments":{}}})";
  const auto says = [&](std::string_view method, std::string_view name) {
    return admit(
               {{"MCP-Protocol-Version", "2025-11-25"}, {"Mcp-Method", method}, {"Mcp-Name", name}},
               call)
        .has_value();
  };
  EXPECT_TRUE(says("tools/call", "drop"));
  EXPECT_FALSE(says("tools/list", "drop"));
  EXPECT_FALSE(says("tools/call", "echo"));
}

TEST(AdmitMcp, AModernNotificationNeedsItsHeadersOnly) {
  const std::string_view note = R"({"jsonrpc":"2.0","method":"notifications/x"})";
  EXPECT_TRUE(
      admit({{"mcp-protocol-version", "2026-07-28"}, {"mcp-method", "notifications/x"}}, note));
  EXPECT_FALSE(admit({{"mcp-protocol-version", "2026-07-28"}}, note));
}

json::value schema() {
  return parse_json(R"({"type":"object","properties":{
    "region":{"type":"string","x-mcp-header":"Region"},
    "size":{"type":"integer","x-mcp-header":"Size"},
    "dry":{"type":"boolean","x-mcp-header":"Dry"},
    "place":{"type":"object","properties":{"zone":{"type":"string","x-mcp-header":"Zone"}}}}})")
      .value();
}

bool params_agree(const Headers& headers, std::string_view arguments) {
  const auto parsed = parse_json(arguments).value();
  return check_param_headers(headers, "1", schema(), parsed).has_value();
}

TEST(ParamHeaders, MirrorTheirArguments) {
  EXPECT_TRUE(params_agree({{"mcp-param-region", "us-west1"}}, R"({"region":"us-west1"})"));
  EXPECT_TRUE(params_agree({{"Mcp-Param-Zone", "a"}}, R"({"place":{"zone":"a"}})"));
  EXPECT_TRUE(params_agree({{"mcp-param-size", "42.0"}}, R"({"size":42})"));
  EXPECT_TRUE(params_agree({{"mcp-param-dry", "true"}}, R"({"dry":true})"));
  EXPECT_TRUE(params_agree({}, R"({"region":null})"));
  EXPECT_TRUE(params_agree({{"mcp-param-unknown", "x"}}, "{}"));
  EXPECT_FALSE(params_agree({}, R"({"region":"us-west1"})"));
  EXPECT_FALSE(params_agree({{"mcp-param-region", "eu"}}, R"({"region":"us-west1"})"));
  EXPECT_FALSE(params_agree({{"mcp-param-region", "eu"}}, "{}"));
  EXPECT_FALSE(params_agree({{"mcp-param-size", "41"}}, R"({"size":42})"));
  EXPECT_FALSE(params_agree({{"mcp-param-size", "many"}}, R"({"size":42})"));
  EXPECT_FALSE(params_agree({{"mcp-param-region", "x"}}, R"({"region":["x"]})"));
  EXPECT_FALSE(
      params_agree({{"mcp-param-dry", "true"}, {"MCP-PARAM-DRY", "true"}}, R"({"dry":true})"));
}

TEST(ParamHeaders, AreMadeFromTheArguments) {
  const auto annotated = param_headers_of(schema());
  ASSERT_TRUE(annotated);
  EXPECT_EQ(annotated->size(), 4u);
  const auto arguments =
      parse_json(R"({"region":"Hello, 世界","size":-7,"dry":false,"place":{"zone":null}})").value();
  const OwnedHeaders expected{{"Mcp-Param-Region", "=?base64?SGVsbG8sIOS4lueVjA==?="},
                              {"Mcp-Param-Size", "-7"},
                              {"Mcp-Param-Dry", "false"}};
  EXPECT_EQ(param_headers(*annotated, arguments), expected);
  const auto unsafe = parse_json(R"({"size":9007199254740993})").value();
  EXPECT_TRUE(param_headers(*annotated, unsafe).empty());
}

TEST(ParamHeaders, BrokenAnnotationsMakeTheToolInvalid) {
  for (const char* bad : {
           R"({"properties":{"a":{"type":"number","x-mcp-header":"A"}}})",
           R"({"properties":{"a":{"type":"string","x-mcp-header":""}}})",
           R"({"properties":{"a":{"type":"string","x-mcp-header":"A B"}}})",
           R"({"properties":{"a":{"type":"string","x-mcp-header":7}}})",
           R"({"properties":{"a":{"type":"string","x-mcp-header":"A"},)"
           R"("b":{"type":"string","x-mcp-header":"a"}}})",
           R"({"properties":{"a":{"items":{"type":"string","x-mcp-header":"A"}}}})",
           R"({"anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]})",
       }) {
    EXPECT_FALSE(param_headers_of(parse_json(bad).value())) << bad;
  }
  EXPECT_TRUE(param_headers_of(parse_json("{}").value())->empty());
}

TEST(ModernHeaders, SayWhatTheBodySays) {
  const OwnedHeaders expected{
      {"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "tools/call"}, {"Mcp-Name", "echo"}};
  EXPECT_EQ(modern_headers("tools/call", R"({"arguments":{"name":"x"},"name":"echo"})"), expected);
  EXPECT_EQ(modern_headers("tools/list", "{}").size(), 2u);
  EXPECT_EQ(modern_headers("unknown/method", "").size(), 2u);
}

TEST(HeaderValues, FollowTheExamplesOfTheSpecification) {
  const std::pair<const char*, const char*> rows[] = {
      {"us-west1", "us-west1"},
      {"Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="},
      {" padded ", "=?base64?IHBhZGRlZCA=?="},
      {"line1\nline2", "=?base64?bGluZTEKbGluZTI=?="},
      {"=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="},
  };
  for (const auto& [plain, encoded] : rows) {
    EXPECT_EQ(encode_header_value(plain), encoded);
    EXPECT_EQ(decode_header_value(encoded), plain);
  }
  EXPECT_EQ(decode_header_value("=?BASE64?x?="), "=?BASE64?x?=");
  EXPECT_FALSE(decode_header_value("=?base64?/w==?="));
  EXPECT_FALSE(decode_header_value("grüß"));
}

}  // namespace
}  // namespace gavel
