#include "runtime/upstream.hpp"

#include <fmt/format.h>

#include <utility>

namespace gavel {

std::string_view to_string(UpstreamHealth health) {
  switch (health) {
    case UpstreamHealth::idle:
      return "idle";
    case UpstreamHealth::starting:
      return "starting";
    case UpstreamHealth::ready:
      return "ready";
    case UpstreamHealth::backing_off:
      return "backing_off";
    case UpstreamHealth::failed:
      return "failed";
    case UpstreamHealth::needs_login:
      return "needs_login";
  }
  return "unknown";
}

namespace {

std::unexpected<Error> no_login(const std::string& name) {
  return fail(ErrorCode::unsupported,
              fmt::format("server \"{}\" is none that Gavel logs in at: it is a program, or the "
                          "policy gives it a header Authorization",
                          name));
}

}  // namespace

asio::awaitable<Result<std::string>> Upstream::begin_login(std::string) {
  co_return no_login(name());
}

asio::awaitable<Status> Upstream::finish_login(std::string) {
  co_return no_login(name());
}

Status Upstream::forget_login() {
  return no_login(name());
}

std::string attached_name(std::string_view server, std::string_view session) {
  return fmt::format("{}@{}", server, session);
}

bool is_attached(std::string_view name) {
  return name.contains('@');
}

std::string_view public_name(std::string_view name) {
  return name.substr(0, name.find('@'));
}

UpstreamQuestion question_from(const RpcMessage& request, std::function<void(std::string)> send) {
  return {std::string(request.method), std::string(request.params),
          [send = std::move(send), id = std::string(request.id),
           answered = std::make_shared<bool>(false)](const std::string& result,
                                                     const std::string& error) {
            if (std::exchange(*answered, true)) return;
            send(error.empty() ? rpc_response(id, result) : rpc_error_response(id, error));
          }};
}

}  // namespace gavel
