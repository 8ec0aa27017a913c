#pragma once
// The MCP server of both eras, independent of its transport (docs/mcp.md). It answers one request
// at a time and is told by its caller, the transport, what stands around the message: who asks, for
// which session, which headers came along. Tools, resources and prompts are those of all upstreams
// (gateway/mcp_catalogue.hpp); a call of a tool goes to the harness, and is waited for as long as
// its kind of client can bear.
//
// Thread rule: one executor.

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/mcp_attendance.hpp"
#include "gateway/mcp_catalogue.hpp"
#include "gateway/mcp_changes.hpp"
#include "gateway/mcp_client_tasks.hpp"
#include "gateway/mcp_parking.hpp"
#include "gateway/mcp_resumption.hpp"
#include "gateway/mcp_sessions.hpp"
#include "protocol/mcp.hpp"
#include "protocol/mcp_headers.hpp"
#include "runtime/harness.hpp"

namespace gavel {

struct McpOptions {
  std::string version = "0.1.0";
  // So long an answer may take before the response is opened as a stream.
  std::chrono::milliseconds hold_off{1'000};
  std::chrono::milliseconds keep_alive{10'000};
  // How long a call is waited for before its client is told to ask again. Clients that gave a
  // progress token are known to wait longer while they hear of progress.
  std::chrono::milliseconds patience{50'000};
  std::chrono::milliseconds patience_with_progress{240'000};
  std::size_t sessions_max = 4096;
  std::chrono::milliseconds session_idle{1'800'000};  // until one is forgotten
};

struct McpContext {
  Caller caller;
  std::optional<LogId> session;  // that the request names
  std::optional<Epoch> epoch;
  std::string server;                         // to be shown alone, its names plain; empty for all
  std::string idempotency_key;                // of a header; may be empty
  std::shared_ptr<McpSession> peer;           // of a legacy client or a connection; null otherwise
  std::span<const HeaderField> headers = {};  // of HTTP; empty over stdio
  bool over_http() const { return !headers.empty(); }
};

// The way back to the client while its request is being answered.
class McpExchange {
public:
  virtual ~McpExchange() = default;

  // Whether anything but the answer can be sent.
  virtual bool can_stream() const = 0;
  // A notification in front of the answer. False where the client is gone.
  virtual asio::awaitable<bool> send(std::string message) = 0;
  // A sign of life that is no message.
  virtual asio::awaitable<bool> keep_alive() = 0;
  // From here on what is sent belongs to a stream that its client can come back to under this name
  // (gateway/mcp_resumption.hpp). Nothing where the transport has no such thing.
  virtual void name_stream(std::string /*name*/) {}

  // As HttpExchange's.
  virtual void cancel_when_ended() = 0;
  virtual bool client_gone() const = 0;
  virtual bool server_stopping() const = 0;
  bool ended() const { return client_gone() || server_stopping(); }
};

struct McpAnswer {
  int http_status = 200;
  std::string message = {};     // the JSON-RPC answer; empty where none is to be given
  std::string session_id = {};  // to be sent as Mcp-Session-Id
  // To be told to Harness::delivered once the message was written.
  std::optional<std::pair<LogId, IntentId>> delivered = {};
};

class McpServer {
public:
  // `harness` must outlive this.
  McpServer(asio::any_io_executor executor, Harness& harness, McpOptions options);
  // Lets go of the calls that wait for an answer of their client; after the last request.
  void close() {
    parking_.close();
    client_tasks_.close();
    for (const auto& call : left_) {
      if (const auto running = call.lock()) running->abandon();
    }
  }

  // `admission` says how the message is to be served: admit_mcp over HTTP, admit_line over stdio.
  asio::awaitable<McpAnswer> answer(const RpcMessage& message, McpAdmission admission,
                                    McpContext& context, McpExchange& exchange);
  static std::expected<McpAdmission, McpRefusal> admit_line(const RpcMessage& message);
  // The answers of a batch's messages, one after another. Faults: not of 2025-03-26, malformed.
  struct Batch {
    std::string message;  // an array; empty where nothing is to be answered
    std::vector<McpAnswer> answers;
  };
  asio::awaitable<RpcResult<Batch>> answer_batch(std::string_view text, McpContext& context,
                                                 McpExchange& exchange);
  // The answer of a legacy client's call whose stream broke, under that call's own id. Of another's
  // call, or of another session's, there is none.
  asio::awaitable<McpAnswer> answer_again(McpStreamedCall call, McpContext& context,
                                          McpExchange& exchange);
  void take_notification(const RpcMessage& message, McpContext& context);
  // A legacy client's answer (response or error) to what it was asked.
  static void take_response(const RpcMessage& message, const McpContext& context);
  void delivered(const McpAnswer& answer);

  // What ?server= may name.
  std::vector<std::string> servers() const { return harness_.upstreams(); }
  McpSessions& sessions() { return sessions_; }
  const McpOptions& options() const { return options_; }

private:
  struct Request {
    const RpcMessage& rpc;
    RequestMeta meta;
    Era era;
    McpContext& context;
    McpExchange& exchange;

    std::string_view text(std::string_view param) const { return json_slice(rpc.params, {param}); }
    // The string member of params; empty where there is none.
    std::string_view param(std::string_view name) const;
  };
  using Handler = asio::awaitable<McpAnswer> (McpServer::*)(Request&);
  static Handler find_handler(std::string_view method);

  asio::awaitable<McpAnswer> answer_legacy(Request& request);
  asio::awaitable<McpAnswer> answer_modern(Request& request);
  McpAnswer complete(const Request& request, std::string_view result) const;
  static McpAnswer fault(RpcFault fault, int http_status);
  static McpAnswer failed(const Request& request, const Error& error);
  // Why this client cannot be given a server's result; empty where it can.
  static std::string unusable(const Request& request, std::string_view result);
  McpAnswer relay(const Request& request, const UpstreamReply& reply) const;
  // An upstream's JSON-RPC error object, in the client's era.
  McpAnswer relay_error(const Request& request, std::string error) const;
  // What the client can take beside its answer; without callbacks.
  static CallerSide caller_side(const Request& request);

  // mcp_input.cpp: servers that ask
  static McpAttendance::Client client_of(const Request& request);
  // What the request takes up again, with the questions that are still open; without a call where
  // it is a new one. Faults: a requestState that is not good here.
  // `identity`: see McpParked.
  RpcResult<McpParked> resume(const Request& request, const std::string& server,
                              const std::string& identity = {});
  // The client is asked, and the call waits for it.
  McpAnswer park(const Request& request, McpParked parked);
  // -32021, with the capabilities that the client would have to declare.
  static McpAnswer lacking(const Request& request, const json::object& capabilities);
  // A modern client is asked what a legacy server wants opened before it acts; it calls again.
  McpAnswer ask_to_open(const Request& request, json::object questions) const;
  McpAnswer asked(const Request& request, McpAttendance& attendance,
                  std::shared_ptr<WaitingCall> call, std::string identity = {});
  // mcp_legacy.cpp
  McpAnswer initialize(Request& request);
  void tell_changes(McpSession& peer);
  // mcp_modern.cpp
  asio::awaitable<std::expected<void, McpRefusal>> check_headers(Request& request);
  asio::awaitable<McpAnswer> discover(Request& request);
  // mcp_listen.cpp: what changes at the upstreams
  asio::awaitable<McpAnswer> listen(Request& request);
  asio::awaitable<McpAnswer> subscribe(Request& request);
  asio::awaitable<McpAnswer> unsubscribe(Request& request);
  asio::awaitable<UpstreamReply> subscribe_to(const Request& request, McpListener& listener,
                                              std::string uri);
  asio::awaitable<UpstreamReply> unsubscribe_from(const Request& request, McpListener& listener,
                                                  std::string uri);
  // mcp_lists.cpp
  static std::optional<McpAnswer> refuse_cursor(const Request& request);
  asio::awaitable<McpAnswer> list_tools(Request& request);
  asio::awaitable<McpAnswer> list_prompts(Request& request);
  asio::awaitable<McpAnswer> list_resources(Request& request);
  asio::awaitable<McpAnswer> list_templates(Request& request);
  asio::awaitable<McpAnswer> read_resource(Request& request);
  asio::awaitable<McpAnswer> get_prompt(Request& request);
  asio::awaitable<McpAnswer> complete_argument(Request& request);
  asio::awaitable<McpAnswer> pass(Request& request, std::string server, json::object params);
  static CallRequest pass_request(const Request& request, const std::string& server,
                                  const json::object& params);
  // mcp_calls.cpp
  asio::awaitable<McpAnswer> call_tool(Request& request);
  static CallRequest action_request(const Request& request);
  std::expected<CallRequest, RpcFault> call_request(const Request& request) const;
  // That a call belongs to.
  static LogId session_of(const Request& request);
  // As McpAttendance::Client::name_stream.
  asio::awaitable<std::string> name_of_stream(McpStreamedCall call);
  // The client of a stream that has a name may come back: what it waits for goes on meanwhile.
  void keep_for_return(const Request& request, const LogId& session, IntentId intent);
  // `meta`: added to the result's.
  McpAnswer call_answer(const Request& request, const LogId& session, Result<CallAnswer> answer,
                        json::object meta = {}) const;
  // mcp_task_methods.cpp: actions as tasks of a client
  static bool knows_legacy_tasks(const Request& request);
  // Whether this tools/call is to be answered by a task, at once or where it takes longer.
  static bool wants_task(const Request& request);
  // `call`: what was waited for until now.
  asio::awaitable<McpAnswer> task_answer(Request& request, LogId session,
                                         std::shared_ptr<WaitingCall> call);
  asio::awaitable<McpAnswer> legacy_task(Request& request, LogId session,
                                         Result<CallAnswer> answer);
  McpAnswer task_state(const Request& request, const LogId& session, IntentId intent,
                       const ActionView& view);
  // From now on what the task asks for is kept for its client.
  void attend_task(const Request& request, const LogId& session, IntentId intent);
  // -32021 for a modern client that did not declare tasks.
  static std::optional<McpAnswer> refuse_undeclared(const Request& request);
  asio::awaitable<McpAnswer> get_task(Request& request);
  asio::awaitable<McpAnswer> task_result(Request& request);
  asio::awaitable<McpAnswer> update_task(Request& request);
  asio::awaitable<McpAnswer> cancel_task(Request& request);

  asio::any_io_executor executor_;
  Harness& harness_;
  McpOptions options_;
  Implementation self_;
  McpSessions sessions_;
  McpCatalogue catalogue_;
  McpParking parking_;
  McpClientTasks client_tasks_;
  std::vector<std::weak_ptr<WaitingCall>> left_;  // see keep_for_return
  std::shared_ptr<McpChanges> changes_ = std::make_shared<McpChanges>();
};

// How often one call of a legacy client may be asked for input.
inline constexpr int kRoundsMax = 8;

// Calls at work whose clients' streams broke.
inline constexpr std::size_t kLeftMax = 1024;

// What a client is told to do with held calls; of initialize and server/discover.
extern const std::string_view kMcpInstructions;
json::object mcp_capabilities(Era era);

}  // namespace gavel
