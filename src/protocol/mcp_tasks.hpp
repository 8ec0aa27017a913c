#pragma once
// Tasks of MCP: a server answers tools/call at once with the name of the work, and is asked later
// what came of it. Two forms:
//
//   legacy  (2025-11-25)  the client asks for one (params.task), where the tool's
//                         execution.taskSupport lets it; tasks/get, then tasks/result
//   modern  (2026-07-28)  the server decides, where the client declared the extension; tasks/get
//                         has the result in it, tasks/update brings what the server asks for

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "protocol/mcp.hpp"

namespace gavel {

enum class TaskStatus { working, input_required, completed, failed, cancelled };
std::string_view to_string(TaskStatus);

// What a server says of a task.
struct TaskView {
  std::string id;
  TaskStatus status = TaskStatus::working;
  std::string message;                // for people; may be empty
  std::chrono::milliseconds poll{0};  // until it may be asked again; 0: it does not say
  std::optional<std::chrono::milliseconds> keeps;  // it from its making on; nothing: no limit said
  // Of the modern form, as JSON text: of completed, of failed, of input_required (by key).
  std::string result;
  std::string error;
  std::string questions;
};
inline constexpr std::size_t kTaskIdBytesMax = 1024;

enum class TaskSupport { forbidden, optional, required };
// Of a tool's definition: execution.taskSupport, of the legacy form.
TaskSupport task_support(const json::object& definition);
// Whether a server of these capabilities works on tools/call as tasks.
bool offers_tasks(const json::object& capabilities, Era era);
// A modern client's capabilities with the extension declared.
json::object with_tasks(json::object capabilities);

// The task that a result of tools/call names; nothing where it is no such result. The error is
// invalid_argument where it names none that can be followed.
std::optional<Result<TaskView>> read_created_task(Era era, std::string_view result);
// A result of tasks/get.
Result<TaskView> read_task(std::string_view result);

}  // namespace gavel
