#include "gateway/mcp_server.hpp"

#include <fmt/format.h>

#include <array>

#include "base/text.hpp"
#include "protocol/json_text.hpp"
#include "protocol/mcp_tasks.hpp"

namespace gavel {
namespace {

// Listings say themselves how long they may be kept; of a resource only its server can.
constexpr Caching kCaching{.ttl_ms = 0, .is_public = false};

}  // namespace

const std::string_view kMcpInstructions =
    "Every tool here is called through Gavel, which records the call and may hold or refuse it. A "
    "result that says a call is held or still running is no failure: call the same tool again with "
    "the same arguments to collect the outcome; it will not act twice. A refusal says which rule "
    "decided and what would be allowed instead; do not look for another way around it.";

// Nothing is asked of the upstreams for this: what they lack is listed as empty.
json::object mcp_capabilities(Era era) {
  json::object capabilities{{"tools", json::object{{"listChanged", true}}},
                            {"resources", json::object{{"subscribe", true}, {"listChanged", true}}},
                            {"prompts", json::object{{"listChanged", true}}},
                            {"completions", json::object{}}};
  if (era == Era::legacy) capabilities["logging"] = json::object{};
  return era == Era::modern ? with_tasks(std::move(capabilities)) : capabilities;
}

std::string_view McpServer::Request::param(std::string_view name) const {
  const auto* params = find(rpc.document, "params");
  return params == nullptr ? std::string_view{} : string_or(*params, name);
}

McpServer::McpServer(asio::any_io_executor executor, Harness& harness, McpOptions options)
    : executor_(executor),
      harness_(harness),
      options_(std::move(options)),
      self_{"gavel", options_.version},
      sessions_(options_.sessions_max, options_.session_idle),
      catalogue_(executor, harness) {
  sessions_.on_revived = [this](McpSession& session) { tell_changes(session); };
  // The harness may be told of something after this is gone, and the other way round.
  harness_.on_upstream_notice([weak = std::weak_ptr(changes_)](const std::string& upstream,
                                                               std::string_view method,
                                                               std::string_view params) {
    if (const auto changes = weak.lock()) changes->announce(upstream, method, params);
  });
}

std::expected<McpAdmission, McpRefusal> McpServer::admit_line(const RpcMessage& message) {
  McpAdmission admission;
  admission.meta = read_request_meta(message.document);
  const auto* method = find_mcp_method(message.method);
  const bool modern_only = method != nullptr && !method->legacy;
  const bool initialize = message.method == "initialize";
  if (initialize || !(admission.meta.is_modern() || modern_only)) return admission;
  admission.era = Era::modern;
  admission.version = kMcpModern;
  if (!message.is_request()) return admission;
  if (auto complete = require_modern(message, admission.meta); !complete) {
    return std::unexpected(McpRefusal{.http_status = 400, .fault = std::move(complete).error()});
  }
  return admission;
}

McpServer::Handler McpServer::find_handler(std::string_view method) {
  struct Entry {
    std::string_view method;
    Handler handler;
  };
  static constexpr std::array kHandlers = {
      Entry{"tools/call", &McpServer::call_tool},
      Entry{"tools/list", &McpServer::list_tools},
      Entry{"server/discover", &McpServer::discover},
      Entry{"subscriptions/listen", &McpServer::listen},
      Entry{"prompts/list", &McpServer::list_prompts},
      Entry{"prompts/get", &McpServer::get_prompt},
      Entry{"resources/list", &McpServer::list_resources},
      Entry{"resources/templates/list", &McpServer::list_templates},
      Entry{"resources/read", &McpServer::read_resource},
      Entry{"resources/subscribe", &McpServer::subscribe},
      Entry{"resources/unsubscribe", &McpServer::unsubscribe},
      Entry{"completion/complete", &McpServer::complete_argument},
      Entry{"tasks/get", &McpServer::get_task},
      Entry{"tasks/result", &McpServer::task_result},
      Entry{"tasks/update", &McpServer::update_task},
      Entry{"tasks/cancel", &McpServer::cancel_task},
  };
  for (const auto& entry : kHandlers) {
    if (entry.method == method) return entry.handler;
  }
  return nullptr;
}

asio::awaitable<McpAnswer> McpServer::answer(const RpcMessage& message, McpAdmission admission,
                                             McpContext& context, McpExchange& exchange) {
  Request request{message, std::move(admission.meta), admission.era, context, exchange};
  if (request.era == Era::modern) co_return co_await answer_modern(request);
  co_return co_await answer_legacy(request);
}

CallerSide McpServer::caller_side(const Request& request) {
  const auto client = client_of(request);
  CallerSide side;
  side.capabilities = client.capabilities;
  side.log_level = client.log_level;
  return side;
}

std::string McpServer::unusable(const Request& request, std::string_view result) {
  const ResultType type = result_type(result);
  if (type == ResultType::complete) return {};
  if (type != ResultType::input_required) {
    return "The server answered with a kind of result that Gavel cannot follow.";
  }
  // Nothing of the legacy era says so; and it would read as an answer.
  const std::string wrong = request.era == Era::legacy
                                ? ", and this client cannot be asked for it"
                                : wrong_questions(result, client_of(request).capabilities);
  if (wrong.empty()) return {};
  return fmt::format("The server asks for input before it acts{}. Nothing was done.", wrong);
}

McpAnswer McpServer::complete(const Request& request, std::string_view result) const {
  McpAnswer answer;
  if (request.era == Era::legacy) {
    answer.message = rpc_response(request.rpc.id, to_legacy_result(result));
    return answer;
  }
  const auto* method = find_mcp_method(request.rpc.method);
  std::string own;
  if (method != nullptr && method->cacheable) {
    // What a server calls public is behind Gavel's tokens here, and what came of somebody's answers
    // is kept by nobody.
    const bool is_round =
        !request.text("inputResponses").empty() || !request.text("requestState").empty();
    own = is_round ? json_drop(result, {"cacheScope", "ttlMs"}) : json_drop(result, {"cacheScope"});
    result = own;
  }
  answer.message =
      rpc_response(request.rpc.id, to_modern_result(request.rpc.method, result, self_, kCaching));
  return answer;
}

McpAnswer McpServer::fault(RpcFault fault, int http_status) {
  return McpAnswer{.http_status = http_status, .message = rpc_error_response(fault)};
}

McpAnswer McpServer::failed(const Request& request, const Error& error) {
  const bool wrong = error.code == ErrorCode::not_found ||
                     error.code == ErrorCode::invalid_argument ||
                     error.code == ErrorCode::too_large;
  const bool busy = error.code == ErrorCode::busy;
  const bool away = error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout;
  return fault(RpcFault{.code = wrong  ? rpc::kInvalidParams
                                : busy ? rpc::kGavelBusy
                                : away ? rpc::kGavelUnavailable
                                       : rpc::kInternalError,
                        .message = error.message,
                        .id = std::string(request.rpc.id),
                        .data = {}},
               200);
}

// What an upstream answered, in the client's era.
McpAnswer McpServer::relay(const Request& request, const UpstreamReply& reply) const {
  if (reply.delivery != Delivery::answered) return failed(request, reply.error);
  if (reply.result.empty()) return relay_error(request, reply.rpc_error);
  if (auto why = unusable(request, reply.result); !why.empty()) {
    return failed(request, {ErrorCode::unsupported, std::move(why)});
  }
  return complete(request, reply.result);
}

McpAnswer McpServer::relay_error(const Request& request, std::string error) const {
  // -32002 (no such resource) ended with the legacy era.
  static constexpr std::int64_t kResourceNotFound = -32002;
  const auto view = read_rpc_error(error);
  int http_status = 200;
  if (request.era == Era::modern) {
    auto urls = urls_required(error);
    if (!urls.empty()) return ask_to_open(request, std::move(urls));
  }
  if (view.code == rpc::kHeaderMismatch || view.code == rpc::kUnsupportedVersion) {
    // Of the way between Gavel and the server: the client would take it for its own.
    error = rpc_error_object(rpc::kInternalError,
                             "the server refused how Gavel asked: " + view.message);
  } else if (request.era == Era::modern && view.code == kResourceNotFound) {
    error = rpc_error_object(rpc::kInvalidParams, view.message, view.data);
  } else if (request.era == Era::modern && view.code == rpc::kMissingClientCapability) {
    http_status = 400;
  } else if (request.era == Era::modern && view.code == rpc::kMethodNotFound) {
    http_status = 404;
  }
  return McpAnswer{.http_status = http_status,
                   .message = rpc_error_response(request.rpc.id, error)};
}

void McpServer::take_notification(const RpcMessage& message, McpContext& context) {
  if (message.method != "notifications/cancelled" || !context.peer) return;
  // Clients also send it for what has long been answered.
  context.peer->cancel(std::string(json_slice(message.params, {"requestId"})));
}

void McpServer::take_response(const RpcMessage& message, const McpContext& context) {
  if (!context.peer) return;
  const auto asked = context.peer->asked.extract(std::string(message.id));
  if (!asked) return;
  asked.mapped()(std::string(message.result), std::string(message.error));
}

void McpServer::delivered(const McpAnswer& answer) {
  if (answer.delivered) harness_.delivered(answer.delivered->first, answer.delivered->second);
}

}  // namespace gavel
