#include "runtime/tool_directory.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/tool_trust.hpp"

namespace gavel {
namespace {

constexpr auto kListTimeout = std::chrono::seconds(30);

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

Error reply_error(const Upstream& upstream, const UpstreamReply& reply) {
  if (reply.delivery != Delivery::answered) return reply.error;
  return {ErrorCode::unavailable,
          fmt::format("{} refused tools/list: {}", upstream.name(), reply.rpc_error)};
}

}  // namespace

std::shared_ptr<const ToolListing> ToolDirectory::known(const std::string& upstream) const {
  const auto found = listings_.find(upstream);
  return found == listings_.end() ? nullptr : found->second;
}

asio::awaitable<Result<std::shared_ptr<const ToolListing>>> ToolDirectory::list(
    Upstream& upstream, const Policy& policy) {
  const std::string name = upstream.name();
  if (auto listing = known(name)) co_return listing;
  auto listing = std::make_shared<ToolListing>();
  std::string cursor;
  for (std::size_t page = 0; page < kToolPagesMax; ++page) {
    UpstreamRequest request;
    request.method = "tools/list";
    request.params = cursor.empty() ? "{}" : write_json(json::object{{"cursor", cursor}});
    request.deadline = clock_.steady() + kListTimeout;
    const UpstreamReply reply = co_await upstream.request(std::move(request));
    if (reply.delivery != Delivery::answered || reply.result.empty()) {
      co_return std::unexpected(reply_error(upstream, reply));
    }
    const auto result = parse_json(reply.result);
    if (!result) co_return std::unexpected(result.error());
    const auto* tools = find_array(*result, "tools");
    if (tools == nullptr) {
      co_return fail(ErrorCode::unavailable,
                     fmt::format("{} answered tools/list without a list of tools", name));
    }
    for (const auto& tool : *tools) {
      if (!tool.is_object() || string_or(tool, "name").empty()) continue;
      Tool made = make_tool(name, tool.get_object(), policy);
      listing->insert_or_assign(made.name, std::move(made));
    }
    if (listing->size() > kToolsPerUpstreamMax) {
      co_return fail(ErrorCode::too_large,
                     fmt::format("{} lists more than {} tools", name, kToolsPerUpstreamMax));
    }
    cursor = string_or(*result, "nextCursor");
    if (cursor.empty()) {
      listings_[name] = listing;
      co_return listing;
    }
  }
  co_return fail(ErrorCode::too_large, fmt::format("{} pages its tools without end (over {} pages)",
                                                   name, kToolPagesMax));
}

}  // namespace gavel
