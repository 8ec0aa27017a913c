#include "protocol/mcp_tasks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace gavel {
namespace {

constexpr std::array kStatuses = {TaskStatus::working, TaskStatus::input_required,
                                  TaskStatus::completed, TaskStatus::failed, TaskStatus::cancelled};
constexpr std::int64_t kSpanMaxMs = 366LL * 86'400'000;

std::optional<std::chrono::milliseconds> span(const json::value& task, std::string_view modern,
                                              std::string_view legacy) {
  const auto* said = find(task, modern);
  if (said == nullptr) said = find(task, legacy);
  if (said == nullptr || !said->is_int64() || said->get_int64() < 0) return std::nullopt;
  return std::chrono::milliseconds(std::min(said->get_int64(), kSpanMaxMs));
}

Result<TaskView> read_members(const json::value& task, std::string_view text) {
  TaskView view;
  view.id = string_or(task, "taskId");
  if (view.id.empty() || view.id.size() > kTaskIdBytesMax) {
    return fail(ErrorCode::invalid_argument, "the server names a task without a usable taskId");
  }
  const auto status = string_or(task, "status");
  const auto* known = std::ranges::find(kStatuses, status, [](auto s) { return to_string(s); });
  if (known == kStatuses.end()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the server's task has the status \"{}\"", for_display(status, 100)));
  }
  view.status = *known;
  view.message = string_or(task, "statusMessage");
  view.poll = span(task, "pollIntervalMs", "pollInterval").value_or(view.poll);
  view.keeps = span(task, "ttlMs", "ttl");
  view.result = json_slice(text, {"result"});
  view.error = json_slice(text, {"error"});
  view.questions = json_slice(text, {"inputRequests"});
  return view;
}

}  // namespace

std::string_view to_string(TaskStatus status) {
  switch (status) {
    case TaskStatus::working:
      return "working";
    case TaskStatus::input_required:
      return "input_required";
    case TaskStatus::completed:
      return "completed";
    case TaskStatus::failed:
      return "failed";
    case TaskStatus::cancelled:
      return "cancelled";
  }
  return "failed";
}

TaskSupport task_support(const json::object& definition) {
  const auto* execution = find_object(definition, "execution");
  const auto said =
      execution == nullptr ? std::string_view{} : string_or(*execution, "taskSupport");
  return said == "required"   ? TaskSupport::required
         : said == "optional" ? TaskSupport::optional
                              : TaskSupport::forbidden;
}

bool offers_tasks(const json::object& capabilities, Era era) {
  if (era == Era::modern) {
    const auto* extensions = find_object(capabilities, "extensions");
    return extensions != nullptr && extensions->contains(meta::kTasksExtension);
  }
  const json::object* level = &capabilities;
  for (const std::string_view name : {"tasks", "requests", "tools", "call"}) {
    level = find_object(*level, name);
    if (level == nullptr) return false;
  }
  return true;
}

json::object with_tasks(json::object capabilities) {
  auto& extensions = capabilities["extensions"];
  if (!extensions.is_object()) extensions = json::object{};
  extensions.get_object()[meta::kTasksExtension] = json::object{};
  return capabilities;
}

std::optional<Result<TaskView>> read_created_task(Era era, std::string_view result) {
  const bool modern = era == Era::modern;
  if (modern && result_type(result) != ResultType::task) return std::nullopt;
  const auto text = modern ? result : json_slice(result, {"task"});
  if (!text.starts_with('{')) return std::nullopt;
  const auto task = parse_json(text);
  if (!task) return std::unexpected(task.error());
  return read_members(*task, text);
}

Result<TaskView> read_task(std::string_view result) {
  ASSIGN_OR_RETURN(const auto task, parse_json(result));
  return read_members(task, result);
}

}  // namespace gavel
