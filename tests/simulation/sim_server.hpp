#pragma once
// A simulated tool server, and the upstream that leads to it. The server lives in the world: what
// was sent to it arrives and takes effect whether or not the daemon that sent it still lives. The
// upstream is that daemon's end, and says the truth about delivery as runtime/upstream.hpp demands.
//
//   Executor ──► SimUpstream ─ waits, may_send ─► first byte ─► network ─► SimServer ─► effect
//                    ▲                              │ auditor.sending          │ auditor.effect
//                    └───── answer, twice, never, garbage ◄─── network ◄───────┘

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "auditor.hpp"
#include "plan.hpp"
#include "rng.hpp"
#include "runtime/upstream.hpp"
#include "schedule.hpp"
#include "workload.hpp"

namespace gavel::simulation {

class SimServer {
public:
  using OnReply = std::function<void(UpstreamReply)>;

  SimServer(std::string name, Schedule& schedule, Auditor& auditor, Coverage& coverage,
            std::uint64_t dice);

  const std::string& name() const { return name_; }
  void arm(ServerFault fault, std::uint64_t dice);
  // From here on it behaves.
  void heal();
  bool reachable() const { return machine::now() >= unreachable_until_; }
  // The first byte went out. `deadline` is the sender's.
  void send(const UpstreamRequest& request, Instant deadline, OnReply on_reply);
  // The two halves of it, where another network is between them: the first byte went out, and the
  // whole has arrived.
  void announce(const UpstreamRequest& request);
  void receive(const UpstreamRequest& request, Instant deadline, OnReply on_reply);
  std::uint64_t roll() { return rng_.next(); }

private:
  struct Call {
    Sent sent;
    bool read = false;
    Instant deadline{0};
    std::uint64_t life = 0;  // of the server
    OnReply on_reply;
    std::uint64_t number = 0;
  };
  struct Armed {
    ServerFault fault;
    std::uint64_t dice;
  };

  Call make_call(const UpstreamRequest& request, Instant deadline, OnReply on_reply);
  void arrive(Call call, std::string method);
  void list(const Call& call);
  void probe(const Call& call);
  void act(const Call& call);
  void act_with(ServerFault fault, const Call& call);
  void take_effect(const Call& call);
  void reply(const Call& call, UpstreamReply answer, Instant after);
  void die(Rng& rng);
  std::string result_of(const Call& call);
  Instant network() { return Instant(rng_.between(200, 20'000)); }

  std::string name_;
  Schedule& schedule_;
  Auditor& auditor_;
  Coverage& coverage_;
  Rng rng_;
  std::deque<Armed> armed_;
  int failing_lists_ = 0;
  int failing_probes_ = 0;
  Instant unreachable_until_{0};
  std::uint64_t life_ = 1;
  std::uint64_t calls_ = 0;
  std::map<std::uint64_t, OnReply> waiting_;   // whose connection breaks if it dies
  std::map<std::string, std::string> by_key_;  // results of idempotent calls
  std::map<std::string, Instant> booked_;      // refs, and when a probe sees them
};

class SimUpstream final : public Upstream {
public:
  SimUpstream(SimServer& server, asio::any_io_executor executor)
      : server_(server), executor_(std::move(executor)) {}

  const std::string& name() const override { return server_.name(); }
  asio::awaitable<UpstreamReply> request(UpstreamRequest request) override;
  asio::awaitable<Result<json::object>> capabilities(SteadyTime deadline) override;
  UpstreamStatus status() const override { return {}; }
  asio::awaitable<void> close() override;

private:
  SimServer& server_;
  asio::any_io_executor executor_;
};

}  // namespace gavel::simulation
