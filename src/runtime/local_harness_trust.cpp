// Which definitions of tools are accepted: pins at first sight, and what people say.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/local_harness.hpp"

namespace gavel {
namespace {

// Entries of one append; each may carry a definition.
constexpr std::size_t kPinsAtOnce = 64;
// A longer name is for a person to accept.
constexpr std::size_t kPinnedNameMax = 256;
const Principal kPinner{"gavel"};

}  // namespace

asio::awaitable<Result<std::shared_ptr<const ToolListing>>> LocalHarness::list_tools(
    std::shared_ptr<Upstream> server) {
  std::shared_ptr<const Policy> policy;
  Result<std::shared_ptr<const ToolListing>> listing;
  do {
    policy = policy_;
    listing = co_await directory_.list(*server, *policy);
    if (!listing) co_return listing;
    const auto now = upstreams_.find(server->name());
    const bool is_former = now == upstreams_.end() || now->second != server;
    if (is_former || policy != policy_) directory_.forget(server->name());
    if (is_former) {
      co_return fail(ErrorCode::unavailable,
                     fmt::format("server {} is another one now; call again", server->name()));
    }
  } while (policy != policy_);
  if (const auto pinned = pin_unseen(server->name(), **listing); !pinned) {
    say(fmt::format("{}: its tools are not pinned: {}", server->name(), pinned.error().message));
  }
  co_return listing;
}

Status LocalHarness::pin_unseen(const std::string& server, const ToolListing& listing) {
  const auto rules = trust_.find(server);
  if (rules == trust_.end()) return {};
  const TrustRules& trust = rules->second;
  ControlState& state = control_.state(trust.pins);
  const bool may_pin =
      trust.mode == Pins::first_use || (trust.mode == Pins::first_list && state.pins.empty());
  if (!may_pin) return {};
  std::vector<Entry> entries;
  const auto append = [&] {
    Status done;
    if (!entries.empty()) done = control_.append(state, std::move(entries), random_, [](Status) {});
    entries.clear();
    return done;
  };
  for (const auto& [name, tool] : listing) {
    if (holds(trust.flags, tool.flags) || tool.upstream_name.size() > kPinnedNameMax) continue;
    PinTool command;
    command.by = kPinner;
    command.role = Role::decider;
    command.tool = tool.upstream_name;
    command.digest = tool.digest;
    command.definition = Payload::of(tool.pinned);
    command.now = clock_.now();
    auto pinned = decide(state, command);
    if (!pinned) continue;  // it was seen before, or there is no room
    entries.push_back(std::move(pinned->front()));
    if (entries.size() == kPinsAtOnce) TRY(append());
  }
  return append();
}

asio::awaitable<Status> LocalHarness::pins_durable(std::vector<std::string> servers) {
  for (const auto& server : servers) {
    const auto rules = trust_.find(server);
    if (rules == trust_.end()) continue;
    const LogId pins = rules->second.pins;
    const auto durable = co_await durable_to(pins, control_.state(pins).tail);
    if (!durable) co_return durable;
  }
  co_return Status{};
}

const ToolPin* LocalHarness::pin_of(const std::string& server, const Tool& tool) const {
  const auto rules = trust_.find(server);
  if (rules == trust_.end()) return nullptr;
  const auto state = control_.states().find(rules->second.pins);
  if (state == control_.states().end()) return nullptr;
  const auto pin = state->second.pins.find(tool.upstream_name);
  return pin == state->second.pins.end() ? nullptr : &pin->second;
}

Standing LocalHarness::standing(const std::string& server, const Tool& tool) const {
  const auto rules = trust_.find(server);
  if (rules == trust_.end()) return Standing::refused;
  return standing_of(rules->second, pin_of(server, tool), tool.digest, tool.flags);
}

Status LocalHarness::held_now(const std::string& server, const ToolListing& listing,
                              const std::string& tool) const {
  const auto known = listing.find(tool);
  if (known == listing.end()) return {};
  const auto now = standing(server, known->second);
  if (now == Standing::accepted) return {};
  return fail(ErrorCode::denied, held_text(now, tool));
}

void LocalHarness::add_trust(ToolView& view, const std::string& server, const Tool& tool) const {
  view.server = server;
  view.upstream_name = tool.upstream_name;
  view.standing = standing(server, tool);
  view.digest = tool.digest;
  view.pinned = tool.pinned;
  view.flags = tool.flags;
  const auto rules = trust_.find(server);
  if (rules == trust_.end()) return;
  view.pin_log = rules->second.pins;
  if (rules->second.flags == FlagMode::off) view.flags.clear();
  if (const ToolPin* pin = pin_of(server, tool)) view.pin = *pin;
}

asio::awaitable<Status> LocalHarness::judge_tool(ToolJudgement judgement, Caller caller) {
  if (!caller.has(Role::approver) && !caller.has(Role::admin)) {
    co_return fail(ErrorCode::permission_denied,
                   "accepting or refusing a tool takes the role approver or admin");
  }
  const auto rules = trust_.find(judgement.server);
  const auto listing = directory_.known(judgement.server);
  if (rules == trust_.end() || !listing) {
    co_return fail(ErrorCode::not_found,
                   fmt::format("no server \"{}\" lists its tools now", judgement.server));
  }
  const auto found = listing->find(judgement.tool);
  if (found == listing->end()) {
    co_return fail(ErrorCode::not_found, fmt::format("no tool \"{}\"", judgement.tool));
  }
  const Tool& tool = found->second;
  if (tool.digest != judgement.digest) {
    co_return fail(ErrorCode::conflict,
                   fmt::format("{} has another definition now ({}); look again with: gavel tools "
                               "diff {}",
                               judgement.tool, tool.digest.short_hex(), judgement.tool));
  }
  const Role role = caller.has(Role::approver) ? Role::approver : Role::admin;
  const auto decide_entries = [&](const ControlState& state) -> Result<std::vector<Entry>> {
    if (judgement.accept) {
      return decide(state, PinTool{caller.principal, role, tool.upstream_name, tool.digest,
                                   Payload::of(tool.pinned), clock_.now()});
    }
    return decide(state, RefuseTool{caller.principal, role, tool.upstream_name, tool.digest,
                                    judgement.reason, clock_.now()});
  };
  const auto done = co_await change_control(rules->second.pins, decide_entries);
  // Whoever listed its tools hears that there are others now.
  if (done && on_notice_) on_notice_(judgement.server, "notifications/tools/list_changed", "{}");
  co_return done;
}

}  // namespace gavel
