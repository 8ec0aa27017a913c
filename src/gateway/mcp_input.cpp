// Servers that ask in the middle of a request: the modern client's side. See mcp_parking.hpp.
#include <fmt/format.h>

#include "base/text.hpp"
#include "gateway/mcp_server.hpp"

namespace gavel {
namespace {

// What a request asks for, whatever else it brings.
Digest request_digest(const RpcMessage& message) {
  const auto* params = find_object(message.document, "params");
  json::object asked = params == nullptr ? json::object{} : *params;
  for (const std::string_view member : {"_meta", "inputResponses", "requestState"}) {
    asked.erase(member);
  }
  return canonical_digest(json::object{{"method", message.method}, {"params", std::move(asked)}});
}

// What a round answers.
Digest answers_digest(const RpcMessage& message) {
  const auto* params = find(message.document, "params");
  const auto* answers = params == nullptr ? nullptr : find(*params, "inputResponses");
  return canonical_digest(answers == nullptr ? json::value(nullptr) : *answers);
}

}  // namespace

McpAttendance::Client McpServer::client_of(const Request& request) {
  McpAttendance::Client client;
  client.era = request.era;
  client.request_id = request.rpc.id;
  client.progress_token = request.meta.progress_token;
  client.peer = request.context.peer;
  client.identity =
      fmt::format("{}\n{}\n{}", request.context.caller.principal.value, session_of(request).value,
                  client.peer ? client.peer->id : std::string());
  if (request.era == Era::modern) {
    client.log_level = request.meta.log_level;
    if (request.meta.client_capabilities) {
      client.capabilities = only_questions(*request.meta.client_capabilities);
    }
  } else if (client.peer) {
    client.log_level = client.peer->log_level;
    client.capabilities = client.peer->capabilities;
  }
  return client;
}

RpcResult<McpParked> McpServer::resume(const Request& request, const std::string& server,
                                       const std::string& identity) {
  McpParked none;
  if (request.era == Era::legacy) return none;
  const auto responses = request.text("inputResponses");
  const auto state = request.text("requestState");
  const auto& principal = request.context.caller.principal;
  if (responses.empty() && state.empty()) {
    if (parking_.empty()) return none;
    return parking_.take_same(principal, request_digest(request.rpc), identity);
  }
  const auto ticket = json_unquote(state).value_or("");
  const Digest digest = request_digest(request.rpc);
  const auto bad_state = [&](const Error& why) {
    return std::unexpected(
        RpcFault{.code = why.code == ErrorCode::busy ? rpc::kGavelBusy : rpc::kInvalidParams,
                 .message = why.message,
                 .id = std::string(request.rpc.id),
                 .data = {}});
  };
  if (parking_.begins_anew(ticket, principal, digest)) {
    const auto begun = parking_.begin_anew(ticket, answers_digest(request.rpc));
    return begun ? RpcResult<McpParked>(none) : bad_state(begun.error());
  }
  if (!parking_.is_own(ticket, principal, digest)) {
    // A modern server judges its own state. One that has not been spoken to yet never asked.
    const auto era = harness_.upstream_status(server).era;
    if (era == kMcpModern) return none;
    if (era.empty() && !McpParking::looks_like_ticket(ticket)) return none;
  }
  auto parked = parking_.take(ticket, principal, digest);
  if (!parked) return bad_state(parked.error());
  JsonObjectReader reader(responses.empty() ? "{}" : responses);
  while (const auto member = reader.next()) {
    const auto question = parked->questions.find(json_unquote(member->key).value_or(""));
    if (question == parked->questions.end() || !member->value.starts_with('{')) continue;
    question->second.answer(std::string(member->value), {});
    parked->questions.erase(question);
  }
  return std::move(*parked);
}

McpAnswer McpServer::park(const Request& request, McpParked parked) {
  json::object questions;
  for (const auto& [key, question] : parked.questions) {
    auto params = parse_json(question.params.empty() ? "{}" : question.params);
    questions[key] =
        json::object{{"method", question.method},
                     {"params", params ? std::move(*params) : json::value(json::object{})}};
  }
  const auto ticket = parking_.park(std::move(parked));
  if (!ticket) return failed(request, ticket.error());
  return complete(request, write_json(json::object{{"resultType", "input_required"},
                                                   {"inputRequests", std::move(questions)},
                                                   {"requestState", *ticket}}));
}

McpAnswer McpServer::lacking(const Request& request, const json::object& capabilities) {
  return fault(
      RpcFault{.code = rpc::kMissingClientCapability,
               .message = fmt::format("the server asks for what takes the client capabilities {}",
                                      write_json(capabilities)),
               .id = std::string(request.rpc.id),
               .data = write_json(json::object{{"requiredCapabilities", capabilities}})},
      400);
}

McpAnswer McpServer::ask_to_open(const Request& request, json::object questions) const {
  const auto client = client_of(request);
  for (const auto& [key, question] : questions) {
    const auto missing = lacking_capability(client.capabilities, "elicitation/create",
                                            write_json(question.at("params")));
    if (!missing.empty()) return lacking(request, missing);
  }
  const auto state =
      parking_.ticket_to_begin_anew(request.context.caller.principal, request_digest(request.rpc));
  return complete(request, write_json(json::object{{"resultType", "input_required"},
                                                   {"inputRequests", std::move(questions)},
                                                   {"requestState", state}}));
}

McpAnswer McpServer::asked(const Request& request, McpAttendance& attendance,
                           std::shared_ptr<WaitingCall> call, std::string identity) {
  if (!attendance.lacking().empty()) {
    // The server hears that it cannot ask; what becomes of the call is recorded.
    const CallGuard guard(std::move(call));
    return lacking(request, attendance.lacking());
  }
  McpParked parked;
  parked.principal = request.context.caller.principal;
  parked.request = request_digest(request.rpc);
  parked.identity = std::move(identity);
  parked.call = std::move(call);
  parked.questions = attendance.take_questions();
  return park(request, std::move(parked));
}

}  // namespace gavel
