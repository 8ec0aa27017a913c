#pragma once
// A server that is reached by Streamable HTTP, in either era. The first request finds out which
// (server/discover; whatever is no modern answer means initialize). A session that the server has
// forgotten is opened anew, and the request that learnt of it is sent again: it was not looked at.
//
// What a reply means for the call:
//
//   JSON-RPC result or error with our id            answered
//   no connection · 401 403 · 429 · 503+Retry-After  not_sent: the server says that it did not act
//   other 4xx, 3xx                                  not_sent: refused as it stands
//   5xx, stream cut, deadline, no answer in it      lost
//
// Values of headers are secrets: nothing here prints them.

#include <memory>

#include "runtime/upstream.hpp"
#include "runtime/upstream_factory.hpp"

namespace gavel {

class HttpUpstream final : public Upstream {
public:
  HttpUpstream(asio::any_io_executor executor, const ServerSpec& spec, UpstreamOptions options);
  ~HttpUpstream() override;
  HttpUpstream(const HttpUpstream&) = delete;
  HttpUpstream& operator=(const HttpUpstream&) = delete;

  const std::string& name() const override;
  asio::awaitable<UpstreamReply> request(UpstreamRequest request) override;
  asio::awaitable<Result<json::object>> capabilities(SteadyTime deadline) override;
  UpstreamStatus status() const override;
  asio::awaitable<Result<std::string>> begin_login(std::string redirect_uri) override;
  asio::awaitable<Status> finish_login(std::string query) override;
  Status forget_login() override;
  asio::awaitable<void> close() override;

private:
  class Core;
  std::shared_ptr<Core> core_;
};

inline constexpr std::size_t kHttpAnswerBytesMax = 16u << 20;

}  // namespace gavel
