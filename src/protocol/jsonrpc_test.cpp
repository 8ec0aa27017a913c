#include "protocol/jsonrpc.hpp"

#include <gtest/gtest.h>

namespace gavel {
namespace {

TEST(ParseRpc, KeepsThePartsAsTheyCame) {
  // What Claude Code sends.
  const std::string text =
      R"({"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi","n":1.50}},)"
      R"("jsonrpc":"2.0","id":1})";
  const auto message = parse_rpc(text);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, RpcKind::request);
  EXPECT_EQ(message->method, "tools/call");
  EXPECT_EQ(message->id, "1");
  EXPECT_EQ(message->params, R"({"name":"echo","arguments":{"text":"hi","n":1.50}})");
  EXPECT_EQ(string_or(*find(message->document, "params"), "name"), "echo");
}

TEST(ParseRpc, TellsTheFourKindsApart) {
  EXPECT_EQ(parse_rpc(R"({"jsonrpc":"2.0","id":"a","method":"ping"})")->kind, RpcKind::request);
  EXPECT_EQ(parse_rpc(R"({"jsonrpc":"2.0","method":"notifications/x"})")->kind,
            RpcKind::notification);
  EXPECT_EQ(parse_rpc(R"({"jsonrpc":"2.0","id":1,"result":{}})")->kind, RpcKind::response);
  const auto error = parse_rpc(R"({"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}})");
  EXPECT_EQ(error->kind, RpcKind::error);
  EXPECT_EQ(error->id, "null");
  EXPECT_EQ(parse_rpc(R"({"jsonrpc":"2.0","error":{"code":1,"message":"x"}})")->id, "null");
}

TEST(ParseRpc, SaysWhatIsWrongUnderTheIdThatItCouldRead) {
  struct Row {
    const char* text;
    int code;
    const char* id;
  };
  const Row rows[] = {
      {"", rpc::kParseError, "null"},
      {"{\"jsonrpc\":\"2.0\",", rpc::kParseError, "null"},
      {"7", rpc::kInvalidRequest, "null"},
      {"[]", rpc::kInvalidRequest, "null"},
      {"{}", rpc::kInvalidRequest, "null"},
      {R"({"id":1,"method":"x"})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"1.0","id":"a","method":"x"})", rpc::kInvalidRequest, "\"a\""},
      {R"({"jsonrpc":"2.0","id":1})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":1,"method":7})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":1,"method":""})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":null,"method":"x"})", rpc::kInvalidRequest, "null"},
      {R"({"jsonrpc":"2.0","id":1.5,"method":"x"})", rpc::kInvalidRequest, "null"},
      {R"({"jsonrpc":"2.0","id":{},"method":"x"})", rpc::kInvalidRequest, "null"},
      {R"({"jsonrpc":"2.0","id":1,"method":"x","params":[1]})", rpc::kInvalidParams, "1"},
      {R"({"jsonrpc":"2.0","id":1,"method":"x","result":{}})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":1,"result":{},"error":{}})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":1,"result":7})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","result":{}})", rpc::kInvalidRequest, "null"},
      {R"({"jsonrpc":"2.0","id":1,"error":"x"})", rpc::kInvalidRequest, "1"},
      {R"({"jsonrpc":"2.0","id":[],"error":{}})", rpc::kInvalidRequest, "null"},
      {R"({"jsonrpc":"2.0","id":1,"id":2,"method":"x"})", rpc::kParseError, "null"},
  };
  for (const auto& row : rows) {
    const auto message = parse_rpc(row.text);
    ASSERT_FALSE(message) << row.text;
    EXPECT_EQ(message.error().code, row.code) << row.text << message.error().message;
    EXPECT_EQ(message.error().id, row.id) << row.text;
  }
}

TEST(ParseRpc, AnIdIsBounded) {
  const std::string id(kRpcIdBytesMax + 1, 'x');
  EXPECT_FALSE(parse_rpc(R"({"jsonrpc":"2.0","method":"x","id":")" + id + "\"}"));
}

TEST(SliceRpc, TakesAnAnswerWithoutBuildingIt) {
  const std::string text = R"({"result":{"content":[ 1 ]},"jsonrpc":"2.0","id":42})";
  const auto message = slice_rpc(text);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->result, R"({"content":[ 1 ]})");
  EXPECT_EQ(message->id, "42");
  EXPECT_TRUE(message->document.is_null());
  const auto twice = slice_rpc(R"({"jsonrpc":"2.0","id":1,"id":2,"method":"x"})");
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, rpc::kInvalidRequest);
  EXPECT_FALSE(slice_rpc(R"({"jsonrpc":"2.0","id":5,"result":{"content":[}})"));
}

TEST(RpcBatch, IsSplitIntoItsMessages) {
  EXPECT_TRUE(is_rpc_batch(" \n[{}]"));
  EXPECT_FALSE(is_rpc_batch("{}"));
  EXPECT_FALSE(is_rpc_batch(""));
  const auto batch = split_rpc_batch(R"([{"a":1},{"b":2}])");
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->size(), 2u);
  EXPECT_EQ((*batch)[1], R"({"b":2})");
  EXPECT_EQ(split_rpc_batch("[]").error().code, rpc::kInvalidRequest);
  EXPECT_EQ(split_rpc_batch("[1,").error().code, rpc::kParseError);
  std::string many = "[1";
  for (std::size_t i = 0; i < kRpcBatchMax; ++i) many += ",1";
  EXPECT_EQ(split_rpc_batch(many + "]").error().code, rpc::kInvalidRequest);
}

TEST(RpcBuilders, PutRawPartsTogether) {
  EXPECT_EQ(rpc_request("7", "a\"b", R"({"x":1.50})"),
            R"({"jsonrpc":"2.0","id":7,"method":"a\"b","params":{"x":1.50}})");
  EXPECT_EQ(rpc_request("\"i\"", "ping", ""),
            R"({"jsonrpc":"2.0","id":"i","method":"ping","params":{}})");
  EXPECT_EQ(rpc_notification("n", ""), R"({"jsonrpc":"2.0","method":"n"})");
  EXPECT_EQ(rpc_notification("n", "{}"), R"({"jsonrpc":"2.0","method":"n","params":{}})");
  EXPECT_EQ(rpc_response("1", "{}"), R"({"jsonrpc":"2.0","id":1,"result":{}})");
  EXPECT_EQ(rpc_error_response({.code = -32601, .message = "no", .id = "3", .data = "[1]"}),
            R"({"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"no","data":[1]}})");
  for (const auto& text : {rpc_request("1", "x", "{}"), rpc_response("1", "{}"),
                           rpc_error_response("1", rpc_error_object(1, "m"))}) {
    EXPECT_TRUE(parse_rpc(text)) << text;
  }
}

TEST(ReadRpcError, FindsItsParts) {
  const auto error = read_rpc_error(R"({"message":"a\nb","data":{"k":1},"code":-32022})");
  EXPECT_EQ(error.code, -32022);
  EXPECT_EQ(error.message, "a\nb");
  EXPECT_EQ(error.data, R"({"k":1})");
  EXPECT_EQ(read_rpc_error("").code, 0);
}

}  // namespace
}  // namespace gavel
