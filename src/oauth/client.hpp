#pragma once
// What Gavel says to an authorization server, as the client that it is there, and what the answers
// mean: registration (RFC 7591), the authorization request with PKCE (OAuth 2.1, RFC 7636), its
// answer (RFC 9207), and the token endpoint. Text in, text out: it sends nothing, and time and
// randomness come as arguments.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "oauth/challenge.hpp"
#include "oauth/metadata.hpp"
#include "oauth/url.hpp"

namespace gavel {

// How a client proves who it is at the token endpoint.
enum class ClientAuth { none, secret_basic, secret_post, private_key_jwt };
std::string_view to_string(ClientAuth);
std::optional<ClientAuth> client_auth_from(std::string_view name);

// What the operator gave; all of it may be empty.
struct ClientSettings {
  std::string id = {};
  std::string secret = {};
  std::string private_key = {};   // PEM
  std::string metadata_url = {};  // of a Client ID Metadata Document
};

// Who Gavel is at one authorization server.
struct ClientIdentity {
  std::string id;
  std::string secret;
  ClientAuth auth = ClientAuth::none;
  bool operator==(const ClientIdentity&) const = default;
};

// The identity that needs no registration: the operator's own, else the metadata document where the
// server takes one. Nothing where Gavel must register. Errors: unsupported (the server wants a
// proof that was not given).
Result<std::optional<ClientIdentity>> known_client(const ClientSettings& settings,
                                                   const ServerMetadata& server);

struct RegistrationWish {
  std::string client_name;
  std::string redirect_uri;
  std::vector<std::string> scopes;
};
// JSON for the registration endpoint; unsupported where there is none, with what to do.
Result<std::string> registration_request(const RegistrationWish& wish,
                                         const ServerMetadata& server);
Result<ClientIdentity> read_registration(int status, std::string_view body,
                                         const ServerMetadata& server);

struct ScopeSources {
  std::vector<std::string> configured;  // of the operator; where there are any, exactly these
  std::vector<std::string> before;      // asked for the last time, where that was granted
  std::optional<BearerChallenge> challenge;
  std::vector<std::string> resource;  // of the resource's metadata
};
// What to ask for: the operator's; else what was asked for before, with what the challenge names,
// or the resource where it names nothing, and `offline_access` where the server knows that.
std::vector<std::string> choose_scopes(const ScopeSources& sources, const ServerMetadata& server);

// S256 of RFC 7636.
std::string code_challenge(std::string_view verifier);

// One login on its way: everything that its answer is held against.
struct CodeRequest {
  std::string state;
  std::string verifier;
  std::string redirect_uri;
  std::string resource;
  std::vector<std::string> scopes;
  ClientIdentity client;
  ServerMetadata server;
};
// The URL for the person's browser.
std::string authorization_url(const CodeRequest& request);

// The parameters with which the browser came back.
struct CodeAnswer {
  std::string state;
  std::string code;
  std::optional<std::string> issuer;  // `iss`
  std::string error;
  std::string error_description;
};
// Of the redirection's query; invalid_argument where it is none, or says something twice.
Result<CodeAnswer> parse_code_answer(std::string_view query);
// permission_denied where the answer is not the one to this request, from this server, or is a
// refusal.
Status check_code_answer(const CodeRequest& request, const CodeAnswer& answer);

// A POST of a form to the token endpoint. All of it is secret.
struct TokenRequest {
  std::string url;
  std::string body;
  std::string authorization;  // header; empty where there is none
};
// `now` and `unique` are for a signed assertion: its times and its id.
struct AssertionInput {
  std::string private_key;  // PEM
  Timestamp now;
  std::string unique;
};
Result<TokenRequest> token_request(FormFields fields, const ClientIdentity& client,
                                   const std::string& token_endpoint, const std::string& issuer,
                                   const AssertionInput& assertion);
FormFields code_fields(const CodeRequest& request, const std::string& code);
FormFields refresh_fields(const std::string& refresh_token, const std::string& resource);
FormFields client_credentials_fields(const std::vector<std::string>& scopes,
                                     const std::string& resource);

struct Tokens {
  std::string access;
  std::string refresh;                             // may be empty
  std::optional<std::chrono::seconds> expires_in;  // nothing: not said
  std::optional<std::vector<std::string>> scopes;  // nothing: as asked for
};
// Errors: denied (the server refuses: asking again brings nothing), unavailable (it cannot
// now), invalid_argument (an answer that is none).
Result<Tokens> read_tokens(int status, std::string_view body);

inline constexpr std::size_t kTokenBytesMax = 16u << 10;

}  // namespace gavel
