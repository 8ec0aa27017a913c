#include "runtime/tool_directory.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/tool_trust.hpp"
#include "runtime/upstream_listing.hpp"

namespace gavel {
namespace {

std::optional<bool> hint(const json::object& annotations, std::string_view key) {
  const auto* value = annotations.if_contains(json::string_view(key.data(), key.size()));
  if (value == nullptr || !value->is_bool()) return std::nullopt;
  return value->get_bool();
}

std::optional<JsonSchema> compile(const json::value* schema, std::string_view which,
                                  std::string& problem) {
  if (schema == nullptr || schema->is_null()) return std::nullopt;
  auto compiled = JsonSchema::compile(*schema);
  if (compiled) return std::move(*compiled);
  problem = fmt::format("{} is not checked: {}", which, compiled.error().message);
  return std::nullopt;
}

std::uint64_t result_limit(const std::string& upstream, const ToolSpec* tool,
                           const Policy& policy) {
  if (tool != nullptr && tool->result_limit) return *tool->result_limit;
  const auto& servers = policy.servers();
  const auto server = std::ranges::find(servers, upstream, &ServerSpec::name);
  return server == servers.end() ? kResultLimit : server->result_limit;
}

Tool make_tool(const std::string& upstream, const json::object& definition, const Policy& policy) {
  Tool tool;
  const json::value as_value = definition;
  tool.upstream = public_name(upstream);
  tool.upstream_name = string_or(as_value, "name");
  tool.name = tool_name(tool.upstream, tool.upstream_name);
  tool.definition = definition;
  tool.definition["name"] = tool.name;
  tool.pinned = canonical_json(pinned_part(definition));
  tool.digest = sha256(tool.pinned);
  tool.flags = flags_of(definition);
  if (const auto* annotations = find_object(as_value, "annotations")) {
    tool.hints.read_only = hint(*annotations, "readOnlyHint");
    tool.hints.destructive = hint(*annotations, "destructiveHint");
    tool.hints.idempotent = hint(*annotations, "idempotentHint");
  }
  const ToolSpec* spec = policy.tool(tool.name);
  tool.result_limit = result_limit(upstream, spec, policy);
  tool.input = compile(find(as_value, "inputSchema"), "inputSchema", tool.schema_problem);
  if (spec != nullptr && spec->output_schema) {
    tool.output = compile(&*spec->output_schema, "output_schema", tool.schema_problem);
  } else {
    tool.output = compile(find(as_value, "outputSchema"), "outputSchema", tool.schema_problem);
  }
  return tool;
}

}  // namespace

std::shared_ptr<const ToolListing> ToolDirectory::known(const std::string& upstream) const {
  const auto found = listings_.find(upstream);
  return found == listings_.end() ? nullptr : found->second.listing;
}

std::chrono::milliseconds ToolDirectory::fresh_for(const std::string& upstream) const {
  const auto found = listings_.find(upstream);
  if (found == listings_.end()) return {};
  if (found->second.until == SteadyTime::max()) return std::chrono::milliseconds::max();
  const auto left = found->second.until - clock_.steady();
  return std::max(std::chrono::floor<std::chrono::milliseconds>(left),
                  std::chrono::milliseconds(0));
}

asio::awaitable<Result<std::shared_ptr<const ToolListing>>> ToolDirectory::list(
    Upstream& upstream, const Policy& policy) {
  const std::string name = upstream.name();
  if (fresh_for(name) > std::chrono::milliseconds(0)) co_return known(name);
  const auto listed = co_await list_all(upstream, clock_, "tools/list", "tools");
  if (!listed) co_return std::unexpected(listed.error());
  auto listing = std::make_shared<ToolListing>();
  for (const auto& tool : listed->items) {
    if (string_or(tool, "name").empty()) continue;
    Tool made = make_tool(name, tool, policy);
    listing->insert_or_assign(made.name, std::move(made));
  }
  listings_[name] = {listing, listed->ttl ? clock_.steady() + *listed->ttl : SteadyTime::max()};
  co_return listing;
}

}  // namespace gavel
