#pragma once
// One life of a child that speaks MCP over its standard streams: requests go in as lines and are
// matched with the lines that come out, many at a time. It ends when the child does, and says of
// every request that was open then whether the child can have seen it.
//
//   call ─► queued ─► written ─► answered
//             │          └ end, deadline, cancelled: lost (the child is told of the latter two)
//             └ end, deadline, cancelled: not_sent (it is taken out of the queue)
//
// Thread rule: one executor. Whoever calls keeps the session alive until the call returns.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "protocol/jsonrpc.hpp"
#include "protocol/line_framer.hpp"
#include "runtime/child_process.hpp"
#include "runtime/redaction.hpp"
#include "runtime/upstream.hpp"

namespace gavel {

class StdioSession : public std::enable_shared_from_this<StdioSession> {
public:
  struct Options {
    std::string name;  // of the upstream, for messages
    std::shared_ptr<const Redactor> redactor;
    std::function<void(std::string_view method, std::string_view params)> on_notification;
  };
  struct Call {
    std::string method;
    std::string params;  // JSON object text, may be empty
    json::object meta;   // becomes params._meta, with a progressToken if on_progress is set
    SteadyTime deadline;
    CallerSide caller;
    std::function<Status()> may_send = {};  // as in UpstreamRequest
  };

  StdioSession(asio::any_io_executor executor, std::unique_ptr<ChildProcess> child,
               Options options);

  // Of a call that is cancelled by its coroutine nothing is returned; the child is told.
  asio::awaitable<UpstreamReply> call(Call call);
  void notify(std::string_view method, std::string_view params);
  // Of a legacy server, before it is told that it is initialized: what it asks is passed on.
  void pass_questions() { passes_questions_ = true; }

  // Reads until the child's output ends or makes no sense any more; fails all open calls, kills
  // what is left of the child and returns why it ended.
  static asio::awaitable<Error> run(std::shared_ptr<StdioSession> session);
  // Ends the session: run() returns.
  void stop();
  // Kills the child and fails what is open, without waiting for anything.
  void abandon();

  ChildProcess& child() { return *child_; }
  bool ended() const { return ended_; }

private:
  struct Pending;
  struct Outgoing {
    std::string bytes;
    std::uint64_t call = 0;  // 0: no call waits for it
  };

  void send(std::string message, std::uint64_t call);
  void flush();
  // Answers what may not go out any more, and takes it out of the queue.
  void drop_refused(std::size_t first, std::size_t count);
  // Takes a message that was not begun out of the queue; false where it was.
  bool withdraw(std::uint64_t call);
  void give_up(std::uint64_t call, std::string_view reason);
  UpstreamReply input_closed() const;
  static asio::awaitable<void> end_with_child(std::shared_ptr<StdioSession> session);

  void take_line(std::string_view line);
  void take_message(std::string_view text);
  void take_answer(const RpcMessage& message);
  void take_request(const RpcMessage& message);
  void take_notification(const RpcMessage& message);
  Pending* find_call(std::string_view id);
  // The call that a question may be asked of; else the error object that the server gets. Nothing
  // in a question says which call it belongs to.
  std::expected<Pending*, std::string> whom_to_ask(const RpcMessage& question);
  void take_garbage(std::string_view line);
  // "; meanwhile it wrote 3 lines that are no MCP messages, first: ..." or nothing.
  std::string garbage_seen() const;
  Error end_reason() const;
  void fail_all(const Error& why);

  asio::any_io_executor executor_;
  std::unique_ptr<ChildProcess> child_;
  Options options_;
  TaskGroup tasks_;
  LineFramer framer_;

  std::unordered_map<std::uint64_t, Pending*> pending_;
  std::uint64_t next_id_ = 1;

  std::deque<Outgoing> outgoing_;
  std::size_t front_written_ = 0;
  bool flush_planned_ = false;
  bool input_broken_ = false;
  bool passes_questions_ = false;

  std::uint64_t garbage_ = 0;  // lines since the last that made sense
  std::string first_garbage_;  // of those
  std::string broken_;         // why it makes no sense to go on; empty while it does
  bool ended_ = false;
};

inline constexpr std::size_t kLineBytesMax = 16u << 20;
inline constexpr std::uint64_t kGarbageLinesMax = 1000;
// Answers and notifications that a child does not read; over it the child is given up.
inline constexpr std::size_t kUnreadMessagesMax = 10'000;

}  // namespace gavel
