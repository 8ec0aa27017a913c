#pragma once
// The harness: the one object that gateways talk to. It takes calls and commands, asks core what
// they mean, appends, waits for durability, performs what react asks, and answers. It holds no
// truth: every session it has in memory is a fold of its log and can be dropped at any time.
//
//   gateway ──call──► Harness ──decide──► Log ──durable──► react ──► Executor ──► Upstream
//      ▲                                                                 │
//      └──────────────── answer, once the outcome is durable ◄──────────┘
//
// Thread rule: one executor; every method is called on it, every callback runs on it.

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "core/decide.hpp"
#include "core/state.hpp"
#include "log/log.hpp"
#include "policy/policy.hpp"
#include "runtime/tool_trust.hpp"
#include "runtime/upstream.hpp"
#include "runtime/upstream_listing.hpp"

namespace gavel {

// Who calls: the owner of the token that the request carried.
struct Caller {
  Principal principal;
  std::vector<Role> roles;
  bool has(Role role) const;
};

// Who acts once it is decided: Gavel, by a call of a server's tool; the client that asks, by
// itself; Gavel, by passing another request on (Harness::pass).
enum class Performer { gavel, client, passer };

struct CallRequest {
  LogId session;
  std::optional<Epoch>
      epoch;  // the driver's; unset means the first, so that a woken session refuses it
  Caller caller;
  std::string client;     // what the agent program says it is
  std::string tool;       // Gavel's name of it: "pg__query"
  std::string arguments;  // JSON object text, as it came
  // Of a further round: JSON object text with inputResponses and requestState, as they came; empty
  // in the first.
  std::string input;
  std::string key;      // idempotency key that the client chose; may be empty
  std::string call_id;  // the client's own id of the call; may be empty
  // client: for leave to act (tools own__*); the answer is granted, pending or refused.
  Performer performer = Performer::gavel;
  json::object meta;  // of the request, to pass on (progressToken removed)
  // How long the caller can wait. Then it gets a `pending` answer and the action goes on.
  SteadyTime patience;
  CallerSide side;
  std::function<void(IntentId, HoldReason)> on_held;  // once, when the call is held
  // When it is known which action the call is; that may not be durable yet.
  std::function<void(IntentId)> on_intent;
};

enum class AnswerKind {
  result,   // the tool's own result (perhaps isError)
  pending,  // held or still running: ask again with the same call
  refused,  // denied, halted, expired, budget, unknown outcome: `text` says which rule, why, what
            // next
  granted,  // of Performer::client: act now, once, and report the outcome
};

struct CallAnswer {
  AnswerKind kind = AnswerKind::refused;
  IntentId intent;                       // 0 where none was recorded
  std::string result;                    // of kind result: JSON text of a CallToolResult
  std::string text;                      // of pending and refused: for the model
  std::string rpc_error;                 // of refused: the server's own JSON-RPC error object
  ErrorCode code = ErrorCode::internal;  // of refused
  bool replayed = false;
};

// How an action stands.
struct ActionView {
  std::string tool;
  Timestamp proposed_at;
  Timestamp changed_at;
  std::string text;                  // of an open one: what it waits for, for people
  bool wants_input = false;          // its server asks, and nobody waits for it who could be asked
  std::optional<CallAnswer> answer;  // of a finished one
  // Of an open one whose outcome is unknown while nobody is finding out: what a call is told.
  std::optional<CallAnswer> lost;
};

// What a client says of an action that it had leave for.
struct ReportRequest {
  LogId session;
  Caller caller;
  // Which: its intent where it is known, else the client's id of the call, else the oldest one that
  // runs with this tool and these arguments.
  IntentId intent;
  std::string call_id;
  std::string tool;
  std::string arguments;  // JSON object text
  OutcomeKind kind = OutcomeKind::failed;
  std::string result;  // JSON text of a CallToolResult; may be empty
  std::string reason;  // of failed and unknown
};

// What the person said to the agent, as the agent's program tells it.
struct PromptRequest {
  LogId session;
  std::optional<Epoch> epoch;  // as in CallRequest
  Caller caller;
  std::string client;  // what the agent program says it is
  std::string text;
};

struct SessionView {
  LogId session;
  Position tail;
  Epoch epoch;
  Principal agent;
  Principal driver;
  std::string client;
  Timestamp opened_at;
  Timestamp last_at;
  std::size_t held = 0;
  std::size_t in_flight = 0;
  std::size_t unknown = 0;
  Counters counters;
};

// A held or unknown intent that waits for a person.
struct PendingView {
  LogId session;
  OpenIntent intent;
};

struct HaltView {
  std::string scope;
  Halt halt;
};

// What another policy changed.
struct PolicyChange {
  std::string before;  // versions
  std::string after;
  // Names of servers; those that changed may be the same connection with other tools.
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::vector<std::string> changed;
  // Options that are read when the daemon starts, and are other now than then: "daemon.listen".
  std::vector<std::string> takes_restart;
};

struct ToolView {
  std::string name;  // "pg__query"
  std::string toolset;
  json::object definition;  // as the server lists it, with Gavel's name
  Effect effect = Effect::destructive;
  Verdict verdict = Verdict::deny;  // without conditions on arguments
  std::string rule;
  bool listed_in_catalogue = false;
  std::string server;         // as upstreams() and attached() name it
  std::string upstream_name;  // the server's own name of the tool
  Standing standing = Standing::refused;
  Digest digest;       // of `pinned`
  std::string pinned;  // canonical JSON of what a pin would hold
  std::vector<ToolFlag> flags;
  LogId pin_log;
  ToolPin pin;  // empty where there is none
};

// Whether tools that wait for a person are listed, too. Agents see none of them.
enum class HeldTools { hidden, shown };

// What a person says of a tool's definition; it binds to the digest that was shown.
struct ToolJudgement {
  std::string server;  // as ToolView has it
  std::string tool;    // Gavel's name
  Digest digest;
  bool accept = false;
  std::string reason;  // of a refusal
};

class Harness {
public:
  virtual ~Harness() = default;

  // --- agents ---
  // Errors are those that leave no decision: stale_epoch, key_reused, invalid_argument, not_found
  // (tool), storage_failed, busy. Everything else is an answer.
  virtual asio::awaitable<Result<CallAnswer>> call(CallRequest request) = 0;
  // Records what came of an action that the caller had leave for, and returns its intent once that
  // is durable. What is recorded already stays. Errors: not_found (no such action is open),
  // conflict (no leave was taken), permission_denied (somebody else's).
  virtual asio::awaitable<Result<IntentId>> report(ReportRequest request) = 0;
  // How an action that the caller asked for stands. not_found also of what somebody else asked for.
  virtual asio::awaitable<Result<ActionView>> action(LogId session, IntentId intent,
                                                     Caller caller) = 0;
  // Waits for its answer, as the call that asked for it: pending when patience ends.
  virtual asio::awaitable<Result<CallAnswer>> collect(LogId session, IntentId intent, Caller caller,
                                                      SteadyTime patience, CallerSide side) = 0;
  // The caller wants it no more: a held one is aborted, a read ended, a task of its server asked to
  // stop. Errors: not_found, conflict (finished, or it can no longer be stopped).
  virtual asio::awaitable<Status> cancel(LogId session, IntentId intent, Caller caller) = 0;
  // Records it, in a new session if need be; durable when it returns. Errors: stale_epoch,
  // permission_denied (it takes the role driver), storage_failed.
  virtual asio::awaitable<Status> tell(PromptRequest request) = 0;
  // Where a call's arguments come from, by what the session's log holds when it is asked: for
  // Call::trace. All that it is given must outlive it.
  virtual TraceArguments tracer(const LogId& session, const std::string& tool,
                                const json::value& arguments) = 0;
  // The caller has been given this intent's final answer.
  virtual void delivered(const LogId& session, IntentId intent) = 0;
  // Tools that this caller may ever call, in a stable order, of one server, or of all of
  // upstreams() where it is empty. One that does not list its tools soon is left out.
  virtual asio::awaitable<Result<std::vector<ToolView>>> tools(
      Caller caller, std::string server = {}, HeldTools held = HeldTools::hidden) = 0;
  // For how long such a list may be kept, as the servers say; zero while one of them is not in it,
  // the maximum where none says.
  virtual std::chrono::milliseconds tools_fresh_for(const std::string& server) const = 0;
  // Durable when it returns. Errors: permission_denied, not_found, conflict (the server says
  // something else now, or it was said already).
  virtual asio::awaitable<Status> judge_tool(ToolJudgement judgement, Caller caller) = 0;
  // What a call would be refused for before the policy is asked, for people: a tool that nobody
  // has, arguments that break a schema. Empty where nothing, or the server does not say what it
  // has.
  virtual asio::awaitable<std::vector<std::string>> problems(LogId session, std::string tool,
                                                             json::value arguments) = 0;
  // A request other than tools/call to one upstream, as an action of its own: `tool` is
  // SERVER__METHOD (passed_method of policy/own_tools.hpp), `arguments` its params. Leave may
  // take until `patience`, and the server as long again. What it is refused for is the reply's
  // error; held, too: it may be asked for again once it is approved.
  virtual asio::awaitable<UpstreamReply> pass(std::string upstream, CallRequest request) = 0;
  // What asks for nothing itself (subscriptions): passed through, and not recorded.
  virtual asio::awaitable<UpstreamReply> pass_through(const std::string& upstream,
                                                      UpstreamRequest request) = 0;
  // All that one upstream lists: list_all of runtime/upstream_listing.hpp.
  virtual asio::awaitable<Result<UpstreamListing>> list_upstream(const std::string& upstream,
                                                                 std::string method,
                                                                 std::string array) = 0;
  // For the operator's log: what this server lists is missing from a listing of all.
  virtual void left_out(const std::string& upstream, std::string_view method, const Error& why) = 0;
  // Those of the policy, which everybody sees.
  virtual std::vector<std::string> upstreams() const = 0;
  // Those that somebody attached: "files@SESSION". Their names are good wherever a server is named,
  // but they are in no listing of all.
  virtual std::vector<std::string> attached() const = 0;
  virtual asio::awaitable<Result<json::object>> upstream_capabilities(
      const std::string& upstream) = 0;
  virtual UpstreamStatus upstream_status(const std::string& upstream) const = 0;
  // A person's login at a server (Upstream::begin_login), for the role admin. Errors beside the
  // server's own: not_found, permission_denied.
  virtual asio::awaitable<Result<std::string>> begin_login(std::string server,
                                                           std::string redirect_uri,
                                                           Caller caller) = 0;
  virtual asio::awaitable<Status> finish_login(std::string server, std::string query,
                                               Caller caller) = 0;
  virtual asio::awaitable<Status> forget_login(std::string server, Caller caller) = 0;

  // Calls back with the notifications of upstreams that belong to no request: the upstream's name,
  // the method, the params (JSON text). One callback at a time; an empty one ends it.
  using OnUpstreamNotice = std::function<void(const std::string& upstream, std::string_view method,
                                              std::string_view params)>;
  virtual void on_upstream_notice(OnUpstreamNotice callback) = 0;

  // A server for as long as somebody's connection lives (`gavel mcp`), for the calls of one
  // session, and returns its name, as in attached(). Its tools are named like those of the policy's
  // servers. Errors: already_exists (in the policy, or attached to this session), invalid_argument,
  // permission_denied.
  virtual asio::awaitable<Result<std::string>> attach(ServerSpec spec, LogId session,
                                                      Caller caller) = 0;
  // Closes it. Nothing happens where no such server is attached.
  virtual asio::awaitable<void> detach(std::string name) = 0;

  // --- people and programs ---
  // Elects the next epoch (opening the session where it is new), settles what can be settled, and
  // returns the epoch that the new driver must use.
  virtual asio::awaitable<Result<Epoch>> wake(LogId session, Caller caller, std::string client,
                                              std::string reason) = 0;
  virtual asio::awaitable<Result<std::vector<SessionView>>> sessions(std::string prefix,
                                                                     LogId after,
                                                                     std::size_t limit) = 0;
  virtual asio::awaitable<Result<SessionView>> session(LogId session) = 0;
  // Durable entries from `from` on; control logs too.
  virtual asio::awaitable<Result<std::vector<Entry>>> entries(LogId log, Position from,
                                                              std::size_t limit) = 0;
  // Returns when the log's durable tail is at or past `from`, or at the deadline (then: its tail).
  virtual asio::awaitable<Result<Position>> wait_for(LogId log, Position from,
                                                     SteadyTime deadline) = 0;
  // Calls back on the executor whenever the durable tail of any log moves. A call that is on its
  // way when the subscription is destroyed still comes: capture nothing that may be gone by then.
  virtual std::unique_ptr<Subscription> watch(OnAdvance on_advance) = 0;
  // The bytes of a payload, from the entry or the blob store.
  virtual Result<std::string> payload(const Payload& payload) = 0;

  virtual asio::awaitable<Result<std::vector<PendingView>>> pending() = 0;
  virtual asio::awaitable<Status> vote(LogId session, CastVote vote, Caller caller) = 0;
  virtual asio::awaitable<Status> resolve(LogId session, Resolve resolve, Caller caller) = 0;

  // Scopes: "everything", "agent:NAME", "toolset:NAME", "session:NAME", "tenant:NAME".
  virtual asio::awaitable<Status> halt(std::string scope, HaltMode mode, std::string reason,
                                       Caller caller) = 0;
  virtual asio::awaitable<Status> resume(std::string scope, std::string reason, Caller caller) = 0;
  virtual std::vector<HaltView> halts() const = 0;

  virtual std::shared_ptr<const Policy> policy() const = 0;
  // Puts another policy in force, durably; the answer comes once it is. Calls that were decided
  // keep their decision; those at work at a server that changed or left end there. Held calls stay
  // held under the policy that held them. Errors: permission_denied (it takes the role admin),
  // storage_failed.
  virtual asio::awaitable<Result<PolicyChange>> adopt(std::shared_ptr<const Policy> policy,
                                                      Caller caller) = 0;
  virtual Status health() const = 0;
};

// "agent:x" to the control log's name "control/agent/x"; invalid_argument with the list of scopes
// otherwise.
Result<LogId> control_log_of(const std::string& scope);
std::string scope_of(const LogId& control_log);

}  // namespace gavel
