// The initialize line: 2025-11-25 and older.
#include <fmt/format.h>

#include "base/text.hpp"
#include "gateway/mcp_server.hpp"

namespace gavel {

// From here on the session's client hears of what changes.
void McpServer::tell_changes(McpSession& peer) {
  auto& listener = *peer.listener;
  listener.tools = listener.prompts = listener.resources = true;
  changes_->add(peer.listener);
}

McpAnswer McpServer::initialize(Request& request) {
  auto asked = read_initialize(request.rpc);
  if (!asked) return fault(asked.error(), 400);
  auto& context = request.context;
  McpSession fresh;
  fresh.principal = context.caller.principal;
  McpSession& peer = context.over_http() ? fresh : *context.peer;
  if (peer.version.empty()) tell_changes(peer);
  peer.listener->server = context.server;
  peer.version = negotiate_legacy(asked->version);
  peer.capabilities = only_questions(asked->capabilities);
  peer.client = fmt::format("{} {}", asked->client.name, asked->client.version);
  static constexpr std::size_t kSuffixBytes = 4;
  const auto name = asked->client.name.empty() ? "client" : std::string_view(asked->client.name);
  peer.log = LogId{log_name_of({"mcp", name, random_id(kSuffixBytes)})};
  McpAnswer answer;
  auto capabilities = mcp_capabilities(Era::legacy);
  if (peer.version == kMcpLegacy) {
    const json::object requests{{"tools", json::object{{"call", json::object{}}}}};
    capabilities["tasks"] = json::object{{"cancel", json::object{}}, {"requests", requests}};
  }
  answer.message = rpc_response(
      request.rpc.id, initialize_result(peer.version, self_, capabilities, kMcpInstructions));
  if (context.over_http()) answer.session_id = sessions_.add(std::move(fresh))->id;
  return answer;
}

asio::awaitable<McpAnswer> McpServer::answer_legacy(Request& request) {
  const auto& method = request.rpc.method;
  if (method == "initialize") co_return initialize(request);
  const auto& peer = request.context.peer;
  if (method == "ping") co_return complete(request, "{}");
  if (!peer || peer->version.empty()) {
    co_return fault(RpcFault{.code = rpc::kInvalidRequest,
                             .message = "send initialize first (or, of 2026-07-28, the _meta that "
                                        "every request carries)",
                             .id = std::string(request.rpc.id),
                             .data = {}},
                    400);
  }
  if (method == "logging/setLevel") {
    const auto level = request.param("level");
    if (!log_severity(level)) {
      co_return fault(RpcFault{.code = rpc::kInvalidParams,
                               .message = "\"level\" must be debug, info, notice, warning, error, "
                                          "critical, alert or emergency",
                               .id = std::string(request.rpc.id),
                               .data = {}},
                      200);
    }
    peer->log_level = level;
    co_return complete(request, "{}");
  }
  const auto* known = find_mcp_method(method);
  const auto handler = find_handler(method);
  const bool of_tasks = method.starts_with("tasks/") && !knows_legacy_tasks(request);
  if (handler == nullptr || known == nullptr || !known->legacy || of_tasks) {
    co_return fault(method_not_found(request.rpc.id, method), 200);
  }
  co_return co_await (this->*handler)(request);
}

asio::awaitable<RpcResult<McpServer::Batch>> McpServer::answer_batch(std::string_view text,
                                                                     McpContext& context,
                                                                     McpExchange& exchange) {
  if (!context.peer || !allows_batches(context.peer->version)) {
    co_return std::unexpected(
        RpcFault{.code = rpc::kInvalidRequest,
                 .message = "batches exist only in sessions of 2025-03-26; send one message at a "
                            "time",
                 .id = "null",
                 .data = {}});
  }
  const auto parts = split_rpc_batch(text);
  if (!parts) co_return std::unexpected(parts.error());
  Batch batch;
  for (const auto part : *parts) {
    const auto message = parse_rpc(part);
    McpAnswer answer;
    if (!message) {
      answer.message = rpc_error_response(message.error());
    } else if (message->kind == RpcKind::notification) {
      take_notification(*message, context);
    } else if (message->method == "initialize") {
      answer = fault(RpcFault{.code = rpc::kInvalidRequest,
                              .message = "initialize stands alone, never in a batch",
                              .id = std::string(message->id),
                              .data = {}},
                     200);
    } else if (message->is_request()) {
      auto admission = admit_line(*message);
      if (admission) {
        answer = co_await this->answer(*message, std::move(*admission), context, exchange);
      } else {
        answer = fault(admission.error().fault, 200);
      }
    }
    if (answer.message.empty()) continue;
    batch.message += batch.message.empty() ? '[' : ',';
    batch.message += answer.message;
    batch.answers.push_back(std::move(answer));
  }
  if (!batch.message.empty()) batch.message += ']';
  co_return batch;
}

}  // namespace gavel
