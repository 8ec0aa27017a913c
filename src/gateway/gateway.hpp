#pragma once
// The gateway: the HTTP server with everything that it answers. It checks where a request comes
// from and whose token it carries, then hands it on:
//
//   /mcp         MCP over Streamable HTTP (gateway/mcp_http.hpp)
//   /v1/attach   MCP over an upgraded connection (gateway/attach.hpp)
//   all else     the API (gateway/api.hpp)

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gateway/api.hpp"
#include "gateway/http_server.hpp"
#include "gateway/mcp_server.hpp"

namespace gavel {

struct GatewayOptions {
  HttpServerOptions http = {};
  // Beside loopback and the address listened on: what Host and Origin may name.
  std::vector<std::string> hosts = {};
  std::filesystem::path tokens_directory;  // <state directory>/tokens
  ApiOptions api = {};
  McpOptions mcp = {};
};

class Gateway {
public:
  // Listens and serves. `harness` must outlive this. Errors: those of HttpServer::start.
  static Result<std::unique_ptr<Gateway>> start(asio::any_io_executor executor, Harness& harness,
                                                GatewayOptions options);
  ~Gateway();

  // "127.0.0.1:7420", with the real ports.
  const std::vector<std::string>& endpoints() const;
  // See HttpServer::stop. Calls that are still waited for are answered: ask again later. Await it
  // before the harness is destroyed.
  asio::awaitable<void> stop();

private:
  class Impl;
  explicit Gateway(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with the requests that are being answered
};

}  // namespace gavel
