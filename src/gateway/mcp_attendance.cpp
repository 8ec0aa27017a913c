#include "gateway/mcp_attendance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "gateway/mcp_server.hpp"
#include "protocol/json_text.hpp"

namespace gavel {
namespace {

// Signs of life count up by this, so that a tool's own progress still exceeds them.
constexpr double kProgressStep = 1e-6;
constexpr std::size_t kIdBytes = 16;

std::string waiting_text(const LogId& session, const std::string& what,
                         const std::optional<WaitingCall::Held>& held) {
  if (!held) return fmt::format("waiting for {}", what);
  const auto name = fmt::format("{}#{}", session.value, held->intent.value);
  switch (held->reason) {
    case HoldReason::ask:
      return "waiting for approval of " + name;
    case HoldReason::two_step:
      return "waiting for the delay and confirmation of " + name;
    case HoldReason::settling:
      return name + " waits until the session's last write has settled";
  }
  return "waiting for " + name;
}

bool is_severe_enough(std::string_view params, std::string_view wanted) {
  const auto level = json_unquote(json_slice(params, {"level"})).value_or("");
  return log_severity(level).value_or(-1) >= log_severity(wanted).value_or(0);
}

std::string unanswered() {
  return rpc_error_object(rpc::kInternalError, "the client did not answer");
}

// What a legacy client said to the questions of one result.
struct Answers {
  std::map<std::string, std::string> results;  // by key, JSON text
  std::string refused;                         // its error, of the first that it refused
};

}  // namespace

// notifications/progress with the client's own token.
class McpAttendance::Progress {
public:
  explicit Progress(std::string token) : token_(std::move(token)) {}

  bool wanted() const { return !token_.empty(); }
  // The tool's own; `params` as the upstream sent them.
  std::string relay(std::string_view params) {
    const auto value = json_slice(params, {"progress"});
    double number = 0;
    const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (code == std::errc{}) last_ = std::max(last_, number);
    return rpc_notification("notifications/progress",
                            json_set(params, {{"progressToken", token_}}));
  }
  std::string waiting(std::string_view message) {
    last_ += kProgressStep;
    return rpc_notification("notifications/progress",
                            fmt::format(R"({{"progressToken":{},"progress":{},"message":{}}})",
                                        token_, last_, json_quote(message)));
  }

private:
  std::string token_;
  double last_ = 0;
};

McpAttendance::McpAttendance(const asio::any_io_executor& executor, McpExchange& exchange,
                             const McpOptions& options, Client client)
    : executor_(executor),
      exchange_(exchange),
      options_(options),
      client_(std::move(client)),
      news_(std::make_shared<McpOutbox>(executor)),
      sign_at_(std::chrono::steady_clock::now() + options.hold_off) {
  if (!exchange.can_stream()) {
    client_.progress_token.clear();
    client_.log_level.clear();
    if (client_.era == Era::legacy) client_.capabilities.clear();
  }
  progress_ = std::make_unique<Progress>(client_.progress_token);
  registered_ = std::make_unique<McpRegistration>(client_.peer, client_.request_id,
                                                  [news = std::weak_ptr(news_)] {
                                                    if (const auto waiting = news.lock())
                                                      waiting->wake();
                                                  });
}

McpAttendance::~McpAttendance() {
  for (auto& [key, question] : questions_) question.answer({}, unanswered());
  if (!client_.peer) return;
  for (const auto& id : asked_) {
    const auto asked = client_.peer->asked.extract(id);
    if (asked) asked.mapped()({}, unanswered());
  }
}

CallerSide McpAttendance::side() const {
  CallerSide side;
  side.capabilities = client_.capabilities;
  side.identity = client_.identity;
  side.log_level = client_.log_level;
  if (progress_->wanted()) side.on_progress = [](std::string_view) {};
  if (!client_.log_level.empty()) side.on_log = [](std::string_view) {};
  const bool can_be_told = client_.era == Era::modern || !client_.capabilities.empty();
  if (can_be_told) side.on_question = [](UpstreamQuestion) {};
  return side;
}

bool McpAttendance::gone() const {
  return !open_ || exchange_.ended() || registered_->cancelled();
}

asio::awaitable<McpAttendance::End> McpAttendance::attend(std::shared_ptr<WaitingCall> call,
                                                          const LogId& session,
                                                          const std::string& what) {
  // Whatever wakes this coroutine wakes it by the outbox, whose messages are not used.
  call->on_news([news = std::weak_ptr(news_)] {
    if (const auto waiting = news.lock()) waiting->wake();
  });
  if (call->has_news()) news_->wake();
  while (!call->finished() && !gone()) {
    co_await news_->wait_until(gathered_at_ ? std::min(*gathered_at_, sign_at_) : sign_at_);
    if (call->finished() || registered_->cancelled()) break;
    if (!watching_) {
      watching_ = true;
      exchange_.cancel_when_ended();
      if (exchange_.ended()) break;
    }
    co_await name_stream(*call);
    bool sign = std::chrono::steady_clock::now() >= sign_at_;
    if (auto now_held = call->take_held()) {
      held_ = *now_held;
      sign = true;
    }
    co_await pass_on(*call);
    while (!client_.asked_later) {
      auto question = call->next_question();
      if (!question) break;
      co_await take(call, std::move(*question));
    }
    if (!lacking_.empty()) co_return End::asked;
    if (gathered_at_ && std::chrono::steady_clock::now() >= *gathered_at_) co_return End::asked;
    if (sign) co_await sign_of_life(session, what);
  }
  if (!gone()) co_await pass_on(*call);
  if (call->finished()) co_return End::finished;
  const bool left = !open_ || registered_->cancelled() || !exchange_.server_stopping();
  co_return left ? End::left : End::stopping;
}

asio::awaitable<void> McpAttendance::name_stream(const WaitingCall& call) {
  const auto intent = call.intent();
  if (!client_.name_stream || !intent || named_ == intent) co_return;
  auto name = co_await client_.name_stream(*intent);
  if (name.empty()) co_return;
  exchange_.name_stream(std::move(name));
  named_ = intent;
}

asio::awaitable<void> McpAttendance::pass_on(WaitingCall& call) {
  while (auto notice = call.next_notice()) {
    std::string message;
    if (notice->method == "notifications/progress") {
      message = progress_->relay(notice->params);
    } else if (is_severe_enough(notice->params, client_.log_level)) {
      message = rpc_notification(notice->method, notice->params);
    }
    if (message.empty()) continue;
    open_ = open_ && co_await exchange_.send(std::move(message));
    sign_at_ = std::chrono::steady_clock::now() + options_.keep_alive;
  }
}

asio::awaitable<void> McpAttendance::sign_of_life(const LogId& session, const std::string& what) {
  sign_at_ = std::chrono::steady_clock::now() + options_.keep_alive;
  if (!exchange_.can_stream() || !open_) co_return;
  if (progress_->wanted()) {
    auto message = progress_->waiting(waiting_text(session, what, held_));
    open_ = co_await exchange_.send(std::move(message));
  } else {
    open_ = co_await exchange_.keep_alive();
  }
}

// --- questions ---

asio::awaitable<void> McpAttendance::take(std::shared_ptr<WaitingCall> call,
                                          UpstreamQuestion question) {
  auto lacking = lacking_capability(client_.capabilities, question.method, question.params);
  if (!lacking.empty()) {
    question.answer({}, cannot_be_asked(client_.capabilities, question.method));
    if (client_.era == Era::modern) lacking_ = std::move(lacking);
  } else if (questions_.size() + asked_.size() >= kQuestionsMax) {
    question.answer({}, rpc_error_object(rpc::kInternalError, "too many questions at once"));
  } else if (client_.era == Era::modern) {
    if (!gathered_at_) gathered_at_ = std::chrono::steady_clock::now() + kGatherFor;
    const auto key =
        fmt::format("{}_{}", question_capability(question.method), questions_.size() + 1);
    question.params = to_modern_question(question.method, question.params);
    questions_.emplace(key, std::move(question));
  } else {
    // A person takes longer than the call's patience.
    call->park();
    co_await ask(question.method, question.params,
                 [answer = question.answer, weak = std::weak_ptr(call)](const std::string& result,
                                                                        const std::string& error) {
                   if (const auto waiting = weak.lock()) waiting->unpark();
                   answer(result, error);
                 });
  }
}

asio::awaitable<void> McpAttendance::ask(std::string method, std::string params, Reply reply) {
  auto& peer = *client_.peer;
  const auto id = fmt::format("\"gavel-{}\"", ++peer.last_question);
  params = to_legacy_question(method, params, fmt::format("gavel-{}", random_id(kIdBytes)));
  peer.listener->hear_of_elicitation(
      json_unquote(json_slice(params, {"elicitationId"})).value_or(""));
  peer.asked.emplace(id, std::move(reply));
  asked_.push_back(id);
  if (!open_) co_return;
  open_ = co_await exchange_.send(rpc_request(id, method, params.empty() ? "{}" : params));
}

std::map<std::string, UpstreamQuestion> McpAttendance::take_questions() {
  gathered_at_.reset();
  return std::exchange(questions_, {});
}

asio::awaitable<Result<std::string>> McpAttendance::gather_input(std::string_view result) {
  const auto document = parse_json(result);
  const auto* questions = document ? find_object(*document, "inputRequests") : nullptr;
  const json::object none;
  const auto answers = std::make_shared<Answers>();
  const std::size_t count = questions == nullptr ? 0 : questions->size();
  if (count > kQuestionsMax) {
    co_return fail(ErrorCode::too_large, fmt::format("the server asks {} things at once", count));
  }
  for (const auto& question : questions == nullptr ? none : *questions) {
    const std::string method(string_or(question.value(), "method"));
    const auto* asked = find(question.value(), "params");
    const bool can = !question_capability(method).empty() &&
                     lacking_capability(client_.capabilities, method,
                                        asked == nullptr ? "{}" : write_json(*asked))
                         .empty();
    if (!can) {
      co_return fail(ErrorCode::unsupported,
                     fmt::format("the server asks for input by {}, and this client cannot be asked "
                                 "that; nothing was done",
                                 json_quote(method)));
    }
    const auto* params = find_object(question.value(), "params");
    co_await ask(method, params == nullptr ? std::string{} : write_json(*params),
                 [answers, news = std::weak_ptr(news_), key = std::string(question.key())](
                     const std::string& said, const std::string& error) {
                   if (!error.empty() && answers->refused.empty()) answers->refused = error;
                   answers->results[key] = said;
                   if (const auto waiting = news.lock()) waiting->wake();
                 });
  }
  const auto patience = std::chrono::steady_clock::now() + kAnswerPatience;
  if (!std::exchange(watching_, true)) exchange_.cancel_when_ended();
  while (answers->results.size() < count && answers->refused.empty() && !gone()) {
    if (std::chrono::steady_clock::now() > patience) {
      co_return fail(ErrorCode::timeout,
                     "the client did not answer in time what the server asked for; nothing was "
                     "done");
    }
    co_await news_->wait_until(sign_at_);
    if (gone() || std::chrono::steady_clock::now() < sign_at_) continue;
    co_await sign_of_life({}, "the answer to a question");
  }
  if (!answers->refused.empty()) {
    co_return fail(ErrorCode::cancelled,
                   fmt::format("the client did not answer what the server asked for: {}; nothing "
                               "was done",
                               read_rpc_error(answers->refused).message));
  }
  if (answers->results.size() < count) co_return std::string{};
  std::string input;
  for (const auto& [key, said] : answers->results) {
    input += fmt::format("{}{}:{}", input.empty() ? "" : ",", json_quote(key), said);
  }
  input = fmt::format("{{\"inputResponses\":{{{}}}", input);
  const auto state = json_slice(result, {"requestState"});
  if (!state.empty()) input += fmt::format(",\"requestState\":{}", state);
  co_return input + "}";
}

}  // namespace gavel
