// Votes, halts, servers and policy.
#include <fmt/format.h>

#include "base/text.hpp"
#include "gateway/api.hpp"
#include "gateway/api_query.hpp"

namespace gavel {
namespace {

Timestamp now() {
  return Timestamp{
      std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
          .count()};
}

std::optional<bool> hint(const json::object* annotations, std::string_view name) {
  if (annotations == nullptr) return std::nullopt;
  const auto* value = annotations->if_contains(name);
  if (value == nullptr || !value->is_bool()) return std::nullopt;
  return value->get_bool();
}

ToolHints hints_of(const json::object& definition) {
  const auto* annotations = find_object(definition, "annotations");
  return {hint(annotations, "readOnlyHint"), hint(annotations, "destructiveHint"),
          hint(annotations, "idempotentHint")};
}

}  // namespace

asio::awaitable<Api::Answer> Api::vote(Request& request) {
  const LogId session{request.parameters[0]};
  const auto intent = parse_intent(request.parameters[1]);
  if (!intent) co_return std::unexpected(intent.error());
  const auto& body = *request.body;
  const auto verdict = string_or(body, "verdict");
  if (verdict != "allow" && verdict != "deny") {
    co_return fail(ErrorCode::invalid_argument, "\"verdict\" must be \"allow\" or \"deny\"");
  }
  const auto digest = digest_from_hex(string_or(body, "digest"));
  if (!digest) {
    co_return fail(
        ErrorCode::invalid_argument,
        "\"digest\" must be the 64 hex digits that GET /v1/pending shows: a vote binds to "
        "the arguments that were seen");
  }
  CastVote vote;
  vote.intent = *intent;
  vote.voter = request.caller.principal;
  vote.role = Role::approver;
  vote.verdict = verdict == "allow" ? Verdict::allow : Verdict::deny;
  vote.reason = std::string(string_or(body, "reason"));
  vote.digest = *digest;
  vote.now = now();
  if (const auto done = co_await harness_.vote(session, std::move(vote), request.caller); !done) {
    co_return std::unexpected(done.error());
  }
  co_return co_await session_answer(session);
}

asio::awaitable<Api::Answer> Api::resolve(Request& request) {
  const LogId session{request.parameters[0]};
  const auto intent = parse_intent(request.parameters[1]);
  if (!intent) co_return std::unexpected(intent.error());
  const auto kind = string_or(*request.body, "kind");
  if (kind != "ok" && kind != "failed") {
    co_return fail(ErrorCode::invalid_argument,
                   "\"kind\" must be \"ok\" (it happened) or \"failed\" (it did not)");
  }
  Resolve resolve;
  resolve.intent = *intent;
  resolve.resolver = request.caller.principal;
  resolve.kind = kind == "ok" ? OutcomeKind::ok : OutcomeKind::failed;
  resolve.reason = std::string(string_or(*request.body, "reason"));
  resolve.now = now();
  if (const auto done = co_await harness_.resolve(session, std::move(resolve), request.caller);
      !done) {
    co_return std::unexpected(done.error());
  }
  co_return co_await session_answer(session);
}

asio::awaitable<Api::Answer> Api::pending(Request&) {
  auto found = co_await harness_.pending();
  if (!found) co_return std::unexpected(found.error());
  json::array list;
  for (const auto& view : *found) list.push_back(pending_json(view, payload_reader()));
  co_return write_json(json::object{{"pending", std::move(list)}});
}

asio::awaitable<Api::Answer> Api::halts(Request&) {
  json::array list;
  for (const auto& view : harness_.halts()) list.push_back(halt_json(view));
  co_return write_json(json::object{{"halts", std::move(list)}});
}

asio::awaitable<Api::Answer> Api::raise_halt(Request& request) {
  if (auto known = check_members(*request.body, {"scope", "mode", "reason"}); !known) {
    co_return std::unexpected(known.error());
  }
  const auto mode = string_or(*request.body, "mode", "halt");
  if (mode != "halt" && mode != "freeze") {
    co_return fail(ErrorCode::invalid_argument, "\"mode\" must be \"halt\" or \"freeze\"");
  }
  const auto done =
      co_await harness_.halt(std::string(string_or(*request.body, "scope", "everything")),
                             mode == "halt" ? HaltMode::halt : HaltMode::freeze,
                             std::string(string_or(*request.body, "reason")), request.caller);
  if (!done) co_return std::unexpected(done.error());
  co_return co_await halts(request);
}

asio::awaitable<Api::Answer> Api::resume(Request& request) {
  if (auto known = check_members(*request.body, {"scope", "reason"}); !known) {
    co_return std::unexpected(known.error());
  }
  const auto done =
      co_await harness_.resume(std::string(string_or(*request.body, "scope", "everything")),
                               std::string(string_or(*request.body, "reason")), request.caller);
  if (!done) co_return std::unexpected(done.error());
  co_return co_await halts(request);
}

asio::awaitable<Api::Answer> Api::upstreams(Request&) {
  json::array list;
  auto names = harness_.upstreams();
  for (auto& name : harness_.attached()) names.push_back(std::move(name));
  for (const auto& name : names) {
    list.push_back(upstream_json(name, harness_.upstream_status(name)));
  }
  co_return write_json(json::object{{"upstreams", std::move(list)}});
}

asio::awaitable<Api::Answer> Api::policy(Request&) {
  const auto policy = harness_.policy();
  if (!policy) co_return fail(ErrorCode::not_found, "no policy is in force");
  co_return write_json(json::object{{"version", policy->version()}, {"source", policy->source()}});
}

asio::awaitable<Api::Answer> Api::reload(Request& request) {
  if (auto known = check_members(*request.body, {}); !known) {
    co_return std::unexpected(known.error());
  }
  if (!options_.load_policy) co_return fail(ErrorCode::unsupported, "there is no file to read");
  auto policy = options_.load_policy();
  if (!policy) co_return std::unexpected(policy.error());
  const auto change = co_await harness_.adopt(std::move(*policy), request.caller);
  if (!change) co_return std::unexpected(change.error());
  co_return write_json(policy_change_json(*change));
}

asio::awaitable<Api::Answer> Api::explain(Request& request) {
  const auto policy = harness_.policy();
  if (!policy) co_return fail(ErrorCode::not_found, "no policy is in force");
  const auto& body = *request.body;
  Call call;
  call.tool = std::string(string_or(body, "tool"));
  if (call.tool.empty()) {
    co_return fail(ErrorCode::invalid_argument, "\"tool\" is missing: such as \"pg__query\"");
  }
  call.principal =
      Principal{std::string(string_or(body, "principal", request.caller.principal.value))};
  call.session = LogId{std::string(string_or(body, "session"))};
  call.now = now();
  const json::value no_arguments = json::object{};
  const auto* arguments = find(body, "arguments");
  if (arguments != nullptr && !arguments->is_object()) {
    co_return fail(ErrorCode::invalid_argument, "\"arguments\" must be a JSON object");
  }
  call.arguments = arguments != nullptr ? arguments : &no_arguments;
  call.trace = harness_.tracer(call.session, call.tool, *call.arguments);
  // What the server says of its tool counts too, where it is known.
  if (const auto tools = co_await harness_.tools(
          request.caller, std::string(split_tool_name(call.tool).first), HeldTools::shown)) {
    for (const auto& tool : *tools) {
      if (tool.name == call.tool) call.hints = hints_of(tool.definition);
    }
  }
  auto explanation = explanation_json(policy->explain(call));
  json::array problems;
  for (auto& problem : co_await harness_.problems(call.session, call.tool, *call.arguments)) {
    problems.emplace_back(std::move(problem));
  }
  explanation["problems"] = std::move(problems);
  co_return write_json(explanation);
}

}  // namespace gavel
