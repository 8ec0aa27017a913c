// Actions as tasks of a client: the call is answered with a name, and asked about later, also of a
// daemon that was started since. A task is an action of the log and nothing beside it: its name is
// that of session and intent, good for whoever asked for the action, in that session.
#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/text.hpp"
#include "core/codec.hpp"
#include "gateway/api_query.hpp"
#include "gateway/mcp_server.hpp"
#include "gateway/waiting_call.hpp"
#include "protocol/mcp_tasks.hpp"

namespace gavel {
namespace {

constexpr std::int64_t kPollMs = 1'000;
// What a cancelled task may take to end before its client is told how it stands.
constexpr std::chrono::seconds kCancelPatience{5};

std::string task_id(const LogId& session, IntentId intent) {
  return to_hex(fmt::format("{}#{}", session.value, intent.value));
}

// Of McpClientTasks.
std::string task_key(const Caller& caller, const LogId& session, IntentId intent) {
  return fmt::format("{}\n{}\n{}", caller.principal.value, session.value, intent.value);
}

// The intent, where the name is one of this session.
std::optional<IntentId> intent_of(std::string_view id, const LogId& session) {
  const auto name = from_hex(id);
  const std::string prefix = session.value + "#";
  if (!name || !name->starts_with(prefix)) return std::nullopt;
  const auto number =
      parse_number("taskId", std::string_view(*name).substr(prefix.size()), 1, UINT64_MAX);
  if (!number) return std::nullopt;
  return IntentId{*number};
}

TaskStatus status_of(Era era, const ActionView& view) {
  const auto& answer = view.answer;
  // A legacy client is asked on the stream of tasks/result, and this tells it to open that.
  const bool asks = view.wants_input && era == Era::legacy;
  if (!answer) return asks ? TaskStatus::input_required : TaskStatus::working;
  if (!answer->rpc_error.empty()) return TaskStatus::failed;
  const bool is_result = answer->kind == AnswerKind::result;
  if (!is_result && answer->code == ErrorCode::cancelled) return TaskStatus::cancelled;
  // A tool that fails has completed in the newer era, and failed in the older one.
  const bool failed = !is_result || json_slice(answer->result, {"isError"}) == "true";
  return failed && era == Era::legacy ? TaskStatus::failed : TaskStatus::completed;
}

json::object task_object(Era era, std::string id, const ActionView& view) {
  const bool modern = era == Era::modern;
  json::object task{{"taskId", std::move(id)},
                    {"status", json::string(to_string(status_of(era, view)))},
                    {"createdAt", to_iso8601(view.proposed_at)},
                    {"lastUpdatedAt", to_iso8601(view.changed_at)}};
  if (!view.text.empty()) task["statusMessage"] = view.text;
  // The log keeps it.
  task[modern ? "ttlMs" : "ttl"] = nullptr;
  task[modern ? "pollIntervalMs" : "pollInterval"] = kPollMs;
  return task;
}

Error no_task() {
  return {ErrorCode::not_found,
          "no such task: it is not of this session, or somebody else asked for it"};
}

}  // namespace

bool McpServer::knows_legacy_tasks(const Request& request) {
  const auto& peer = request.context.peer;
  return request.era == Era::legacy && peer && peer->version == kMcpLegacy;
}

bool McpServer::wants_task(const Request& request) {
  if (request.era == Era::legacy) {
    return knows_legacy_tasks(request) && request.text("task").starts_with('{');
  }
  const auto& declared = request.meta.client_capabilities;
  return declared && offers_tasks(*declared, Era::modern);
}

asio::awaitable<McpAnswer> McpServer::task_answer(Request& request, LogId session,
                                                  std::shared_ptr<WaitingCall> call) {
  auto answer = call->take_answer();
  const bool is_task = answer && answer->kind == AnswerKind::pending && answer->intent.value > 0;
  if (!is_task) co_return call_answer(request, session, std::move(answer));
  const IntentId intent = answer->intent;
  attend_task(request, session, intent);
  client_tasks_.take_questions(task_key(request.context.caller, session, intent), *call);
  auto view = co_await harness_.action(session, intent, request.context.caller);
  if (!view) co_return failed(request, view.error());
  json::object task = task_object(request.era, task_id(session, intent), *view);
  task["resultType"] = "task";
  // It may have ended since; its client asks for that.
  task["status"] = json::string(to_string(TaskStatus::working));
  co_return complete(request, write_json(task));
}

asio::awaitable<McpAnswer> McpServer::legacy_task(Request& request, LogId session,
                                                  Result<CallAnswer> answer) {
  // A task or an error is expected: there is no place for a result.
  if (!answer) co_return failed(request, answer.error());
  if (answer->intent.value == 0) {
    co_return failed(request, {ErrorCode::invalid_argument, answer->text});
  }
  const IntentId intent = answer->intent;
  auto view = co_await harness_.action(session, intent, request.context.caller);
  if (!view) co_return failed(request, view.error());
  json::object task = task_object(request.era, task_id(session, intent), *view);
  co_return complete(request, write_json(json::object{{"task", std::move(task)}}));
}

void McpServer::attend_task(const Request& request, const LogId& session, IntentId intent) {
  const auto client = client_of(request);
  CallerSide side;
  side.capabilities = client.capabilities;
  side.identity = client.identity;
  side.on_question = [](UpstreamQuestion) {};
  const auto key = task_key(request.context.caller, session, intent);
  client_tasks_.attend(key, side.capabilities, [&] {
    return WaitingCall::start_collecting(executor_, harness_, session, intent,
                                         request.context.caller, side);
  });
}

McpAnswer McpServer::task_state(const Request& request, const LogId& session, IntentId intent,
                                const ActionView& view) {
  json::object task = task_object(request.era, task_id(session, intent), view);
  if (request.era == Era::legacy) return complete(request, write_json(task));
  const auto key = task_key(request.context.caller, session, intent);
  if (!view.answer) {
    attend_task(request, session, intent);
    if (auto questions = client_tasks_.questions(key); !questions.empty()) {
      task["status"] = json::string(to_string(TaskStatus::input_required));
      task["inputRequests"] = std::move(questions);
    }
    return complete(request, write_json(task));
  }
  client_tasks_.forget(key);
  // What came of it is part of how it stands.
  const auto told = call_answer(request, session, *view.answer);
  const bool cancelled = status_of(request.era, view) == TaskStatus::cancelled;
  std::string text = write_json(task);
  for (const std::string_view member : {"result", "error"}) {
    const auto value = json_slice(told.message, {member});
    if (!value.empty() && !cancelled) text = json_set(text, {{member, value}});
  }
  auto answer = complete(request, text);
  answer.delivered = told.delivered;
  return answer;
}

asio::awaitable<McpAnswer> McpServer::get_task(Request& request) {
  if (auto refused = refuse_undeclared(request)) co_return std::move(*refused);
  const LogId session = session_of(request);
  const auto intent = intent_of(request.param("taskId"), session);
  if (!intent) co_return failed(request, no_task());
  const auto view = co_await harness_.action(session, *intent, request.context.caller);
  co_return view ? task_state(request, session, *intent, *view) : failed(request, no_task());
}

asio::awaitable<McpAnswer> McpServer::task_result(Request& request) {
  const LogId session = session_of(request);
  const std::string id(request.param("taskId"));
  const auto intent = intent_of(id, session);
  if (!intent) co_return failed(request, no_task());
  const auto view = co_await harness_.action(session, *intent, request.context.caller);
  if (!view) co_return failed(request, no_task());
  McpAttendance attendance(executor_, request.exchange, options_, client_of(request));
  const auto running = WaitingCall::start_collecting(executor_, harness_, session, *intent,
                                                     request.context.caller, attendance.side());
  const CallGuard guard(running);
  const auto end = co_await attendance.attend(running, session, view->tool);
  if (end == McpAttendance::End::stopping) {
    co_return failed(request, {ErrorCode::unavailable, "gavel is stopping; ask again later"});
  }
  if (end != McpAttendance::End::finished) co_return McpAnswer{};
  const json::object related{{"taskId", id}};
  co_return call_answer(request, session, running->take_answer(), {{meta::kRelatedTask, related}});
}

asio::awaitable<McpAnswer> McpServer::update_task(Request& request) {
  if (auto refused = refuse_undeclared(request)) co_return std::move(*refused);
  const LogId session = session_of(request);
  const auto intent = intent_of(request.param("taskId"), session);
  if (!intent) co_return failed(request, no_task());
  const auto view = co_await harness_.action(session, *intent, request.context.caller);
  if (!view) co_return failed(request, no_task());
  const auto responses = request.text("inputResponses");
  if (!responses.starts_with('{')) {
    co_return failed(request, {ErrorCode::invalid_argument,
                               "\"inputResponses\" must be an object: an answer for each key"});
  }
  client_tasks_.answer(task_key(request.context.caller, session, *intent), responses);
  co_return complete(request, "{}");
}

std::optional<McpAnswer> McpServer::refuse_undeclared(const Request& request) {
  if (request.era == Era::legacy || wants_task(request)) return std::nullopt;
  return lacking(request, with_tasks({}));
}

asio::awaitable<McpAnswer> McpServer::cancel_task(Request& request) {
  if (auto refused = refuse_undeclared(request)) co_return std::move(*refused);
  const LogId session = session_of(request);
  const auto intent = intent_of(request.param("taskId"), session);
  if (!intent) co_return failed(request, no_task());
  const Caller caller = request.context.caller;
  const auto cancelled = co_await harness_.cancel(session, *intent, caller);
  const bool conflict = !cancelled && cancelled.error().code == ErrorCode::conflict;
  if (!cancelled && !conflict) co_return failed(request, cancelled.error());
  // Of the newer era this is a wish: what becomes of it is said by tasks/get.
  if (request.era == Era::modern) co_return complete(request, "{}");
  if (conflict) {
    co_return failed(request, {ErrorCode::invalid_argument, cancelled.error().message});
  }
  const auto patience = std::chrono::steady_clock::now() + kCancelPatience;
  const auto ended = co_await harness_.collect(session, *intent, caller, patience, {});
  if (!ended) co_return failed(request, ended.error());
  const auto view = co_await harness_.action(session, *intent, caller);
  co_return view ? task_state(request, session, *intent, *view) : failed(request, view.error());
}

}  // namespace gavel
