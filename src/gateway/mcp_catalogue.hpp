#pragma once
// What all upstreams offer, as one MCP server: tools and prompts under prefixed names
// ("pg__query"), resources under their own URIs. With one server named, its names are plain.
// Upstreams are asked at the same time, each for all of its pages; one that does not answer, or
// whose pages have no end, is left out of a listing of several, so that a bad server does not take
// the others along. A listing is answered whole, and says how long it may be kept: as long as the
// server that lets it be kept the shortest says, and not at all while one is left out.
//
// Where a resource lives is learnt from the listings of all servers and kept. Of a URI that several
// list, the first of them by name has it; the others' are seen with ?server= alone.

#include <boost/asio/any_io_executor.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.hpp"
#include "runtime/harness.hpp"

namespace gavel {

// Whether a list of tools says that each may be called as a task of the legacy form.
enum class ToolTasks { hidden, offered };

class McpCatalogue {
public:
  // `harness` must outlive this.
  McpCatalogue(asio::any_io_executor executor, Harness& harness)
      : executor_(std::move(executor)), harness_(harness) {}

  // Each returns the JSON text of the listing's result. `server` is empty for all.
  asio::awaitable<Result<std::string>> list_tools(Caller caller, std::string server,
                                                  ToolTasks tasks = ToolTasks::hidden);
  asio::awaitable<Result<std::string>> list_prompts(std::string server);
  asio::awaitable<Result<std::string>> list_resources(std::string server);
  asio::awaitable<Result<std::string>> list_templates(std::string server);

  // The upstream that has the resource; not_found where none lists it.
  asio::awaitable<Result<std::string>> owner_of(std::string uri, std::string server);

  // {server, the server's own name} of a prefixed prompt name; not_found where no server fits.
  Result<std::pair<std::string, std::string>> split_name(std::string_view name,
                                                         const std::string& server) const;
  // Gavel's name of a tool that the client calls `name`.
  static std::string full_name(std::string_view name, const std::string& server);

  // The inputSchema of a tool, by Gavel's name, whose arguments are mirrored in headers
  // (x-mcp-header); null where it has none or is unknown. What was looked up is kept for a while.
  asio::awaitable<json::value> mirrored_schema(Caller caller, std::string name);

  // Sends one request and waits for its answer. `params` has no _meta.
  asio::awaitable<UpstreamReply> ask(std::string server, std::string method, std::string params,
                                     json::object meta, CallerSide caller = {});

private:
  // Whether this server, or one of all, lists nothing before a person has logged in.
  bool waits_for_login(const std::string& server) const;
  struct Listing {
    std::string server;
    std::vector<json::object> items;
    std::optional<Error> error;
    std::chrono::milliseconds ttl{0};  // how long it may be kept
  };
  struct Query {
    std::string method;      // "prompts/list"
    std::string array;       // "prompts"
    std::string capability;  // "prompts"
  };
  asio::awaitable<Result<std::vector<Listing>>> collect(std::string server, Query query);
  asio::awaitable<Listing> list_one(std::string server, Query query);
  static std::chrono::milliseconds ttl_of(const std::vector<Listing>& listings);
  bool exists(std::string_view server) const;

  asio::any_io_executor executor_;
  Harness& harness_;
  using Owners = std::unordered_map<std::string, std::string>;  // URI to server
  // `key` is the member of an item that names it.
  static void learn(const std::vector<Listing>& listings, std::string_view key, Owners& owners);
  // Every item once: where all servers are listed, its owner's.
  static json::array merged(std::vector<Listing>& listings, std::string_view key,
                            const std::string& server, const Owners& owners);
  Owners resources_;
  Owners templates_;
  struct Mirrored {
    SteadyTime at = {};
    std::unordered_map<std::string, json::value> schemas;  // by tool
  };
  std::unordered_map<std::string, Mirrored> mirrored_;  // by server
};

}  // namespace gavel
