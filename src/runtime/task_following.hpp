#pragma once
// Following a task that a server works on (protocol/mcp_tasks.hpp): asks how it stands until it has
// ended, passes on what it asks for, and returns what came of it as the reply of the call that it
// was made by. Everything sent is a read, so it may be asked again after any loss, also by another
// process. What cannot be known any more is `lost`.

#include <functional>

#include "core/entry.hpp"
#include "protocol/mcp_tasks.hpp"
#include "runtime/clock.hpp"
#include "runtime/upstream.hpp"

namespace gavel {

// Who can be asked now what a task asks for; without on_question: nobody, and it waits.
using WhomToAsk = std::function<CallerSide()>;
// The server that has the task; null once it is gone for good.
using ServerNow = std::function<std::shared_ptr<Upstream>()>;

struct TaskEnd {
  UpstreamReply reply;
  bool cancelled = false;  // the server says so; the reply is empty
};

// `clock` must outlive the coroutine. `capabilities`: of the call that made the task, as a legacy
// server knows it in the session of these; empty where they are not known any more.
asio::awaitable<TaskEnd> follow_task(asio::any_io_executor executor, const Clock& clock,
                                     TaskStarted task, json::object capabilities, ServerNow server,
                                     WhomToAsk whom);

// Asks the server to stop it, and waits for that a short while.
asio::awaitable<void> cancel_task(std::shared_ptr<Upstream> upstream, const Clock& clock,
                                  std::string task_id);

// How long a server may not answer about its task before that is lost.
inline constexpr std::chrono::minutes kTaskSilenceMax{10};
// How long a legacy server is asked to keep a task.
inline constexpr std::chrono::hours kTaskKeptFor{7 * 24};

}  // namespace gavel
