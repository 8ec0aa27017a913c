#include "gateway/http_head.hpp"

#include <gtest/gtest.h>

namespace gavel {
namespace {

// "" where the head of the request passes, else why not.
std::string verdict(std::vector<HttpHeader> headers, HttpVersion version = HttpVersion::http11) {
  HttpRequest request;
  request.method = "POST";
  request.path = "/mcp";
  request.headers = std::move(headers);
  const auto sound = check_head(request, version);
  return sound ? "" : sound.error().message;
}

TEST(HttpHead, OneLengthPasses) {
  EXPECT_EQ(verdict({}), "");
  EXPECT_EQ(verdict({{"content-length", "12"}}), "");
  EXPECT_EQ(verdict({{"Transfer-Encoding", "Chunked"}}), "");
  EXPECT_EQ(verdict({{"Content-Length", "12"}}, HttpVersion::http10), "");
}

TEST(HttpHead, LengthsThatCouldBeReadInTwoWaysAreRefused) {
  for (const char* length : {"", "1, 1", "+1", "-1", "0x1", "1 ", "1;2"}) {
    EXPECT_EQ(verdict({{"Content-Length", length}}), "Content-Length must be one number") << length;
  }
  for (const char* encoding : {"", "identity", "xchunked", "gzip, chunked", "chunked, chunked"}) {
    EXPECT_EQ(verdict({{"Transfer-Encoding", encoding}}),
              "the only Transfer-Encoding known here is chunked")
        << encoding;
  }
  EXPECT_NE(verdict({{"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}}), "");
  EXPECT_NE(verdict({{"Transfer-Encoding", "chunked"}}, HttpVersion::http10), "");
}

TEST(HttpHead, WhatIsReadOnceStandsOnce) {
  for (const char* name :
       {"Authorization", "Content-Length", "Content-Type", "Gavel-Epoch", "Gavel-Project",
        "Gavel-Session", "Mcp-Session-Id", "Origin", "Idempotency-Key", "Transfer-Encoding"}) {
    EXPECT_EQ(verdict({{name, "1"}, {name, "1"}}),
              "the header " + std::string(name) +
                  " stands twice; send it once: two readers might take different ones");
  }
  EXPECT_EQ(verdict({{"Accept", "text/html"}, {"Accept", "*/*"}}), "") << "a list, by its meaning";
}

// Beast asserts where the end of a chunked body comes in these pieces.
TEST(HttpHead, AChunkedBodyMayEndInAnyPieces) {
  const std::string_view request =
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string_view body : {"0\r\n\r\n", "1\r\na\r\n0\r\n\r\n", "0\r\nT: x\r\n\r\n"}) {
    for (std::size_t step = 1; step <= body.size(); ++step) {
      HttpParser parser;
      parser.eager(true);
      std::string buffer(request);
      std::string_view rest = body;
      for (;;) {
        while (!parser.is_done() && can_parse(parser, buffer.size())) {
          boost::system::error_code error;
          buffer.erase(0, parser.put(boost::asio::buffer(buffer), error));
          if (error) break;
        }
        if (rest.empty()) break;
        buffer += rest.substr(0, step);
        rest.remove_prefix(std::min(step, rest.size()));
      }
      EXPECT_TRUE(parser.is_done()) << body << " by " << step;
    }
  }
}

}  // namespace
}  // namespace gavel
