#include "runtime/http_upstream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <set>

#include "base/text.hpp"
#include "protocol/mcp_headers.hpp"
#include "runtime/event.hpp"
#include "runtime/http_exchange.hpp"
#include "runtime/task_group.hpp"
#include "runtime/upstream_gate.hpp"

namespace gavel {
namespace {

constexpr std::chrono::seconds kDrainPatience{1};
constexpr std::chrono::seconds kSidePatience{5};  // for what nobody waits for
constexpr std::chrono::seconds kListenDelayMin{1};
constexpr std::chrono::seconds kListenDelayMax{60};
constexpr std::size_t kKeyBytesMax = 255;
// Sessions beside the first, of callers that a legacy server may ask.
constexpr std::size_t kVariantsMax = 16;
constexpr std::size_t kSubscribedMax = 4096;

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

// As a structured field's string. A key that such a string cannot hold is named by its digest.
std::string quoted_key(std::string_view key) {
  const bool plain = key.size() <= kKeyBytesMax && std::all_of(key.begin(), key.end(), [](char c) {
                       return c >= 0x20 && c <= 0x7E && c != '"' && c != '\\';
                     });
  return fmt::format("\"{}\"", plain ? std::string(key) : sha256(key).hex());
}

struct NotReady {
  Error error;
  std::chrono::milliseconds retry_after{0};
};

UpstreamReply not_sent(NotReady why) {
  UpstreamReply reply;
  reply.delivery = Delivery::not_sent;
  reply.error = std::move(why.error);
  reply.retry_after = why.retry_after;
  return reply;
}

}  // namespace

class HttpUpstream::Core : public std::enable_shared_from_this<Core> {
public:
  Core(asio::any_io_executor on, const ServerSpec& of, UpstreamOptions with)
      : executor(on),
        spec(of),
        options(std::move(with)),
        gate(on, *options.clock, of.name, {of.concurrency_max, of.queue_max, of.rate}),
        changed(on),
        tasks(on, options.log_line) {}

  struct Asking;
  using Ready = std::expected<void, NotReady>;
  using Greeted = std::expected<ServerGreeting, NotReady>;

  static asio::awaitable<UpstreamReply> request(std::shared_ptr<Core> self,
                                                UpstreamRequest request);
  static asio::awaitable<Ready> wait_ready(std::shared_ptr<Core> self, SteadyTime deadline);
  static asio::awaitable<Result<json::object>> capabilities(std::shared_ptr<Core> self,
                                                            SteadyTime deadline);
  static asio::awaitable<void> start(std::shared_ptr<Core> self);
  static asio::awaitable<Greeted> greet(std::shared_ptr<Core> self);
  static asio::awaitable<Greeted> discover(std::shared_ptr<Core> self);
  static asio::awaitable<Greeted> initialize(std::shared_ptr<Core> self);
  static asio::awaitable<void> listen(std::shared_ptr<Core> self, std::uint64_t of_session);
  static asio::awaitable<void> listen_modern(std::shared_ptr<Core> self, std::uint64_t of_session);
  static asio::awaitable<void> read_listening(std::shared_ptr<Core> self, OutboundReply reply);
  static asio::awaitable<void> tell(std::shared_ptr<Core> self, std::string message);
  static asio::awaitable<void> drain(OutboundReply rest);
  static asio::awaitable<void> close(std::shared_ptr<Core> self);

  Status prepare();
  McpPost make_post(const UpstreamRequest& request, std::string id);
  OutboundHeaders base_headers() const;
  OutboundHeaders session_headers() const;
  void add_call_headers(OutboundHeaders& headers, const UpstreamRequest& request) const;
  static bool session_is_gone(const McpPosted& posted);
  // `caller`: of the request on whose stream the message came; empty of the session's own.
  void take_message(const RpcMessage& message, const CallerSide& caller);
  // Null where nobody can be asked. On the session's own stream nothing says to which request a
  // question belongs: with one in flight it can be no other.
  const CallerSide* whom_to_ask(const RpcMessage& message, const CallerSide& caller) const;
  void take_question(const RpcMessage& message, const CallerSide& caller);
  // The session whose server knows these capabilities; null where there are too many.
  std::shared_ptr<Core> variant(const json::object& capabilities);
  // Nothing where it is no subscription, or the server is to be asked itself.
  std::optional<UpstreamReply> subscribe(const UpstreamRequest& request);
  json::object wanted_changes() const;
  void silence();
  void finish(McpPosted& posted);
  // The listing without tools whose header annotations are broken; remembers the others.
  std::string learn_tools(std::string result);
  std::string next_id() { return std::to_string(++last_id); }
  void say(const std::string& line) const {
    if (options.log_line) options.log_line(line);
  }

  asio::any_io_executor executor;
  ServerSpec spec;
  UpstreamOptions options;
  UpstreamGate gate;
  std::shared_ptr<OutboundHttp> http;  // null until prepared
  OutboundHeaders configured;          // of the policy, secrets among them

  UpstreamHealth health = UpstreamHealth::idle;
  ServerGreeting greeting;
  Era era = Era::legacy;
  std::optional<Era> known_era;
  std::string session_id;      // of a legacy server; may be empty
  std::uint64_t sessions = 0;  // how many were opened
  std::uint64_t failed_starts = 0;
  NotReady last_failure;
  std::map<std::string, std::vector<ParamHeader>> annotated;  // by tool
  std::map<std::string, std::shared_ptr<Core>> variants;      // by the capabilities' JSON
  std::set<std::string> subscribed;                           // URIs of resources
  std::vector<const CallerSide*> asking;  // of the requests in flight that can be asked
  std::uint64_t subscriptions = 0;        // how often they changed
  OutboundReply* listening = nullptr;     // the stream of changes while it is read
  std::uint64_t last_id = 0;
  bool is_variant = false;
  bool starting = false;
  bool closing = false;
  Event changed;
  TaskGroup tasks;
};

namespace {

// Tells a legacy server that nobody waits for an answer any more; a modern one sees it from the
// closed connection. Runs when the request's frame goes without an answer.
struct CancelNotice {
  std::function<void()> tell;
  ~CancelNotice() {
    if (tell) tell();
  }
};

}  // namespace

// Lists the caller among those that can be asked, for as long as its request is in flight.
struct HttpUpstream::Core::Asking {
  Asking(Core& its_core, const CallerSide& its_caller) : core(its_core), caller(its_caller) {
    if (caller.on_question) core.asking.push_back(&caller);
  }
  ~Asking() { std::erase(core.asking, &caller); }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
  Core& core;
  const CallerSide& caller;
};

// --- requests ---

asio::awaitable<UpstreamReply> HttpUpstream::Core::request(std::shared_ptr<Core> self,
                                                           UpstreamRequest request) {
  auto permit = co_await self->gate.enter(request.deadline);
  if (!permit) co_return not_sent({permit.error().error, permit.error().retry_after});
  for (bool again = false;; again = true) {
    const auto ready = co_await wait_ready(self, request.deadline);
    if (!ready) co_return not_sent(ready.error());
    if (self->era == Era::legacy && !self->is_variant && !request.caller.capabilities.empty()) {
      // Capabilities are agreed on when a session is opened. The permit is held for both.
      if (auto other = self->variant(request.caller.capabilities)) {
        co_return co_await Core::request(std::move(other), std::move(request));
      }
    }
    if (auto done = self->subscribe(request)) co_return std::move(*done);
    const std::uint64_t session = self->sessions;
    const bool has_session = !self->session_id.empty();
    const std::string id = self->next_id();
    CancelNotice notice;
    if (self->era == Era::legacy) {
      notice.tell = [self, id] {
        const auto params =
            fmt::format(R"({{"requestId":{},"reason":"the caller no longer waits"}})", id);
        self->tasks.spawn("cancellation at " + self->spec.name,
                          tell(self, rpc_notification("notifications/cancelled", params)));
      };
    }
    const Asking asking(*self, request.caller);
    McpPost post = self->make_post(request, id);
    McpPosted posted =
        co_await post_mcp(*self->http, *self->options.clock, self->spec.name, std::move(post));
    const UpstreamReply& reply = posted.reply;
    const bool given_up =
        reply.delivery == Delivery::lost &&
        (reply.error.code == ErrorCode::timeout || reply.error.code == ErrorCode::cancelled);
    if (!given_up) notice.tell = nullptr;
    self->finish(posted);
    if (has_session && session_is_gone(posted)) {
      if (self->sessions == session && self->health == UpstreamHealth::ready) {
        self->health = UpstreamHealth::idle;
        self->session_id.clear();
      }
      if (!again) continue;
      co_return not_sent({{ErrorCode::unavailable,
                           fmt::format("server \"{}\" forgets its sessions at once; nothing was "
                                       "done",
                                       self->spec.name)}});
    }
    if (request.method == "tools/list" && !reply.result.empty()) {
      posted.reply.result = self->learn_tools(std::move(posted.reply.result));
    }
    co_return std::move(posted.reply);
  }
}

std::shared_ptr<HttpUpstream::Core> HttpUpstream::Core::variant(const json::object& capabilities) {
  const std::string key = canonical_json(capabilities);
  const auto found = variants.find(key);
  if (found != variants.end()) return found->second;
  if (closing || variants.size() == kVariantsMax) return nullptr;
  UpstreamOptions own = options;
  own.capabilities = capabilities;
  // What it announces, the first session hears too.
  own.on_tools_changed = nullptr;
  own.on_notification = nullptr;
  auto made = std::make_shared<Core>(executor, spec, std::move(own));
  made->is_variant = true;
  made->known_era = Era::legacy;
  variants.emplace(key, made);
  return made;
}

std::optional<UpstreamReply> HttpUpstream::Core::subscribe(const UpstreamRequest& request) {
  const bool adds = request.method == "resources/subscribe";
  if (!adds && request.method != "resources/unsubscribe") return std::nullopt;
  const auto uri = json_unquote(json_slice(request.params, {"uri"})).value_or("");
  if (adds && subscribed.size() < kSubscribedMax) subscribed.insert(uri);
  if (!adds) subscribed.erase(uri);
  if (era == Era::legacy) return std::nullopt;
  ++subscriptions;
  // The stream is opened anew with what is wanted now.
  if (listening != nullptr) listening->set_deadline(options.clock->steady());
  changed.notify();
  UpstreamReply reply;
  reply.delivery = Delivery::answered;
  reply.result = "{}";
  return reply;
}

McpPost HttpUpstream::Core::make_post(const UpstreamRequest& request, std::string id) {
  McpPost post;
  json::object meta = request.meta;
  meta.erase(meta::kProgressToken);
  if (request.caller.on_progress) meta[meta::kProgressToken] = last_id;
  if (era == Era::modern) {
    add_modern_meta(meta, options.client, request.caller.capabilities);
    if (!request.caller.log_level.empty()) {
      meta[meta::kLogLevel] = json::string(request.caller.log_level);
    }
    post.headers = base_headers();
    for (auto& header : modern_headers(request.method, request.params)) {
      post.headers.push_back(std::move(header));
    }
  } else {
    post.headers = session_headers();
    // Only what the server gave a session and an event id can be taken up.
    if (!session_id.empty()) {
      post.resume_headers = configured;
      post.resume_headers.emplace_back("Accept", "text/event-stream");
      post.resume_headers.emplace_back("MCP-Protocol-Version", greeting.version);
      post.resume_headers.emplace_back("Mcp-Session-Id", session_id);
    }
  }
  add_call_headers(post.headers, request);
  post.body = rpc_request(id, request.method, params_with_meta(request.params, meta));
  post.id = std::move(id);
  post.deadline = request.deadline;
  post.on_progress = request.caller.on_progress;
  post.may_send = request.may_send;
  post.on_message = [self = shared_from_this(), caller = request.caller](
                        const RpcMessage& message) { self->take_message(message, caller); };
  return post;
}

void HttpUpstream::Core::add_call_headers(OutboundHeaders& headers,
                                          const UpstreamRequest& request) const {
  const json::value meta(request.meta);
  const auto key = string_or(meta, meta::kIdempotencyKey);
  if (!key.empty()) headers.emplace_back("Idempotency-Key", quoted_key(key));
  if (const auto* token = find(meta, meta::kFencingToken); token != nullptr && token->is_number()) {
    headers.emplace_back("Gavel-Fencing-Token", write_json(*token));
  }
  if (request.method != "tools/call" || era != Era::modern || annotated.empty()) return;
  const auto tool = json_unquote(json_slice(request.params, {"name"}));
  const auto found = annotated.find(tool.value_or(""));
  if (found == annotated.end()) return;
  const auto arguments = parse_json(json_slice(request.params, {"arguments"}));
  if (!arguments) return;
  for (auto& header : param_headers(found->second, *arguments)) {
    headers.push_back(std::move(header));
  }
}

OutboundHeaders HttpUpstream::Core::base_headers() const {
  OutboundHeaders headers = configured;
  headers.emplace_back("Content-Type", "application/json");
  headers.emplace_back("Accept", "application/json, text/event-stream");
  headers.emplace_back("User-Agent",
                       fmt::format("{}/{}", options.client.name, options.client.version));
  return headers;
}

OutboundHeaders HttpUpstream::Core::session_headers() const {
  OutboundHeaders headers = base_headers();
  if (!greeting.version.empty()) headers.emplace_back("MCP-Protocol-Version", greeting.version);
  if (!session_id.empty()) headers.emplace_back("Mcp-Session-Id", session_id);
  return headers;
}

// Asked of replies to requests that named a session.
bool HttpUpstream::Core::session_is_gone(const McpPosted& posted) {
  const auto error = read_rpc_error(posted.reply.rpc_error);
  if (posted.status == 404) return error.code != rpc::kMethodNotFound;
  // Servers made after the reference examples say it like this.
  return posted.status == 400 && error.code == -32000 &&
         error.message.find("ession") != std::string::npos;
}

void HttpUpstream::Core::finish(McpPosted& posted) {
  if (!posted.rest) return;
  posted.rest->set_deadline(options.clock->steady() + kDrainPatience);
  tasks.spawn("end of a stream of " + spec.name, drain(std::move(*posted.rest)));
  posted.rest.reset();
}

asio::awaitable<void> HttpUpstream::Core::drain(OutboundReply rest) {
  for (;;) {
    const auto bytes = co_await rest.read_some();
    if (!bytes || bytes->empty()) co_return;
  }
}

std::string HttpUpstream::Core::learn_tools(std::string result) {
  if (era != Era::modern || result.find("x-mcp-header") == std::string::npos) return result;
  auto parsed = parse_json(result);
  auto* tools = parsed && parsed->is_object() ? parsed->get_object().if_contains("tools") : nullptr;
  if (tools == nullptr || !tools->is_array()) return result;
  json::array kept;
  for (auto& tool : tools->get_array()) {
    const std::string tool_name(string_or(tool, "name"));
    const auto* schema = find(tool, "inputSchema");
    const auto headers =
        schema == nullptr ? Result<std::vector<ParamHeader>>{} : param_headers_of(*schema);
    if (!headers) {
      say(fmt::format("server \"{}\": its tool \"{}\" is not offered: {}", spec.name,
                      for_display(tool_name, 100), headers.error().message));
      continue;
    }
    annotated[tool_name] = *headers;
    kept.push_back(std::move(tool));
  }
  *tools = std::move(kept);
  return write_json(*parsed);
}

// --- opening ---

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
      for (const auto& uri : self->subscribed) {
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
    posted = co_await post_mcp(*self->http, *self->options.clock, self->spec.name,
                               self->make_post(request, self->next_id()));
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
  McpPosted posted = co_await post_mcp(*self->http, *self->options.clock, self->spec.name,
                                       self->make_post(request, self->next_id()));
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
  McpPosted told =
      co_await post_mcp(*self->http, *self->options.clock, self->spec.name, std::move(initialized));
  self->finish(told);
  if (told.reply.delivery != Delivery::answered) {
    co_return std::unexpected(NotReady{told.reply.error, told.reply.retry_after});
  }
  co_return std::move(*greeted);
}

// --- what the server says by itself ---

void HttpUpstream::Core::take_message(const RpcMessage& message, const CallerSide& caller) {
  if (message.kind == RpcKind::notification) {
    if (message.method == "notifications/message" && caller.on_log) caller.on_log(message.params);
    if (message.method == "notifications/tools/list_changed" && options.on_tools_changed) {
      options.on_tools_changed();
    }
    if (options.on_notification) options.on_notification(message.method, message.params);
  } else if (const auto* whom = whom_to_ask(message, caller); whom != nullptr) {
    take_question(message, *whom);
  } else if (message.kind == RpcKind::request && era == Era::legacy) {
    auto answer = message.method == "ping"
                      ? rpc_response(message.id, "{}")
                      : rpc_error_response(method_not_found(message.id, message.method));
    tasks.spawn("answer to " + spec.name, tell(shared_from_this(), std::move(answer)));
  }
}

const CallerSide* HttpUpstream::Core::whom_to_ask(const RpcMessage& message,
                                                  const CallerSide& caller) const {
  if (message.kind != RpcKind::request || era != Era::legacy) return nullptr;
  if (question_capability(message.method).empty()) return nullptr;
  if (caller.on_question) return &caller;
  return asking.size() == 1 ? asking.front() : nullptr;
}

void HttpUpstream::Core::take_question(const RpcMessage& message, const CallerSide& caller) {
  UpstreamQuestion question;
  question.method = message.method;
  question.params = message.params;
  question.answer = [weak = weak_from_this(), id = std::string(message.id),
                     answered = std::make_shared<bool>(false)](const std::string& result,
                                                               const std::string& error) {
    const auto core = weak.lock();
    if (!core || core->closing || std::exchange(*answered, true)) return;
    core->tasks.spawn(
        "answer to " + core->spec.name,
        tell(core, error.empty() ? rpc_response(id, result) : rpc_error_response(id, error)));
  };
  caller.on_question(std::move(question));
}

asio::awaitable<void> HttpUpstream::Core::tell(std::shared_ptr<Core> self, std::string message) {
  McpPost post;
  post.body = std::move(message);
  post.headers = self->session_headers();
  post.deadline = self->options.clock->steady() + kSidePatience;
  McpPosted posted =
      co_await post_mcp(*self->http, *self->options.clock, self->spec.name, std::move(post));
  self->finish(posted);
}

asio::awaitable<void> HttpUpstream::Core::listen(std::shared_ptr<Core> self,
                                                 std::uint64_t of_session) {
  std::chrono::milliseconds delay = kListenDelayMin;
  while (!self->closing && self->sessions == of_session) {
    OutboundRequest request;
    request.method = "GET";
    request.headers = self->session_headers();
    request.deadline = SteadyTime::max();
    auto sent = co_await self->http->send(std::move(request));
    if (sent) {
      // Most servers have no such stream, and say so.
      if (sent->status() != 200) co_return;
      delay = kListenDelayMin;
      co_await read_listening(self, std::move(*sent));
    }
    const SteadyTime next = self->options.clock->steady() + delay;
    delay = std::min<std::chrono::milliseconds>(delay * 2, kListenDelayMax);
    while (!self->closing && self->options.clock->steady() < next) {
      co_await self->changed.wait_until(next);
    }
  }
}

json::object HttpUpstream::Core::wanted_changes() const {
  json::object wanted;
  for (const std::string name : {"tools", "prompts", "resources"}) {
    const auto* offered = find(greeting.capabilities, name);
    if (offered != nullptr && bool_or(*offered, "listChanged", false)) {
      wanted[name + "ListChanged"] = true;
    }
  }
  if (!subscribed.empty()) {
    json::array uris;
    for (const auto& uri : subscribed) uris.emplace_back(uri);
    wanted["resourceSubscriptions"] = std::move(uris);
  }
  return wanted;
}

asio::awaitable<void> HttpUpstream::Core::listen_modern(std::shared_ptr<Core> self,
                                                        std::uint64_t of_session) {
  std::chrono::milliseconds delay = kListenDelayMin;
  while (!self->closing && self->sessions == of_session) {
    const std::uint64_t asked = self->subscriptions;
    const auto wanted = self->wanted_changes();
    if (!wanted.empty()) {
      UpstreamRequest ask;
      ask.method = "subscriptions/listen";
      ask.params = write_json(json::object{{"notifications", wanted}});
      McpPost post = self->make_post(ask, self->next_id());
      OutboundRequest request{.method = "POST",
                              .headers = std::move(post.headers),
                              .body = std::move(post.body),
                              .deadline = SteadyTime::max()};
      auto sent = co_await self->http->send(std::move(request));
      if (sent && sent->status() == 200 && asked == self->subscriptions) {
        delay = kListenDelayMin;
        co_await read_listening(self, std::move(*sent));
      } else if (sent && sent->status() == 404 && self->subscribed.empty()) {
        co_return;  // it has no such stream
      }
    }
    SteadyTime next = SteadyTime::max();
    if (!wanted.empty()) {
      next = self->options.clock->steady() + delay;
      delay = std::min<std::chrono::milliseconds>(delay * 2, kListenDelayMax);
    }
    while (!self->closing && asked == self->subscriptions && self->options.clock->steady() < next) {
      if (co_await self->changed.wait_until(next) == Woken::cancelled) co_return;
    }
  }
}

asio::awaitable<void> HttpUpstream::Core::read_listening(std::shared_ptr<Core> self,
                                                         OutboundReply reply) {
  const struct Listening {
    Listening(Core& its_core, OutboundReply& its_reply) : core(its_core) {
      core.listening = &its_reply;
    }
    ~Listening() { core.listening = nullptr; }
    Core& core;
  } reading(*self, reply);
  McpEvents events;
  for (;;) {
    const auto bytes = co_await reply.read_some();
    if (!bytes || bytes->empty()) co_return;
    const Status fed = events.feed(*bytes, [&](const RpcMessage& message) {
      self->take_message(message, {});
      return true;
    });
    if (!fed) co_return;
  }
}

// --- the end ---

asio::awaitable<void> HttpUpstream::Core::close(std::shared_ptr<Core> self) {
  self->closing = true;
  self->changed.notify();
  for (const auto& [key, other] : self->variants) co_await close(other);
  if (self->http && !self->session_id.empty()) {
    OutboundRequest request;
    request.method = "DELETE";
    request.headers = self->session_headers();
    request.deadline =
        self->options.clock->steady() + self->options.timing.close.after_end_of_input;
    // Servers may refuse; the session then ends with their patience.
    auto sent = co_await self->http->send(std::move(request));
    self->session_id.clear();
  }
  co_await self->tasks.close();
  self->health = UpstreamHealth::idle;
}

HttpUpstream::HttpUpstream(asio::any_io_executor executor, const ServerSpec& spec,
                           UpstreamOptions options)
    : core_(std::make_shared<Core>(std::move(executor), spec, std::move(options))) {}

void HttpUpstream::Core::silence() {
  closing = true;
  changed.notify();
  tasks.cancel();
  // Coroutines may outlive the upstream, but not what its owner wants to hear.
  options.log_line = nullptr;
  options.on_tools_changed = nullptr;
  options.on_notification = nullptr;
  for (const auto& [key, other] : variants) other->silence();
}

HttpUpstream::~HttpUpstream() {
  core_->silence();
}

const std::string& HttpUpstream::name() const {
  return core_->spec.name;
}

asio::awaitable<UpstreamReply> HttpUpstream::request(UpstreamRequest request) {
  return Core::request(core_, std::move(request));
}

asio::awaitable<Result<json::object>> HttpUpstream::capabilities(SteadyTime deadline) {
  return Core::capabilities(core_, deadline);
}

UpstreamStatus HttpUpstream::status() const {
  UpstreamStatus status;
  status.health = core_->health;
  status.era = core_->greeting.version;
  status.server_name = core_->greeting.server.name;
  status.server_version = core_->greeting.server.version;
  status.in_flight = core_->gate.in_flight();
  status.queued = core_->gate.queued();
  status.restarts = core_->sessions > 0 ? core_->sessions - 1 : 0;
  status.last_error = core_->last_failure.error.message;
  return status;
}

asio::awaitable<void> HttpUpstream::close() {
  return Core::close(core_);
}

}  // namespace gavel
