#include "cli/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "protocol/mcp.hpp"
#include "protocol/mcp_headers.hpp"

namespace gavel {
namespace {

constexpr std::size_t kMessageBytesMax = 4000;

Result<json::value> body_of(const HttpAnswer& answer) {
  if (answer.status >= 400) return std::unexpected(error_of(answer));
  if (answer.body.empty()) return json::value(json::object{});
  auto value = parse_json(answer.body, {.max_bytes = kAnswerBytesMax, .max_depth = 512});
  if (!value) {
    return fail(ErrorCode::unavailable,
                "the answer is not JSON, so it is not from a Gavel daemon; check --url");
  }
  return value;
}

ErrorCode code_of_status(int status) {
  switch (status) {
    case 400:
      return ErrorCode::invalid_argument;
    case 401:
      return ErrorCode::unauthenticated;
    case 403:
      return ErrorCode::permission_denied;
    case 404:
      return ErrorCode::not_found;
    case 409:
      return ErrorCode::conflict;
    case 413:
      return ErrorCode::too_large;
    case 429:
    case 503:
      return ErrorCode::busy;
    case 504:
      return ErrorCode::timeout;
    case 507:
      return ErrorCode::storage_failed;
    default:
      return ErrorCode::internal;
  }
}

}  // namespace

Error error_of(const HttpAnswer& answer) {
  const auto body = parse_json(answer.body);
  const auto* error = body ? find_object(*body, "error") : nullptr;
  if (error == nullptr) {
    return {
        code_of_status(answer.status),
        fmt::format("the daemon answered HTTP {} without saying why; see its log", answer.status)};
  }
  const json::value value(*error);
  return {error_code_from(string_or(value, "code")),
          for_display(string_or(value, "message"), kMessageBytesMax)};
}

Client::Client(DaemonAddress address, std::string token, HttpClient http)
    : address_(std::move(address)), token_(std::move(token)), http_(std::move(http)) {}

Result<Client> Client::make(DaemonAddress address, std::string token) {
  ASSIGN_OR_RETURN(auto endpoint, parse_endpoint(address.url));
  endpoint.trust = address.trust;
  return Client(std::move(address), std::move(token), HttpClient(std::move(endpoint)));
}

HttpSend Client::request(std::string method, const std::string& target) const {
  HttpSend send{.method = std::move(method), .target = target, .body = {}, .headers = {}};
  if (!token_.empty()) send.headers.emplace_back("Authorization", "Bearer " + token_);
  return send;
}

std::unexpected<Error> Client::unreachable(const Error& error) const {
  if (error.code == ErrorCode::unavailable) {
    return fail(ErrorCode::unavailable,
                fmt::format("no daemon at {} ({}); start it with: gavel up", url(), error.message));
  }
  if (error.code == ErrorCode::timeout) {
    return fail(ErrorCode::timeout,
                fmt::format("the daemon at {} did not answer in time; see gavel doctor", url()));
  }
  return std::unexpected(error);
}

Result<json::value> Client::exchange(const HttpSend& send,
                                     std::chrono::milliseconds patience) const {
  auto answer = http_.send(send, deadline_in(patience));
  if (!answer) return unreachable(answer.error());
  return body_of(*answer);
}

Result<json::value> Client::get(const std::string& target) const {
  return exchange(request("GET", target), kPatience);
}

Result<json::value> Client::post(const std::string& target, const json::value& body) const {
  return post(target, body, kPatience);
}

Result<json::value> Client::post(const std::string& target, const json::value& body,
                                 std::chrono::milliseconds patience) const {
  auto send = request("POST", target);
  send.body = write_json(body);
  return exchange(send, patience);
}

Result<json::value> Client::mcp(const std::string& target, std::string_view method,
                                std::string_view params, std::string_view version) const {
  json::object meta;
  add_modern_meta(meta, {"gavel", std::string(version)}, {});
  auto send = request("POST", target);
  send.body = rpc_request("1", method, params_with_meta(params, meta));
  send.headers.emplace_back("Accept", "application/json, text/event-stream");
  for (auto& header : modern_headers(method, params)) send.headers.push_back(std::move(header));
  auto answer = http_.send(send, deadline_in(kPatience));
  if (!answer) return unreachable(answer.error());
  if (answer->content_type.starts_with("text/event-stream")) {
    SseParser events;
    TRY(events.feed(answer->body));
    while (auto event = events.next()) answer->body = std::move(event->data);
  }
  ASSIGN_OR_RETURN(const auto message, body_of(*answer));
  if (const auto* result = find(message, "result")) return *result;
  const auto* error = find(message, "error");
  return fail(ErrorCode::invalid_argument,
              error == nullptr ? std::string("an answer without a result")
                               : for_display(string_or(*error, "message"), kMessageBytesMax));
}

Result<EventStream> Client::events(const std::string& target,
                                   const std::string& last_event_id) const {
  auto send = request("GET", target);
  send.headers.emplace_back("Accept", "text/event-stream");
  if (!last_event_id.empty()) send.headers.emplace_back("Last-Event-ID", last_event_id);
  auto opened = http_.open_stream(send, deadline_in(kPatience));
  if (!opened) return unreachable(opened.error());
  if (opened->second == nullptr) return std::unexpected(error_of(opened->first));
  return EventStream(std::move(opened->second));
}

Result<std::optional<EventStream::Event>> EventStream::next(Deadline deadline) {
  for (;;) {
    if (auto event = parser_.next()) {
      if (event->type == "error") {
        return std::unexpected(error_of({.status = 500, .body = event->data}));
      }
      return Event{std::move(event->id), std::move(event->data)};
    }
    auto bytes = stream_->next(std::min(deadline, heard_until_));
    if (!bytes && bytes.error().code == ErrorCode::timeout &&
        std::chrono::steady_clock::now() >= heard_until_) {
      return fail(ErrorCode::unavailable, "the daemon fell silent; see gavel doctor");
    }
    if (!bytes) return std::unexpected(bytes.error());
    if (!*bytes) return std::nullopt;
    heard_until_ = deadline_in(kStreamSilenceMax);
    TRY(parser_.feed(**bytes));
  }
}

Result<HttpUpgraded> Client::upgrade(const std::string& target, const json::value& body,
                                     std::string_view protocol) const {
  auto send = request("POST", target);
  send.body = write_json(body);
  auto upgraded = http_.upgrade(send, protocol, deadline_in(kPatience));
  if (!upgraded) return unreachable(upgraded.error());
  if (!upgraded->second) return std::unexpected(error_of(upgraded->first));
  return std::move(*upgraded->second);
}

}  // namespace gavel
