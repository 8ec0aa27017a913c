#include "gateway/mcp_outbox.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "gateway/api_query.hpp"
#include "gateway/mcp_sessions.hpp"

namespace gavel {
namespace {

constexpr std::size_t kRunBytes = 8;

}  // namespace

McpOutbox::McpOutbox(const asio::any_io_executor& executor, Sent sent)
    : wake_(executor), sent_(sent) {
  if (sent == Sent::kept) run_ = random_id(kRunBytes);
}

void McpOutbox::push(std::string message) {
  bytes_ += message.size();
  messages_.push_back({++pushed_, std::move(message)});
  while (messages_.size() > 1 &&
         (messages_.size() > kOutboxMessagesMax || bytes_ > kOutboxBytesMax)) {
    bytes_ -= messages_.front().text.size();
    messages_.pop_front();
  }
  wake();
}

std::optional<std::string> McpOutbox::next() {
  if (messages_.empty() || read_ == pushed_) return std::nullopt;
  const auto at = std::max(read_ + 1, messages_.front().number) - messages_.front().number;
  auto& message = messages_[at];
  read_ = message.number;
  if (sent_ == Sent::kept) return message.text;
  auto first = std::move(message.text);
  bytes_ -= first.size();
  messages_.pop_front();
  return first;
}

std::string McpOutbox::place() const {
  return fmt::format("{}.{}", run_, read_);
}

std::shared_ptr<McpOutbox> McpOutbox::successor(std::string_view place) {
  const auto next = std::make_shared<McpOutbox>(wake_.get_executor(), sent_);
  next->run_ = run_;
  next->pushed_ = pushed_;
  next->read_ = pushed_;
  next->messages_ = messages_;
  next->bytes_ = bytes_;
  const auto dot = place.find('.');
  const bool is_ours = dot != std::string_view::npos && place.substr(0, dot) == run_;
  const auto number = is_ours ? parse_number("Last-Event-ID", place.substr(dot + 1), 0, pushed_)
                              : fail(ErrorCode::not_found, "a place of another outbox");
  if (!number) return next;
  next->read_ = *number;
  next->news_ = *number < pushed_;
  read_ = pushed_;
  return next;
}

asio::awaitable<void> McpOutbox::wait_until(std::chrono::steady_clock::time_point deadline) {
  const auto self = shared_from_this();
  if (!news_) {
    wake_.expires_at(deadline);
    co_await wake_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  news_ = false;
}

void McpOutbox::wake() {
  news_ = true;
  wake_.cancel();
}

}  // namespace gavel
