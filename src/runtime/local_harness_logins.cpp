// Logins of people at the servers: who may, and what follows for the tools.
#include <fmt/format.h>

#include "base/text.hpp"
#include "runtime/local_harness.hpp"

namespace gavel {

Result<std::shared_ptr<Upstream>> LocalHarness::server_to_log_in(const std::string& name,
                                                                 const Caller& caller) const {
  if (!caller.has(Role::admin)) {
    return fail(ErrorCode::permission_denied,
                "a login decides what Gavel may do at a server: it takes the role admin");
  }
  const auto found = upstreams_.find(name);
  if (found == upstreams_.end()) {
    return fail(ErrorCode::not_found,
                fmt::format("no server \"{}\"; see gavel upstreams", for_display(name, 100)));
  }
  return found->second;
}

asio::awaitable<Result<std::string>> LocalHarness::begin_login(std::string server,
                                                               std::string redirect_uri,
                                                               Caller caller) {
  const auto found = server_to_log_in(server, caller);
  if (!found) co_return std::unexpected(found.error());
  co_return co_await (*found)->begin_login(std::move(redirect_uri));
}

asio::awaitable<Status> LocalHarness::finish_login(std::string server, std::string query,
                                                   Caller caller) {
  const auto found = server_to_log_in(server, caller);
  if (!found) co_return std::unexpected(found.error());
  const auto& upstream = *found;
  const auto done = co_await upstream->finish_login(std::move(query));
  if (!done) co_return std::unexpected(done.error());
  // Whoever lists next finds its tools, and need not wait for a server that was late before.
  late_at_.erase(server);
  start_listing(upstream);
  say(fmt::format("{} logged in at server {}", caller.principal.value, server));
  co_return Status{};
}

asio::awaitable<Status> LocalHarness::forget_login(std::string server, Caller caller) {
  const auto found = server_to_log_in(server, caller);
  if (!found) co_return std::unexpected(found.error());
  const auto done = (*found)->forget_login();
  if (!done) co_return std::unexpected(done.error());
  directory_.forget(server);
  say(fmt::format("{} logged out of server {}", caller.principal.value, server));
  co_return Status{};
}

}  // namespace gavel
