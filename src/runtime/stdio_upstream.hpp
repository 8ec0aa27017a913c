#pragma once
// A server that is a child process. It is started by the first request, asked which era it speaks
// (server/discover; whatever is no modern answer means initialize), and started again with a
// growing delay whenever it ends.
//
//   idle ─request─► starting ─greeted─► ready
//                     │ ▲                 │ ended
//                     │ └─ delay passed ─ backing_off ◄──┘   (and after a failed start)
//                     └ too many failures in a row ─► failed ─request, delay passed─► starting

#include <memory>

#include "runtime/upstream.hpp"
#include "runtime/upstream_factory.hpp"

namespace gavel {

class StdioUpstream final : public Upstream {
public:
  StdioUpstream(asio::any_io_executor executor, const ServerSpec& spec, UpstreamOptions options);
  // Kills the child at once; close() is the polite way.
  ~StdioUpstream() override;
  StdioUpstream(const StdioUpstream&) = delete;
  StdioUpstream& operator=(const StdioUpstream&) = delete;

  const std::string& name() const override;
  asio::awaitable<UpstreamReply> request(UpstreamRequest request) override;
  asio::awaitable<Result<json::object>> capabilities(SteadyTime deadline) override;
  UpstreamStatus status() const override;
  asio::awaitable<void> close() override;

private:
  class Core;
  std::shared_ptr<Core> core_;
};

}  // namespace gavel
