#pragma once
// Attends to a client while its request runs: what the server says meanwhile is passed on, what it
// asks is asked, and signs of life show that somebody is still there.
//
// A legacy client is asked by a request on the same stream, and answers by a message of its own. A
// modern one is asked by the end of its request: attend() then returns with the questions, which
// were gathered for a moment, as servers ask several things at once.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/mcp_outbox.hpp"
#include "gateway/mcp_sessions.hpp"
#include "gateway/waiting_call.hpp"
#include "protocol/mcp.hpp"

namespace gavel {

class McpExchange;
struct McpOptions;

class McpAttendance {
public:
  struct Client {
    Era era = Era::legacy;
    std::shared_ptr<McpSession> peer;  // null of a modern one
    std::string request_id;            // JSON token
    std::string progress_token;        // JSON token; empty for none
    std::string log_level;             // empty for no log messages
    json::object capabilities;         // what it may be asked
    std::string identity;              // as CallerSide has it
    bool asked_later = false;          // questions are left to the call: it may become a task
    // The name under which the stream of that action can be come back to; empty while there is
    // none. Null where it cannot.
    std::function<asio::awaitable<std::string>(IntentId)> name_stream;
  };
  // `exchange` and `options` must outlive this.
  McpAttendance(const asio::any_io_executor& executor, McpExchange& exchange,
                const McpOptions& options, Client client);
  // Questions that nobody answered are answered with an error.
  ~McpAttendance();
  McpAttendance(const McpAttendance&) = delete;
  McpAttendance& operator=(const McpAttendance&) = delete;

  // What a call of this client can take on its way.
  CallerSide side() const;

  enum class End {
    finished,  // the call has its answer
    asked,     // see take_questions(), or lacking()
    left,      // the client went away or cancelled
    stopping,  // the server stops
  };
  // `what` names the call in signs of life.
  asio::awaitable<End> attend(std::shared_ptr<WaitingCall> call, const LogId& session,
                              const std::string& what);

  // Of a modern client: by the key that it is to answer under.
  std::map<std::string, UpstreamQuestion> take_questions();
  // The capabilities without which the client cannot be asked what the server wants to know; empty
  // where there are none.
  const json::object& lacking() const { return lacking_; }

  // Of a legacy client: asks what a modern server's input_required asks for. The input of the next
  // round (JSON text); empty where the client left; an error where it cannot or will not answer.
  asio::awaitable<Result<std::string>> gather_input(std::string_view result);

  const std::optional<WaitingCall::Held>& held() const { return held_; }
  // Whether the client went away from a stream that it can come back to, without cancelling.
  bool may_return() const { return named_.has_value() && !registered_->cancelled(); }

private:
  class Progress;
  using Reply = std::function<void(std::string result, std::string error)>;

  bool gone() const;
  asio::awaitable<void> name_stream(const WaitingCall& call);
  asio::awaitable<void> pass_on(WaitingCall& call);
  asio::awaitable<void> sign_of_life(const LogId& session, const std::string& what);
  asio::awaitable<void> take(std::shared_ptr<WaitingCall> call, UpstreamQuestion question);
  asio::awaitable<void> ask(std::string method, std::string params, Reply reply);

  asio::any_io_executor executor_;
  McpExchange& exchange_;
  const McpOptions& options_;
  Client client_;
  std::unique_ptr<Progress> progress_;
  std::shared_ptr<McpOutbox> news_;  // wakes whoever waits in here
  std::unique_ptr<McpRegistration> registered_;
  std::weak_ptr<WaitingCall> current_;
  std::optional<WaitingCall::Held> held_;
  std::optional<IntentId> named_;  // what the stream is named for
  std::chrono::steady_clock::time_point sign_at_;
  std::optional<std::chrono::steady_clock::time_point> gathered_at_;
  std::map<std::string, UpstreamQuestion> questions_;
  std::vector<std::string> asked_;  // ids of requests to a legacy client
  json::object lacking_;
  bool open_ = true;
  bool watching_ = false;
};

// How long further questions are waited for before a modern client is told.
inline constexpr std::chrono::milliseconds kGatherFor{50};
// How long a legacy client may take to answer a modern server's questions.
inline constexpr std::chrono::minutes kAnswerPatience{10};
inline constexpr std::size_t kQuestionsMax = 32;  // of one call at once

}  // namespace gavel
