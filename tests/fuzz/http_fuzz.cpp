// Bytes of one connection, parsed as the server parses them.
//   - Whole or byte by byte, the same requests come out. (What is refused may be refused sooner.)
//   - A head that passes has one reading: one length, no header twice that Gavel reads once.
//   - Host and Origin that pass are loopback's.
//   - Paths, queries and the session that a request names decode to what is valid, or are refused.
#include <algorithm>
#include <array>
#include <vector>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "bytes.hpp"
#include "gateway/api_query.hpp"
#include "gateway/auth.hpp"
#include "gateway/http_head.hpp"
#include "gateway/mcp_http.hpp"
#include "gateway/router.hpp"

namespace {

using namespace gavel;
namespace http = boost::beast::http;

constexpr std::size_t kRequestsMax = 8;

const Router& router() {
  static const Router made = [] {
    Router routes;
    routes.add("GET", "/v1/sessions/{}");
    routes.add("POST", "/v1/sessions/{}/intents/{}/vote");
    routes.add("GET", "/v1/tools/{}");
    routes.add("POST", "/mcp");
    return routes;
  }();
  return made;
}

// What is refused is answered in JSON, whatever bytes it repeats.
template <typename T>
bool passes(const Result<T>& checked) {
  if (checked) return true;
  ASSERT(!checked.error().message.empty() && is_valid_utf8(checked.error().message));
  return false;
}

void check_host(const HttpRequest& request) {
  if (!passes(check_host_and_origin(request))) return;
  ASSERT(request.count_headers("Host") == 1);
  const auto host = *request.header("Host");
  ASSERT(host.starts_with("127.") || host.starts_with("[::1]") ||
         equal_ignoring_case(host.substr(0, 9), "localhost"));
  const auto origin = request.header("Origin");
  ASSERT(!origin || origin->starts_with("http://") || origin->starts_with("https://"));
}

void check_path(const HttpRequest& request) {
  const auto match = router().match(request.method, request.path);
  if (const auto* found = std::get_if<RouteFound>(&match)) {
    for (const auto& parameter : found->parameters) {
      ASSERT(is_valid_utf8(parameter));
      ASSERT(percent_decode(percent_encode(parameter)) == parameter);
    }
  }
  if (const auto intent = parse_intent(request.path)) ASSERT(intent->value > 0);
  constexpr std::array<std::string_view, 2> kKnown = {"session", "limit"};
  if (!passes(check_query(request.query, kKnown))) return;
  for (const auto name : kKnown) {
    const auto value = query_value(request.query, name);
    ASSERT(!value || is_valid_utf8(*value));
  }
  const auto limit = query_number(request.query, "limit", 7, 1, 100);
  ASSERT(!passes(limit) || (*limit >= 1 && *limit <= 100));
}

void check_context(const HttpRequest& request) {
  const auto context = read_mcp_context(request, Caller{Principal{"agent"}, {Role::driver}});
  if (!passes(context)) return;
  ASSERT(!context->epoch || context->epoch->value > 0);
  if (!context->session) return;
  const auto& name = context->session->value;
  ASSERT(!name.empty() && name.size() <= 240 && !name.starts_with("control/"));
  ASSERT(std::ranges::all_of(name, [](char c) { return c > 32 && c < 127; }));
}

std::string to_text(const HttpRequest& request) {
  std::string out{request.method};
  out.append("\n").append(request.path).append("\n").append(request.query);
  for (const auto& [name, value] : request.headers) {
    out.append("\n").append(name).append(":").append(value);
  }
  return out + "\n\n" + request.body;
}

bool check_complete_head(const HttpParser& parser, HttpRequest& request) {
  read_head(parser, request);
  const auto version = parser.get().version() < 11 ? HttpVersion::http10 : HttpVersion::http11;
  if (!passes(check_head(request, version))) return false;
  ASSERT(request.count_headers("Authorization") <= 1);
  ASSERT(!request.header("Content-Length") || !request.header("Transfer-Encoding"));
  ASSERT(!request.header("Transfer-Encoding") || parser.chunked());
  check_host(request);
  check_path(request);
  check_context(request);
  return true;
}

// The requests, each as text. As HttpConnection does it, with `step` bytes at a time from the wire.
std::vector<std::string> read(std::string_view bytes, std::size_t step) {
  const HttpServerOptions options{.header_bytes_max = 4096, .body_bytes_max = 1024};
  std::vector<std::string> requests;
  std::string buffer;
  while (requests.size() < kRequestsMax) {
    HttpParser parser;
    set_limits(parser, options);
    HttpRequest request;
    bool head_seen = false;
    for (;;) {
      while (!parser.is_done() && can_parse(parser, buffer.size())) {
        boost::system::error_code error;
        const auto used = parser.put(boost::asio::buffer(buffer), error);
        buffer.erase(0, used);
        if (error && error != http::error::need_more) return requests;
        if (parser.is_header_done() && !head_seen) {
          head_seen = true;
          parser.eager(true);
          if (!check_complete_head(parser, request)) return requests;
        }
        if (error == http::error::need_more || used == 0) break;
      }
      if (parser.is_done()) break;
      if (bytes.empty()) return requests;
      buffer += bytes.substr(0, step);
      bytes.remove_prefix(std::min(step, bytes.size()));
    }
    request.body = std::move(parser.get().body());
    ASSERT(request.body.size() <= options.body_bytes_max);
    requests.push_back(to_text(request));
  }
  return requests;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = gavel::fuzz::text_of(data, std::min<std::size_t>(size, 8192));
  const auto whole = read(bytes, std::max<std::size_t>(bytes.size(), 1));
  ASSERT(read(bytes, 1) == whole);
  return 0;
}
