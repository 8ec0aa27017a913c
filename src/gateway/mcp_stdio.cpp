#include "gateway/mcp_stdio.hpp"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "protocol/json_text.hpp"
#include "protocol/line_framer.hpp"

namespace gavel {
namespace {

constexpr std::size_t kLineMax = 16u << 20;
constexpr std::size_t kReadChunk = 64u << 10;
constexpr std::size_t kRunningMax = 256;
// A client that reads nothing is let go before its answers fill the memory.
constexpr std::size_t kOutgoingMax = 64u << 20;

}  // namespace

class McpStdio::Exchange final : public McpExchange {
public:
  explicit Exchange(std::shared_ptr<McpStdio> stdio) : stdio_(std::move(stdio)) {}

  bool can_stream() const override { return true; }
  asio::awaitable<bool> send(std::string message) override {
    co_return co_await stdio_->write_line({std::move(message), {}});
  }
  asio::awaitable<bool> keep_alive() override { co_return !stdio_->gone_; }
  void cancel_when_ended() override {}
  bool client_gone() const override { return stdio_->gone_; }
  bool server_stopping() const override { return stdio_->http_.server_stopping(); }

private:
  std::shared_ptr<McpStdio> stdio_;
};

McpStdio::McpStdio(asio::any_io_executor executor, McpServer& server, HttpExchange& http,
                   McpContext context)
    : executor_(executor),
      server_(server),
      http_(http),
      context_(std::move(context)),
      idle_(executor) {
  context_.peer = std::make_shared<McpSession>();
  context_.peer->principal = context_.caller.principal;
  context_.headers = {};
}

asio::awaitable<void> McpStdio::run(std::shared_ptr<McpStdio> self) {
  const auto outbox = std::make_shared<McpOutbox>(self->executor_);
  self->context_.peer->listener->outbox = outbox;
  ++self->running_;
  asio::co_spawn(self->executor_, announce(self), [self](std::exception_ptr) {
    if (--self->running_ == 0) self->idle_.cancel();
  });
  co_await self->read_lines();
  self->ended_ = true;
  outbox->wake();
  if (self->http_.server_stopping()) {
    self->context_.peer->wake_all();
  } else {
    self->gone_ = true;
    self->context_.peer->cancel_all();
  }
  while (self->running_ > 0) {
    self->idle_.expires_at(SteadyTime::max());
    co_await self->idle_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

asio::awaitable<void> McpStdio::announce(std::shared_ptr<McpStdio> self) {
  const auto outbox = self->context_.peer->listener->outbox;
  while (!self->ended_ && !self->gone_) {
    co_await outbox->wait_until(SteadyTime::max());
    while (auto message = outbox->next()) co_await self->write_line({std::move(*message), {}});
  }
}

asio::awaitable<void> McpStdio::read_lines() {
  LineFramer framer(kLineMax);
  std::uint64_t oversized = 0;
  for (;;) {
    const auto bytes = co_await http_.read_some(framer.prepare(kReadChunk));
    if (bytes == 0) co_return;
    framer.commit(bytes);
    while (const auto line = framer.next()) take_line(*line);
    if (framer.oversized() > oversized) {
      oversized = framer.oversized();
      co_await write_line(
          {rpc_error_response(RpcFault{.code = rpc::kParseError,
                                       .message = fmt::format("a line over {} bytes", kLineMax),
                                       .id = "null",
                                       .data = {}}),
           {}});
    }
    if (gone_) co_return;
  }
}

void McpStdio::take_line(std::string_view line) {
  ++running_;
  asio::co_spawn(executor_, answer(shared_from_this(), std::make_unique<std::string>(line)),
                 [self = shared_from_this()](std::exception_ptr) {
                   if (--self->running_ == 0) self->idle_.cancel();
                 });
}

asio::awaitable<void> McpStdio::answer(std::shared_ptr<McpStdio> self,
                                       std::unique_ptr<std::string> text) {
  co_await self->answer_one(*text);
}

asio::awaitable<void> McpStdio::answer_one(const std::string& text) {
  Exchange exchange(shared_from_this());
  if (is_rpc_batch(text)) {
    auto batch = co_await server_.answer_batch(text, context_, exchange);
    if (!batch) {
      co_await write_line({rpc_error_response(batch.error()), {}});
    } else if (!batch->message.empty()) {
      co_await write_line({std::move(batch->message), std::move(batch->answers)});
    }
    co_return;
  }
  const auto message = parse_rpc(text);
  if (!message) {
    co_await write_line({rpc_error_response(message.error()), {}});
    co_return;
  }
  if (message->kind == RpcKind::notification) server_.take_notification(*message, context_);
  if (message->kind == RpcKind::response || message->kind == RpcKind::error) {
    McpServer::take_response(*message, context_);
  }
  if (!message->is_request()) co_return;
  if (running_ > kRunningMax) {
    co_await write_line(
        {rpc_error_response(RpcFault{
             .code = rpc::kGavelBusy,
             .message = fmt::format("over {} requests at once; wait for some", kRunningMax),
             .id = std::string(message->id),
             .data = {}}),
         {}});
    co_return;
  }
  auto admission = McpServer::admit_line(*message);
  if (!admission) {
    co_await write_line({rpc_error_response(admission.error().fault), {}});
    co_return;
  }
  auto answer = co_await server_.answer(*message, std::move(*admission), context_, exchange);
  if (answer.message.empty()) co_return;
  auto line = std::exchange(answer.message, {});
  co_await write_line({std::move(line), {std::move(answer)}});
}

asio::awaitable<bool> McpStdio::write_line(Line line) {
  make_one_line(line.text);
  line.text += '\n';
  outgoing_bytes_ += line.text.size();
  if (outgoing_bytes_ > kOutgoingMax) gone_ = true;
  if (gone_) co_return false;
  outgoing_.push_back(std::move(line));
  if (writing_) co_return true;
  writing_ = true;
  while (!outgoing_.empty() && !gone_) {
    auto next = std::move(outgoing_.front());
    outgoing_.pop_front();
    outgoing_bytes_ -= next.text.size();
    const bool written = co_await http_.write(std::move(next.text));
    if (!written) {
      gone_ = true;
    } else {
      for (const auto& answer : next.answers) server_.delivered(answer);
    }
  }
  writing_ = false;
  co_return !gone_;
}

}  // namespace gavel
