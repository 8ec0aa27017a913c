#pragma once
// Where logins to upstream servers are kept, as a port: the daemon passes files of mode 0600 in its
// state directory, tests and simulated worlds something in memory. One text per server; what it
// means is oauth_record.hpp's.

#include <optional>
#include <string>

#include "base/result.hpp"

namespace gavel {

class OAuthStore {
public:
  virtual ~OAuthStore() = default;
  // Nothing where none was saved. Errors: those of the medium; the message is without secrets.
  virtual Result<std::optional<std::string>> load(const std::string& server) = 0;
  // Whole or not at all.
  virtual Status save(const std::string& server, const std::string& text) = 0;
  virtual Status remove(const std::string& server) = 0;
};

}  // namespace gavel
