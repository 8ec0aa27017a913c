#pragma once
// Inside of HttpUpstream, which its three files share: http_upstream.cpp (requests and the end),
// http_upstream_opening.cpp (which era, which session) and http_upstream_changes.cpp (what the
// server says by itself). Nobody else includes this.

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/mcp_headers.hpp"
#include "runtime/event.hpp"
#include "runtime/http_exchange.hpp"
#include "runtime/http_upstream.hpp"
#include "runtime/task_group.hpp"
#include "runtime/upstream_gate.hpp"
#include "runtime/upstream_login.hpp"
#include "runtime/wanted_changes.hpp"

namespace gavel {

// A token is renewed, then its scopes are: after that a refusal stays one.
inline constexpr int kLoginTries = 2;

struct NotReady {
  Error error;
  std::chrono::milliseconds retry_after{0};
};

class HttpUpstream::Core : public std::enable_shared_from_this<Core> {
public:
  Core(asio::any_io_executor on, const ServerSpec& of, UpstreamOptions with)
      : executor(on),
        spec(of),
        options(std::move(with)),
        gate(on, *options.clock, of.name, {of.concurrency_max, of.queue_max, of.rate}),
        changed(on),
        tasks(on, options.log_line) {}

  struct Asking;
  using Ready = std::expected<void, NotReady>;
  using Greeted = std::expected<ServerGreeting, NotReady>;

  static asio::awaitable<UpstreamReply> request(std::shared_ptr<Core> self,
                                                UpstreamRequest request);
  static asio::awaitable<Ready> wait_ready(std::shared_ptr<Core> self, SteadyTime deadline);
  static asio::awaitable<Result<json::object>> capabilities(std::shared_ptr<Core> self,
                                                            SteadyTime deadline);
  static asio::awaitable<void> start(std::shared_ptr<Core> self);
  static asio::awaitable<Greeted> greet(std::shared_ptr<Core> self);
  static asio::awaitable<Greeted> discover(std::shared_ptr<Core> self);
  static asio::awaitable<Greeted> initialize(std::shared_ptr<Core> self);
  static asio::awaitable<void> listen(std::shared_ptr<Core> self, std::uint64_t of_session);
  static asio::awaitable<void> listen_modern(std::shared_ptr<Core> self, std::uint64_t of_session);
  static asio::awaitable<void> read_listening(std::shared_ptr<Core> self, OutboundReply reply);
  static asio::awaitable<void> tell(std::shared_ptr<Core> self, std::string message);
  static asio::awaitable<void> drain(OutboundReply rest);
  static asio::awaitable<void> close(std::shared_ptr<Core> self);

  // Posts with the login's token, where there is one, and once more where the server's refusal can
  // be answered with another.
  static asio::awaitable<McpPosted> post(std::shared_ptr<Core> self, McpPost post);
  static asio::awaitable<Result<std::string>> begin_login(std::shared_ptr<Core> self,
                                                          std::string redirect_uri);
  static asio::awaitable<Status> finish_login(std::shared_ptr<Core> self, std::string query);

  Status prepare();
  McpPost make_post(const UpstreamRequest& request, std::string id);
  OutboundHeaders base_headers() const;
  OutboundHeaders session_headers() const;
  // Of a request that no post() sends: with the token as it is.
  OutboundHeaders authorized(OutboundHeaders headers) const;
  void add_call_headers(OutboundHeaders& headers, const UpstreamRequest& request) const;
  static bool session_is_gone(const McpPosted& posted);
  void open_anew(std::uint64_t session);
  static bool sounds_of_other_era(const McpPosted& posted, Era era);
  // `caller`: of the request on whose stream the message came; empty of the session's own.
  void take_message(const RpcMessage& message, const CallerSide& caller);
  // Null where nobody can be asked. On the session's own stream nothing says to which request a
  // question belongs: with one in flight it can be no other.
  const CallerSide* whom_to_ask(const RpcMessage& message, const CallerSide& caller) const;
  void take_question(const RpcMessage& message, const CallerSide& caller);
  // The session whose server knows these capabilities; null where there are too many.
  std::shared_ptr<Core> variant(const json::object& capabilities);
  // Nothing where it is no subscription, or the server is to be asked itself.
  std::optional<UpstreamReply> subscribe(const UpstreamRequest& request);
  void silence();
  void finish(McpPosted& posted);
  // The listing without tools whose header annotations are broken; remembers the others.
  std::string learn_tools(std::string result);
  std::string next_id() { return std::to_string(++last_id); }
  void say(const std::string& line) const {
    if (options.log_line) options.log_line(line);
  }

  asio::any_io_executor executor;
  ServerSpec spec;
  UpstreamOptions options;
  UpstreamGate gate;
  std::shared_ptr<OutboundHttp> http;    // null until prepared
  OutboundHeaders configured;            // of the policy, secrets among them
  std::shared_ptr<UpstreamLogin> login;  // null where Gavel does not log in; shared by variants

  UpstreamHealth health = UpstreamHealth::idle;
  ServerGreeting greeting;
  Era era = Era::legacy;
  std::optional<Era> known_era;
  std::string session_id;      // of a legacy server; may be empty
  std::uint64_t sessions = 0;  // how many were opened
  std::uint64_t failed_starts = 0;
  NotReady last_failure;
  std::map<std::string, std::vector<ParamHeader>> annotated;  // by tool
  std::map<std::string, std::shared_ptr<Core>> variants;      // by the capabilities' JSON
  WantedChanges wanted;
  std::vector<const CallerSide*> asking;  // of the requests in flight that can be asked
  OutboundReply* listening = nullptr;     // the stream of changes while it is read
  std::uint64_t last_id = 0;
  bool is_variant = false;
  bool starting = false;
  bool closing = false;
  Event changed;
  TaskGroup tasks;
};

}  // namespace gavel
