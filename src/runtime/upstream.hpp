#pragma once
// An upstream: one MCP server that Gavel stands in front of, whatever its transport (stdio, HTTP)
// and era. The upstream owns its connection or child process: it starts it on first use, restarts
// it with backoff, keeps its stderr, bounds what is in flight, and kills it when the upstream is
// destroyed.
//
// What matters most here is to say the truth about a call that brought no answer: whether it
// certainly did not reach the server (not_sent), or may have (lost). Only the executor decides what
// follows from that.
//
// Thread rule: all methods run on the executor that the upstream was made with.

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "protocol/jsonrpc.hpp"

namespace gavel {

namespace asio = boost::asio;
using SteadyTime = std::chrono::steady_clock::time_point;

// What a legacy server asks of its client while it works on a request: elicitation/create,
// sampling/createMessage, roots/list.
struct UpstreamQuestion {
  std::string method;
  std::string params;  // JSON object text; may be empty
  // Sends the answer to the server, once: the JSON text of a result, or of an error object. May
  // outlive the request and the upstream; it then does nothing.
  std::function<void(std::string result, std::string error)> answer;
};

// The question that such a request is. `send` gives a whole message to the server; it is called at
// most once.
UpstreamQuestion question_from(const RpcMessage& request, std::function<void(std::string)> send);

// What the one who asks for something can take beside its answer. All of it may be empty.
struct CallerSide {
  // Of the caller: what it may be asked for (only_questions of protocol/mcp.hpp).
  json::object capabilities;
  // The same for requests of one client in one session, whichever of them a question belongs to;
  // empty where nobody is to be asked.
  std::string identity;
  std::string log_level;  // the caller wants log messages from this level on; empty: none
  // Called with the params (JSON text) of each notifications/progress and notifications/message of
  // the request.
  std::function<void(std::string_view params)> on_progress;
  std::function<void(std::string_view params)> on_log;
  // Without it, questions are answered with an error.
  std::function<void(UpstreamQuestion)> on_question;
};

// A request to the server. `params` is JSON text and goes out as it is, but for _meta (below).
struct UpstreamRequest {
  std::string method;  // "tools/call"
  std::string params;  // JSON object, without _meta
  json::object meta;   // becomes params._meta, with the era's own keys added
  SteadyTime deadline;
  CallerSide caller;
  // Whoever asks follows a task that a server makes of it: a modern one that offers tasks may.
  bool follows_tasks = false;
  // Asked last of all, in the turn in which its first byte goes out, after every wait for a slot, a
  // start or a connection: with an error nothing is sent, and the reply is not_sent with it.
  std::function<Status()> may_send;
};

enum class Delivery {
  answered,  // a JSON-RPC result or error came back
  not_sent,  // certainly did not reach the server: queue full, no connection, spawn failed
  lost,      // was sent, and no answer will come: deadline, crash, broken stream, garbage
};

struct UpstreamReply {
  Delivery delivery = Delivery::not_sent;
  std::string result;     // JSON text of the result; empty where there is none
  std::string rpc_error;  // JSON text of a JSON-RPC error object; empty where there is none
  Error error;            // of not_sent and lost: why, for people
  std::chrono::milliseconds retry_after{0};  // of a busy not_sent
};

enum class UpstreamHealth { idle, starting, ready, backing_off, failed, needs_login };
std::string_view to_string(UpstreamHealth);

struct UpstreamStatus {
  UpstreamHealth health = UpstreamHealth::idle;
  std::string era;          // "2026-07-28", "2025-11-25", ...; empty until known
  std::string server_name;  // as the server says
  std::string server_version;
  std::size_t in_flight = 0;
  std::size_t queued = 0;
  std::uint64_t restarts = 0;
  std::string last_error;
  std::string stderr_tail;  // the last lines, control characters removed
  std::int64_t pid = 0;     // of a child; 0 otherwise
};

// A server that somebody attached serves one session and is named after both: "files@SESSION". Any
// number of sessions may have one called "files"; to policy, logs and people its tools are
// "files__x".
std::string attached_name(std::string_view server, std::string_view session);
bool is_attached(std::string_view name);
// "files" of "files" and of "files@SESSION".
std::string_view public_name(std::string_view name);

class Upstream {
public:
  virtual ~Upstream() = default;

  // "pg"; of an attached server "files@SESSION".
  virtual const std::string& name() const = 0;

  // Sends the request and waits for its reply until the deadline. If the coroutine is cancelled,
  // the server is told (notifications/cancelled or a closed stream).
  virtual asio::awaitable<UpstreamReply> request(UpstreamRequest request) = 0;

  // The server's capabilities (JSON object) once it is ready; starts it if need be.
  virtual asio::awaitable<Result<json::object>> capabilities(SteadyTime deadline) = 0;

  virtual UpstreamStatus status() const = 0;

  // A person's login at the server (runtime/upstream_login.hpp): the URL for the browser, then the
  // query with which that came to `redirect_uri`. Errors: unsupported where the server is none that
  // one logs in at.
  virtual asio::awaitable<Result<std::string>> begin_login(std::string redirect_uri);
  virtual asio::awaitable<Status> finish_login(std::string query);
  // Forgets its tokens.
  virtual Status forget_login();

  // Stops the connection or child in order: ask, wait, terminate, kill.
  virtual asio::awaitable<void> close() = 0;
};

}  // namespace gavel
