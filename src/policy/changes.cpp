// What two versions of a policy have in common.
#include "policy/policy.hpp"

namespace gavel {
namespace {

// Without what a connection does not know of: it is policy's alone.
ServerSpec connection_of(const ServerSpec& server) {
  ServerSpec bare = server;
  const ServerSpec unset;
  bare.tools.clear();
  bare.pins = unset.pins;
  bare.flags = unset.flags;
  bare.result_limit = unset.result_limit;
  bare.trusted = unset.trusted;
  return bare;
}

}  // namespace

bool same_connection(const ServerSpec& a, const ServerSpec& b) {
  return connection_of(a) == connection_of(b);
}

std::vector<std::string> differences(const DaemonSpec& a, const DaemonSpec& b) {
  std::vector<std::string> found;
  const auto compare = [&](const char* option, bool same) {
    if (!same) found.emplace_back(option);
  };
  compare("daemon.listen", a.listen == b.listen);
  compare("daemon.tls", a.tls == b.tls);
  compare("daemon.hosts", a.hosts == b.hosts);
  compare("daemon.hold_patience", a.hold_patience == b.hold_patience);
  compare("daemon.hold_patience_with_progress",
          a.hold_patience_with_progress == b.hold_patience_with_progress);
  compare("daemon.session_idle", a.session_idle == b.session_idle);
  return found;
}

}  // namespace gavel
