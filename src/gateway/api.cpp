#include "gateway/api.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "gateway/api_query.hpp"
#include "gateway/auth.hpp"

namespace gavel {

Api::Api(asio::any_io_executor executor, Harness& harness, ApiOptions options)
    : executor_(std::move(executor)),
      harness_(harness),
      options_(std::move(options)),
      started_(std::chrono::steady_clock::now()) {
  add("GET", "/v1/health", Access::any, &Api::health);
  add("GET", "/v1/sessions", Access::not_only_driver, &Api::sessions, {"prefix", "after", "limit"});
  add("GET", "/v1/sessions/{}", Access::any, &Api::session);
  add("GET", "/v1/sessions/{}/entries", Access::any, &Api::entries, {"from", "limit"});
  add("GET", "/v1/sessions/{}/transcript", Access::any, &Api::transcript);
  add_stream("/v1/sessions/{}/watch", Access::any, &Api::watch_session, {"from"});
  add_stream("/v1/watch", Access::not_only_driver, &Api::watch_all);
  add("POST", "/v1/sessions/{}/wake", Access::driver_or_admin, &Api::wake);
  add("POST", "/v1/sessions/{}/intents", Access::driver, &Api::propose);
  add("POST", "/v1/sessions/{}/permits", Access::driver, &Api::permit);
  add("POST", "/v1/sessions/{}/outcomes", Access::driver, &Api::report);
  add("POST", "/v1/sessions/{}/prompts", Access::driver, &Api::tell);
  add("POST", "/v1/hooks/{}", Access::driver, &Api::hook, {"wait", "server"});
  add("GET", "/v1/sessions/{}/intents/{}", Access::any, &Api::intent);
  add("POST", "/v1/sessions/{}/intents/{}/vote", Access::approver, &Api::vote);
  add("POST", "/v1/sessions/{}/intents/{}/resolve", Access::approver_or_admin, &Api::resolve);
  add("GET", "/v1/pending", Access::not_only_driver, &Api::pending);
  add("GET", "/v1/halts", Access::any, &Api::halts);
  add("POST", "/v1/halts", Access::admin_or_observer, &Api::raise_halt);
  add("POST", "/v1/resume", Access::admin, &Api::resume);
  add("GET", "/v1/tools", Access::any, &Api::tools);
  add("GET", "/v1/tools/{}", Access::not_only_driver, &Api::tool);
  add("POST", "/v1/tools/{}/accept", Access::approver_or_admin, &Api::accept_tool);
  add("POST", "/v1/tools/{}/refuse", Access::approver_or_admin, &Api::refuse_tool);
  add("GET", "/v1/upstreams", Access::not_only_driver, &Api::upstreams);
  add("GET", "/v1/upstreams/{}/login", Access::admin, &Api::login);
  add("POST", "/v1/upstreams/{}/login", Access::admin, &Api::begin_login);
  add("POST", "/v1/upstreams/{}/login/answer", Access::admin, &Api::finish_login);
  add("POST", "/v1/upstreams/{}/logout", Access::admin, &Api::forget_login);
  add("GET", "/v1/policy", Access::any, &Api::policy);
  add("POST", "/v1/policy/explain", Access::any, &Api::explain);
  add("POST", "/v1/policy/reload", Access::admin, &Api::reload);
}

void Api::add(std::string_view method, std::string_view pattern, Access access, Handler handler,
              std::vector<std::string_view> query) {
  router_.add(method, pattern);
  routes_.push_back({access, handler, nullptr, std::move(query)});
}

void Api::add_stream(std::string_view pattern, Access access, StreamHandler handler,
                     std::vector<std::string_view> query) {
  router_.add("GET", pattern);
  routes_.push_back({access, nullptr, handler, std::move(query)});
}

std::optional<std::string> Api::Request::query(std::string_view key) const {
  return query_value(exchange.request().query, key);
}

PayloadReader Api::payload_reader() {
  return [this](const Payload& payload) { return harness_.payload(payload); };
}

Status Api::check_access(Access access, const Caller& caller) {
  const auto any_of = [&](std::initializer_list<Role> roles, std::string_view names) -> Status {
    for (const auto role : roles) {
      if (caller.has(role)) return {};
    }
    return fail(
        ErrorCode::permission_denied,
        fmt::format("{} may not do this: it takes the role {}", caller.principal.value, names));
  };
  switch (access) {
    case Access::any:
      return {};
    case Access::not_only_driver:
      return any_of(
          {Role::voter, Role::decider, Role::executor, Role::observer, Role::approver, Role::admin},
          "admin, approver, observer, or any but driver");
    case Access::driver:
      return any_of({Role::driver}, "driver");
    case Access::driver_or_admin:
      return any_of({Role::driver, Role::admin}, "driver or admin");
    case Access::approver:
      return any_of({Role::approver}, "approver");
    case Access::approver_or_admin:
      return any_of({Role::approver, Role::admin}, "approver or admin");
    case Access::admin:
      return any_of({Role::admin}, "admin");
    case Access::admin_or_observer:
      return any_of({Role::admin, Role::observer}, "admin or observer");
  }
  return fail(ErrorCode::permission_denied, "not allowed");
}

asio::awaitable<void> Api::answer_error(HttpExchange& exchange, Error error) {
  HttpResponse response;
  response.status = mapping(error.code).http_status;
  if (error.code == ErrorCode::unauthenticated) {
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
  }
  if (error.code == ErrorCode::busy) response.headers.emplace_back("Retry-After", "1");
  response.body = error_json(error);
  co_await exchange.respond(std::move(response));
}

// An empty body counts as {}.
Status Api::read_body(Request& request) {
  const auto& http = request.exchange.request();
  if (http.method == "GET") return {};
  if (http.body.empty()) {
    request.body = json::object{};
    return {};
  }
  auto body = parse_json(http.body);
  if (!body) return std::unexpected(body.error());
  if (!body->is_object()) {
    return fail(ErrorCode::invalid_argument, "the body must be a JSON object");
  }
  request.body = std::move(*body);
  return {};
}

asio::awaitable<void> Api::dispatch(const Route& route, Request& request) {
  auto& exchange = request.exchange;
  Status ready = check_access(route.access, request.caller);
  if (ready) ready = check_query(exchange.request().query, route.query);
  if (ready) ready = read_body(request);
  if (!ready) {
    co_await answer_error(exchange, ready.error());
    co_return;
  }
  if (route.stream != nullptr) {
    co_await (this->*route.stream)(request);
    co_return;
  }
  auto answer = co_await (this->*route.handler)(request);
  if (!answer) {
    co_await answer_error(exchange, std::move(answer).error());
    co_return;
  }
  HttpResponse response;
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = std::move(*answer);
  const bool written = co_await exchange.respond(std::move(response));
  if (written && request.delivered) {
    harness_.delivered(request.delivered->first, request.delivered->second);
  }
}

asio::awaitable<void> Api::handle(HttpExchange& exchange, Caller caller) {
  const auto& http = exchange.request();
  auto match = router_.match(http.method, http.path);
  if (auto* found = std::get_if<RouteFound>(&match)) {
    Request request{exchange, std::move(caller), std::move(found->parameters), {}, {}};
    co_await dispatch(routes_[found->route], request);
  } else if (const auto* wrong = std::get_if<RouteWrongMethod>(&match)) {
    HttpResponse response;
    response.status = 405;
    response.headers.emplace_back("Allow", wrong->allow);
    response.body =
        error_json({ErrorCode::invalid_argument,
                    fmt::format("{} does not answer {}; use {}", for_display(http.path, 200),
                                for_display(http.method, 20), wrong->allow)});
    co_await exchange.respond(std::move(response));
  } else if (std::holds_alternative<RouteMalformed>(match)) {
    co_await answer_error(exchange, {ErrorCode::invalid_argument,
                                     "the path has an escape that does not decode to UTF-8"});
  } else {
    co_await answer_error(
        exchange, {ErrorCode::not_found,
                   fmt::format("nothing answers at {}; the API is under /v1 (docs/api.md), MCP at "
                               "/mcp (docs/mcp.md)",
                               for_display(http.path, 200))});
  }
}

}  // namespace gavel
