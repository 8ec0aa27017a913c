// Tools, and which of their definitions are accepted.
#include <fmt/format.h>

#include "base/text.hpp"
#include "gateway/api.hpp"
#include "policy/tool_flags.hpp"

namespace gavel {
namespace {

// Only who could decide about held tools sees them.
HeldTools held_for(const Caller& caller) {
  const bool looks_after =
      caller.has(Role::approver) || caller.has(Role::admin) || caller.has(Role::observer);
  return looks_after ? HeldTools::shown : HeldTools::hidden;
}

// What only shows among the tools of several servers.
void add_flags_among(std::map<std::string, ToolView>& tools) {
  std::vector<NamedTool> named;
  for (const auto& [name, tool] : tools) {
    named.push_back({tool.toolset, tool.upstream_name, string_or(tool.definition, "description")});
  }
  auto flags = flags_among(named);
  std::size_t i = 0;
  for (auto& [name, tool] : tools) {
    for (auto& flag : flags[i++]) tool.flags.push_back(std::move(flag));
  }
}

}  // namespace

asio::awaitable<Result<std::map<std::string, ToolView>>> Api::all_tools(Caller caller) {
  const auto held = held_for(caller);
  auto found = co_await harness_.tools(caller, {}, held);
  if (!found) co_return std::unexpected(found.error());
  std::map<std::string, ToolView> tools;
  for (auto& tool : *found) tools.emplace(tool.name, std::move(tool));
  for (const auto& server : harness_.attached()) {
    found = co_await harness_.tools(caller, server, held);
    if (!found) co_return std::unexpected(found.error());
    for (auto& tool : *found) tools.emplace(tool.name, std::move(tool));
  }
  if (held == HeldTools::shown) add_flags_among(tools);
  co_return tools;
}

asio::awaitable<Result<ToolView>> Api::tool_named(Caller caller, std::string name) {
  auto tools = co_await all_tools(std::move(caller));
  if (!tools) co_return std::unexpected(tools.error());
  const auto found = tools->find(name);
  if (found != tools->end()) co_return std::move(found->second);
  std::vector<std::string_view> names;
  for (const auto& [known, tool] : *tools) names.push_back(known);
  const auto near = nearest(std::string_view(name).substr(0, 200), names);
  co_return fail(ErrorCode::not_found,
                 fmt::format("no tool \"{}\"{}", for_display(name, 200),
                             near.empty() ? std::string("; see gavel tools")
                                          : fmt::format("; did you mean \"{}\"?", near)));
}

asio::awaitable<Api::Answer> Api::tools(Request& request) {
  const auto tools = co_await all_tools(request.caller);
  if (!tools) co_return std::unexpected(tools.error());
  json::array list;
  for (const auto& [name, tool] : *tools) list.push_back(tool_json(tool));
  co_return write_json(json::object{{"tools", std::move(list)}});
}

asio::awaitable<Api::Answer> Api::tool(Request& request) {
  const auto tool = co_await tool_named(request.caller, request.parameters[0]);
  if (!tool) co_return std::unexpected(tool.error());
  auto answer = tool_json(*tool);
  auto says = parse_json(tool->pinned);
  answer["says"] = says ? std::move(*says) : json::value(nullptr);
  answer["said"] = nullptr;
  if (tool->pin.digest.is_zero()) co_return write_json(answer);
  const auto entries = co_await harness_.entries(tool->pin_log, tool->pin.position, 1);
  if (!entries) co_return std::unexpected(entries.error());
  const auto* pinned = entries->empty() ? nullptr : std::get_if<ToolPinned>(&entries->front().body);
  if (pinned != nullptr) answer["said"] = to_json(pinned->definition, payload_reader());
  co_return write_json(answer);
}

asio::awaitable<Api::Answer> Api::accept_tool(Request& request) {
  co_return co_await judge_tool(request, true);
}

asio::awaitable<Api::Answer> Api::refuse_tool(Request& request) {
  co_return co_await judge_tool(request, false);
}

asio::awaitable<Api::Answer> Api::judge_tool(Request& request, bool accept) {
  const auto digest = digest_from_hex(string_or(*request.body, "digest"));
  if (!digest) {
    co_return fail(ErrorCode::invalid_argument,
                   "\"digest\" must be the 64 hex digits that GET /v1/tools shows: what is said of "
                   "a tool binds to the definition that was seen");
  }
  auto tool = co_await tool_named(request.caller, request.parameters[0]);
  if (!tool) co_return std::unexpected(tool.error());
  ToolJudgement judgement;
  judgement.server = tool->server;
  judgement.tool = tool->name;
  judgement.digest = *digest;
  judgement.accept = accept;
  judgement.reason = std::string(string_or(*request.body, "reason"));
  const auto done = co_await harness_.judge_tool(std::move(judgement), request.caller);
  if (!done) co_return std::unexpected(done.error());
  tool = co_await tool_named(request.caller, request.parameters[0]);
  if (!tool) co_return std::unexpected(tool.error());
  co_return write_json(tool_json(*tool));
}

}  // namespace gavel
