#include "gateway/mcp_client_tasks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "protocol/json_text.hpp"
#include "protocol/mcp.hpp"

namespace gavel {

void McpClientTasks::attend(const std::string& key, const json::object& capabilities,
                            const Start& start) {
  if (!tasks_.contains(key) && tasks_.size() >= kClientTasksMax) {
    const auto oldest =
        std::ranges::min_element(tasks_, {}, [](const auto& entry) { return entry.second.used; });
    leave(oldest->second);
    tasks_.erase(oldest);
  }
  Attended& task = tasks_[key];
  task.used = ++uses_;
  if (task.call) return;
  task.capabilities = capabilities;
  task.call = start();
}

void McpClientTasks::take(Attended& task, WaitingCall& call) {
  while (auto question = call.next_question()) {
    if (!lacking_capability(task.capabilities, question->method, question->params).empty()) {
      question->answer({}, cannot_be_asked(task.capabilities, question->method));
      continue;
    }
    const auto key = fmt::format("{}_{}", question_capability(question->method), ++task.asked);
    question->params = to_modern_question(question->method, question->params);
    task.open.emplace(key, std::move(*question));
  }
}

void McpClientTasks::take_questions(const std::string& key, WaitingCall& call) {
  const auto task = tasks_.find(key);
  if (task != tasks_.end()) take(task->second, call);
}

json::object McpClientTasks::questions(const std::string& key) {
  const auto task = tasks_.find(key);
  json::object asked;
  if (task == tasks_.end()) return asked;
  take(task->second, *task->second.call);
  for (const auto& [name, question] : task->second.open) {
    auto params = parse_json(question.params.empty() ? "{}" : question.params);
    asked[name] =
        json::object{{"method", question.method},
                     {"params", params ? std::move(*params) : json::value(json::object{})}};
  }
  return asked;
}

void McpClientTasks::answer(const std::string& key, std::string_view responses) {
  const auto task = tasks_.find(key);
  if (task == tasks_.end()) return;
  JsonObjectReader reader(responses);
  while (const auto member = reader.next()) {
    const auto question = task->second.open.extract(json_unquote(member->key).value_or(""));
    if (!question) continue;
    question.mapped().answer(std::string(member->value), {});
  }
}

void McpClientTasks::leave(Attended& task) {
  for (auto& [name, question] : task.open) {
    question.answer({}, rpc_error_object(rpc::kInternalError, "the client no longer asks"));
  }
  task.open.clear();
  if (task.call) task.call->abandon();
}

void McpClientTasks::forget(const std::string& key) {
  auto task = tasks_.extract(key);
  if (task) leave(task.mapped());
}

void McpClientTasks::close() {
  for (auto& [key, task] : tasks_) leave(task);
  tasks_.clear();
}

}  // namespace gavel
