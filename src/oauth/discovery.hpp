#pragma once
// From a server's URL and its challenge to the authorization server that gives tokens for it: which
// document to fetch next, and what follows from what came. It fetches nothing itself.
//
//   resource metadata    where the challenge says, else /.well-known/oauth-protected-resource/PATH,
//                        else the same at the root (RFC 9728)
//   none anywhere        the server's own origin is the issuer, as the revision of 2025-03-26 had
//   it server metadata      RFC 8414 before the path, OpenID before the path, OpenID after the path
//
//   Discovery discovery(server_url, challenge, pinned_issuer);
//   while (auto url = discovery.next()) TRY(discovery.take(fetch(*url)));
//   use(discovery.found());

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "oauth/challenge.hpp"
#include "oauth/metadata.hpp"

namespace gavel {

// What a fetch brought. A redirection is one as it stands: none is followed.
struct FetchedDocument {
  int status = 0;
  std::string body;
};

struct DiscoveredServer {
  std::string resource;  // for the parameter of that name, as published
  std::vector<std::string> resource_scopes;
  ServerMetadata server;
};

class Discovery {
public:
  // `issuer`: the one that the operator wants, or empty for the first that the server names.
  Discovery(std::string server_url, const std::optional<BearerChallenge>& challenge,
            std::string issuer);

  // The URL to get now; nothing once all is found. After an error of take() it is not asked again.
  std::optional<std::string> next() const;
  // Errors: permission_denied (a document is for somebody else), invalid_argument (it is broken),
  // not_found (there is none, and what to do).
  Status take(const FetchedDocument& document);
  const DiscoveredServer& found() const { return found_; }

private:
  enum class Stage { resource, server, done };
  Status take_resource(const FetchedDocument& document);
  Status take_server(const FetchedDocument& document);
  Status look_for(std::string issuer);

  std::string server_url_;
  std::string pinned_issuer_;
  Stage stage_ = Stage::resource;
  std::vector<std::string> candidates_;  // URLs to try, the next one at the end
  std::string issuer_;
  DiscoveredServer found_;
};

}  // namespace gavel
