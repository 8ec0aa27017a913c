#pragma once
// For tests: the real gateway on a real harness over the memory log, on loopback, in front of MCP
// servers that are scripted here (they are outside the product, so they may be).

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gateway/gateway.hpp"
#include "gateway/test_client.hpp"
#include "runtime/upstream.hpp"

namespace gavel::test {

// What a scripted server was asked, and whether it may answer. Used from both threads.
struct ServerScript {
  std::atomic<int> calls{0};      // of tools that act
  std::atomic<int> questions{0};  // of "asks"
  std::atomic<bool> subscribed{false};
  // What it announces goes to the harness; for the loop's thread.
  std::function<void(std::string_view method, std::string_view params)> announce;
  std::atomic<int> cancelled{0};
  std::atomic<bool> released{false};  // whether "slow" may finish
};

class World {
public:
  // Answers quickly become streams here, and patience ends soon.
  static McpOptions quick();
  explicit World(McpOptions mcp = quick());
  ~World();

  const std::string& endpoint() const { return endpoint_; }
  Client agent() { return client("agent"); }
  Client person() { return client("operator"); }
  Client client(const std::string& principal);
  ServerScript& script(const std::string& server) { return *scripts_.at(server); }

  // GET /v1/..., parsed.
  json::value get(const std::string& target);
  json::value post(const std::string& principal, const std::string& target,
                   const json::object& body, int status = 200);
  // The one intent that waits; waits for it.
  json::value only_pending();
  // Approves or denies it.
  void decide(const json::value& pending, std::string_view verdict);
  void announce(const std::string& server, const std::string& method, const std::string& params);
  // After so many more appends the store fails: the append is refused, or it is not durable.
  void fill_disk(int appends_left, bool refused);
  // Nothing becomes durable until the disk is told to go on.
  void hang_disk(bool hangs);
  // Stops the gateway as the daemon does.
  void stop();
  EventLoop& loop() { return loop_; }

private:
  class Parts;
  std::filesystem::path directory_;
  std::map<std::string, std::shared_ptr<ServerScript>> scripts_;
  EventLoop loop_;
  std::unique_ptr<Parts> parts_;
  std::string endpoint_;
};

// A modern request's params._meta.
json::object modern_meta(json::object more = {});
// POST of one modern request, with the headers that mirror it.
Reply modern(Client& client, std::string_view method, json::object params,
             const std::string& target = "/mcp");
void send_modern(Client& client, std::string_view method, json::object params,
                 const std::string& target = "/mcp", std::string_view id = "1");
// The message in an answer, JSON or stream.
json::value message_of(const Reply& reply);
// The text of a CallToolResult in a message.
std::string text_of(const json::value& message);

}  // namespace gavel::test
