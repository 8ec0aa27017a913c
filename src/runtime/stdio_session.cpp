#include "runtime/stdio_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>

#include "base/text.hpp"
#include "protocol/mcp.hpp"

namespace gavel {
namespace {

constexpr std::size_t kReadBytes = 64u << 10;
constexpr std::size_t kBuffersPerWrite = 16;
// Between the end of a child's output and its exit, either way round.
constexpr std::chrono::milliseconds kGrace{1'000};

// Requests that a server works on for a client. What Gavel asks for by itself is asked for nobody.
bool may_ask_for_input(std::string_view method) {
  return method == "tools/call" || method == "prompts/get" || method == "resources/read" ||
         method == "tasks/result";
}

UpstreamReply no_answer(Delivery delivery, ErrorCode code, std::string message) {
  UpstreamReply reply;
  reply.delivery = delivery;
  reply.error = {code, std::move(message)};
  return reply;
}

}  // namespace

// Lives in the frame of call().
struct StdioSession::Pending {
  Pending(StdioSession& its_session, std::uint64_t its_id, Call& call)
      : session(its_session),
        id(its_id),
        method(call.method),
        caller(std::move(call.caller)),
        may_send(std::move(call.may_send)),
        wake(its_session.executor_, call.deadline) {
    session.pending_.emplace(id, this);
  }
  ~Pending() {
    session.pending_.erase(id);
    // Gone without an answer: the coroutine was cancelled or its deadline passed.
    if (!reply && !session.ended_) session.give_up(id, "the caller no longer waits");
  }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  void complete(UpstreamReply with) {
    if (reply) return;
    reply = std::move(with);
    wake.cancel();
  }

  StdioSession& session;
  std::uint64_t id;
  std::string method;
  CallerSide caller;
  std::function<Status()> may_send;
  asio::steady_timer wake;
  bool begun = false;  // the first of its bytes was written
  std::optional<UpstreamReply> reply;
};

StdioSession::StdioSession(asio::any_io_executor executor, std::unique_ptr<ChildProcess> child,
                           Options options)
    : executor_(std::move(executor)),
      child_(std::move(child)),
      options_(std::move(options)),
      tasks_(executor_, {}),
      framer_(kLineBytesMax) {}

asio::awaitable<UpstreamReply> StdioSession::call(Call call) {
  if (ended_) co_return no_answer(Delivery::not_sent, ErrorCode::unavailable, end_reason().message);
  if (input_broken_) co_return input_closed();
  const std::uint64_t id = next_id_++;
  call.meta.erase(meta::kProgressToken);
  if (call.caller.on_progress) call.meta[meta::kProgressToken] = id;
  std::string message = rpc_request(fmt::format_int(id).c_str(), call.method,
                                    params_with_meta(call.params, call.meta));
  Pending pending(*this, id, call);
  send(std::move(message), id);
  const auto [aborted] = co_await pending.wake.async_wait(asio::as_tuple(asio::use_awaitable));
  if (pending.reply) co_return std::move(*pending.reply);
  if (aborted) {
    co_return no_answer(pending.begun ? Delivery::lost : Delivery::not_sent, ErrorCode::cancelled,
                        "the caller no longer waits");
  }
  if (!pending.begun) {
    co_return no_answer(Delivery::not_sent, ErrorCode::timeout,
                        fmt::format("server \"{}\" did not read the request before its deadline; "
                                    "it never arrived there",
                                    options_.name));
  }
  co_return no_answer(Delivery::lost, ErrorCode::timeout,
                      fmt::format("server \"{}\" gave no answer to {} before the deadline{}",
                                  options_.name, call.method, garbage_seen()));
}

void StdioSession::notify(std::string_view method, std::string_view params) {
  if (!ended_) send(rpc_notification(method, params), 0);
}

UpstreamReply StdioSession::input_closed() const {
  return no_answer(Delivery::not_sent, ErrorCode::unavailable,
                   fmt::format("server \"{}\" closed its input; the request never arrived there",
                               options_.name));
}

// --- writing ---

void StdioSession::send(std::string message, std::uint64_t call) {
  make_one_line(message);
  message += '\n';
  outgoing_.push_back({std::move(message), call});
  if (outgoing_.size() > kUnreadMessagesMax) {
    broken_ = "it does not read its input";
    stop();
    return;
  }
  if (flush_planned_) return;
  // Not at once: whatever else is sent in this turn goes out with the same write.
  flush_planned_ = true;
  asio::post(executor_, [self = shared_from_this()] { self->flush(); });
}

void StdioSession::drop_refused(std::size_t first, std::size_t count) {
  for (std::size_t i = first; i < std::min(first + count, outgoing_.size());) {
    const auto waiting = pending_.find(outgoing_[i].call);
    const bool asks = waiting != pending_.end() && waiting->second->may_send;
    const Status allowed = asks ? waiting->second->may_send() : Status{};
    if (allowed) {
      ++i;
      continue;
    }
    outgoing_.erase(outgoing_.begin() + static_cast<std::ptrdiff_t>(i));
    waiting->second->complete(
        no_answer(Delivery::not_sent, allowed.error().code, allowed.error().message));
  }
}

void StdioSession::flush() {
  flush_planned_ = false;
  while (!outgoing_.empty() && !ended_ && !input_broken_) {
    drop_refused(front_written_ > 0 ? 1 : 0, kBuffersPerWrite);
    if (outgoing_.empty()) return;
    std::array<asio::const_buffer, kBuffersPerWrite> buffers;
    const std::size_t count = std::min(outgoing_.size(), kBuffersPerWrite);
    for (std::size_t i = 0; i < count; ++i) buffers[i] = asio::buffer(outgoing_[i].bytes);
    buffers[0] += front_written_;
    boost::system::error_code error;
    std::size_t written = child_->input().write_some(buffers, error);
    if (error == asio::error::would_block) {
      flush_planned_ = true;
      child_->input().async_wait(asio::posix::descriptor_base::wait_write,
                                 [self = shared_from_this()](const boost::system::error_code& e) {
                                   if (e)
                                     self->flush_planned_ = false;
                                   else
                                     self->flush();
                                 });
      return;
    }
    if (error) {
      // The child closed its input; it may still answer what it has read.
      input_broken_ = true;
      for (const auto& [id, pending] : pending_) {
        if (!pending->begun) pending->complete(input_closed());
      }
      return;
    }
    while (written > 0) {
      Outgoing& front = outgoing_.front();
      const auto waiting = pending_.find(front.call);
      if (waiting != pending_.end()) waiting->second->begun = true;
      const std::size_t left = front.bytes.size() - front_written_;
      const std::size_t taken = std::min(left, written);
      written -= taken;
      front_written_ += taken;
      if (taken < left) break;
      outgoing_.pop_front();
      front_written_ = 0;
    }
  }
}

bool StdioSession::withdraw(std::uint64_t call) {
  const auto found = std::find_if(outgoing_.begin(), outgoing_.end(),
                                  [&](const Outgoing& each) { return each.call == call; });
  if (found == outgoing_.end()) return false;
  if (found == outgoing_.begin() && front_written_ > 0) return false;
  outgoing_.erase(found);
  return true;
}

void StdioSession::give_up(std::uint64_t call, std::string_view reason) {
  if (withdraw(call)) return;
  notify("notifications/cancelled",
         fmt::format(R"({{"requestId":{},"reason":{}}})", call, json_quote(reason)));
}

// --- reading ---

asio::awaitable<void> StdioSession::end_with_child(std::shared_ptr<StdioSession> session) {
  if (!co_await session->child_->wait_exit(SteadyTime::max())) co_return;
  asio::steady_timer grace(session->executor_);
  grace.expires_after(kGrace);
  const auto [error] = co_await grace.async_wait(asio::as_tuple(asio::use_awaitable));
  // Something that it left behind holds its output open.
  if (!error) session->stop();
}

asio::awaitable<Error> StdioSession::run(std::shared_ptr<StdioSession> session) {
  StdioSession& self = *session;
  self.tasks_.spawn("end of " + self.options_.name, end_with_child(session));
  while (self.broken_.empty()) {
    const auto room = self.framer_.prepare(kReadBytes);
    const auto [error, size] = co_await self.child_->output().async_read_some(
        asio::buffer(room.data(), room.size()), asio::as_tuple(asio::use_awaitable));
    if (error) break;
    self.framer_.commit(size);
    while (const auto line = self.framer_.next()) self.take_line(*line);
    if (self.framer_.oversized() > 0) {
      self.broken_ = fmt::format("it wrote a line of over {} bytes", kLineBytesMax);
    } else if (self.garbage_ > kGarbageLinesMax) {
      self.broken_ = fmt::format("it wrote {} lines that are no MCP messages, first: {}",
                                 self.garbage_, self.first_garbage_);
    }
  }
  self.ended_ = true;
  // Without its output it is of no use; where it exits by itself, its exit code says why.
  if (!self.broken_.empty()) self.child_->kill();
  asio::steady_timer grace(self.executor_);
  grace.expires_after(kGrace);
  if (!co_await self.child_->wait_exit(grace.expiry())) {
    if (self.broken_.empty()) self.broken_ = "it closed its output";
    self.child_->kill();
    grace.expires_after(kGrace);
    co_await self.child_->wait_exit(grace.expiry());
  }
  self.tasks_.cancel();
  const Error why = self.end_reason();
  self.fail_all(why);
  co_return why;
}

void StdioSession::stop() {
  boost::system::error_code ignored;  // it may be closed already; what matters is that it is
  child_->output().close(ignored);
}

void StdioSession::abandon() {
  ended_ = true;
  child_->kill();
  fail_all(end_reason());
}

Error StdioSession::end_reason() const {
  if (!broken_.empty()) {
    return {ErrorCode::unavailable,
            fmt::format("server \"{}\" was stopped: {}", options_.name, broken_)};
  }
  const std::string how = child_->exit_reason();
  return {ErrorCode::unavailable, fmt::format("server \"{}\" ended ({})", options_.name,
                                              how.empty() ? "it is being stopped" : how)};
}

void StdioSession::fail_all(const Error& why) {
  for (const auto& [id, pending] : pending_) {
    const auto delivery = pending->begun ? Delivery::lost : Delivery::not_sent;
    pending->complete(no_answer(
        delivery, why.code,
        why.message + (pending->begun ? " before it answered" : " before it read the request")));
  }
}

void StdioSession::take_line(std::string_view line) {
  if (!is_rpc_batch(line)) {
    take_message(line);
    return;
  }
  const auto batch = split_rpc_batch(line);
  if (!batch) {
    take_garbage(line);
    return;
  }
  for (const auto message : *batch) take_message(message);
}

void StdioSession::take_garbage(std::string_view line) {
  if (++garbage_ == 1)
    first_garbage_ = for_display(options_.redactor->text(std::string(line)), 200);
}

std::string StdioSession::garbage_seen() const {
  if (garbage_ == 0) return {};
  return fmt::format("; meanwhile it wrote {} line{} to stdout that {}, first: {}", garbage_,
                     garbage_ == 1 ? "" : "s",
                     garbage_ == 1 ? "is no MCP message" : "are no MCP messages", first_garbage_);
}

void StdioSession::take_message(std::string_view text) {
  const auto message = slice_rpc(text);
  if (!message) {
    take_garbage(text);
    // An answer that is broken in itself is still the only one that this request will get.
    if (Pending* call = find_call(message.error().id)) {
      call->complete(no_answer(Delivery::lost, ErrorCode::unavailable,
                               fmt::format("server \"{}\" answered with no valid message: {}",
                                           options_.name, message.error().message)));
    }
    return;
  }
  garbage_ = 0;
  switch (message->kind) {
    case RpcKind::response:
    case RpcKind::error:
      take_answer(*message);
      break;
    case RpcKind::request:
      take_request(*message);
      break;
    case RpcKind::notification:
      take_notification(*message);
      break;
  }
}

StdioSession::Pending* StdioSession::find_call(std::string_view id) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (error != std::errc{} || end != id.data() + id.size()) return nullptr;
  const auto found = pending_.find(number);
  return found == pending_.end() ? nullptr : found->second;
}

void StdioSession::take_answer(const RpcMessage& message) {
  // Late answers, second answers and answers to nobody are ignored.
  Pending* call = find_call(message.id);
  if (call == nullptr) return;
  UpstreamReply reply;
  reply.delivery = Delivery::answered;
  reply.result = message.result;
  reply.rpc_error = message.error;
  call->complete(std::move(reply));
}

void StdioSession::take_request(const RpcMessage& message) {
  if (message.method == "ping") {
    send(rpc_response(message.id, "{}"), 0);
    return;
  }
  if (!passes_questions_ || question_capability(message.method).empty()) {
    send(rpc_error_response(method_not_found(message.id, message.method)), 0);
    return;
  }
  const auto whom = whom_to_ask(message);
  if (!whom) {
    send(rpc_error_response(message.id, whom.error()), 0);
    return;
  }
  (*whom)->caller.on_question(question_from(message, [weak = weak_from_this()](std::string answer) {
    const auto session = weak.lock();
    if (session && !session->ended_) session->send(std::move(answer), 0);
  }));
}

std::expected<StdioSession::Pending*, std::string> StdioSession::whom_to_ask(
    const RpcMessage& question) {
  Pending* found = nullptr;
  bool is_one_clients = true;
  for (const auto& [id, pending] : pending_) {
    if (pending->reply || !pending->begun || !may_ask_for_input(pending->method)) continue;
    is_one_clients = is_one_clients &&
                     (found == nullptr || (!pending->caller.identity.empty() &&
                                           pending->caller.identity == found->caller.identity));
    if (found == nullptr || pending->id < found->id) found = pending;
  }
  if (!is_one_clients) {
    return std::unexpected(
        rpc_error_object(rpc::kInternalError,
                         "calls of several clients are at work here, and nothing says to which "
                         "this question belongs; ask while there is one"));
  }
  const json::object nothing;
  const auto& capabilities =
      found == nullptr || !found->caller.on_question ? nothing : found->caller.capabilities;
  if (!lacking_capability(capabilities, question.method, question.params).empty()) {
    return std::unexpected(cannot_be_asked(capabilities, question.method));
  }
  return found;
}

void StdioSession::take_notification(const RpcMessage& message) {
  if (message.method == "notifications/progress") {
    Pending* call = find_call(json_slice(message.params, {meta::kProgressToken}));
    if (call != nullptr && !call->reply && call->caller.on_progress) {
      call->caller.on_progress(message.params);
    }
    return;
  }
  if (message.method == "notifications/message") {
    // Nothing in it says to which call it belongs; with one in flight it can be no other.
    Pending* only = nullptr;
    std::size_t calls = 0;
    for (const auto& [id, pending] : pending_) {
      if (pending->method == "subscriptions/listen") continue;
      only = pending;
      ++calls;
    }
    if (calls == 1 && only->caller.on_log) only->caller.on_log(message.params);
  }
  if (options_.on_notification) options_.on_notification(message.method, message.params);
}

}  // namespace gavel
