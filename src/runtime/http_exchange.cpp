#include "runtime/http_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>

#include "base/text.hpp"
#include "runtime/http_upstream.hpp"

namespace gavel {
namespace {

constexpr std::size_t kRefusalBytesMax = 64u << 10;
constexpr std::size_t kShownBytes = 200;
constexpr std::chrono::milliseconds kRetryAfterDefault{1'000};
constexpr std::chrono::milliseconds kRetryAfterMax{3'600'000};
constexpr std::chrono::milliseconds kResumeDefault{1'000};
constexpr std::chrono::milliseconds kResumeMax{30'000};

UpstreamReply not_answered(Delivery delivery, Error error) {
  UpstreamReply reply;
  reply.delivery = delivery;
  reply.error = std::move(error);
  return reply;
}

UpstreamReply refused(ErrorCode code, std::string message) {
  return not_answered(Delivery::not_sent, {code, std::move(message)});
}

std::string first_words(std::string_view body) {
  return body.empty() ? std::string("nothing more") : for_display(body, kShownBytes);
}

// What a status without a usable JSON-RPC answer says.
UpstreamReply judge_status(const OutboundReply& reply, const std::string& name,
                           std::string_view body) {
  const int status = reply.status();
  if (status == 401) {
    // Not unauthenticated: that would tell the caller to prove itself anew to Gavel.
    return refused(ErrorCode::unavailable,
                   fmt::format("server \"{}\" wants credentials (HTTP 401); check the headers that "
                               "the policy gives it",
                               name));
  }
  if (status == 403) {
    return refused(ErrorCode::permission_denied,
                   fmt::format("server \"{}\" forbids it to Gavel's credentials (HTTP 403): {}",
                               name, first_words(body)));
  }
  const std::string_view retry_after = reply.header("Retry-After");
  // A 503 may come from a proxy whose server had begun.
  if (status == 429) {
    const auto after = retry_after_of(retry_after);
    auto busy = refused(
        ErrorCode::busy,
        fmt::format("server \"{}\" is busy (HTTP {}); it did not look at the request; try again {}",
                    name, status,
                    after.count() > 0 ? fmt::format("in {} ms", after.count()) : "later"));
    busy.retry_after = after;
    return busy;
  }
  const auto message =
      fmt::format("server \"{}\" answered with HTTP {}: {}", name, status, first_words(body));
  if (status == 413) return refused(ErrorCode::too_large, message);
  // A redirection or refusal is no execution; a timeout or a failure inside may be half of one.
  if (status < 500 && status != 408) return refused(ErrorCode::unavailable, message);
  return not_answered(Delivery::lost, {ErrorCode::unavailable, message});
}

// The answer to `id` in the message, if it is one.
std::optional<UpstreamReply> answer_in(const RpcMessage& message, std::string_view id) {
  const bool answers = message.kind == RpcKind::response || message.kind == RpcKind::error;
  if (!answers || message.id != id) return std::nullopt;
  UpstreamReply reply;
  reply.delivery = Delivery::answered;
  reply.result = message.result;
  reply.rpc_error = message.error;
  return reply;
}

// A JSON-RPC error in the body of a refusal. Where the server failed (5xx) only one that names this
// very request is an answer; anything else may hide half an execution.
std::optional<UpstreamReply> error_in(std::string_view body, int status, std::string_view id) {
  const bool said_by_status = status == 401 || status == 403 || status == 429 || status == 503;
  if (said_by_status || status < 400) return std::nullopt;
  const auto message = slice_rpc(body);
  if (!message || message->kind != RpcKind::error) return std::nullopt;
  if (message->id != id && (status >= 500 || message->id != "null")) return std::nullopt;
  UpstreamReply reply;
  reply.delivery = Delivery::answered;
  reply.rpc_error = message->error;
  return reply;
}

UpstreamReply no_answer_in(const std::string& name, std::string_view what) {
  return not_answered(Delivery::lost,
                      {ErrorCode::unavailable, fmt::format("server \"{}\" {}", name, what)});
}

bool is_type(std::string_view content_type, std::string_view wanted) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return content_type.size() >= wanted.size() &&
         std::equal(wanted.begin(), wanted.end(), content_type.begin(),
                    [&](char x, char y) { return x == lower(y); });
}

asio::awaitable<UpstreamReply> read_json_answer(OutboundReply& reply, const std::string& name,
                                                McpPost& post) {
  const auto body = co_await reply.read_all(kHttpAnswerBytesMax);
  if (!body) co_return not_answered(Delivery::lost, body.error());
  std::vector<std::string_view> messages{*body};
  if (is_rpc_batch(*body)) {
    auto batch = split_rpc_batch(*body);
    if (!batch) co_return no_answer_in(name, "answered with a broken batch");
    messages = std::move(*batch);
  }
  for (const auto text : messages) {
    const auto message = slice_rpc(text);
    if (!message) {
      co_return no_answer_in(name, "answered with no valid message: " + message.error().message);
    }
    if (auto answer = answer_in(*message, post.id)) co_return std::move(*answer);
    if (post.on_message) post.on_message(*message);
  }
  co_return no_answer_in(name, "answered another request than this one");
}

// Where a stream that ended early can be taken up again.
struct StreamEnd {
  std::string last_event_id;  // empty: nowhere
  std::chrono::milliseconds pause = kResumeDefault;
};

asio::awaitable<UpstreamReply> read_stream_answer(OutboundReply& reply, const std::string& name,
                                                  McpPost& post, StreamEnd& end) {
  McpEvents events;
  std::optional<UpstreamReply> answer;
  const auto take = [&](const RpcMessage& message) {
    answer = answer_in(message, post.id);
    if (answer) return false;
    if (message.kind == RpcKind::notification && message.method == "notifications/progress") {
      if (post.on_progress) post.on_progress(message.params);
    } else if (post.on_message) {
      post.on_message(message);
    }
    return true;
  };
  for (;;) {
    const auto bytes = co_await reply.read_some();
    if (!events.last_event_id().empty()) end.last_event_id = events.last_event_id();
    if (events.retry()) end.pause = std::min(*events.retry(), kResumeMax);
    if (!bytes) co_return not_answered(Delivery::lost, bytes.error());
    if (bytes->empty()) co_return no_answer_in(name, "ended its stream without an answer");
    const Status fed = events.feed(*bytes, take);
    if (answer) co_return std::move(*answer);
    if (!fed) {
      end.last_event_id.clear();
      co_return not_answered(Delivery::lost, fed.error());
    }
  }
}

// Takes up a stream that ended without the answer, for as long as its server has more of it.
asio::awaitable<UpstreamReply> resume_stream(OutboundHttp& http, const Clock& clock,
                                             const std::string& name, McpPost& post, StreamEnd end,
                                             UpstreamReply lost) {
  for (int tries = 0; tries < kResumeTries && !end.last_event_id.empty(); ++tries) {
    const SteadyTime at = clock.steady() + end.pause;
    if (at >= post.deadline || lost.error.code == ErrorCode::cancelled) break;
    asio::steady_timer pause(co_await asio::this_coro::executor);
    pause.expires_at(at);
    const auto [aborted] = co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    if (aborted) {
      co_return not_answered(Delivery::lost, {ErrorCode::cancelled, "the caller no longer waits"});
    }
    OutboundRequest request;
    request.method = "GET";
    request.headers = post.resume_headers;
    request.headers.emplace_back("Last-Event-ID", end.last_event_id);
    request.deadline = post.deadline;
    auto sent = co_await http.send(std::move(request));
    if (!sent) continue;
    if (sent->status() != 200 || !is_type(sent->header("Content-Type"), "text/event-stream")) break;
    const std::string before = end.last_event_id;
    auto answer = co_await read_stream_answer(*sent, name, post, end);
    if (answer.delivery == Delivery::answered) co_return answer;
    if (end.last_event_id != before) tries = -1;
    lost = std::move(answer);
  }
  co_return lost;
}

}  // namespace

std::chrono::milliseconds retry_after_of(std::string_view header) {
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), seconds);
  if (error != std::errc{} || end != header.data() + header.size() || seconds < 0) {
    return kRetryAfterDefault;
  }
  const auto capped = std::min<std::int64_t>(seconds, kRetryAfterMax.count() / 1000);
  return std::chrono::milliseconds(capped * 1000);
}

Status McpEvents::feed(std::string_view bytes, const std::function<bool(const RpcMessage&)>& take) {
  TRY(parser_.feed(bytes));
  while (auto event = parser_.next()) {
    if (stopped_) break;
    if (event->data.empty()) continue;
    TRY(take_text(event->data, take));
  }
  return {};
}

Status McpEvents::take_text(std::string_view text,
                            const std::function<bool(const RpcMessage&)>& take) {
  std::vector<std::string_view> messages{text};
  if (is_rpc_batch(text)) messages = split_rpc_batch(text).value_or(messages);
  for (const auto each : messages) {
    const auto message = slice_rpc(each);
    if (message) {
      garbage_ = 0;
      if (!take(*message)) {
        stopped_ = true;
        return {};
      }
    } else if (++garbage_ > kGarbageEventsMax) {
      return fail(ErrorCode::unavailable, "the event stream holds no MCP messages");
    }
  }
  return {};
}

asio::awaitable<McpPosted> post_mcp(OutboundHttp& http, const Clock& clock, std::string name,
                                    McpPost post) {
  McpPosted posted;
  OutboundRequest request{.method = "POST",
                          .headers = post.headers,
                          .body = std::move(post.body),
                          .deadline = post.deadline,
                          .may_send = std::move(post.may_send)};
  auto sent = co_await http.send(std::move(request));
  if (!sent) {
    posted.reply = not_answered(sent.error().delivery, std::move(sent.error().error));
    co_return posted;
  }
  OutboundReply reply = std::move(*sent);
  posted.status = reply.status();
  posted.session_id = reply.header("Mcp-Session-Id");
  if (posted.status == 401 || posted.status == 403) {
    posted.challenge = reply.header_list("WWW-Authenticate");
  }
  if (posted.status >= 300 || posted.status < 200) {
    const auto body = co_await reply.read_all(kRefusalBytesMax);
    auto answer = body ? error_in(*body, posted.status, post.id) : std::nullopt;
    posted.reply =
        answer ? std::move(*answer) : judge_status(reply, name, body ? *body : std::string());
    co_return posted;
  }
  if (post.id.empty()) {
    posted.reply.delivery = Delivery::answered;
    posted.rest = std::move(reply);
    co_return posted;
  }
  const std::string_view type = reply.header("Content-Type");
  if (is_type(type, "application/json")) {
    posted.reply = co_await read_json_answer(reply, name, post);
  } else if (is_type(type, "text/event-stream")) {
    StreamEnd end;
    posted.reply = co_await read_stream_answer(reply, name, post, end);
    if (posted.reply.delivery == Delivery::answered) {
      posted.rest = std::move(reply);
    } else if (!post.resume_headers.empty()) {
      posted.reply =
          co_await resume_stream(http, clock, name, post, std::move(end), std::move(posted.reply));
    }
  } else {
    posted.reply = no_answer_in(
        name, fmt::format("took the request (HTTP {}) but gave no answer", posted.status));
  }
  if (posted.reply.delivery == Delivery::lost && clock.steady() >= post.deadline) {
    posted.reply.error = {ErrorCode::timeout,
                          fmt::format("server \"{}\" gave no answer before the deadline", name)};
  }
  co_return posted;
}

}  // namespace gavel
