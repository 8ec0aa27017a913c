#pragma once
// What a protected resource says of itself (RFC 9728) and what an authorization server does
// (RFC 8414, OpenID Connect Discovery), read and checked. Both come from outside: what does not
// fit is an error that says which rule it breaks.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace gavel {

struct ResourceMetadata {
  std::string resource;  // as published: RFC 8707 wants it back byte for byte
  std::vector<std::string> authorization_servers;  // issuers
  std::vector<std::string> scopes_supported;
};

// `server`: the URL that Gavel calls. The resource must be that, or a path above it at the same
// origin; a token for anything else would be one that another server can use.
Result<ResourceMetadata> read_resource_metadata(std::string_view body, std::string_view server);
// Whether a token for `resource` is one for `server`.
bool resource_covers(std::string_view resource, std::string_view server);

struct ServerMetadata {
  std::string issuer;
  std::string authorization_endpoint;  // may be empty
  std::string token_endpoint;
  std::string registration_endpoint;  // may be empty
  std::vector<std::string> scopes_supported;
  std::optional<std::vector<std::string>> grants;             // nothing: not said
  std::optional<std::vector<std::string>> auth_methods;       // of the token endpoint
  std::optional<std::vector<std::string>> challenge_methods;  // of PKCE
  bool metadata_documents = false;                            // takes a URL for a client's id
  bool sends_issuer = false;                                  // RFC 9207: answers carry `iss`
};

// `issuer` must be the one whose metadata was asked for, byte for byte (RFC 8414, section 3.3), and
// every endpoint https, or on loopback. Errors: permission_denied, invalid_argument.
Result<ServerMetadata> read_server_metadata(std::string_view body, std::string_view issuer);

// Whether a code can be asked for with PKCE and S256; unsupported where not.
Status check_code_grant(const ServerMetadata& server);

bool lists(const std::optional<std::vector<std::string>>& values, std::string_view value);

}  // namespace gavel
