// HttpUpstream: what the server says by itself, and what it asks.

#include <fmt/format.h>

#include <algorithm>

#include "runtime/http_upstream_core.hpp"

namespace gavel {
namespace {

constexpr std::chrono::seconds kSidePatience{5};  // for what nobody waits for

}  // namespace

void HttpUpstream::Core::take_message(const RpcMessage& message, const CallerSide& caller) {
  if (message.kind == RpcKind::notification) {
    if (message.method == "notifications/message" && caller.on_log) caller.on_log(message.params);
    if (message.method == "notifications/tools/list_changed" && options.on_tools_changed) {
      options.on_tools_changed();
    }
    if (options.on_notification) options.on_notification(message.method, message.params);
  } else if (const auto* whom = whom_to_ask(message, caller); whom != nullptr) {
    take_question(message, *whom);
  } else if (message.kind == RpcKind::request && era == Era::legacy) {
    auto answer = message.method == "ping"
                      ? rpc_response(message.id, "{}")
                      : rpc_error_response(method_not_found(message.id, message.method));
    tasks.spawn("answer to " + spec.name, tell(shared_from_this(), std::move(answer)));
  }
}

const CallerSide* HttpUpstream::Core::whom_to_ask(const RpcMessage& message,
                                                  const CallerSide& caller) const {
  if (message.kind != RpcKind::request || era != Era::legacy) return nullptr;
  if (question_capability(message.method).empty()) return nullptr;
  if (caller.on_question) return &caller;
  return asking.size() == 1 ? asking.front() : nullptr;
}

void HttpUpstream::Core::take_question(const RpcMessage& message, const CallerSide& caller) {
  caller.on_question(question_from(message, [weak = weak_from_this()](std::string answer) {
    const auto core = weak.lock();
    if (!core || core->closing) return;
    core->tasks.spawn("answer to " + core->spec.name, tell(core, std::move(answer)));
  }));
}

asio::awaitable<void> HttpUpstream::Core::tell(std::shared_ptr<Core> self, std::string message) {
  McpPost post;
  post.body = std::move(message);
  post.headers = self->session_headers();
  post.deadline = self->options.clock->steady() + kSidePatience;
  McpPosted posted = co_await Core::post(self, std::move(post));
  self->finish(posted);
}

asio::awaitable<void> HttpUpstream::Core::listen(std::shared_ptr<Core> self,
                                                 std::uint64_t of_session) {
  std::chrono::milliseconds delay = kListenDelayMin;
  while (!self->closing && self->sessions == of_session) {
    OutboundRequest request;
    request.method = "GET";
    request.headers = self->authorized(self->session_headers());
    request.deadline = SteadyTime::max();
    auto sent = co_await self->http->send(std::move(request));
    if (sent) {
      // Most servers have no such stream, and say so. A token may have ended; the next request
      // renews it.
      const bool may_listen_later = self->login && sent->status() == 401;
      if (sent->status() != 200 && !may_listen_later) co_return;
      if (sent->status() == 200) {
        delay = kListenDelayMin;
        co_await read_listening(self, std::move(*sent));
      }
    }
    const SteadyTime next = self->options.clock->steady() + delay;
    delay = std::min<std::chrono::milliseconds>(delay * 2, kListenDelayMax);
    while (!self->closing && self->options.clock->steady() < next) {
      co_await self->changed.wait_until(next);
    }
  }
}

asio::awaitable<void> HttpUpstream::Core::listen_modern(std::shared_ptr<Core> self,
                                                        std::uint64_t of_session) {
  std::chrono::milliseconds delay = kListenDelayMin;
  while (!self->closing && self->sessions == of_session) {
    const std::uint64_t asked = self->wanted.version();
    const auto wanted = self->wanted.listen_params(self->greeting.capabilities);
    if (!wanted.empty()) {
      UpstreamRequest ask;
      ask.method = "subscriptions/listen";
      ask.params = wanted;
      McpPost post = self->make_post(ask, self->next_id());
      OutboundRequest request{.method = "POST",
                              .headers = self->authorized(std::move(post.headers)),
                              .body = std::move(post.body),
                              .deadline = SteadyTime::max()};
      auto sent = co_await self->http->send(std::move(request));
      if (sent && sent->status() == 200 && asked == self->wanted.version()) {
        delay = kListenDelayMin;
        co_await read_listening(self, std::move(*sent));
      } else if (sent && sent->status() == 404 && self->wanted.uris().empty()) {
        co_return;  // it has no such stream
      }
    }
    SteadyTime next = SteadyTime::max();
    if (!wanted.empty()) {
      next = self->options.clock->steady() + delay;
      delay = std::min<std::chrono::milliseconds>(delay * 2, kListenDelayMax);
    }
    while (!self->closing && asked == self->wanted.version() &&
           self->options.clock->steady() < next) {
      if (co_await self->changed.wait_until(next) == Woken::cancelled) co_return;
    }
  }
}

asio::awaitable<void> HttpUpstream::Core::read_listening(std::shared_ptr<Core> self,
                                                         OutboundReply reply) {
  const struct Listening {
    Listening(Core& its_core, OutboundReply& its_reply) : core(its_core) {
      core.listening = &its_reply;
    }
    ~Listening() { core.listening = nullptr; }
    Core& core;
  } reading(*self, reply);
  McpEvents events;
  for (;;) {
    const auto bytes = co_await reply.read_some();
    if (!bytes || bytes->empty()) co_return;
    const Status fed = events.feed(*bytes, [&](const RpcMessage& message) {
      self->take_message(message, {});
      return true;
    });
    if (!fed) co_return;
  }
}

}  // namespace gavel
