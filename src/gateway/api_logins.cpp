// A person's login at an upstream server. The verifier, the code's exchange and the tokens stay in
// the daemon; whoever drives a browser only carries the URL there and the answer back.
#include <algorithm>

#include "gateway/api.hpp"
#include "gateway/api_query.hpp"

namespace gavel {

asio::awaitable<Api::Answer> Api::login(Request& request) {
  co_return login_answer(request.parameters[0]);
}

asio::awaitable<Api::Answer> Api::begin_login(Request& request) {
  if (auto known = check_members(*request.body, {"redirect_uri"}); !known) {
    co_return std::unexpected(known.error());
  }
  const auto url = co_await harness_.begin_login(
      request.parameters[0], std::string(string_or(*request.body, "redirect_uri")), request.caller);
  if (!url) co_return std::unexpected(url.error());
  co_return write_json(json::object{{"url", *url}});
}

asio::awaitable<Api::Answer> Api::finish_login(Request& request) {
  if (auto known = check_members(*request.body, {"query"}); !known) {
    co_return std::unexpected(known.error());
  }
  const auto done = co_await harness_.finish_login(
      request.parameters[0], std::string(string_or(*request.body, "query")), request.caller);
  if (!done) co_return std::unexpected(done.error());
  co_return login_answer(request.parameters[0]);
}

asio::awaitable<Api::Answer> Api::forget_login(Request& request) {
  const auto done = co_await harness_.forget_login(request.parameters[0], request.caller);
  if (!done) co_return std::unexpected(done.error());
  co_return login_answer(request.parameters[0]);
}

Api::Answer Api::login_answer(const std::string& server) const {
  json::object answer{{"server", server},
                      {"health", json::string(to_string(harness_.upstream_status(server).health))},
                      {"redirect_port", 0}};
  if (const auto policy = harness_.policy()) {
    const auto& servers = policy->servers();
    const auto found = std::ranges::find(servers, server, &ServerSpec::name);
    if (found != servers.end()) answer["redirect_port"] = found->oauth.redirect_port;
  }
  return write_json(answer);
}

}  // namespace gavel
