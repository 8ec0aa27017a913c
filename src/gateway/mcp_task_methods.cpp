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

TaskStatus status_of(Era era, const std::optional<CallAnswer>& answer) {
  if (!answer) return TaskStatus::working;
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
                    {"status", json::string(to_string(status_of(era, view.answer)))},
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
                                                  Result<CallAnswer> answer) {
  const bool modern = request.era == Era::modern;
  const bool is_pending = answer && answer->kind == AnswerKind::pending;
  const bool has_intent = answer && answer->intent.value > 0;
  if (modern && !(is_pending && has_intent)) {
    co_return call_answer(request, session, std::move(answer));
  }
  // Of the older era a task or an error is expected: there is no place for a result.
  if (!answer) co_return failed(request, answer.error());
  if (!has_intent) co_return failed(request, {ErrorCode::invalid_argument, answer->text});
  const IntentId intent = answer->intent;
  auto view = co_await harness_.action(session, intent, request.context.caller);
  if (!view) co_return failed(request, view.error());
  json::object task = task_object(request.era, task_id(session, intent), *view);
  if (!modern) co_return complete(request, write_json(json::object{{"task", std::move(task)}}));
  // It may have ended since; its client asks for that.
  task["resultType"] = "task";
  task["status"] = json::string(to_string(TaskStatus::working));
  co_return complete(request, write_json(task));
}

McpAnswer McpServer::task_state(const Request& request, const LogId& session, IntentId intent,
                                const ActionView& view) const {
  const json::object task = task_object(request.era, task_id(session, intent), view);
  std::string text = write_json(task);
  if (request.era == Era::legacy || !view.answer) return complete(request, text);
  // What came of it is part of how it stands.
  const auto told = call_answer(request, session, *view.answer);
  const bool cancelled = status_of(request.era, view.answer) == TaskStatus::cancelled;
  for (const std::string_view member : {"result", "error"}) {
    const auto value = json_slice(told.message, {member});
    if (!value.empty() && !cancelled) text = json_set(text, {{member, value}});
  }
  auto answer = complete(request, text);
  answer.delivered = told.delivered;
  return answer;
}

asio::awaitable<McpAnswer> McpServer::get_task(Request& request) {
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
  co_return failed(request, {ErrorCode::invalid_argument, "this task asked for nothing"});
}

asio::awaitable<McpAnswer> McpServer::cancel_task(Request& request) {
  const LogId session = session_of(request);
  const auto intent = intent_of(request.param("taskId"), session);
  if (!intent) co_return failed(request, no_task());
  const Caller caller = request.context.caller;
  const auto cancelled = co_await harness_.cancel(session, *intent, caller);
  if (!cancelled) {
    const bool conflict = cancelled.error().code == ErrorCode::conflict;
    co_return failed(request, {conflict ? ErrorCode::invalid_argument : cancelled.error().code,
                               cancelled.error().message});
  }
  if (request.era == Era::modern) co_return complete(request, "{}");
  const auto patience = std::chrono::steady_clock::now() + kCancelPatience;
  const auto ended = co_await harness_.collect(session, *intent, caller, patience, {});
  if (!ended) co_return failed(request, ended.error());
  const auto view = co_await harness_.action(session, *intent, caller);
  co_return view ? task_state(request, session, *intent, *view) : failed(request, view.error());
}

}  // namespace gavel
