#pragma once
// The HTTP API of docs/api.md: it turns requests into calls of the harness and its answers into
// JSON. It holds no state of its own. One file per topic: api.cpp routes and answers,
// api_sessions.cpp, api_control.cpp (halts, votes, policy), api_tools.cpp, api_hooks.cpp,
// api_logins.cpp (people at upstream servers) and api_watch.cpp (streams).

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "gateway/api_json.hpp"
#include "gateway/http_types.hpp"
#include "gateway/router.hpp"
#include "protocol/hooks.hpp"
#include "runtime/harness.hpp"

namespace gavel {

struct ApiOptions {
  // Reads the policy file anew. Errors: its problems, with line and column.
  std::function<Result<std::shared_ptr<const Policy>>()> load_policy = {};
  std::string version = "0.1.0";
  std::chrono::milliseconds keep_alive{10'000};  // between comments of an idle stream
  // The arguments of a hook that came over HTTP, with symbolic links followed; unset: they stay as
  // they are written.
  std::function<asio::awaitable<Result<json::object>>(json::object arguments)> follow_links = {};
  // How often a stream looks whether its client is still there.
  std::chrono::milliseconds stream_step{1'000};
};

class Api {
public:
  // `harness` must outlive this.
  Api(asio::any_io_executor executor, Harness& harness, ApiOptions options = {});

  // Answers the exchange. Paths outside /v1 are answered too: unknown.
  asio::awaitable<void> handle(HttpExchange& exchange, Caller caller);

private:
  // One request on its way; lives in handle().
  struct Request {
    HttpExchange& exchange;
    Caller caller;
    std::vector<std::string> parameters;
    std::optional<json::value> body;  // parsed, for methods with one
    // Set by a handler whose answer is an intent's final one: it is marked once it was written.
    std::optional<std::pair<LogId, IntentId>> delivered;

    std::optional<std::string> query(std::string_view key) const;
  };
  using Answer = Result<std::string>;  // JSON text
  using Handler = asio::awaitable<Answer> (Api::*)(Request&);
  using StreamHandler = asio::awaitable<void> (Api::*)(Request&);
  enum class Access {
    any,
    not_only_driver,
    driver,
    driver_or_admin,
    approver,
    approver_or_admin,
    admin,
    admin_or_observer
  };
  struct Route {
    Access access = Access::any;
    Handler handler = nullptr;
    StreamHandler stream = nullptr;
    std::vector<std::string_view> query = {};  // the parameters that it may have
  };

  void add(std::string_view method, std::string_view pattern, Access access, Handler handler,
           std::vector<std::string_view> query = {});
  void add_stream(std::string_view pattern, Access access, StreamHandler handler,
                  std::vector<std::string_view> query = {});
  asio::awaitable<void> dispatch(const Route& route, Request& request);
  static Status check_access(Access access, const Caller& caller);
  static asio::awaitable<void> answer_error(HttpExchange& exchange, Error error);
  static Status read_body(Request& request);

  // api_sessions.cpp
  asio::awaitable<Answer> health(Request& request);
  asio::awaitable<Answer> sessions(Request& request);
  asio::awaitable<Answer> session(Request& request);
  asio::awaitable<Answer> entries(Request& request);
  asio::awaitable<Answer> transcript(Request& request);
  asio::awaitable<Answer> intent(Request& request);
  asio::awaitable<Answer> wake(Request& request);
  asio::awaitable<Answer> propose(Request& request);
  asio::awaitable<Answer> permit(Request& request);
  asio::awaitable<Answer> ask(Request& request, Performer performer);
  // Until it is answered, or the client hangs up or the server stops: the action goes on then.
  asio::awaitable<Result<CallAnswer>> call_harness(Request& request, CallRequest call);
  asio::awaitable<Answer> report(Request& request);
  asio::awaitable<Answer> tell(Request& request);
  asio::awaitable<Answer> session_answer(LogId session);

  // api_control.cpp
  asio::awaitable<Answer> vote(Request& request);
  asio::awaitable<Answer> resolve(Request& request);
  asio::awaitable<Answer> pending(Request& request);
  asio::awaitable<Answer> halts(Request& request);
  asio::awaitable<Answer> raise_halt(Request& request);
  asio::awaitable<Answer> resume(Request& request);
  asio::awaitable<Answer> upstreams(Request& request);
  asio::awaitable<Answer> policy(Request& request);
  asio::awaitable<Answer> reload(Request& request);
  asio::awaitable<Answer> explain(Request& request);

  // api_tools.cpp
  asio::awaitable<Answer> tools(Request& request);
  asio::awaitable<Answer> tool(Request& request);
  asio::awaitable<Answer> accept_tool(Request& request);
  asio::awaitable<Answer> refuse_tool(Request& request);
  asio::awaitable<Answer> judge_tool(Request& request, bool accept);
  // Of all servers, attached ones too, by name.
  asio::awaitable<Result<std::map<std::string, ToolView>>> all_tools(Caller caller);
  asio::awaitable<Result<ToolView>> tool_named(Caller caller, std::string name);

  // api_hooks.cpp
  asio::awaitable<Answer> hook(Request& request);
  asio::awaitable<Status> answer_hook(Request& request, HookEvent event, std::chrono::seconds wait);

  // api_logins.cpp
  asio::awaitable<Answer> login(Request& request);
  asio::awaitable<Answer> begin_login(Request& request);
  asio::awaitable<Answer> finish_login(Request& request);
  asio::awaitable<Answer> forget_login(Request& request);
  Answer login_answer(const std::string& server) const;

  // api_watch.cpp
  asio::awaitable<void> watch_session(Request& request);
  asio::awaitable<void> watch_all(Request& request);

  PayloadReader payload_reader();

  asio::any_io_executor executor_;
  Harness& harness_;
  ApiOptions options_;
  SteadyTime started_;
  Router router_;
  std::vector<Route> routes_;
};

}  // namespace gavel
