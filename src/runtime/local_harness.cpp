#include "runtime/local_harness.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/fold.hpp"
#include "runtime/completion.hpp"

namespace gavel {
namespace {

// How long a list of tools waits for servers that are not listed yet, all together, and for how
// long one that was late then is not waited for again.
constexpr std::chrono::seconds kListPatience{8};
// Where one server alone is listed there is nothing to show without it.
constexpr std::chrono::seconds kOnlyListPatience{50};
constexpr std::chrono::seconds kLateFor{60};

}  // namespace

bool Caller::has(Role role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

LocalHarness::LocalHarness(LocalHarnessOptions options)
    : executor_(options.executor),
      log_(*options.log),
      clock_(*options.clock),
      random_(*options.random),
      policy_(std::move(options.policy)),
      started_with_(policy_->daemon()),
      make_upstream_(std::move(options.make_upstream)),
      log_line_(std::move(options.log_line)),
      control_(log_),
      sessions_(executor_, log_, control_, clock_, random_,
                Sessions::Hooks{
                    .perform = [this](Session& session, const Action& action,
                                      const Batch& batch) { perform(session, action, batch); },
                    .recover = [this](Session& session) { recover(session); },
                    .due = [this](Session& session) { handle_due(session); },
                }),
      directory_(clock_),
      actor_(executor_, clock_, random_),
      listed_(executor_),
      alive_(std::make_shared<bool>(true)) {}

LocalHarness::~LocalHarness() {
  *alive_ = false;
}

void LocalHarness::say(const std::string& line) const {
  if (log_line_) log_line_(line);
}

Status LocalHarness::start() {
  TRY(control_.load());
  TRY(record_policy(*policy_, [](const Status&) {}));
  for (const auto& spec : policy_->servers()) {
    if (spec.name != kOwnToolset) add_upstream(spec);
  }
  // Sessions with holds, attempts or unknown outcomes ask for attention in the timer index.
  constexpr std::size_t kOpenSessionsMax = 100'000;
  ASSIGN_OR_RETURN(const auto open, log_.due(Timestamp{INT64_MAX}, kOpenSessionsMax));
  for (const auto& log : open) {
    if (log.value.starts_with(kControlPrefix)) continue;
    if (const auto session = sessions_.get(log); !session) {
      say(fmt::format("session {} cannot be resumed: {}", log.value, session.error().message));
    }
  }
  for (const auto& [name, made] : upstreams_) start_listing(made);
  return {};
}

asio::awaitable<void> LocalHarness::close() {
  closing_ = true;
  auto closing = std::move(upstreams_);
  upstreams_.clear();
  for (auto& [name, made] : closing) co_await made->close();
  for (auto& former : std::exchange(retiring_, {})) co_await former->close();
  sessions_.close();
}

void LocalHarness::spawn(asio::awaitable<void> task, std::string name,
                         std::shared_ptr<asio::cancellation_signal> cancelled) {
  const auto slot = cancelled ? cancelled->slot() : asio::cancellation_slot();
  // The slot must outlive the coroutine: its handler keeps the signal.
  auto ended = [this, alive = alive_, name = std::move(name),
                cancelled = std::move(cancelled)](const std::exception_ptr& failure) {
    if (!failure || !*alive) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& e) {
      say(fmt::format("{} failed: {}", name, e.what()));
    }
  };
  asio::co_spawn(executor_, std::move(task), asio::bind_cancellation_slot(slot, std::move(ended)));
}

std::shared_ptr<Upstream> LocalHarness::server_of(const LogId& session,
                                                  std::string_view tool) const {
  const auto name = split_tool_name(tool).first;
  auto found = upstreams_.find(attached_name(name, session.value));
  if (found == upstreams_.end()) found = upstreams_.find(name);
  return found == upstreams_.end() ? nullptr : found->second;
}

void LocalHarness::add_upstream(const ServerSpec& spec) {
  UpstreamEvents events;
  events.on_tools_changed = [this, alive = alive_, name = spec.name] {
    if (*alive) directory_.forget(name);
  };
  events.on_notification = [this, alive = alive_, name = spec.name](std::string_view method,
                                                                    std::string_view params) {
    if (*alive && on_notice_) on_notice_(name, method, params);
  };
  trust_[spec.name] = trust_rules(spec);
  upstreams_[spec.name] = make_upstream_(spec, std::move(events));
}

asio::awaitable<Result<std::string>> LocalHarness::attach(ServerSpec spec, LogId session,
                                                          Caller caller) {
  if (!caller.has(Role::admin)) {
    co_return fail(ErrorCode::permission_denied,
                   "attaching a server runs a command: it takes the role admin");
  }
  // Nobody would end it.
  if (closing_) co_return fail(ErrorCode::unavailable, "gavel is stopping; attach it again");
  if (spec.name == kOwnToolset) {
    co_return fail(
        ErrorCode::invalid_argument,
        "\"own\" is the name of what agents do by themselves; choose another with --name");
  }
  if (upstreams_.contains(spec.name)) {
    co_return fail(
        ErrorCode::already_exists,
        fmt::format("the policy has a server \"{}\"; choose another name with --name", spec.name));
  }
  spec.name = attached_name(spec.name, session.value);
  if (upstreams_.contains(spec.name)) {
    co_return fail(ErrorCode::already_exists,
                   fmt::format("session {} has a server \"{}\" attached already; leave out "
                               "--session for one of its own, or choose another name with --name",
                               session.value, public_name(spec.name)));
  }
  add_upstream(spec);
  say(fmt::format("attached server {}", spec.name));
  co_return spec.name;
}

asio::awaitable<void> LocalHarness::detach(std::string name) {
  const auto found = upstreams_.find(name);
  if (found == upstreams_.end() || !is_attached(name)) co_return;
  const std::shared_ptr<Upstream> leaving = found->second;
  upstreams_.erase(found);
  directory_.forget(name);
  trust_.erase(name);
  late_at_.erase(name);
  say(fmt::format("detached server {}", name));
  co_await leaving->close();
}

std::vector<std::string> LocalHarness::upstreams() const {
  std::vector<std::string> names;
  for (const auto& [name, made] : upstreams_) {
    if (!is_attached(name)) names.push_back(name);
  }
  return names;
}

std::vector<std::string> LocalHarness::attached() const {
  std::vector<std::string> names;
  for (const auto& [name, made] : upstreams_) {
    if (is_attached(name)) names.push_back(name);
  }
  return names;
}

asio::awaitable<UpstreamReply> LocalHarness::pass_through(const std::string& upstream_name,
                                                          UpstreamRequest request) {
  const auto found = upstreams_.find(upstream_name);
  if (found == upstreams_.end()) {
    UpstreamReply reply;
    reply.error = {ErrorCode::not_found, fmt::format("no server \"{}\"", upstream_name)};
    co_return reply;
  }
  const std::shared_ptr<Upstream> server = found->second;
  co_return co_await server->request(std::move(request));
}

asio::awaitable<Result<UpstreamListing>> LocalHarness::list_upstream(
    const std::string& upstream_name, std::string method, std::string array) {
  const auto found = upstreams_.find(upstream_name);
  if (found == upstreams_.end()) {
    co_return fail(ErrorCode::not_found, fmt::format("no server \"{}\"", upstream_name));
  }
  const std::shared_ptr<Upstream> server = found->second;
  co_return co_await list_all(*server, clock_, std::move(method), std::move(array));
}

void LocalHarness::left_out(const std::string& upstream, std::string_view method,
                            const Error& why) {
  say(fmt::format("{} is left out of {}: {}", upstream, method, why.message));
}

asio::awaitable<Result<json::object>> LocalHarness::upstream_capabilities(
    const std::string& upstream_name) {
  const auto found = upstreams_.find(upstream_name);
  if (found == upstreams_.end()) {
    co_return fail(ErrorCode::not_found, fmt::format("no server \"{}\"", upstream_name));
  }
  const std::shared_ptr<Upstream> server = found->second;
  co_return co_await server->capabilities(clock_.steady() + std::chrono::seconds(30));
}

UpstreamStatus LocalHarness::upstream_status(const std::string& upstream_name) const {
  const auto found = upstreams_.find(upstream_name);
  return found == upstreams_.end() ? UpstreamStatus{} : found->second->status();
}

void LocalHarness::start_listing(const std::shared_ptr<Upstream>& server) {
  if (!listing_.insert(server->name()).second) return;
  spawn(list_one(server), "list tools of " + server->name());
}

asio::awaitable<void> LocalHarness::list_one(std::shared_ptr<Upstream> server) {
  const std::string name = server->name();
  const auto listing = co_await list_tools(server);
  if (!listing) say(fmt::format("{}: {}", name, listing.error().message));
  listing_.erase(name);
  const auto now = upstreams_.find(name);
  if (now != upstreams_.end() && now->second != server) start_listing(now->second);
  // Whoever listed without it hears that there is more now.
  const bool was_late = listing && late_at_.erase(name) > 0;
  if (was_late && on_notice_) on_notice_(name, "notifications/tools/list_changed", "{}");
  listed_.notify();
}

asio::awaitable<void> LocalHarness::list_unknown(std::string only) {
  const SteadyTime now = clock_.steady();
  std::vector<std::string> awaited;
  for (const auto& [name, server] : upstreams_) {
    const bool wanted = only.empty() ? !is_attached(name) : name == only;
    if (!wanted || directory_.fresh_for(name) > std::chrono::milliseconds(0)) continue;
    start_listing(server);
    const auto late = late_at_.find(name);
    if (late == late_at_.end() || now - late->second > kLateFor) awaited.push_back(name);
  }
  const SteadyTime until = now + (only.empty() ? kListPatience : kOnlyListPatience);
  for (;;) {
    std::erase_if(awaited, [this](const auto& name) { return !listing_.contains(name); });
    if (awaited.empty()) co_return;
    if (co_await listed_.wait_until(until) != Woken::notified) break;
  }
  for (const auto& name : awaited) late_at_[name] = clock_.steady();
}

std::chrono::milliseconds LocalHarness::tools_fresh_for(const std::string& server) const {
  auto fresh = std::chrono::milliseconds::max();
  for (const auto& name : server.empty() ? upstreams() : std::vector{server}) {
    fresh = std::min(fresh, directory_.fresh_for(name));
  }
  return fresh;
}

asio::awaitable<Result<std::vector<ToolView>>> LocalHarness::tools(Caller caller,
                                                                   std::string server,
                                                                   HeldTools held) {
  co_await list_unknown(server);
  const auto servers = server.empty() ? upstreams() : std::vector{server};
  if (held == HeldTools::shown) {
    const auto durable = co_await pins_durable(servers);
    if (!durable) co_return std::unexpected(durable.error());
  }
  std::vector<ToolView> views;
  for (const auto& name : servers) {
    const auto listing = directory_.known(name);
    if (!listing) continue;
    for (const auto& [tool_id, tool] : *listing) {
      if (!policy_->may_ever_call(caller.principal, tool_id)) continue;
      if (held == HeldTools::hidden && standing(name, tool) != Standing::accepted) continue;
      const json::value no_arguments = json::object{};
      Call call;
      call.principal = caller.principal;
      call.tool = tool_id;
      call.arguments = &no_arguments;
      call.hints = tool.hints;
      call.now = clock_.now();
      // Without arguments there is nothing that could come from anywhere.
      call.trace = [](const auto&) { return std::vector<ArgumentOrigin>{}; };
      const Assessment assessment = policy_->assess(call);
      ToolView view;
      view.name = tool_id;
      view.toolset = public_name(name);
      view.definition = tool.definition;
      view.effect = assessment.effect;
      view.verdict = assessment.verdict;
      view.rule = assessment.rule;
      view.listed_in_catalogue = policy_->tool(tool_id) != nullptr;
      if (held == HeldTools::shown) add_trust(view, name, tool);
      views.push_back(std::move(view));
    }
  }
  co_return views;
}

}  // namespace gavel
