#pragma once
// What Gavel knows of its login at one upstream server, as it is kept (oauth_store.hpp): JSON,
// version 1. It is bound to the server's URL: a policy that sends the name elsewhere has no login
// there.

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "oauth/client.hpp"

namespace gavel {

struct OAuthRecord {
  std::string server_url;
  std::string resource;
  std::string issuer;
  std::string token_endpoint;
  ClientIdentity client;            // the secret of one that the policy has is not in it
  std::string redirect_uri;         // that a registered client may use; empty of others
  std::vector<std::string> scopes;  // granted
  std::vector<std::string> asked;   // asked for
  std::string access;
  std::string refresh;
  Timestamp expires_at;  // 0: not said

  bool has_token() const { return !access.empty(); }
  // Everything in it that nobody may see.
  std::vector<std::string> secrets() const;
};

std::string write_record(const OAuthRecord& record);
// corrupted where it is none; unsupported of a newer version.
Result<OAuthRecord> read_record(std::string_view text);

}  // namespace gavel
