#pragma once
// One message of MCP over one HTTP POST: what came back, and what that says of the call. It knows
// nothing of eras and sessions; those are headers that it is given.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/jsonrpc.hpp"
#include "protocol/sse.hpp"
#include "runtime/http_client.hpp"
#include "runtime/upstream.hpp"

namespace gavel {

using OutboundHeaders = std::vector<std::pair<std::string, std::string>>;

struct McpPost {
  std::string id;    // JSON token; empty for what gets no answer
  std::string body;  // the message
  OutboundHeaders headers;
  // Of a server whose streams can be taken up again: the headers of the GET that does so. Empty
  // where a stream that ends early is the end.
  OutboundHeaders resume_headers = {};
  SteadyTime deadline;
  std::function<void(std::string_view params)> on_progress;
  // Everything else on the stream: other notifications, requests of a legacy server.
  std::function<void(const RpcMessage&)> on_message;
  std::function<Status()> may_send = {};  // as in UpstreamRequest
};

struct McpPosted {
  UpstreamReply reply;     // of a message without id: `answered` where it was accepted
  int status = 0;          // 0 where no reply came
  std::string session_id;  // the header Mcp-Session-Id
  std::string challenge;   // of 401 and 403: the headers WWW-Authenticate
  // The stream after the answer, to be read to its end so that its connection can be used again.
  std::optional<OutboundReply> rest;
};

// `name`: of the upstream, for messages.
asio::awaitable<McpPosted> post_mcp(OutboundHttp& http, const Clock& clock, std::string name,
                                    McpPost post);

// Seconds of a Retry-After header; a default where it is a date or makes no sense.
std::chrono::milliseconds retry_after_of(std::string_view header);

// A stream of events as messages: each event's data is one, or a batch. Bounded: too much that is
// no message is an error.
class McpEvents {
public:
  // Calls `take` with each message; stops early where it returns false.
  Status feed(std::string_view bytes, const std::function<bool(const RpcMessage&)>& take);

  // Where the stream stands, and how long its server wants to be left alone before it is taken up.
  const std::string& last_event_id() const { return parser_.last_event_id(); }
  std::optional<std::chrono::milliseconds> retry() const { return parser_.retry(); }

private:
  Status take_text(std::string_view text, const std::function<bool(const RpcMessage&)>& take);
  SseParser parser_;
  std::uint64_t garbage_ = 0;
  bool stopped_ = false;
};
inline constexpr std::uint64_t kGarbageEventsMax = 100;
// How often in a row a stream is taken up again without anything new on it.
inline constexpr int kResumeTries = 5;

}  // namespace gavel
