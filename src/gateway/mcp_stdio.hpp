#pragma once
// MCP over a stream of lines, as over a child's stdin and stdout: what POST /v1/attach carries for
// `gavel mcp`. Requests are answered as they get ready, any number at once; notifications/cancelled
// ends the wait of one. The stream belongs to one caller, one session and one server.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "gateway/http_types.hpp"
#include "gateway/mcp_server.hpp"

namespace gavel {

class McpStdio : public std::enable_shared_from_this<McpStdio> {
public:
  // `http` was upgraded; it and `server` must outlive run(). `context.peer` is made here.
  McpStdio(asio::any_io_executor executor, McpServer& server, HttpExchange& http,
           McpContext context);

  // Serves until the client closes its side or the server stops, and every request has ended.
  static asio::awaitable<void> run(std::shared_ptr<McpStdio> self);

private:
  class Exchange;
  struct Line {
    std::string text;
    std::vector<McpAnswer> answers;  // to be marked delivered once the line is out
  };

  static asio::awaitable<void> answer(std::shared_ptr<McpStdio> self,
                                      std::unique_ptr<std::string> text);
  // Writes what changes, until the connection ends.
  static asio::awaitable<void> announce(std::shared_ptr<McpStdio> self);
  asio::awaitable<void> read_lines();
  void take_line(std::string_view line);
  // Queues a line and writes what is queued, unless somebody already does. False once the client
  // is gone.
  asio::awaitable<bool> write_line(Line line);
  asio::awaitable<void> answer_one(const std::string& text);

  asio::any_io_executor executor_;
  McpServer& server_;
  HttpExchange& http_;
  McpContext context_;
  std::deque<Line> outgoing_;
  std::size_t outgoing_bytes_ = 0;
  bool writing_ = false;
  bool gone_ = false;
  bool ended_ = false;  // nothing more is read
  std::size_t running_ = 0;
  asio::steady_timer idle_;  // cancelled when the last request has ended
};

}  // namespace gavel
