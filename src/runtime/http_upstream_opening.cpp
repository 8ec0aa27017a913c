// HttpUpstream: how a session is opened, in either era.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "runtime/http_upstream_core.hpp"

namespace gavel {
namespace {

// Headers that belong to the protocol, whatever the policy says.
bool is_reserved(std::string_view name) {
  constexpr std::array<std::string_view, 7> kNames = {
      "host",       "content-length",    "content-type", "accept",
      "connection", "transfer-encoding", "user-agent"};
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower.starts_with("mcp-") ||
         std::find(kNames.begin(), kNames.end(), lower) != kNames.end();
}

// Headers whose values are secrets wherever they were configured.
bool is_credential(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  for (const std::string_view word : {"authorization", "cookie", "token", "key", "secret"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

asio::awaitable<HttpUpstream::Core::Ready> HttpUpstream::Core::wait_ready(
    std::shared_ptr<Core> self, SteadyTime deadline) {
  const std::uint64_t failed_before = self->failed_starts;
  for (;;) {
    if (self->closing) {
      co_return std::unexpected(NotReady{
          {ErrorCode::unavailable, fmt::format("server \"{}\" is being closed", self->spec.name)}});
    }
    if (self->health == UpstreamHealth::ready) co_return Ready{};
    if (self->failed_starts > failed_before) co_return std::unexpected(self->last_failure);
    if (self->options.clock->steady() >= deadline) break;
    if (!self->starting) {
      self->starting = true;
      self->tasks.spawn("opening of " + self->spec.name, start(self));
      continue;  // it may have failed at once
    }
    if (co_await self->changed.wait_until(deadline) == Woken::deadline) break;
  }
  co_return std::unexpected(NotReady{
      {ErrorCode::timeout, fmt::format("server \"{}\" was not ready before the deadline; the "
                                       "request never arrived there",
                                       self->spec.name)}});
}

asio::awaitable<Result<json::object>> HttpUpstream::Core::capabilities(std::shared_ptr<Core> self,
                                                                       SteadyTime deadline) {
  const auto ready = co_await wait_ready(self, deadline);
  if (!ready) co_return std::unexpected(ready.error().error);
  co_return self->greeting.capabilities;
}

asio::awaitable<void> HttpUpstream::Core::start(std::shared_ptr<Core> self) {
  self->health = UpstreamHealth::starting;
  self->session_id.clear();
  self->greeting = {};
  Greeted greeted = co_await greet(self);
  self->starting = false;
  if (greeted) {
    self->greeting = std::move(*greeted);
    self->known_era = self->era;
    self->health = UpstreamHealth::ready;
    ++self->sessions;
    self->say(fmt::format("server \"{}\" is ready: {} {}, MCP {}", self->spec.name,
                          self->greeting.server.name, self->greeting.server.version,
                          self->greeting.version));
    if (self->era == Era::modern) {
      self->tasks.spawn("changes of " + self->spec.name, listen_modern(self, self->sessions));
    } else {
      self->tasks.spawn("listening to " + self->spec.name, listen(self, self->sessions));
      for (const auto& uri : self->wanted.uris()) {
        const auto params = write_json(json::object{{"uri", uri}});
        self->tasks.spawn("subscription at " + self->spec.name,
                          tell(self, rpc_request(self->next_id(), "resources/subscribe", params)));
      }
    }
  } else {
    self->known_era.reset();
    self->health = UpstreamHealth::failed;
    self->last_failure = std::move(greeted).error();
    auto& message = self->last_failure.error.message;
    message = self->options.redactor->text(std::move(message));
    ++self->failed_starts;
    self->say(fmt::format("server \"{}\" cannot be opened: {}", self->spec.name,
                          self->last_failure.error.message));
  }
  self->changed.notify();
}

Status HttpUpstream::Core::prepare() {
  OutboundHeaders headers;
  const auto add = [&](const std::string& name, const std::string& value) -> Status {
    if (name.empty() ||
        (name + value).find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("header \"{}\" of server \"{}\" cannot be sent: it has a line break",
                              for_display(name, 100), spec.name));
    }
    if (!is_reserved(name)) headers.emplace_back(name, value);
    return {};
  };
  std::vector<std::string> secrets;
  for (const auto& [name, value] : spec.headers) {
    if (is_credential(name)) secrets.push_back(value);
    TRY(add(name, value));
  }
  for (const auto& [name, path] : spec.header_files) {
    ASSIGN_OR_RETURN(const auto secret, read_secret_file(path));
    secrets.push_back(secret);
    TRY(add(name, secret));
  }
  options.redactor->set(secrets);
  configured = std::move(headers);
  if (http) return {};
  ASSIGN_OR_RETURN(auto url, parse_outbound_url(spec.url));
  ASSIGN_OR_RETURN(http, OutboundHttp::make(executor, *options.clock, std::move(url),
                                            {.trusted_ca_file = options.trusted_ca_file}));
  return {};
}

asio::awaitable<HttpUpstream::Core::Greeted> HttpUpstream::Core::greet(std::shared_ptr<Core> self) {
  if (const auto prepared = self->prepare(); !prepared) {
    co_return std::unexpected(NotReady{prepared.error()});
  }
  if (self->known_era != Era::legacy) {
    Greeted greeted = co_await discover(self);
    if (!greeted || greeted->version == kMcpModern) co_return greeted;
  }
  co_return co_await initialize(self);
}

// The greeting of a modern server; one without a modern version where the server is to be
// initialized; an error where neither can work.
asio::awaitable<HttpUpstream::Core::Greeted> HttpUpstream::Core::discover(
    std::shared_ptr<Core> self) {
  self->era = Era::modern;
  McpPosted posted;
  for (int tries = 0; tries < kDiscoverTries; ++tries) {
    UpstreamRequest request;
    request.method = "server/discover";
    request.params = "{}";
    request.deadline = self->options.clock->steady() + self->options.timing.probe;
    posted = co_await post(self, self->make_post(request, self->next_id()));
    self->finish(posted);
    if (read_probe_error(posted.reply.rpc_error).version != kMcpModern) break;
  }
  const UpstreamReply& reply = posted.reply;
  const bool told =
      posted.status == 401 || posted.status == 403 || posted.status == 429 || posted.status == 503;
  if (reply.delivery == Delivery::not_sent && (posted.status == 0 || told)) {
    co_return std::unexpected(NotReady{reply.error, reply.retry_after});
  }
  if (!reply.result.empty()) {
    auto greeted = read_discover_result(reply.result);
    if (greeted) co_return std::move(*greeted);
    if (greeted.error().code == ErrorCode::unsupported) {
      co_return std::unexpected(NotReady{greeted.error()});
    }
  } else if (!reply.rpc_error.empty()) {
    const ProbeError probe = read_probe_error(reply.rpc_error);
    if (probe.modern && probe.version.empty()) {
      co_return std::unexpected(
          NotReady{{ErrorCode::unsupported,
                    fmt::format("server \"{}\" speaks no revision of MCP that Gavel speaks: {}",
                                self->spec.name, for_display(reply.rpc_error, 300))}});
    }
  }
  co_return ServerGreeting{};
}

asio::awaitable<HttpUpstream::Core::Greeted> HttpUpstream::Core::initialize(
    std::shared_ptr<Core> self) {
  self->era = Era::legacy;
  UpstreamRequest request;
  request.method = "initialize";
  request.params = initialize_params(kMcpLegacy, self->options.client, self->options.capabilities);
  request.deadline = self->options.clock->steady() + self->options.timing.handshake;
  McpPosted posted = co_await post(self, self->make_post(request, self->next_id()));
  self->finish(posted);
  const UpstreamReply& reply = posted.reply;
  if (reply.delivery != Delivery::answered) {
    co_return std::unexpected(NotReady{reply.error, reply.retry_after});
  }
  if (reply.result.empty()) {
    co_return std::unexpected(NotReady{
        {ErrorCode::unavailable, fmt::format("server \"{}\" refused to initialize: {}",
                                             self->spec.name, for_display(reply.rpc_error, 500))}});
  }
  auto greeted = read_initialize_result(reply.result);
  if (!greeted) co_return std::unexpected(NotReady{greeted.error()});
  // A session id that cannot be a header's value is none.
  if (decode_header_value(posted.session_id)) self->session_id = posted.session_id;
  self->greeting.version = greeted->version;
  McpPost initialized;
  initialized.body = rpc_notification("notifications/initialized", {});
  initialized.headers = self->session_headers();
  initialized.deadline = self->options.clock->steady() + self->options.timing.handshake;
  McpPosted told = co_await post(self, std::move(initialized));
  self->finish(told);
  if (told.reply.delivery != Delivery::answered) {
    co_return std::unexpected(NotReady{told.reply.error, told.reply.retry_after});
  }
  co_return std::move(*greeted);
}

}  // namespace gavel
