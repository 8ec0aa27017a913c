#pragma once
// A simulated tool server on the simulated network: MCP over Streamable HTTP, of one era, in front
// of what a SimServer does. The product's own client talks to it over its own sockets.

#include <map>
#include <memory>
#include <string>

#include "door.hpp"
#include "sim_net.hpp"
#include "sim_server.hpp"
#include "web.hpp"

namespace gavel::simulation {

class WebServer {
public:
  // `net` and `server` outlive this.
  WebServer(SimNet& net, SimServer& server, std::uint16_t port, Speaks speaks, Coverage& coverage,
            std::uint64_t dice);
  std::string url() const;

private:
  struct Connection {
    WebReader sent{WebReader::Kind::request};     // as the product sends it
    WebReader arrived{WebReader::Kind::request};  // as it arrives
  };

  SimNet::Peer accept(SimNet::ConnectionId id);
  void answer(SimNet::ConnectionId id, const WebMessage& http);
  // Of methods that are not the tools'; empty where this is none.
  std::string greet(std::string_view method, std::string_view id);
  void reply(SimNet::ConnectionId id, std::string_view rpc_id, const UpstreamReply& reply);

  SimNet& net_;
  SimServer& server_;
  std::uint16_t port_;
  Speaks speaks_;
  Coverage& coverage_;
  Rng rng_;
  std::map<SimNet::ConnectionId, Connection> connections_;
};

}  // namespace gavel::simulation
