#include "gateway/mcp_catalogue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/text.hpp"
#include "protocol/mcp_headers.hpp"

namespace gavel {
namespace {

constexpr std::chrono::seconds kAskPatience{30};
constexpr std::chrono::seconds kMirroredFor{2};
// How long a modern client may keep a listing whose servers do not say: those of the older era
// announce changes, or change with a restart.
constexpr std::chrono::milliseconds kKeepFor{5'000};
constexpr std::size_t kOwnersMax = 65'536;

// Several tasks at once; wakes who waits for all of them.
struct Gathering {
  explicit Gathering(const asio::any_io_executor& executor) : done(executor, SteadyTime::max()) {}
  std::size_t left = 0;
  asio::steady_timer done;
};

std::string list_result(std::string_view name, json::array items, std::chrono::milliseconds ttl) {
  json::object result;
  result[name] = std::move(items);
  result["ttlMs"] = std::min(ttl, kKeepFor).count();
  return write_json(result);
}

}  // namespace

std::string McpCatalogue::full_name(std::string_view name, const std::string& server) {
  return server.empty() ? std::string(name) : tool_name(public_name(server), name);
}

asio::awaitable<Result<std::string>> McpCatalogue::list_tools(Caller caller, std::string server,
                                                              ToolTasks tasks) {
  auto tools = co_await harness_.tools(std::move(caller), server);
  if (!tools) co_return std::unexpected(tools.error());
  json::array list;
  for (auto& tool : *tools) {
    // Whatever a server makes of the call: Gavel follows it, and has tasks of its own.
    tool.definition.erase("execution");
    if (tasks == ToolTasks::offered) {
      tool.definition["execution"] = json::object{{"taskSupport", "optional"}};
    }
    if (!server.empty()) tool.definition["name"] = split_tool_name(tool.name).second;
    list.push_back(std::move(tool.definition));
  }
  // A person may log in at any moment, and then there are more.
  const auto ttl =
      waits_for_login(server) ? std::chrono::milliseconds(0) : harness_.tools_fresh_for(server);
  co_return list_result("tools", std::move(list), ttl);
}

bool McpCatalogue::waits_for_login(const std::string& server) const {
  const auto names = server.empty() ? harness_.upstreams() : std::vector{server};
  return std::ranges::any_of(names, [&](const auto& name) {
    return harness_.upstream_status(name).health == UpstreamHealth::needs_login;
  });
}

asio::awaitable<json::value> McpCatalogue::mirrored_schema(Caller caller, std::string name) {
  const std::string server(split_tool_name(name).first);
  const auto now = std::chrono::steady_clock::now();
  if (now - mirrored_[server].at > kMirroredFor) {
    const auto tools = co_await harness_.tools(std::move(caller), server);
    Mirrored seen{now, {}};
    for (const auto& tool : tools.value_or(std::vector<ToolView>{})) {
      const auto* schema = find(tool.definition, "inputSchema");
      if (schema == nullptr) continue;
      const auto annotated = param_headers_of(*schema);
      if (annotated && !annotated->empty()) seen.schemas.emplace(tool.name, *schema);
    }
    // A name that no server has is not kept.
    if (!tools || tools->empty()) {
      mirrored_.erase(server);
      co_return nullptr;
    }
    mirrored_[server] = std::move(seen);
  }
  const auto& schemas = mirrored_[server].schemas;
  const auto found = schemas.find(name);
  if (found == schemas.end()) co_return nullptr;
  co_return found->second;
}

asio::awaitable<UpstreamReply> McpCatalogue::ask(std::string server, std::string method,
                                                 std::string params, json::object meta,
                                                 CallerSide caller) {
  UpstreamRequest request;
  request.method = std::move(method);
  request.params = std::move(params);
  request.meta = std::move(meta);
  request.caller = std::move(caller);
  request.deadline = std::chrono::steady_clock::now() + kAskPatience;
  co_return co_await harness_.pass_through(server, std::move(request));
}

asio::awaitable<McpCatalogue::Listing> McpCatalogue::list_one(std::string server, Query query) {
  Listing listing{server, {}, {}, kKeepFor};
  const auto capabilities = co_await harness_.upstream_capabilities(server);
  if (!capabilities) {
    listing.error = capabilities.error();
  } else if (capabilities->contains(query.capability)) {
    auto listed = co_await harness_.list_upstream(server, query.method, query.array);
    if (listed) {
      listing.items = std::move(listed->items);
      listing.ttl = listed->ttl.value_or(kKeepFor);
    } else {
      listing.error = listed.error();
    }
  }
  if (listing.error) listing.ttl = std::chrono::milliseconds(0);
  co_return listing;
}

// The listing of one server, with its error, or of all that answer.
asio::awaitable<Result<std::vector<McpCatalogue::Listing>>> McpCatalogue::collect(
    std::string server, Query query) {
  auto servers = server.empty() ? harness_.upstreams() : std::vector<std::string>{server};
  std::vector<Listing> listings(servers.size());
  if (servers.size() == 1) {
    listings[0] = co_await list_one(servers[0], query);
  } else {
    const auto gathering = std::make_shared<Gathering>(executor_);
    const auto shared = std::make_shared<std::vector<Listing>>(servers.size());
    gathering->left = servers.size();
    for (std::size_t i = 0; i < servers.size(); ++i) {
      asio::co_spawn(executor_, list_one(servers[i], query),
                     [gathering, shared, i](std::exception_ptr failed, Listing listing) {
                       if (!failed) (*shared)[i] = std::move(listing);
                       if (--gathering->left == 0) gathering->done.cancel();
                     });
    }
    while (gathering->left > 0) {
      co_await gathering->done.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    listings = std::move(*shared);
  }
  if (!server.empty() && listings[0].error) co_return std::unexpected(*listings[0].error);
  for (const auto& listing : listings) {
    if (listing.error) harness_.left_out(listing.server, query.method, *listing.error);
  }
  co_return listings;
}

std::chrono::milliseconds McpCatalogue::ttl_of(const std::vector<Listing>& listings) {
  const auto shortest = std::ranges::min_element(listings, {}, &Listing::ttl);
  return shortest == listings.end() ? kKeepFor : shortest->ttl;
}

asio::awaitable<Result<std::string>> McpCatalogue::list_prompts(std::string server) {
  auto listings = co_await collect(server, {"prompts/list", "prompts", "prompts"});
  if (!listings) co_return std::unexpected(listings.error());
  json::array list;
  for (auto& listing : *listings) {
    for (auto& prompt : listing.items) {
      if (server.empty()) {
        prompt["name"] = tool_name(listing.server, string_or(prompt, "name"));
      }
      list.push_back(std::move(prompt));
    }
  }
  co_return list_result("prompts", std::move(list), ttl_of(*listings));
}

asio::awaitable<Result<std::string>> McpCatalogue::list_resources(std::string server) {
  auto listings = co_await collect(server, {"resources/list", "resources", "resources"});
  if (!listings) co_return std::unexpected(listings.error());
  if (server.empty()) learn(*listings, "uri", resources_);
  auto list = merged(*listings, "uri", server, resources_);
  co_return list_result("resources", std::move(list), ttl_of(*listings));
}

asio::awaitable<Result<std::string>> McpCatalogue::list_templates(std::string server) {
  auto listings =
      co_await collect(server, {"resources/templates/list", "resourceTemplates", "resources"});
  if (!listings) co_return std::unexpected(listings.error());
  if (server.empty()) learn(*listings, "uriTemplate", templates_);
  auto list = merged(*listings, "uriTemplate", server, templates_);
  co_return list_result("resourceTemplates", std::move(list), ttl_of(*listings));
}

void McpCatalogue::learn(const std::vector<Listing>& listings, std::string_view key,
                         Owners& owners) {
  Owners fresh;
  const auto add = [&](std::string_view uri, const std::string& server) {
    if (fresh.size() < kOwnersMax) fresh.emplace(uri, server);
  };
  for (const auto& listing : listings) {
    for (const auto& item : listing.items) add(string_or(item, key), listing.server);
    if (!listing.error) continue;
    // A server that does not answer now keeps what it had.
    for (const auto& [uri, owner] : owners) {
      if (owner == listing.server) add(uri, owner);
    }
  }
  owners = std::move(fresh);
}

json::array McpCatalogue::merged(std::vector<Listing>& listings, std::string_view key,
                                 const std::string& server, const Owners& owners) {
  json::array list;
  for (auto& listing : listings) {
    for (auto& item : listing.items) {
      const auto owner = owners.find(std::string(string_or(item, key)));
      const bool another =
          server.empty() && owner != owners.end() && owner->second != listing.server;
      if (!another) list.push_back(std::move(item));
    }
  }
  return list;
}

bool McpCatalogue::exists(std::string_view server) const {
  const auto names = is_attached(server) ? harness_.attached() : harness_.upstreams();
  return std::ranges::find(names, server) != names.end();
}

asio::awaitable<Result<std::string>> McpCatalogue::owner_of(std::string uri, std::string server) {
  const auto upstreams = harness_.upstreams();
  if (!server.empty()) {
    if (exists(server)) co_return server;
    co_return fail(ErrorCode::not_found, fmt::format("no server \"{}\"", server));
  }
  if (upstreams.size() == 1) co_return upstreams[0];
  for (int listed = 0; listed < 3; ++listed) {
    for (const auto* owners : {&resources_, &templates_}) {
      const auto found = owners->find(uri);
      if (found != owners->end() && exists(found->second)) co_return found->second;
    }
    if (listed == 0) co_await list_resources({});
    if (listed == 1) co_await list_templates({});
  }
  co_return fail(ErrorCode::not_found,
                 fmt::format("no server lists \"{}\"; see resources/list", for_display(uri, 200)));
}

Result<std::pair<std::string, std::string>> McpCatalogue::split_name(
    std::string_view name, const std::string& server) const {
  const auto [prefix, own] = server.empty()
                                 ? split_tool_name(name)
                                 : std::pair<std::string_view, std::string_view>(server, name);
  if (!exists(prefix)) {
    return fail(ErrorCode::not_found,
                fmt::format("no prompt \"{}\"; see prompts/list", for_display(name, 200)));
  }
  return std::pair{std::string(prefix), std::string(own)};
}

}  // namespace gavel
