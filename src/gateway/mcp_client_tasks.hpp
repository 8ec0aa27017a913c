#pragma once
// What the tasks of modern clients ask for. Such a client hears of questions when it asks how its
// task stands, and answers them by a request of its own: meanwhile they are kept here. What is lost
// with this process is asked again by a server that works on the call as a task itself.
//
// Thread rule: one executor.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "gateway/waiting_call.hpp"

namespace gavel {

class McpClientTasks {
public:
  using Start = std::function<std::shared_ptr<WaitingCall>()>;

  // Keeps what is asked from now on for the task, which nobody may have begun to listen to yet:
  // `start` then gives the call that waits for it, of a client that may be asked what is in
  // `capabilities`. `key` names the task and its client. The one that was asked about least lately
  // leaves when there are too many.
  void attend(const std::string& key, const json::object& capabilities, const Start& start);
  // Takes over what `call` was asked before it became the task.
  void take_questions(const std::string& key, WaitingCall& call);
  // What is open, as inputRequests of a result; empty where nothing is.
  json::object questions(const std::string& key);
  // Answers what the object of inputResponses names; the rest stays open.
  void answer(const std::string& key, std::string_view responses);
  // It has ended.
  void forget(const std::string& key);
  void close();

private:
  struct Attended {
    std::shared_ptr<WaitingCall> call;
    json::object capabilities;
    std::map<std::string, UpstreamQuestion> open;
    std::uint64_t asked = 0;
    std::uint64_t used = 0;
  };
  // All that `call` was asked since.
  static void take(Attended& task, WaitingCall& call);
  static void leave(Attended& task);

  std::map<std::string, Attended> tasks_;
  std::uint64_t uses_ = 0;
};

inline constexpr std::size_t kClientTasksMax = 256;

}  // namespace gavel
