#pragma once
// How agents and people of the world reach Gavel: by its port Harness, as a program does that has
// it inside, or over the simulated network, as everybody else does: MCP of both eras to /mcp, JSON
// to /v1, in HTTP's bytes, with a token.
//
//   World ─► Door ─┬─ DirectDoor ─────────────────────────────────────► Harness
//                  └─ HttpDoor ─► SimNet ─► sockets ─► HttpServer ─► Gateway ─┘
//
// Calls run in the process's io_context and end with it, as connections do.

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/harness.hpp"
#include "sim_net.hpp"

namespace gavel::simulation {

enum class Speaks : std::uint8_t { modern, legacy };

class Door {
public:
  virtual ~Door() = default;
  virtual asio::awaitable<Result<CallAnswer>> call(CallRequest request) = 0;
  virtual asio::awaitable<void> report(ReportRequest request) = 0;
  virtual asio::awaitable<Result<Epoch>> wake(LogId session, Caller caller, std::string client,
                                              std::string reason) = 0;
  virtual asio::awaitable<Result<std::vector<PendingView>>> pending(Caller caller) = 0;
  virtual asio::awaitable<Status> vote(LogId session, CastVote vote, Caller caller) = 0;
  virtual asio::awaitable<Status> resolve(LogId session, Resolve resolve, Caller caller) = 0;
  virtual asio::awaitable<Status> halt(std::string scope, std::optional<HaltMode> mode,
                                       std::string reason, Caller caller) = 0;
};

class DirectDoor final : public Door {
public:
  explicit DirectDoor(Harness& harness) : harness_(harness) {}
  asio::awaitable<Result<CallAnswer>> call(CallRequest request) override;
  asio::awaitable<void> report(ReportRequest request) override;
  asio::awaitable<Result<Epoch>> wake(LogId session, Caller caller, std::string client,
                                      std::string reason) override;
  asio::awaitable<Result<std::vector<PendingView>>> pending(Caller caller) override;
  asio::awaitable<Status> vote(LogId session, CastVote vote, Caller caller) override;
  asio::awaitable<Status> resolve(LogId session, Resolve resolve, Caller caller) override;
  asio::awaitable<Status> halt(std::string scope, std::optional<HaltMode> mode, std::string reason,
                               Caller caller) override;

private:
  Harness& harness_;
};

// What came back over HTTP, whole.
struct WebReply {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// What a caller's file in the tokens directory says.
std::string token_of(const Caller& caller);

class HttpDoor final : public Door {
public:
  // By agent, the id of the session that each legacy one has: it outlives the daemon's.
  using McpSessionIds = std::map<std::string, std::string>;
  // `sessions` outlives this.
  HttpDoor(SimNet& net, Schedule& schedule, asio::any_io_executor executor, std::uint16_t port,
           McpSessionIds& sessions, Coverage& coverage, std::uint64_t dice);

  asio::awaitable<Result<CallAnswer>> call(CallRequest request) override;
  asio::awaitable<void> report(ReportRequest request) override;
  asio::awaitable<Result<Epoch>> wake(LogId session, Caller caller, std::string client,
                                      std::string reason) override;
  asio::awaitable<Result<std::vector<PendingView>>> pending(Caller caller) override;
  asio::awaitable<Status> vote(LogId session, CastVote vote, Caller caller) override;
  asio::awaitable<Status> resolve(LogId session, Resolve resolve, Caller caller) override;
  asio::awaitable<Status> halt(std::string scope, std::optional<HaltMode> mode, std::string reason,
                               Caller caller) override;

  // The next request of the link is delivered once more, a while later.
  void duplicate_next(Link link) { duplicate_[static_cast<std::size_t>(link)] = true; }
  // Before a call is sent twice.
  std::function<void(const CallRequest&)> on_duplicate;

private:
  struct Sending {
    Link link = Link::agents;
    std::string bytes;
    Instant patience{0};
  };
  // Nothing: the connection broke, or it took too long; nobody knows what became of it.
  asio::awaitable<std::optional<WebReply>> exchange(Sending sending);
  asio::awaitable<Result<json::value>> api(Link link, const Caller& caller, std::string_view method,
                                           std::string target, json::value body);
  asio::awaitable<Result<std::string>> initialize(const CallRequest& request);
  asio::awaitable<void> end_session(const CallRequest& request, std::string session);
  asio::awaitable<Result<CallAnswer>> answer_of(CallRequest request, Speaks speaks,
                                                std::string session);
  bool take_duplicate(Link link) {
    return std::exchange(duplicate_[static_cast<std::size_t>(link)], false);
  }

  SimNet& net_;
  Schedule& schedule_;
  asio::any_io_executor executor_;
  std::uint16_t port_;
  McpSessionIds& sessions_;
  std::set<std::string> opened_here_;  // sessions, in this daemon's life
  Coverage& coverage_;
  Rng rng_;
  std::array<bool, kLinks> duplicate_{};
  std::uint64_t ids_ = 0;
};

}  // namespace gavel::simulation
