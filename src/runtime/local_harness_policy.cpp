// The policy in force: recorded where it is new, and exchanged while calls go on.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runtime/completion.hpp"
#include "runtime/local_harness.hpp"

namespace gavel {
namespace {

constexpr std::chrono::milliseconds kRetireStep{50};

const ServerSpec* find_server(const Policy& policy, std::string_view name) {
  for (const auto& spec : policy.servers()) {
    if (spec.name == name) return &spec;
  }
  return nullptr;
}

}  // namespace

Status LocalHarness::record_policy(const Policy& policy, OnDurable on_durable) {
  ControlState& state = control_.state(kEverything);
  if (state.policy_version == policy.version()) {
    on_durable({});
    return {};
  }
  PolicyActivated activated;
  activated.version = policy.version();
  activated.source = Payload::of(policy.source());
  Entry entry;
  entry.at = clock_.now();
  entry.author = Principal{"gavel"};
  entry.role = Role::admin;
  entry.body = std::move(activated);
  return control_.append(state, {std::move(entry)}, random_, std::move(on_durable));
}

asio::awaitable<Result<PolicyChange>> LocalHarness::adopt(std::shared_ptr<const Policy> policy,
                                                          Caller caller) {
  if (!caller.has(Role::admin)) {
    co_return fail(ErrorCode::permission_denied, "changing the policy takes the role admin");
  }
  if (closing_) co_return fail(ErrorCode::unavailable, "gavel is stopping");
  if (const auto healthy = log_.health(); !healthy) co_return std::unexpected(healthy.error());
  auto completion = std::make_shared<Completion>(executor_);
  Status recorded;
  for (int tries = 0; tries < kDecideTries; ++tries) {
    recorded = record_policy(*policy, [completion, executor = executor_](Status status) {
      asio::post(executor, [completion, status = std::move(status)]() mutable {
        completion->complete(std::move(status));
      });
    });
    if (recorded || recorded.error().code != ErrorCode::conflict) break;
    if (const auto fresh = control_.refresh(kEverything); !fresh) {
      co_return std::unexpected(fresh.error());
    }
  }
  if (!recorded) co_return std::unexpected(recorded.error());
  // In the turn of the append: what is decided from here on stands behind it in the log.
  PolicyChange change = exchange_policy(std::move(policy));
  const auto durable = co_await wait_durable(std::move(completion));
  if (!durable) co_return std::unexpected(durable.error());
  say(fmt::format("policy {} is in force; before it was {}", change.after.substr(0, 12),
                  change.before.substr(0, 12)));
  co_return change;
}

PolicyChange LocalHarness::exchange_policy(std::shared_ptr<const Policy> policy) {
  const auto before = std::exchange(policy_, std::move(policy));
  PolicyChange change;
  change.before = before->version();
  change.after = policy_->version();
  change.takes_restart = differences(started_with_, policy_->daemon());
  if (change.before == change.after) return change;

  std::vector<std::string> told;
  for (const auto& spec : before->servers()) {
    if (spec.name == kOwnToolset || find_server(*policy_, spec.name) != nullptr) continue;
    change.removed.push_back(spec.name);
    drop_upstream(spec.name);
    trust_.erase(spec.name);
    told.push_back(spec.name);
  }
  for (const auto& spec : policy_->servers()) {
    if (spec.name == kOwnToolset) continue;
    told.push_back(spec.name);
    const ServerSpec* old = find_server(*before, spec.name);
    if (old != nullptr && *old == spec) continue;
    (old == nullptr ? change.added : change.changed).push_back(spec.name);
    if (old != nullptr && same_connection(*old, spec)) {
      trust_[spec.name] = trust_rules(spec);
      directory_.forget(spec.name);
    } else {
      if (old != nullptr) drop_upstream(spec.name);
      add_upstream(spec);
    }
    start_listing(upstreams_.at(spec.name));
  }
  // Other rules list other tools.
  for (const auto& name : told) {
    if (on_notice_) on_notice_(name, "notifications/tools/list_changed", "{}");
  }
  return change;
}

void LocalHarness::drop_upstream(const std::string& name) {
  const auto found = upstreams_.find(name);
  if (found == upstreams_.end()) return;
  retiring_.push_back(found->second);
  spawn(retire(found->second), "closing the former server " + name);
  upstreams_.erase(found);
  directory_.forget(name);
  late_at_.erase(name);
}

asio::awaitable<void> LocalHarness::retire(std::shared_ptr<Upstream> server) {
  // This and `retiring_` hold it, and whoever it still works for.
  while (server.use_count() > 2 && !closing_) {
    asio::steady_timer pause(executor_, kRetireStep);
    co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (std::erase(retiring_, server) > 0) co_await server->close();
}

}  // namespace gavel
