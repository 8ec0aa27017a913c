#include "gateway/mcp_outbox.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace gavel {

void McpOutbox::push(std::string message) {
  if (messages_.size() == kOutboxMessagesMax) messages_.pop_front();
  messages_.push_back(std::move(message));
  wake();
}

std::optional<std::string> McpOutbox::next() {
  if (messages_.empty()) return std::nullopt;
  auto first = std::move(messages_.front());
  messages_.pop_front();
  return first;
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
