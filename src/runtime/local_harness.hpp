#pragma once
// The Harness over one log engine in this process: what the daemon runs. The header
// runtime/harness.hpp says what each method promises; the files local_harness_*.cpp hold them by
// topic (calls, later, permits, provenance, actions, people, policy, trust).

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "core/provenance.hpp"
#include "runtime/event.hpp"
#include "runtime/executor.hpp"
#include "runtime/harness.hpp"
#include "runtime/sessions.hpp"
#include "runtime/tool_directory.hpp"

namespace gavel {

// What an upstream tells the harness: as UpstreamOptions has it.
struct UpstreamEvents {
  std::function<void()> on_tools_changed;
  std::function<void(std::string_view method, std::string_view params)> on_notification;
};
// Makes the upstream of a server.
using UpstreamFactory =
    std::function<std::unique_ptr<Upstream>(const ServerSpec&, UpstreamEvents events)>;
using LogLine = std::function<void(std::string_view)>;

struct LocalHarnessOptions {
  asio::any_io_executor executor;
  Log* log = nullptr;  // borrowed; outlives the harness, as do clock and random
  const Clock* clock = nullptr;
  Random* random = nullptr;
  std::shared_ptr<const Policy> policy;
  UpstreamFactory make_upstream;
  LogLine log_line;  // for the operator's log; never secrets
};

class LocalHarness final : public Harness {
public:
  explicit LocalHarness(LocalHarnessOptions options);
  ~LocalHarness() override;

  // Folds the control logs, records the policy where it is new, resumes what an earlier process
  // left open, and begins to list the tools of every server.
  Status start();
  // Stops accepting calls, closes the upstreams, writes out what is deferred.
  asio::awaitable<void> close();

  asio::awaitable<Result<CallAnswer>> call(CallRequest request) override;
  asio::awaitable<Result<IntentId>> report(ReportRequest request) override;
  asio::awaitable<Result<ActionView>> action(LogId session, IntentId intent,
                                             Caller caller) override;
  asio::awaitable<Result<CallAnswer>> collect(LogId session, IntentId intent, Caller caller,
                                              SteadyTime patience, CallerSide side) override;
  asio::awaitable<Status> cancel(LogId session, IntentId intent, Caller caller) override;
  asio::awaitable<Status> tell(PromptRequest request) override;
  TraceArguments tracer(const LogId& session, const std::string& tool,
                        const json::value& arguments) override;
  void delivered(const LogId& session, IntentId intent) override;
  asio::awaitable<Result<std::vector<ToolView>>> tools(Caller caller, std::string server,
                                                       HeldTools held) override;
  std::chrono::milliseconds tools_fresh_for(const std::string& server) const override;
  asio::awaitable<Status> judge_tool(ToolJudgement judgement, Caller caller) override;
  asio::awaitable<std::vector<std::string>> problems(LogId session, std::string tool,
                                                     json::value arguments) override;
  asio::awaitable<UpstreamReply> pass(std::string upstream, CallRequest request) override;
  asio::awaitable<UpstreamReply> pass_through(const std::string& upstream,
                                              UpstreamRequest request) override;
  asio::awaitable<Result<UpstreamListing>> list_upstream(const std::string& upstream,
                                                         std::string method,
                                                         std::string array) override;
  void left_out(const std::string& upstream, std::string_view method, const Error& why) override;
  std::vector<std::string> upstreams() const override;
  asio::awaitable<Result<json::object>> upstream_capabilities(const std::string& upstream) override;
  UpstreamStatus upstream_status(const std::string& upstream) const override;
  asio::awaitable<Result<std::string>> begin_login(std::string server, std::string redirect_uri,
                                                   Caller caller) override;
  asio::awaitable<Status> finish_login(std::string server, std::string query,
                                       Caller caller) override;
  asio::awaitable<Status> forget_login(std::string server, Caller caller) override;
  void on_upstream_notice(OnUpstreamNotice callback) override { on_notice_ = std::move(callback); }
  std::vector<std::string> attached() const override;
  asio::awaitable<Result<std::string>> attach(ServerSpec spec, LogId session,
                                              Caller caller) override;
  asio::awaitable<void> detach(std::string name) override;

  asio::awaitable<Result<Epoch>> wake(LogId session, Caller caller, std::string client,
                                      std::string reason) override;
  asio::awaitable<Result<std::vector<SessionView>>> sessions(std::string prefix, LogId after,
                                                             std::size_t limit) override;
  asio::awaitable<Result<SessionView>> session(LogId session) override;
  asio::awaitable<Result<std::vector<Entry>>> entries(LogId log, Position from,
                                                      std::size_t limit) override;
  asio::awaitable<Result<Position>> wait_for(LogId log, Position from,
                                             SteadyTime deadline) override;
  std::unique_ptr<Subscription> watch(OnAdvance on_advance) override;
  Result<std::string> payload(const Payload& payload) override;
  asio::awaitable<Result<std::vector<PendingView>>> pending() override;
  asio::awaitable<Status> vote(LogId session, CastVote vote, Caller caller) override;
  asio::awaitable<Status> resolve(LogId session, Resolve resolve, Caller caller) override;
  asio::awaitable<Status> halt(std::string scope, HaltMode mode, std::string reason,
                               Caller caller) override;
  asio::awaitable<Status> resume(std::string scope, std::string reason, Caller caller) override;
  std::vector<HaltView> halts() const override;
  std::shared_ptr<const Policy> policy() const override { return policy_; }
  asio::awaitable<Result<PolicyChange>> adopt(std::shared_ptr<const Policy> policy,
                                              Caller caller) override;
  Status health() const override { return log_.health(); }

private:
  // A task's own view of one durable append.
  struct Completion;
  struct LogWaiter;

  // --- calls (local_harness_calls.cpp) ---
  struct FoundTool {
    std::shared_ptr<const ToolListing> listing;
    const Tool* tool = nullptr;  // inside listing
    std::string server;
  };
  asio::awaitable<Result<FoundTool>> find_tool(const LogId& session, const std::string& name);
  static Result<const Tool*> known_tool(const ToolListing& listing, const std::string& name);
  static Status check_arguments(const Tool& tool, const json::value& arguments);
  Status check_catalogue_of(const std::string& tool, const json::value& arguments) const;
  asio::awaitable<Result<CallAnswer>> propose(CallRequest request, Propose command,
                                              Assessment assessment);
  Result<Proposed> commit_proposal(Session& session, const CallRequest& request, Propose& command);
  Status open_if_new(Session& session, const Principal& agent, const std::string& client,
                     const std::string& reason);
  // What becomes of a read when the last who waits for it leaves.
  enum class Leaving { ends_it, leaves_it };
  asio::awaitable<CallAnswer> wait_for_answer(LogId session, IntentId intent, SteadyTime patience,
                                              Callbacks callbacks,
                                              Leaving leaving = Leaving::ends_it);
  // The answer, once all that it follows from is durable (I5).
  asio::awaitable<CallAnswer> once_durable(const Session& session, IntentId intent,
                                           CallAnswer answer);
  asio::awaitable<Result<CallAnswer>> replay(LogId session, IntentId intent, std::string tool,
                                             SteadyTime patience);
  Propose command_of(const CallRequest& request, const json::value& arguments, std::string toolset);
  // Nothing where the catalogue has no schema, or the arguments satisfy it.
  std::optional<CallAnswer> breaks_catalogue(const CallRequest& request,
                                             const json::value& arguments) const;
  asio::awaitable<void> record_refusal(LogId session, CallRequest request, Error error);

  // --- actions that are asked about later (local_harness_later.cpp) ---
  // The intent as it was proposed, where the caller asked for it.
  Result<Entry> own_intent(const LogId& session, IntentId intent, const Caller& caller);

  // Whether what was committed may still go out: asked in the turn in which it does. `epoch`: the
  // one that must be the current one; nothing where any driver will do.
  Status still_allowed(const LogId& session, IntentId intent, std::uint64_t attempt,
                       std::optional<Epoch> epoch);

  // --- actions that clients perform (local_harness_permits.cpp), or Gavel by passing them on
  // (local_harness_passing.cpp) ---
  asio::awaitable<Result<CallAnswer>> permit(CallRequest request);
  asio::awaitable<CallAnswer> wait_for_leave(CallRequest request, IntentId intent,
                                             Callbacks callbacks);
  void take_leave(Session& session, IntentId intent);
  void give_leave(Session& session, IntentId intent);
  void lose_elsewhere(Session& session);

  // --- provenance (local_harness_provenance.cpp) ---
  // What the session's log says up to what is sequenced.
  Result<const Provenance*> provenance_of(const LogId& session);
  std::set<std::string> constants_of_tool(const LogId& session, const std::string& tool) const;

  // --- actions (local_harness_actions.cpp) ---
  void perform(Session& session, const Action& action, const Batch& batch);
  void recover(Session& session);
  void handle_due(Session& session);
  void start_attempt(Session& session, const Dispatch& dispatch);
  // Takes up the task that an attempt of an earlier process became.
  void follow_task_of(Session& session, IntentId intent);
  // An attempt's job, but for what allows it.
  AttemptJob job_of(Session& session, const OpenIntent& open);
  asio::awaitable<void> record_task(LogId session, RecordTask task);
  // Its server's name of the task that the intent's attempt became; empty where it is none.
  std::string task_of(const LogId& session, IntentId intent);
  void start_probe(Session& session, IntentId intent);
  void start_retry(Session& session, IntentId intent);
  void give_answer(Session& session, const Answer& answer, const Batch& batch);
  asio::awaitable<void> run_attempt(AttemptJob job);
  // Ends an attempt of a read that the last of its waiters is about to leave, and the task that its
  // server made of it.
  void leave(const LogId& id, IntentId intent);
  asio::awaitable<void> run_probe(ProbeJob job);
  asio::awaitable<void> run_retry(LogId session, IntentId intent, std::uint64_t attempts);
  void finished(const LogId& session, IntentId intent);
  // Appends what is known here and nowhere else: an outcome, a probe's verdict. Waits while the
  // store is busy; where it failed, tells who waits for the intent.
  asio::awaitable<void> record(LogId session, IntentId intent, std::string what,
                               std::function<Result<Plan>(Session&)> decide_plan,
                               Durability wanted = Durability::now);
  // When the outcome of such an intent is told: once it is durable (I5), or at once where the
  // policy waives that for a read.
  Durability when_told(const IntentProposed& proposal) const;
  // Tries again or probes, where an outcome is unknown and nobody does.
  void find_out(Session& session);
  // `cancelled` may be empty; its emission ends the task.
  void spawn(asio::awaitable<void> task, std::string name,
             std::shared_ptr<asio::cancellation_signal> cancelled = {});

  // --- people and control (local_harness_people.cpp) ---
  using Decide = std::function<Result<Plan>(Session&, const ControlView&)>;
  // Decides, commits and waits until it is durable; decides anew where another append came first.
  asio::awaitable<Status> commit_and_wait(LogId session, IntentId intent, Decide decide);
  asio::awaitable<Status> commit_and_wait(LogId session,
                                          std::function<Result<Plan>(Session&)> decide_plan);
  using DecideControl = std::function<Result<std::vector<Entry>>(const ControlState&)>;
  asio::awaitable<Status> change_halt(std::string scope, DecideControl decide);
  asio::awaitable<Status> change_control(LogId log, DecideControl decide);
  // Waits until the log is durable up to there. Errors: timeout after kDurableWait, and the log's.
  asio::awaitable<Status> durable_to(LogId log, Position from);
  asio::awaitable<Status> wait_durable(std::shared_ptr<Completion> completion);
  ControlView view_for(const Session& session, const OpenIntent& intent);
  void advanced(const LogId& log);
  void add(LogWaiter& waiter);
  void remove(LogWaiter& waiter);

  // --- policy (local_harness_policy.cpp) ---
  // Appends that it is in force, where the log does not say so already.
  Status record_policy(const Policy& policy, OnDurable on_durable);
  PolicyChange exchange_policy(std::shared_ptr<const Policy> policy);
  // Nothing new goes to it; it is closed when what it works on has ended.
  void drop_upstream(const std::string& name);
  asio::awaitable<void> retire(std::shared_ptr<Upstream> server);

  // Lists the servers whose listing is not known or not fresh, all at once, and waits for them a
  // short while.
  asio::awaitable<void> list_unknown(std::string only);
  void start_listing(const std::shared_ptr<Upstream>& server);
  asio::awaitable<void> list_one(std::shared_ptr<Upstream> server);

  // --- trust in tools (local_harness_trust.cpp) ---
  // The listing of one server; tools that were never seen are pinned, where the policy says so.
  asio::awaitable<Result<std::shared_ptr<const ToolListing>>> list_tools(
      std::shared_ptr<Upstream> server);
  Status pin_unseen(const std::string& server, const ToolListing& listing);
  // Waits until what is pinned of these servers may be told (I5).
  asio::awaitable<Status> pins_durable(std::vector<std::string> servers);
  // Null where there is none.
  const ToolPin* pin_of(const std::string& server, const Tool& tool) const;
  Standing standing(const std::string& server, const Tool& tool) const;
  // denied, with why, where the tool may not be called now.
  Status held_now(const std::string& server, const ToolListing& listing,
                  const std::string& tool) const;
  void add_trust(ToolView& view, const std::string& server, const Tool& tool) const;

  // The server of a tool that this session calls; null where it has none.
  std::shared_ptr<Upstream> server_of(const LogId& session, std::string_view tool) const;
  void add_upstream(const ServerSpec& spec);
  // --- logins (local_harness_logins.cpp) ---
  Result<std::shared_ptr<Upstream>> server_to_log_in(const std::string& name,
                                                     const Caller& caller) const;
  void say(const std::string& line) const;

  asio::any_io_executor executor_;
  Log& log_;
  const Clock& clock_;
  Random& random_;
  std::shared_ptr<const Policy> policy_;
  const DaemonSpec started_with_;
  UpstreamFactory make_upstream_;
  LogLine log_line_;

  ControlPlane control_;
  Sessions sessions_;
  ToolDirectory directory_;
  Executor actor_;
  std::map<std::string, std::shared_ptr<Upstream>, std::less<>> upstreams_;
  std::vector<std::shared_ptr<Upstream>> retiring_;  // of a former policy, still at work
  std::map<std::string, TrustRules> trust_;          // of each server
  std::set<std::string> listing_;                    // whose tools are being listed
  std::map<std::string, SteadyTime>
      late_at_;  // when a server's list was last not waited for longer
  Event listed_;
  OnUpstreamNotice on_notice_;
  struct TracedSession {
    Provenance known;
    std::uint64_t used = 0;
  };
  std::map<LogId, TracedSession> traced_;  // those that a rule asked about last
  std::uint64_t traces_ = 0;
  std::vector<LogWaiter*> log_waiters_;
  std::unique_ptr<Subscription> subscription_;
  std::shared_ptr<bool> alive_;
  bool closing_ = false;
};

// How many sessions' provenance is kept in memory; that of others is read from the log anew.
inline constexpr std::size_t kTracedSessions = 16;
// How often a decision is taken anew when other appends keep coming first.
inline constexpr int kDecideTries = 16;
// How long an append may take to be durable before whoever waits for it is told that it is not
// known.
inline constexpr std::chrono::seconds kDurableWait{60};

}  // namespace gavel
