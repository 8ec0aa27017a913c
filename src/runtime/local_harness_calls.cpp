// An agent's call, from arguments to answer.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/text.hpp"
#include "core/codec.hpp"
#include "policy/own_tools.hpp"
#include "protocol/json_text.hpp"
#include "protocol/mcp.hpp"
#include "runtime/answers.hpp"
#include "runtime/completion.hpp"
#include "runtime/local_harness.hpp"
#include "runtime/waiter_guard.hpp"

namespace gavel {
namespace {

Error no_server(std::string_view name, const std::vector<std::string>& servers) {
  const std::vector<std::string_view> known(servers.begin(), servers.end());
  const auto near = nearest(name, known);
  return {ErrorCode::not_found,
          fmt::format("no server \"{}\"{}", name,
                      near.empty() ? std::string("; see gavel upstreams")
                                   : fmt::format("; did you mean \"{}\"?", near))};
}

// What a further round brought belongs to its arguments: it is recorded with them, people who
// decide see it, and another answer makes another digest.
Status add_input(Propose& command, const CallRequest& request, const json::value& arguments) {
  if (find(arguments, meta::kInput) != nullptr) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("arguments cannot have the member \"{}\": Gavel records under it what "
                            "was answered to a tool's questions",
                            meta::kInput));
  }
  if (request.input.empty()) return {};
  ASSIGN_OR_RETURN(auto input, parse_json(request.input));
  json::value whole = arguments;
  whole.as_object()[meta::kInput] = std::move(input);
  command.round_of = command.digest;
  command.arguments = Payload::of(json_set(request.arguments, {{meta::kInput, request.input}}));
  command.digest = canonical_digest(whole);
  return {};
}

}  // namespace

asio::awaitable<Result<LocalHarness::FoundTool>> LocalHarness::find_tool(const LogId& session,
                                                                         const std::string& name) {
  const std::shared_ptr<Upstream> server = server_of(session, name);
  if (!server) co_return std::unexpected(no_server(split_tool_name(name).first, upstreams()));
  auto listing = directory_.known(server->name());
  if (!listing) {
    auto listed = co_await list_tools(server);
    if (!listed) co_return std::unexpected(listed.error());
    listing = *listed;
  }
  const auto tool = known_tool(*listing, name);
  if (!tool) co_return std::unexpected(tool.error());
  co_return FoundTool{listing, *tool, server->name()};
}

Result<const Tool*> LocalHarness::known_tool(const ToolListing& listing, const std::string& name) {
  const auto found = listing.find(name);
  if (found != listing.end()) return &found->second;
  std::vector<std::string_view> names;
  for (const auto& [known, tool] : listing) names.push_back(known);
  const auto near = nearest(name, names);
  return fail(ErrorCode::not_found,
              near.empty() ? fmt::format("no tool \"{}\"; list the tools first", name)
                           : fmt::format("no tool \"{}\"; did you mean \"{}\"?", name, near));
}

Status LocalHarness::check_arguments(const Tool& tool, const json::value& arguments) {
  if (!tool.input) return {};
  const auto valid = tool.input->validate(arguments);
  if (valid) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("its arguments are wrong: {}", valid.error().message));
}

Status LocalHarness::check_catalogue_of(const std::string& tool,
                                        const json::value& arguments) const {
  const auto valid = check_catalogue(*policy_, tool, arguments);
  if (valid) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("its arguments break the catalogue's schema: {}", valid.error().message));
}

asio::awaitable<std::vector<std::string>> LocalHarness::problems(LogId session, std::string tool,
                                                                 json::value arguments) {
  std::vector<std::string> found;
  if (auto valid = check_catalogue_of(tool, arguments); !valid) {
    found.push_back(std::move(valid).error().message);
  }
  const auto [toolset, own_name] = split_tool_name(tool);
  if (toolset == kOwnToolset || passed_method(own_name) != nullptr) co_return found;
  const std::shared_ptr<Upstream> server = server_of(session, tool);
  if (!server) {
    found.push_back(no_server(toolset, upstreams()).message);
    co_return found;
  }
  co_await list_unknown(server->name());
  const auto listing = directory_.known(server->name());
  if (!listing) co_return found;
  const auto known = known_tool(*listing, tool);
  const auto valid = known ? check_arguments(**known, arguments) : std::unexpected(known.error());
  if (const auto held = held_now(server->name(), *listing, tool); !held) {
    found.push_back(held.error().message);
  }
  if (!valid) found.push_back(valid.error().message);
  co_return found;
}

asio::awaitable<Result<CallAnswer>> LocalHarness::call(CallRequest request) {
  if (closing_)
    co_return fail(ErrorCode::unavailable, "gavel is stopping; call again when it is up");
  if (!request.caller.has(Role::driver)) {
    co_return fail(ErrorCode::permission_denied,
                   fmt::format("{} may not call tools: it takes the role driver",
                               request.caller.principal.value));
  }
  if (const auto healthy = log_.health(); !healthy) co_return std::unexpected(healthy.error());
  if (request.performer != Performer::gavel || request.tool == kForbiddenTool) {
    co_return co_await permit(std::move(request));
  }
  if (passed_method(split_tool_name(request.tool).second) != nullptr) {
    co_return fail(ErrorCode::not_found, fmt::format("{} is no tool", request.tool));
  }
  const auto found = co_await find_tool(request.session, request.tool);
  if (!found) co_return std::unexpected(found.error());
  const Tool& tool = *found->tool;
  if (const auto held = held_now(found->server, *found->listing, request.tool); !held) {
    co_return refusal(ErrorCode::denied, held.error().message);
  }

  const auto arguments = parse_json(request.arguments);
  if (!arguments) co_return std::unexpected(arguments.error());
  if (!arguments->is_object()) {
    co_return fail(ErrorCode::invalid_argument, "arguments must be a JSON object");
  }
  if (const auto valid = check_arguments(tool, *arguments); !valid) {
    co_return refusal(ErrorCode::invalid_argument,
                      fmt::format("{} was not called: {}", request.tool, valid.error().message));
  }
  if (auto broken = breaks_catalogue(request, *arguments)) co_return std::move(*broken);

  Call assessed;
  assessed.principal = request.caller.principal;
  assessed.session = request.session;
  assessed.tool = request.tool;
  assessed.arguments = &*arguments;
  assessed.hints = tool.hints;
  assessed.now = clock_.now();
  assessed.trace = tracer(request.session, request.tool, *arguments);
  Assessment assessment = policy_->assess(assessed);

  Propose command = command_of(request, *arguments, tool.upstream);
  if (const auto added = add_input(command, request, *arguments); !added) {
    co_return std::unexpected(added.error());
  }
  co_return co_await propose(std::move(request), std::move(command), std::move(assessment));
}

std::optional<CallAnswer> LocalHarness::breaks_catalogue(const CallRequest& request,
                                                         const json::value& arguments) const {
  const auto valid = check_catalogue_of(request.tool, arguments);
  if (valid) return std::nullopt;
  return refusal(ErrorCode::invalid_argument,
                 fmt::format("{} was not called: {}", request.tool, valid.error().message));
}

Propose LocalHarness::command_of(const CallRequest& request, const json::value& arguments,
                                 std::string toolset) {
  Propose command;
  command.requester = request.caller.principal;
  command.epoch = request.epoch.value_or(Epoch{1});
  command.tool = request.tool;
  command.toolset = std::move(toolset);
  command.arguments = Payload::of(request.arguments);
  command.digest = canonical_digest(arguments);
  command.call_id = request.call_id;
  if (!request.key.empty()) {
    command.key = request.key;
    command.key_source = KeySource::client;
  } else if (!request.call_id.empty()) {
    command.key = numbered_key(request.call_id);
    command.key_source = KeySource::call_id;
  }
  return command;
}

Status LocalHarness::open_if_new(Session& session, const Principal& agent,
                                 const std::string& client, const std::string& reason) {
  if (session.state.tail.value > 0) return {};
  const Timestamp now = clock_.now();
  ASSIGN_OR_RETURN(auto opening, decide(session.state, Open{session.id, agent, client, now}));
  TRY(sessions_.commit(session, std::move(opening), Durability::now));
  ASSIGN_OR_RETURN(auto election, decide(session.state, Elect{agent, reason, now}));
  return sessions_.commit(session, std::move(election), Durability::now);
}

asio::awaitable<void> LocalHarness::record_refusal(LogId id, CallRequest request, Error error) {
  Refusal attempt;
  attempt.who = request.caller.principal;
  attempt.claimed_epoch = request.epoch.value_or(Epoch{1});
  attempt.what = "propose " + request.tool;
  attempt.error = std::move(error);
  const auto recorded = co_await commit_and_wait(id, [&](Session& session) -> Result<Plan> {
    attempt.now = clock_.now();
    return refuse(session.state, attempt);
  });
  if (!recorded) {
    say(fmt::format("{}: a refusal is not recorded: {}", id.value, recorded.error().message));
  }
}

Result<Proposed> LocalHarness::commit_proposal(Session& session, const CallRequest& request,
                                               Propose& command) {
  for (int tries = 0;; ++tries) {
    command.now = clock_.now();
    const ControlView view = control_.view_of(session.id, command.requester, command.toolset,
                                              command.assessment.budgets);
    auto proposed = decide(session.state, view, command);
    if (!proposed) return std::unexpected(proposed.error());
    // A client may not act on leave that is not durable: only Gavel can mend what is lost then.
    const bool is_read = command.assessment.effect == Effect::read && !command.elsewhere;
    const bool deferrable = (proposed->disposition == Disposition::dispatch && is_read) ||
                            proposed->disposition == Disposition::replay ||
                            proposed->disposition == Disposition::attach;
    if (proposed->disposition != Disposition::replay &&
        proposed->disposition != Disposition::attach) {
      CallContext context;
      context.meta = request.meta;
      context.side = request.side;
      context.on_held = request.on_held;
      session.contexts[proposed->intent] = std::move(context);
    }
    const auto durability = deferrable && !proposed->joins && proposed->plan.control.empty()
                                ? Durability::deferred
                                : Durability::now;
    const auto committed = sessions_.commit(session, std::move(proposed->plan), durability);
    if (committed) return proposed;
    session.contexts.erase(proposed->intent);
    const bool again = committed.error().code == ErrorCode::conflict ||
                       committed.error().code == ErrorCode::halted;
    if (!again || tries + 1 == kDecideTries) return std::unexpected(committed.error());
  }
}

asio::awaitable<Result<CallAnswer>> LocalHarness::propose(CallRequest request, Propose command,
                                                          Assessment assessment) {
  command.assessment = std::move(assessment);
  auto loaded = sessions_.get(request.session);
  if (!loaded) co_return std::unexpected(loaded.error());
  Session& session = *loaded;
  if (const auto opened = open_if_new(session, command.requester, request.client, "first call");
      !opened) {
    co_return std::unexpected(opened.error());
  }
  const auto proposed = commit_proposal(session, request, command);
  if (!proposed) {
    if (proposed.error().code == ErrorCode::stale_epoch) {
      // The log knows before the zombie does.
      const LogId id = request.session;
      co_await record_refusal(id, std::move(request), proposed.error());
    }
    co_return std::unexpected(proposed.error());
  }
  if (request.on_intent) request.on_intent(proposed->intent);

  if (proposed->disposition == Disposition::replay) {
    co_return co_await replay(request.session, proposed->intent, command.tool, request.patience);
  }
  const auto open = session.state.open.find(proposed->intent);
  if (open != session.state.open.end() && open->second.phase == Phase::held && request.on_held) {
    // A new hold is told once it is durable, by its Notify; an old one at once, if it is.
    if (proposed->disposition == Disposition::attach && session.durable >= proposed->intent) {
      request.on_held(proposed->intent,
                      open->second.hold ? open->second.hold->reason : HoldReason::ask);
    }
  }
  if (open != session.state.open.end() && open->second.phase == Phase::unknown &&
      !session.running.contains(proposed->intent)) {
    // Nobody is finding out: say so now instead of at the end of the caller's patience.
    co_return co_await once_durable(session, proposed->intent,
                                    lost_answer(session.id, open->second));
  }
  Callbacks callbacks = Callbacks::own;
  if (proposed->disposition == Disposition::attach) {
    // Where whoever asked first is gone, the one who asks again hears of it, and is asked.
    CallContext context{request.meta, request.side, request.on_held};
    const bool taken = session.contexts.try_emplace(proposed->intent, std::move(context)).second;
    if (!taken) callbacks = Callbacks::of_another;
  }
  co_return co_await wait_for_answer(request.session, proposed->intent, request.patience,
                                     callbacks);
}

asio::awaitable<CallAnswer> LocalHarness::wait_for_answer(LogId id, IntentId intent,
                                                          SteadyTime patience, Callbacks callbacks,
                                                          Leaving leaving) {
  asio::steady_timer wake(executor_, patience);
  Waiter waiter;
  waiter.wake = &wake;
  const WaiterGuard guard(sessions_, id, intent, waiter, callbacks);
  const auto [cut] = co_await wake.async_wait(asio::as_tuple(asio::use_awaitable));
  if (!waiter.answer && !cut) {
    // What is not durable yet is not told, not even that it waits (I5).
    const auto durable = co_await durable_to(id, intent);
    if (!durable) co_return undurable_answer(id, intent, durable.error().code);
  }
  if (waiter.answer) co_return std::move(*waiter.answer);
  if (cut && leaving == Leaving::ends_it) leave(id, intent);
  Session* session = sessions_.find(id);
  // Another driver's entry may stand where a read was to be recorded.
  if (session != nullptr && sessions_.catch_up(*session)) {
    const auto open = session->state.open.find(intent);
    if (open != session->state.open.end()) co_return pending_answer(id, open->second);
  }
  // It is settled, but not durable yet.
  if (!cut) co_return undurable_answer(id, intent, ErrorCode::timeout);
  co_return refusal(ErrorCode::cancelled,
                    fmt::format("{} is not waited for any more", intent_name(id, intent)));
}

asio::awaitable<CallAnswer> LocalHarness::once_durable(const Session& session, IntentId intent,
                                                       CallAnswer answer) {
  const LogId id = session.id;
  const auto durable = co_await durable_to(id, session.sequenced);
  if (!durable) co_return undurable_answer(id, intent, durable.error().code);
  co_return answer;
}

asio::awaitable<Result<CallAnswer>> LocalHarness::replay(LogId id, IntentId intent,
                                                         std::string tool, SteadyTime patience) {
  auto loaded = sessions_.get(id);
  if (!loaded) co_return std::unexpected(loaded.error());
  const State& state = loaded->get().state;
  const Position position = state.keys.at(state.key_of.at(intent)).answer;
  // What is not durable yet is not told (I5).
  const Position told = std::max(position, loaded->get().sequenced);
  const auto durable = co_await wait_for(id, told, patience);
  if (!durable) co_return std::unexpected(durable.error());
  const auto stored = log_.read(id, position, ReadLimits{.entries = 1});
  if (!stored) co_return std::unexpected(stored.error());
  if (*durable < told || stored->empty()) {
    co_return fail(ErrorCode::timeout, "the store does not answer; call again");
  }
  const auto entry = decode(stored->front().position, stored->front().bytes);
  if (!entry) co_return std::unexpected(entry.error());
  std::string result;
  if (const auto* outcome = std::get_if<Outcome>(&entry->body)) {
    auto bytes = payload(outcome->result);
    if (!bytes) co_return std::unexpected(bytes.error());
    result = std::move(*bytes);
  }
  CallAnswer answer = answer_of(id, tool, *entry, std::move(result));
  answer.replayed = true;
  co_return answer;
}

void LocalHarness::delivered(const LogId& id, IntentId intent) {
  Session* session = sessions_.find(id);
  if (session == nullptr || intent.value == 0) return;
  Plan plan = mark_delivered(session->state, intent, clock_.now());
  if (!plan.entries.empty())
    (void)sessions_.commit(*session, std::move(plan), Durability::deferred);
}

}  // namespace gavel
