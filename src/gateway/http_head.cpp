#include "gateway/http_head.hpp"

#include <fmt/format.h>

#include <array>

namespace gavel {
namespace {

// What is read once. Those of MCP are checked with the message (protocol/mcp_headers.hpp), Host
// with the names that it may have (gateway/auth.hpp).
constexpr std::array<std::string_view, 10> kSingle = {
    "Authorization", "Content-Length", "Content-Type", "Gavel-Epoch",     "Gavel-Project",
    "Gavel-Session", "Mcp-Session-Id", "Origin",       "Idempotency-Key", "Transfer-Encoding",
};

std::string_view to_view(boost::beast::string_view s) {
  return {s.data(), s.size()};
}

Status check_framing(const HttpRequest& request, HttpVersion version) {
  const auto length = request.header("Content-Length");
  if (length &&
      (length->empty() || length->find_first_not_of("0123456789") != std::string_view::npos)) {
    return fail(ErrorCode::invalid_argument, "Content-Length must be one number");
  }
  const auto encoding = request.header("Transfer-Encoding");
  if (!encoding) return {};
  if (version == HttpVersion::http10) {
    return fail(ErrorCode::invalid_argument, "HTTP/1.0 knows no Transfer-Encoding");
  }
  if (length) {
    return fail(ErrorCode::invalid_argument,
                "a request has a Content-Length or a Transfer-Encoding, not both");
  }
  if (!equal_ignoring_case(*encoding, "chunked")) {
    return fail(ErrorCode::invalid_argument, "the only Transfer-Encoding known here is chunked");
  }
  return {};
}

}  // namespace

void set_limits(HttpParser& parser, const HttpServerOptions& options) {
  parser.header_limit(static_cast<std::uint32_t>(options.header_bytes_max));
  parser.body_limit(options.body_bytes_max);
}

bool can_parse(const HttpParser& parser, std::size_t buffered) {
  constexpr std::string_view kLastChunk = "0\r\n\r\n";
  const bool in_chunks = parser.is_header_done() && parser.chunked();
  return buffered >= (in_chunks ? kLastChunk.size() : 1);
}

void read_head(const HttpParser& parser, HttpRequest& request) {
  const auto& message = parser.get();
  request.method = to_view(message.method_string());
  const auto target = to_view(message.target());
  const auto question = target.find('?');
  request.path = target.substr(0, question);
  request.query =
      question == std::string_view::npos ? std::string_view{} : target.substr(question + 1);
  request.headers.clear();
  for (const auto& field : message) {
    request.headers.push_back({to_view(field.name_string()), to_view(field.value())});
  }
}

Status check_head(const HttpRequest& request, HttpVersion version) {
  for (const auto name : kSingle) {
    if (request.count_headers(name) <= 1) continue;
    return fail(ErrorCode::invalid_argument,
                fmt::format("the header {} stands twice; send it once: two readers might take "
                            "different ones",
                            name));
  }
  return check_framing(request, version);
}

}  // namespace gavel
