#pragma once
// The tool directory: what each upstream's tools/list says, fetched on first use, kept until the
// server says that it changed, or until the time is over for which it may be kept: then the next
// listing asks again, and calls go by what is known meanwhile. A tool's schemas are compiled once,
// here; what its server claims of it are hints (policy decides).
//
// Thread rule: one executor.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "policy/json_schema.hpp"
#include "policy/policy.hpp"
#include "policy/tool_flags.hpp"
#include "runtime/clock.hpp"
#include "runtime/upstream.hpp"

namespace gavel {

struct Tool {
  std::string name;           // Gavel's: "pg__query"
  std::string upstream_name;  // the server's own: "query"
  std::string upstream;       // as the policy names it: "pg"
  json::object definition;    // as listed, but with Gavel's name
  ToolHints hints;
  std::optional<JsonSchema> input;
  std::optional<JsonSchema> output;
  std::string schema_problem;  // why a schema is not checked; empty where all is well
  std::string pinned;          // canonical JSON of what a pin holds (runtime/tool_trust.hpp)
  Digest digest;               // of `pinned`
  std::vector<ToolFlag> flags;
  std::uint64_t result_limit = kResultLimit;  // bytes
};
// By Gavel's name.
using ToolListing = std::map<std::string, Tool>;

class ToolDirectory {
public:
  explicit ToolDirectory(const Clock& clock) : clock_(clock) {}

  // The listing of one upstream; asks the server where none is known that is fresh. The pointer
  // keeps its listing alive. Errors: those of list_all.
  asio::awaitable<Result<std::shared_ptr<const ToolListing>>> list(Upstream& upstream,
                                                                   const Policy& policy);
  // The listing if it is known; null otherwise. Never asks.
  std::shared_ptr<const ToolListing> known(const std::string& upstream) const;
  // For how long yet the server lets its listing be kept: zero where none is known, or that time is
  // over; the maximum where it does not say.
  std::chrono::milliseconds fresh_for(const std::string& upstream) const;
  void forget(const std::string& upstream) { listings_.erase(upstream); }

private:
  struct Known {
    std::shared_ptr<const ToolListing> listing;
    SteadyTime until;
  };
  const Clock& clock_;
  std::map<std::string, Known> listings_;
};

}  // namespace gavel
