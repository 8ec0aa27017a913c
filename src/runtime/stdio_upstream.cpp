#include "runtime/stdio_upstream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/text.hpp"
#include "protocol/mcp_tasks.hpp"
#include "runtime/stdio_session.hpp"
#include "runtime/task_group.hpp"
#include "runtime/upstream_gate.hpp"
#include "runtime/wanted_changes.hpp"

namespace gavel {
namespace {

constexpr std::size_t kErrorBytesMax = 2000;

// Why no session is there.
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

// Everything that coroutines share: each holds it, so that it outlives the upstream by as long as
// they need.
class StdioUpstream::Core {
public:
  Core(asio::any_io_executor on, const ServerSpec& of, UpstreamOptions with)
      : executor(on),
        spec(of),
        options(std::move(with)),
        gate(on, *options.clock, of.name, {of.concurrency_max, of.queue_max, of.rate}),
        changed(on),
        tasks(on, options.log_line) {}

  // One subscriptions/listen. Its task is cancelled, or ends with the session.
  struct Listening {
    Listening(const asio::any_io_executor& on, std::string wants)
        : params(std::move(wants)), task(on, {}) {}
    std::string params;
    bool ended = false;    // by the server
    bool refused = false;  // it has no such thing
    std::optional<SteadyTime> again_at;
    TaskGroup task;
  };

  using SessionOr = std::expected<std::shared_ptr<StdioSession>, NotReady>;
  using Greeted = Result<ServerGreeting>;

  static asio::awaitable<UpstreamReply> request(std::shared_ptr<Core> self,
                                                UpstreamRequest request);
  static asio::awaitable<SessionOr> wait_ready(std::shared_ptr<Core> self, SteadyTime deadline);
  static asio::awaitable<Result<json::object>> capabilities(std::shared_ptr<Core> self,
                                                            SteadyTime deadline);
  static asio::awaitable<void> supervise(std::shared_ptr<Core> self);
  static asio::awaitable<void> read_session(std::shared_ptr<Core> self,
                                            std::shared_ptr<StdioSession> of);
  static asio::awaitable<Greeted> start(std::shared_ptr<Core> self);
  static asio::awaitable<Greeted> greet(std::shared_ptr<Core> self,
                                        std::shared_ptr<StdioSession> with);
  static asio::awaitable<Greeted> discover(std::shared_ptr<Core> self,
                                           std::shared_ptr<StdioSession> with);
  static asio::awaitable<Greeted> initialize(std::shared_ptr<Core> self,
                                             std::shared_ptr<StdioSession> with);
  // Of a modern server: keeps one subscriptions/listen open that names what is wanted now.
  static asio::awaitable<void> listen(std::shared_ptr<Core> self,
                                      std::shared_ptr<StdioSession> with);
  static asio::awaitable<void> hold_open(std::shared_ptr<Core> self,
                                         std::shared_ptr<StdioSession> with,
                                         std::shared_ptr<Listening> listening);
  static asio::awaitable<void> subscribe_anew(std::shared_ptr<Core> self,
                                              std::shared_ptr<StdioSession> with);
  static asio::awaitable<void> close(std::shared_ptr<Core> self);

  Result<std::unique_ptr<ChildProcess>> spawn_child();
  void session_ended(const Error& why);
  void take_notification(std::string_view method, std::string_view params);
  std::chrono::milliseconds backoff();
  NotReady not_ready() const;
  void say(const std::string& line) const {
    if (options.log_line) options.log_line(line);
  }
  std::string shown(const std::string& stderr_tail) const {
    return shown_stderr(options.redactor->text(stderr_tail));
  }
  void abandon();

  asio::any_io_executor executor;
  ServerSpec spec;
  UpstreamOptions options;
  UpstreamGate gate;
  WantedChanges wanted;

  UpstreamHealth health = UpstreamHealth::idle;
  std::shared_ptr<StdioSession> session;  // of the child that runs; null between two
  ServerGreeting greeting;
  Era era = Era::legacy;
  std::optional<Era> known_era;  // of the last start that went well: not asked again
  bool skip_probe = false;       // the child ended on the probe
  Error last_error;
  std::string last_stderr;
  SteadyTime retry_at{};
  SteadyTime ready_since{};
  std::uint64_t starts = 0;         // attempts, good and bad
  std::uint64_t failed_starts = 0;  // of them
  int failures = 0;                 // in a row
  std::uint64_t restarts = 0;
  bool supervised = false;
  bool closing = false;
  Event changed;
  TaskGroup tasks;
};

// --- requests ---

asio::awaitable<UpstreamReply> StdioUpstream::Core::request(std::shared_ptr<Core> self,
                                                            UpstreamRequest request) {
  auto permit = co_await self->gate.enter(request.deadline);
  if (!permit) co_return not_sent({permit.error().error, permit.error().retry_after});
  std::shared_ptr<StdioSession> session = self->session;
  if (self->health != UpstreamHealth::ready) {
    auto ready = co_await wait_ready(self, request.deadline);
    if (!ready) co_return not_sent(std::move(ready).error());
    session = std::move(*ready);
  }
  if (self->wanted.take(request) && self->era == Era::modern) {
    self->changed.notify();
    co_return subscription_taken();
  }
  StdioSession::Call call{.method = std::move(request.method),
                          .params = std::move(request.params),
                          .meta = std::move(request.meta),
                          .deadline = request.deadline,
                          .caller = std::move(request.caller),
                          .may_send = std::move(request.may_send)};
  if (self->era == Era::modern) {
    const bool tasks =
        request.follows_tasks && offers_tasks(self->greeting.capabilities, self->era);
    add_modern_meta(call.meta, self->options.client,
                    tasks ? with_tasks(call.caller.capabilities) : call.caller.capabilities);
    if (!call.caller.log_level.empty()) {
      call.meta[meta::kLogLevel] = json::string(call.caller.log_level);
    }
  } else {
    call.params = without_round(call.params);
  }
  co_return co_await session->call(std::move(call));
}

NotReady StdioUpstream::Core::not_ready() const {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(retry_at - options.clock->steady());
  return {last_error, std::max(left, std::chrono::milliseconds(0))};
}

asio::awaitable<StdioUpstream::Core::SessionOr> StdioUpstream::Core::wait_ready(
    std::shared_ptr<Core> self, SteadyTime deadline) {
  const std::uint64_t failed_before = self->failed_starts;
  for (;;) {
    if (self->closing) {
      co_return std::unexpected(
          NotReady{{ErrorCode::unavailable,
                    fmt::format("server \"{}\" is being stopped", self->spec.name)}});
    }
    if (self->health == UpstreamHealth::ready) co_return self->session;
    if (self->failed_starts > failed_before) co_return std::unexpected(self->not_ready());
    const SteadyTime now = self->options.clock->steady();
    const bool waits =
        self->health == UpstreamHealth::backing_off || self->health == UpstreamHealth::failed;
    if (waits && self->retry_at - now > self->options.timing.restart_patience) {
      co_return std::unexpected(self->not_ready());
    }
    if (!self->supervised) {
      self->supervised = true;
      self->tasks.spawn("supervision of " + self->spec.name, supervise(self));
      continue;  // it may have failed at once
    }
    if (now >= deadline) break;
    if (co_await self->changed.wait_until(deadline) == Woken::deadline) break;
  }
  co_return std::unexpected(NotReady{
      {ErrorCode::timeout, fmt::format("server \"{}\" was not ready before the deadline; the "
                                       "request never arrived there",
                                       self->spec.name)}});
}

asio::awaitable<Result<json::object>> StdioUpstream::Core::capabilities(std::shared_ptr<Core> self,
                                                                        SteadyTime deadline) {
  auto ready = co_await wait_ready(self, deadline);
  if (!ready) co_return std::unexpected(std::move(ready).error().error);
  co_return self->greeting.capabilities;
}

// --- supervision ---

asio::awaitable<void> StdioUpstream::Core::supervise(std::shared_ptr<Core> self) {
  const auto& timing = self->options.timing;
  for (;;) {
    // A delay that an earlier supervision left behind, and that of the loop below.
    while (self->options.clock->steady() < self->retry_at && !self->closing) {
      if (co_await self->changed.wait_until(self->retry_at) == Woken::cancelled) co_return;
    }
    if (self->closing) break;
    self->health = UpstreamHealth::starting;
    if (self->starts++ > 0) ++self->restarts;
    Greeted greeted = co_await start(self);
    if (self->closing) break;
    if (greeted) {
      self->greeting = std::move(*greeted);
      self->ready_since = self->options.clock->steady();
      self->health = UpstreamHealth::ready;
      self->say(fmt::format("server \"{}\" is ready: {} {}, MCP {}", self->spec.name,
                            self->greeting.server.name, self->greeting.server.version,
                            self->greeting.version));
      self->changed.notify();
      if (self->era == Era::modern) {
        self->tasks.spawn("changes of " + self->spec.name, listen(self, self->session));
      } else if (!self->wanted.uris().empty()) {
        self->tasks.spawn("subscriptions at " + self->spec.name,
                          subscribe_anew(self, self->session));
      }
      while (self->session && !self->closing) {
        if (co_await self->changed.wait_until(SteadyTime::max()) == Woken::cancelled) co_return;
      }
      if (self->closing) break;
      if (self->options.clock->steady() - self->ready_since >= timing.stable_after) {
        self->failures = 0;
      }
    } else {
      self->last_error = std::move(greeted).error();
      ++self->failed_starts;
    }
    ++self->failures;
    const auto delay = self->backoff();
    self->retry_at = self->options.clock->steady() + delay;
    self->say(fmt::format("{}; next start in {} ms", self->last_error.message, delay.count()));
    const bool on_demand = self->failures >= timing.eager_restarts;
    self->health = on_demand ? UpstreamHealth::failed : UpstreamHealth::backing_off;
    self->changed.notify();
    if (on_demand) break;
  }
  self->supervised = false;
  self->changed.notify();
}

std::chrono::milliseconds StdioUpstream::Core::backoff() {
  const auto& timing = options.timing;
  const int doublings = std::min(failures - 1, 16);
  const auto full = std::min(timing.backoff_max, timing.backoff_first * (1 << doublings));
  // Half of it is jitter, so that many servers do not come back in one moment.
  const auto half = static_cast<std::uint64_t>(full.count() / 2);
  return full -
         std::chrono::milliseconds(static_cast<std::int64_t>(options.random->next() % (half + 1)));
}

asio::awaitable<void> StdioUpstream::Core::read_session(std::shared_ptr<Core> self,
                                                        std::shared_ptr<StdioSession> of) {
  const Error why = co_await StdioSession::run(of);
  self->last_stderr = of->child().stderr_tail();
  self->last_error = why;
  if (self->session == of) self->session = nullptr;
  if (self->health == UpstreamHealth::ready) self->health = UpstreamHealth::backing_off;
  self->changed.notify();
}

Result<std::unique_ptr<ChildProcess>> StdioUpstream::Core::spawn_child() {
  ChildCommand command;
  command.words = spec.command;
  command.directory = spec.directory;
  command.environment = child_environment(spec.environment);
  std::vector<std::string> secrets;
  for (const auto& [variable, path] : spec.environment_files) {
    ASSIGN_OR_RETURN(auto secret, read_secret_file(path));
    secrets.push_back(secret);
    command.environment[variable] = std::move(secret);
  }
  options.redactor->set(secrets);
  return ChildProcess::spawn(executor, command);
}

asio::awaitable<StdioUpstream::Core::Greeted> StdioUpstream::Core::start(
    std::shared_ptr<Core> self) {
  for (;;) {
    auto child = self->spawn_child();
    if (!child) {
      co_return fail(child.error().code, fmt::format("server \"{}\" cannot be started: {}",
                                                     self->spec.name, child.error().message));
    }
    std::weak_ptr<Core> weak = self;
    auto session = std::make_shared<StdioSession>(
        self->executor, std::move(*child),
        StdioSession::Options{
            .name = self->spec.name,
            .redactor = self->options.redactor,
            .on_notification = [weak](std::string_view method, std::string_view params) {
              if (const auto core = weak.lock()) core->take_notification(method, params);
            }});
    self->session = session;
    self->tasks.spawn("reading of " + self->spec.name, read_session(self, session));
    const bool probing = !self->known_era && !self->skip_probe;
    Greeted greeted = co_await greet(self, session);
    if (greeted || self->closing) co_return greeted;
    self->known_era.reset();
    // A server that cannot bear the question may bear the handshake.
    const bool again = probing && session->ended();
    session->child().kill();
    while (self->session == session) {
      if (co_await self->changed.wait_until(SteadyTime::max()) == Woken::cancelled) {
        co_return greeted;
      }
    }
    if (!again) {
      self->skip_probe = false;
      std::string message = greeted.error().message;
      const std::string words = self->shown(self->last_stderr);
      if (!words.empty()) message += "; its stderr ends with: " + words;
      if (message.size() > kErrorBytesMax) message.resize(kErrorBytesMax);
      co_return fail(greeted.error().code, std::move(message));
    }
    self->skip_probe = true;
  }
}

asio::awaitable<StdioUpstream::Core::Greeted> StdioUpstream::Core::greet(
    std::shared_ptr<Core> self, std::shared_ptr<StdioSession> with) {
  std::optional<Greeted> greeted;
  if (self->known_era != Era::legacy && !self->skip_probe) {
    greeted = co_await discover(self, with);
    // An error says that the server is modern, and cannot be spoken to; an empty version, that it
    // is not.
    if (*greeted && (*greeted)->version == kMcpModern) {
      self->era = Era::modern;
      self->known_era = Era::modern;
      co_return std::move(*greeted);
    }
    if (!*greeted) co_return std::move(*greeted);
  }
  greeted = co_await initialize(self, with);
  if (*greeted) {
    self->era = (*greeted)->version == kMcpModern ? Era::modern : Era::legacy;
    self->known_era = self->era;
  }
  co_return std::move(*greeted);
}

// The greeting of a modern server; a greeting that names no modern version where the server is to
// be initialized; an error where neither can work.
asio::awaitable<StdioUpstream::Core::Greeted> StdioUpstream::Core::discover(
    std::shared_ptr<Core> self, std::shared_ptr<StdioSession> with) {
  UpstreamReply reply;
  for (int tries = 0; tries < kDiscoverTries; ++tries) {
    StdioSession::Call call;
    call.method = "server/discover";
    call.deadline = self->options.clock->steady() + self->options.timing.probe;
    add_modern_meta(call.meta, self->options.client, {});
    reply = co_await with->call(std::move(call));
    if (read_probe_error(reply.rpc_error).version != kMcpModern) break;
  }
  if (reply.delivery != Delivery::answered) {
    if (with->ended()) co_return std::unexpected(reply.error);
    co_return ServerGreeting{};
  }
  if (!reply.result.empty()) {
    auto greeted = read_discover_result(reply.result);
    if (greeted || greeted.error().code == ErrorCode::unsupported) co_return greeted;
    co_return ServerGreeting{};
  }
  const ProbeError probe = read_probe_error(reply.rpc_error);
  if (probe.modern && probe.version.empty()) {
    co_return fail(ErrorCode::unsupported,
                   fmt::format("server \"{}\" speaks no revision of MCP that Gavel speaks: {}",
                               self->spec.name, for_display(reply.rpc_error, 300)));
  }
  co_return ServerGreeting{};
}

asio::awaitable<StdioUpstream::Core::Greeted> StdioUpstream::Core::initialize(
    std::shared_ptr<Core> self, std::shared_ptr<StdioSession> with) {
  StdioSession::Call call;
  call.method = "initialize";
  // Told once, for every client that may come: what one of them did not declare is refused when it
  // is asked.
  call.params = initialize_params(kMcpLegacy, self->options.client, every_question());
  call.deadline = self->options.clock->steady() + self->options.timing.handshake;
  const UpstreamReply reply = co_await with->call(std::move(call));
  if (reply.delivery != Delivery::answered) co_return std::unexpected(reply.error);
  if (reply.result.empty()) {
    // A server that was slow to start may have taken up the probe since, and be modern by it.
    if (read_probe_error(reply.rpc_error).version == kMcpModern) {
      Greeted late = co_await discover(self, with);
      if (!late || late->version == kMcpModern) co_return late;
    }
    co_return fail(ErrorCode::unavailable,
                   fmt::format("server \"{}\" refused to initialize: {}", self->spec.name,
                               for_display(reply.rpc_error, 500)));
  }
  auto greeted = read_initialize_result(reply.result);
  if (greeted) {
    with->pass_questions();
    with->notify("notifications/initialized", {});
  }
  co_return greeted;
}

void StdioUpstream::Core::take_notification(std::string_view method, std::string_view params) {
  if (method == "notifications/tools/list_changed" && options.on_tools_changed) {
    options.on_tools_changed();
  }
  if (options.on_notification) options.on_notification(method, params);
}

asio::awaitable<void> StdioUpstream::Core::listen(std::shared_ptr<Core> self,
                                                  std::shared_ptr<StdioSession> with) {
  std::shared_ptr<Listening> open;
  std::chrono::milliseconds delay = kListenDelayMin;
  while (self->session == with && !self->closing) {
    const std::string params = self->wanted.listen_params(self->greeting.capabilities);
    const SteadyTime now = self->options.clock->steady();
    if (open && open->ended && open->params == params && !open->again_at) {
      open->again_at = open->refused ? SteadyTime::max() : now + delay;
      delay = std::min<std::chrono::milliseconds>(delay * 2, kListenDelayMax);
    }
    const bool due = !open || open->params != params || (open->again_at && *open->again_at <= now);
    if (due) {
      const auto before = std::exchange(open, nullptr);
      if (!params.empty()) {
        open = std::make_shared<Listening>(self->executor, params);
        open->task.spawn("listening to " + self->spec.name, hold_open(self, with, open));
      }
      // The one before ends once its successor is on its way, so that nothing is missed.
      if (before) before->task.cancel();
    }
    const SteadyTime next = open && open->again_at ? *open->again_at : SteadyTime::max();
    if (co_await self->changed.wait_until(next) == Woken::cancelled) co_return;
  }
}

asio::awaitable<void> StdioUpstream::Core::hold_open(std::shared_ptr<Core> self,
                                                     std::shared_ptr<StdioSession> with,
                                                     std::shared_ptr<Listening> listening) {
  StdioSession::Call call;
  call.method = "subscriptions/listen";
  call.params = listening->params;
  call.deadline = SteadyTime::max();
  add_modern_meta(call.meta, self->options.client, {});
  const UpstreamReply reply = co_await with->call(std::move(call));
  listening->ended = true;
  listening->refused = read_rpc_error(reply.rpc_error).code == rpc::kMethodNotFound;
  self->changed.notify();
}

asio::awaitable<void> StdioUpstream::Core::subscribe_anew(std::shared_ptr<Core> self,
                                                          std::shared_ptr<StdioSession> with) {
  for (const auto& uri : std::set<std::string>(self->wanted.uris())) {
    StdioSession::Call call;
    call.method = "resources/subscribe";
    call.params = write_json(json::object{{"uri", uri}});
    call.deadline = self->options.clock->steady() + self->options.timing.handshake;
    co_await with->call(std::move(call));
  }
}

// --- the end ---

asio::awaitable<void> StdioUpstream::Core::close(std::shared_ptr<Core> self) {
  self->closing = true;
  self->changed.notify();
  if (const auto session = self->session) {
    co_await session->child().close(*self->options.clock, self->options.timing.close);
    // What it still said on its way out is read first.
    const SteadyTime until = self->options.clock->steady() + self->options.timing.close.after_kill;
    while (self->session) {
      if (co_await self->changed.wait_until(until) != Woken::notified) break;
    }
    session->abandon();
  }
  co_await self->tasks.close();
  self->session = nullptr;
  self->health = UpstreamHealth::idle;
}

void StdioUpstream::Core::abandon() {
  closing = true;
  if (session) session->abandon();
  changed.notify();
  tasks.cancel();
  session = nullptr;
  // Coroutines may outlive the upstream, but not what its owner wants to hear.
  options.log_line = nullptr;
  options.on_tools_changed = nullptr;
  options.on_notification = nullptr;
}

StdioUpstream::StdioUpstream(asio::any_io_executor executor, const ServerSpec& spec,
                             UpstreamOptions options)
    : core_(std::make_shared<Core>(std::move(executor), spec, std::move(options))) {}

StdioUpstream::~StdioUpstream() {
  core_->abandon();
}

const std::string& StdioUpstream::name() const {
  return core_->spec.name;
}

asio::awaitable<UpstreamReply> StdioUpstream::request(UpstreamRequest request) {
  return Core::request(core_, std::move(request));
}

asio::awaitable<Result<json::object>> StdioUpstream::capabilities(SteadyTime deadline) {
  return Core::capabilities(core_, deadline);
}

UpstreamStatus StdioUpstream::status() const {
  UpstreamStatus status;
  status.health = core_->health;
  status.era = core_->greeting.version;
  status.server_name = core_->greeting.server.name;
  status.server_version = core_->greeting.server.version;
  status.in_flight = core_->gate.in_flight();
  status.queued = core_->gate.queued();
  status.restarts = core_->restarts;
  status.last_error = core_->last_error.message;
  const auto& session = core_->session;
  // Of the child before, too: why it ended is asked after it was restarted.
  status.stderr_tail =
      core_->shown(core_->last_stderr + (session ? session->child().stderr_tail() : ""));
  status.pid = session ? session->child().pid() : 0;
  return status;
}

asio::awaitable<void> StdioUpstream::close() {
  return Core::close(core_);
}

}  // namespace gavel
