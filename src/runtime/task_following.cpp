#include "runtime/task_following.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <set>

#include "base/text.hpp"

namespace gavel {
namespace {

constexpr std::chrono::milliseconds kPollDefault{1'000};
constexpr std::chrono::milliseconds kPollMin{50};
constexpr std::chrono::milliseconds kPollMax{60'000};
constexpr std::chrono::seconds kAskPatience{30};
constexpr std::chrono::minutes kResultPatience{10};  // while a person is asked, too
constexpr std::chrono::seconds kCancelPatience{5};

// What was answered to the questions of a modern task, which its server asks by name.
struct Answers {
  std::set<std::string> asked;               // and not answered yet
  std::map<std::string, std::string> given;  // JSON text by key, to be sent
  bool refused = false;
};

class Follower {
public:
  Follower(asio::any_io_executor executor, const Clock& clock, TaskStarted task,
           json::object capabilities, ServerNow server, WhomToAsk whom)
      : timer_(executor),
        clock_(clock),
        task_(std::move(task)),
        capabilities_(std::move(capabilities)),
        server_(std::move(server)),
        whom_(std::move(whom)),
        heard_at_(clock.steady()) {}

  asio::awaitable<TaskEnd> run() {
    auto poll = poll_interval(std::chrono::milliseconds(task_.poll));
    for (;;) {
      co_await pause(poll);
      UpstreamReply reply = co_await ask("tasks/get", task_params(), kAskPatience, {});
      if (reply.result.empty()) {
        if (auto lost = give_up(reply)) co_return std::move(*lost);
        poll = std::min<std::chrono::milliseconds>(poll * 2, kPollMax);
        continue;
      }
      const auto view = read_task(reply.result);
      if (!view) co_return lost(view.error().message);
      heard_at_ = clock_.steady();
      poll = poll_interval(view->poll);
      auto end = co_await take(*view);
      if (end) co_return std::move(*end);
    }
  }

private:
  bool is_modern() const { return task_.revision == kMcpModern; }
  std::string task_params() const {
    return fmt::format("{{\"taskId\":{}}}", json_quote(task_.task));
  }
  static std::chrono::milliseconds poll_interval(std::chrono::milliseconds said) {
    return said.count() == 0 ? kPollDefault : std::clamp(said, kPollMin, kPollMax);
  }

  // The end, where this is one.
  asio::awaitable<std::optional<TaskEnd>> take(TaskView view) {
    switch (view.status) {
      case TaskStatus::working:
        co_return std::nullopt;
      case TaskStatus::cancelled:
        co_return TaskEnd{{}, true};
      case TaskStatus::input_required:
        if (is_modern()) {
          co_await answer(view.questions);
          co_return std::nullopt;
        }
        // A legacy server asks while its result is waited for, and only there.
        if (!whom_().on_question) co_return std::nullopt;
        co_return co_await fetch_result();
      case TaskStatus::completed:
      case TaskStatus::failed:
        if (!is_modern()) co_return co_await fetch_result();
        UpstreamReply reply;
        reply.delivery = Delivery::answered;
        reply.result = view.result;
        if (reply.result.empty()) reply.rpc_error = view.error;
        if (reply.result.empty() && reply.rpc_error.empty()) {
          co_return lost(fmt::format("its task is {}, but the server does not say with what result",
                                     to_string(view.status)));
        }
        co_return TaskEnd{std::move(reply), false};
    }
    co_return std::nullopt;
  }

  asio::awaitable<std::optional<TaskEnd>> fetch_result() {
    UpstreamReply reply = co_await ask("tasks/result", task_params(), kResultPatience, whom_());
    if (reply.delivery == Delivery::answered) co_return TaskEnd{std::move(reply), false};
    co_return std::nullopt;  // it is asked again how the task stands
  }

  // Asks what was not asked yet, and sends what was answered.
  asio::awaitable<void> answer(std::string questions) {
    const auto whom = whom_();
    const auto asked = parse_json(questions.empty() ? "{}" : questions);
    if (whom.on_question && asked && asked->is_object()) {
      for (const auto& question : asked->get_object()) ask_one(whom, question);
    }
    if (answers_->refused) {
      co_await ask("tasks/cancel", task_params(), kAskPatience, {});
      co_return;
    }
    if (answers_->given.empty()) co_return;
    std::string responses;
    for (const auto& [key, said] : answers_->given) {
      responses += fmt::format("{}{}:{}", responses.empty() ? "" : ",", json_quote(key), said);
    }
    const auto params = fmt::format("{{\"taskId\":{},\"inputResponses\":{{{}}}}}",
                                    json_quote(task_.task), responses);
    const auto sent = std::exchange(answers_->given, {});
    const UpstreamReply reply = co_await ask("tasks/update", params, kAskPatience, {});
    if (reply.result.empty()) {
      for (const auto& [key, said] : sent) answers_->given.emplace(key, said);
    }
  }

  void ask_one(const CallerSide& whom, const json::key_value_pair& question) {
    const std::string key(question.key());
    const std::string method(string_or(question.value(), "method"));
    const auto* params = find(question.value(), "params");
    const std::string text = params == nullptr ? "{}" : write_json(*params);
    if (question_capability(method).empty() || answers_->given.contains(key)) return;
    if (!lacking_capability(whom.capabilities, method, text).empty()) return;
    if (!answers_->asked.insert(key).second) return;
    whom.on_question(
        {method, text,
         [answers = answers_, key](const std::string& result, const std::string& error) {
           answers->asked.erase(key);
           if (error.empty()) {
             answers->given[key] = result;
           } else if (read_rpc_error(error).code != rpc::kInternalError) {
             // That one is Gavel's own, of a client that is gone: another may come.
             answers->refused = true;
           }
         }});
  }

  asio::awaitable<UpstreamReply> ask(std::string method, std::string params,
                                     std::chrono::seconds patience, CallerSide side) {
    UpstreamRequest request;
    request.method = std::move(method);
    request.params = std::move(params);
    request.caller = std::move(side);
    if (!capabilities_.empty()) request.caller.capabilities = capabilities_;
    request.deadline = clock_.steady() + patience;
    request.follows_tasks = true;
    const auto server = server_();
    if (server) co_return co_await server->request(std::move(request));
    UpstreamReply gone;
    gone.error = {ErrorCode::not_found, "it is no server of the policy any more"};
    co_return gone;
  }

  // After a reply without a result: whether to go on asking.
  std::optional<TaskEnd> give_up(const UpstreamReply& reply) const {
    if (reply.delivery == Delivery::answered) {
      const auto error = read_rpc_error(reply.rpc_error);
      return lost(fmt::format("the server knows nothing of its task any more: {} ({})",
                              for_display(error.message, 500), error.code));
    }
    const bool may_come_back = reply.error.code != ErrorCode::not_found;
    if (may_come_back && clock_.steady() - heard_at_ < kTaskSilenceMax) return std::nullopt;
    return lost("the server does not answer about its task: " + reply.error.message);
  }

  static TaskEnd lost(std::string why) {
    TaskEnd end;
    end.reply.delivery = Delivery::lost;
    end.reply.error = {ErrorCode::unavailable, std::move(why)};
    return end;
  }

  asio::awaitable<void> pause(std::chrono::milliseconds span) {
    timer_.expires_at(clock_.steady() + span);
    co_await timer_.async_wait(asio::use_awaitable);
  }

  asio::steady_timer timer_;
  const Clock& clock_;
  TaskStarted task_;
  json::object capabilities_;
  ServerNow server_;
  WhomToAsk whom_;
  SteadyTime heard_at_;
  std::shared_ptr<Answers> answers_ = std::make_shared<Answers>();
};

}  // namespace

asio::awaitable<TaskEnd> follow_task(asio::any_io_executor executor, const Clock& clock,
                                     TaskStarted task, json::object capabilities, ServerNow server,
                                     WhomToAsk whom) {
  Follower follower(std::move(executor), clock, std::move(task), std::move(capabilities),
                    std::move(server), std::move(whom));
  co_return co_await follower.run();
}

asio::awaitable<void> cancel_task(std::shared_ptr<Upstream> upstream, const Clock& clock,
                                  std::string task_id) {
  UpstreamRequest request;
  request.method = "tasks/cancel";
  request.params = fmt::format("{{\"taskId\":{}}}", json_quote(task_id));
  request.deadline = clock.steady() + kCancelPatience;
  request.follows_tasks = true;
  co_await upstream->request(std::move(request));
}

}  // namespace gavel
