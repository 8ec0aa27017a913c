#include "runtime/http_upstream.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "protocol/mcp_headers.hpp"
#include "protocol/mcp_tasks.hpp"
#include "runtime/http_upstream_core.hpp"

namespace gavel {
namespace {

constexpr std::chrono::seconds kDrainPatience{1};
constexpr std::chrono::seconds kLoginProbe{15};
constexpr std::size_t kKeyBytesMax = 255;
// Sessions beside the first, of callers that a legacy server may ask.
constexpr std::size_t kVariantsMax = 16;

// As a structured field's string. A key that such a string cannot hold is named by its digest.
std::string quoted_key(std::string_view key) {
  const bool plain = key.size() <= kKeyBytesMax && std::all_of(key.begin(), key.end(), [](char c) {
                       return c >= 0x20 && c <= 0x7E && c != '"' && c != '\\';
                     });
  return fmt::format("\"{}\"", plain ? std::string(key) : sha256(key).hex());
}

UpstreamReply not_sent(NotReady why) {
  UpstreamReply reply;
  reply.delivery = Delivery::not_sent;
  reply.error = std::move(why.error);
  reply.retry_after = why.retry_after;
  return reply;
}

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
    const Era era = self->era;
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
    McpPosted posted = co_await Core::post(self, std::move(post));
    const UpstreamReply& reply = posted.reply;
    const bool given_up =
        reply.delivery == Delivery::lost &&
        (reply.error.code == ErrorCode::timeout || reply.error.code == ErrorCode::cancelled);
    if (!given_up) notice.tell = nullptr;
    self->finish(posted);
    if (!again && sounds_of_other_era(posted, era)) {
      self->open_anew(session);
      self->known_era.reset();
      const auto opened = co_await wait_ready(self, request.deadline);
      // It refused what it cannot read.
      if (opened && self->era != era) continue;
    } else if (has_session && session_is_gone(posted)) {
      self->open_anew(session);
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

asio::awaitable<McpPosted> HttpUpstream::Core::post(std::shared_ptr<Core> self, McpPost post) {
  const auto send = [&self](McpPost what) {
    return post_mcp(*self->http, *self->options.clock, self->spec.name, std::move(what));
  };
  const auto login = self->login;
  if (!login) co_return co_await send(std::move(post));
  const SteadyTime deadline = post.deadline;
  if (const auto fresh = co_await UpstreamLogin::freshen(login, deadline); !fresh) {
    McpPosted posted;
    posted.reply = not_sent({fresh.error()});
    co_return posted;
  }
  for (int tries = 0;; ++tries) {
    const std::string authorization = login->authorization();
    const bool keep = login->may_renew();
    McpPost authorized = post;
    authorized.headers = self->authorized(std::move(authorized.headers));
    if (!authorized.resume_headers.empty()) {
      authorized.resume_headers = self->authorized(std::move(authorized.resume_headers));
    }
    McpPosted posted = co_await send(std::move(authorized));
    const bool asks = posted.status == 401 || posted.status == 403;
    if (!asks || posted.reply.delivery != Delivery::not_sent) co_return posted;
    // A refusal came before anything was done, so nothing is done twice.
    const auto again = co_await UpstreamLogin::refused(
        login, {posted.status, posted.challenge, authorization, tries > 0}, deadline);
    if (!again) posted.reply.error = again.error();
    if (!again || !*again || !keep || tries == kLoginTries) co_return posted;
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
  made->login = login;
  variants.emplace(key, made);
  return made;
}

std::optional<UpstreamReply> HttpUpstream::Core::subscribe(const UpstreamRequest& request) {
  if (!wanted.take(request) || era == Era::legacy) return std::nullopt;
  // The stream is opened anew with what is wanted now.
  if (listening != nullptr) listening->set_deadline(options.clock->steady());
  changed.notify();
  return subscription_taken();
}

McpPost HttpUpstream::Core::make_post(const UpstreamRequest& request, std::string id) {
  McpPost post;
  json::object meta = request.meta;
  meta.erase(meta::kProgressToken);
  if (request.caller.on_progress) meta[meta::kProgressToken] = last_id;
  if (era == Era::modern) {
    const bool may_be_task = request.follows_tasks && offers_tasks(greeting.capabilities, era);
    const auto& declared = request.caller.capabilities;
    add_modern_meta(meta, options.client, may_be_task ? with_tasks(declared) : declared);
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
  const std::string params =
      era == Era::legacy ? without_round(request.params) : std::string(request.params);
  post.body = rpc_request(id, request.method, params_with_meta(params, meta));
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

OutboundHeaders HttpUpstream::Core::authorized(OutboundHeaders headers) const {
  const auto authorization = login ? login->authorization() : std::string();
  if (!authorization.empty()) headers.emplace_back("Authorization", authorization);
  return headers;
}

// By whoever comes next, where nobody did it since.
void HttpUpstream::Core::open_anew(std::uint64_t session) {
  if (sessions != session || health != UpstreamHealth::ready) return;
  health = UpstreamHealth::idle;
  session_id.clear();
}

// A server that was replaced by one of the other era refuses in that one's words.
bool HttpUpstream::Core::sounds_of_other_era(const McpPosted& posted, Era era) {
  const std::string& error = posted.reply.rpc_error;
  if (posted.status != 400) return false;
  return era == Era::legacy ? read_probe_error(error).modern
                            : read_rpc_error(error).code == rpc::kLegacyRefusal;
}

// Asked of replies to requests that named a session.
bool HttpUpstream::Core::session_is_gone(const McpPosted& posted) {
  const auto error = read_rpc_error(posted.reply.rpc_error);
  if (posted.status == 404) return error.code != rpc::kMethodNotFound;
  // Servers made after the reference examples say it like this.
  return posted.status == 400 && error.code == rpc::kLegacyRefusal &&
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

// --- logging in ---

asio::awaitable<Result<std::string>> HttpUpstream::Core::begin_login(std::shared_ptr<Core> self,
                                                                     std::string redirect_uri) {
  if (!self->login->was_challenged()) {
    // Only the server's own refusal says where its metadata are and which scopes it wants.
    UpstreamRequest probe;
    probe.method = "tools/list";
    probe.params = "{}";
    probe.deadline = self->options.clock->steady() + kLoginProbe;
    co_await request(self, std::move(probe));
  }
  auto url = co_await UpstreamLogin::begin(self->login, std::move(redirect_uri));
  if (!url) url.error().message = self->options.redactor->text(std::move(url.error().message));
  co_return url;
}

asio::awaitable<Status> HttpUpstream::Core::finish_login(std::shared_ptr<Core> self,
                                                         std::string query) {
  auto done = co_await UpstreamLogin::finish(self->login, std::move(query));
  if (!done) co_return done;
  self->last_failure = {};
  // What it lists may depend on who asks.
  if (self->options.on_tools_changed) self->options.on_tools_changed();
  if (self->options.on_notification) {
    self->options.on_notification("notifications/tools/list_changed", "{}");
  }
  co_return done;
}

// --- the end ---

asio::awaitable<void> HttpUpstream::Core::close(std::shared_ptr<Core> self) {
  self->closing = true;
  self->changed.notify();
  for (const auto& [key, other] : self->variants) co_await close(other);
  if (self->http && !self->session_id.empty()) {
    OutboundRequest request;
    request.method = "DELETE";
    request.headers = self->authorized(self->session_headers());
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
    : core_(std::make_shared<Core>(executor, spec, std::move(options))) {
  if (!may_log_in(spec)) return;
  const UpstreamOptions& with = core_->options;
  LoginOptions login;
  login.clock = with.clock;
  login.random = with.random;
  // An attached server ends with the connection that brought it, and so does its login.
  login.store = is_attached(spec.name) ? nullptr : with.logins;
  login.redactor = with.redactor;
  login.trusted_ca_file = with.trusted_ca_file;
  login.log_line = with.log_line;
  core_->login = std::make_shared<UpstreamLogin>(executor, spec, std::move(login));
}

void HttpUpstream::Core::silence() {
  closing = true;
  changed.notify();
  tasks.cancel();
  // Coroutines may outlive the upstream, but not what its owner wants to hear.
  options.log_line = nullptr;
  options.on_tools_changed = nullptr;
  options.on_notification = nullptr;
  if (login && !is_variant) login->cancel();
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
  if (core_->login && !core_->login->problem().empty()) {
    status.health = UpstreamHealth::needs_login;
    status.last_error = core_->login->problem();
  }
  return status;
}

asio::awaitable<Result<std::string>> HttpUpstream::begin_login(std::string redirect_uri) {
  if (!core_->login) return Upstream::begin_login(std::move(redirect_uri));
  return Core::begin_login(core_, std::move(redirect_uri));
}

asio::awaitable<Status> HttpUpstream::finish_login(std::string query) {
  if (!core_->login) return Upstream::finish_login(std::move(query));
  return Core::finish_login(core_, std::move(query));
}

Status HttpUpstream::forget_login() {
  return core_->login ? core_->login->forget() : Upstream::forget_login();
}

asio::awaitable<void> HttpUpstream::close() {
  return Core::close(core_);
}

}  // namespace gavel
