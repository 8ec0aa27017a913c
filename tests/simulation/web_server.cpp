#include "web_server.hpp"

#include <fmt/format.h>

#include "base/json.hpp"

namespace gavel::simulation {
namespace {

constexpr std::string_view kJson = "application/json";

// A request as the SimServer takes it.
struct RpcAsked {
  UpstreamRequest request;
  std::string id;
};

std::optional<RpcAsked> read_request(const std::string& body) {
  const auto document = parse_json(body);
  if (!document) return std::nullopt;
  RpcAsked asked;
  asked.request.method = string_or(*document, "method");
  if (const auto* id = find(*document, "id")) asked.id = write_json(*id);
  if (const auto* params = find(*document, "params")) {
    asked.request.params = write_json(*params);
    if (const auto* meta = find(*params, "_meta"); meta != nullptr && meta->is_object()) {
      asked.request.meta = meta->get_object();
    }
  }
  return asked;
}

}  // namespace

WebServer::WebServer(SimNet& net, SimServer& server, std::uint16_t port, Speaks speaks,
                     Coverage& coverage, std::uint64_t dice)
    : net_(net), server_(server), port_(port), speaks_(speaks), coverage_(coverage), rng_(dice) {
  net_.serve(port_, [this](SimNet::ConnectionId id) -> std::optional<SimNet::Peer> {
    if (!server_.reachable()) return std::nullopt;
    return accept(id);
  });
}

std::string WebServer::url() const {
  return fmt::format("http://127.0.0.1:{}/mcp", port_);
}

SimNet::Peer WebServer::accept(SimNet::ConnectionId id) {
  connections_[id];
  SimNet::Peer peer;
  peer.on_sent = [this, id](std::string_view bytes) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    found->second.sent.feed(bytes);
    while (const auto http = found->second.sent.next()) {
      const auto asked = read_request(http->body);
      if (asked && asked->request.method == "tools/call") server_.announce(asked->request);
    }
  };
  peer.on_bytes = [this, id](std::string_view bytes) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    found->second.arrived.feed(bytes);
    while (const auto http = found->second.arrived.next()) answer(id, *http);
  };
  peer.on_end = [this, id] {
    connections_.erase(id);
    net_.close(id);
  };
  return peer;
}

std::string WebServer::greet(std::string_view method, std::string_view id) {
  const auto result = [&](std::string_view text) {
    return fmt::format(R"({{"jsonrpc":"2.0","id":{},"result":{}}})", id, text);
  };
  if (method == "initialize" && speaks_ == Speaks::legacy) {
    ++coverage_["web server: initialized"];
    return result(R"({"protocolVersion":"2025-06-18","capabilities":{"tools":{}},)"
                  R"("serverInfo":{"name":"simulated","version":"1"}})");
  }
  if (method == "server/discover" && speaks_ == Speaks::modern) {
    ++coverage_["web server: discovered"];
    return result(R"({"resultType":"complete","supportedVersions":["2026-07-28"],)"
                  R"("capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private",)"
                  R"("_meta":{"io.modelcontextprotocol/serverInfo":)"
                  R"({"name":"simulated","version":"1"}},)"
                  R"("serverInfo":{"name":"simulated","version":"1"}})");
  }
  if (method == "tools/list" || method == "tools/call") return {};
  return fmt::format(
      R"({{"jsonrpc":"2.0","id":{},"error":{{"code":-32601,"message":"no such method"}}}})", id);
}

void WebServer::answer(SimNet::ConnectionId id, const WebMessage& http) {
  const auto send = [&](int status, const WebHeaders& headers, std::string_view body) {
    net_.send(id, web_reply(status, headers, body));
  };
  if (http.method == "DELETE") return send(200, {}, "");
  const auto asked = http.method == "POST" ? read_request(http.body) : std::nullopt;
  if (!asked) return send(405, {{"Allow", "POST"}}, "");
  if (asked->id.empty()) return send(202, {}, "");
  if (!server_.reachable()) return net_.reset(id);
  const std::string greeting = greet(asked->request.method, asked->id);
  if (!greeting.empty()) {
    WebHeaders headers{{"Content-Type", std::string(kJson)}};
    if (asked->request.method == "initialize") headers.emplace_back("Mcp-Session-Id", "simulated");
    return send(200, headers, greeting);
  }
  server_.receive(
      asked->request, machine::now() + std::chrono::milliseconds(kTimeoutMs),
      [this, id, rpc_id = asked->id](const UpstreamReply& answer) { reply(id, rpc_id, answer); });
}

void WebServer::reply(SimNet::ConnectionId id, std::string_view rpc_id,
                      const UpstreamReply& reply) {
  const auto send = [&](int status, WebHeaders headers, std::string_view body) {
    net_.send(id, web_reply(status, headers, body));
  };
  if (reply.delivery == Delivery::not_sent) return send(429, {{"Retry-After", "1"}}, "busy");
  if (reply.delivery == Delivery::lost) {
    const std::string& why = reply.error.message;
    if (why == "503") return send(503, {}, "busy");
    if (why == "garbage came back") {
      return send(200, {{"Content-Type", std::string(kJson)}}, "{\"jsonrpc\":\"2.0\",\"id\":");
    }
    return net_.reset(id);
  }
  const std::string message = fmt::format(R"({{"jsonrpc":"2.0","id":{},"{}":{}}})", rpc_id,
                                          reply.rpc_error.empty() ? "result" : "error",
                                          reply.rpc_error.empty() ? reply.result : reply.rpc_error);
  if (rng_.one_in(3)) {
    ++coverage_["web server: answers with a stream"];
    return send(200, {{"Content-Type", "text/event-stream"}},
                fmt::format(": here it comes\n\ndata: {}\n\n", message));
  }
  send(200, {{"Content-Type", std::string(kJson)}}, message);
}

}  // namespace gavel::simulation
