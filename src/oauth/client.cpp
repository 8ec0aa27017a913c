#include "oauth/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/digest.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "oauth/assertion.hpp"

namespace gavel {
namespace {

constexpr std::size_t kClientIdBytesMax = 4096;
constexpr double kExpiresMax = 10.0 * 366 * 24 * 3600;  // seconds
constexpr JsonLimits kLimits{.max_bytes = 256u << 10, .max_depth = 32};
constexpr std::string_view kOffline = "offline_access";

struct AuthName {
  ClientAuth auth;
  std::string_view name;
};
constexpr std::array<AuthName, 4> kAuthNames = {{
    {ClientAuth::none, "none"},
    {ClientAuth::secret_basic, "client_secret_basic"},
    {ClientAuth::secret_post, "client_secret_post"},
    {ClientAuth::private_key_jwt, "private_key_jwt"},
}};

// Where a server does not say what it takes, RFC 8414 says client_secret_basic.
bool takes(const ServerMetadata& server, ClientAuth auth) {
  if (!server.auth_methods) return auth == ClientAuth::secret_basic;
  return lists(server.auth_methods, to_string(auth));
}

std::unexpected<Error> wrong_proof(const ServerMetadata& server, std::string_view has) {
  std::string wanted;
  for (const auto& name : server.auth_methods.value_or(std::vector<std::string>{})) {
    wanted += (wanted.empty() ? "" : ", ") + for_display(name, 60);
  }
  return fail(ErrorCode::unsupported,
              fmt::format("the authorization server {} takes {} and the policy gives {}",
                          for_display(server.issuer, 200),
                          wanted.empty() ? "client_secret_basic" : wanted, has));
}

Result<ClientAuth> proof_of(const ClientSettings& settings, const ServerMetadata& server) {
  if (!settings.private_key.empty()) {
    if (server.auth_methods && !takes(server, ClientAuth::private_key_jwt)) {
      return wrong_proof(server, "a private key");
    }
    return ClientAuth::private_key_jwt;
  }
  // A client without a secret cannot be asked for one, whatever the metadata say.
  if (settings.secret.empty()) return ClientAuth::none;
  if (takes(server, ClientAuth::secret_basic)) return ClientAuth::secret_basic;
  if (takes(server, ClientAuth::secret_post)) return ClientAuth::secret_post;
  return wrong_proof(server, "a client's secret");
}

// What can stand in a header and a form alike.
bool is_credential_text(std::string_view text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max &&
         std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; });
}

// "invalid_grant: it was used before", cleaned; empty where the body says nothing.
std::string refusal_in(const json::value& body) {
  const auto error = string_or(body, "error");
  const auto description = string_or(body, "error_description");
  if (description.empty()) return for_display(error, 100);
  return fmt::format("{}: {}", for_display(error, 100), for_display(description, 300));
}

json::array to_array(std::initializer_list<std::string_view> texts) {
  json::array out;
  for (const auto text : texts) out.emplace_back(json::string(text));
  return out;
}

}  // namespace

std::string_view to_string(ClientAuth auth) {
  return kAuthNames[static_cast<std::size_t>(auth)].name;
}

std::optional<ClientAuth> client_auth_from(std::string_view name) {
  for (const auto& each : kAuthNames) {
    if (each.name == name) return each.auth;
  }
  return std::nullopt;
}

// --- who Gavel is ---

Result<std::optional<ClientIdentity>> known_client(const ClientSettings& settings,
                                                   const ServerMetadata& server) {
  const bool document = settings.id.empty() && server.metadata_documents;
  const std::string& id = document ? settings.metadata_url : settings.id;
  if (id.empty()) return std::nullopt;
  ASSIGN_OR_RETURN(const auto auth, proof_of(settings, server));
  return ClientIdentity{id, settings.secret, auth};
}

Result<std::string> registration_request(const RegistrationWish& wish,
                                         const ServerMetadata& server) {
  if (server.registration_endpoint.empty()) {
    return fail(ErrorCode::unsupported,
                fmt::format("the authorization server {} registers no clients by itself: register "
                            "Gavel there by hand, and set `oauth.client_id` in the policy",
                            for_display(server.issuer, 200)));
  }
  ClientAuth auth = ClientAuth::none;
  for (const auto each : {ClientAuth::secret_post, ClientAuth::secret_basic, ClientAuth::none}) {
    if (takes(server, each)) auth = each;
  }
  json::object body{
      {"client_name", wish.client_name},
      {"application_type", "native"},
      {"redirect_uris", to_array({wish.redirect_uri})},
      {"grant_types", to_array({"authorization_code", "refresh_token"})},
      {"response_types", to_array({"code"})},
      {"token_endpoint_auth_method", json::string(to_string(auth))},
  };
  if (!wish.scopes.empty()) body["scope"] = join_scopes(wish.scopes);
  return write_json(body);
}

Result<ClientIdentity> read_registration(int status, std::string_view body,
                                         const ServerMetadata& server) {
  const auto answer = parse_json(body, kLimits);
  const bool object = answer && answer->is_object();
  if (status != 200 && status != 201) {
    return fail(ErrorCode::unavailable,
                fmt::format("the authorization server {} does not register Gavel (HTTP {}{}{}); "
                            "register it there by hand, and set `oauth.client_id` in the policy",
                            for_display(server.issuer, 200), status, object ? ", " : "",
                            object ? refusal_in(*answer) : ""));
  }
  ClientIdentity client;
  if (object) {
    client.id = std::string(string_or(*answer, "client_id"));
    client.secret = std::string(string_or(*answer, "client_secret"));
  }
  const bool good = is_credential_text(client.id, kClientIdBytesMax) &&
                    (client.secret.empty() || is_credential_text(client.secret, kClientIdBytesMax));
  if (!good) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the authorization server {} answered a registration without a "
                            "client that can be used",
                            for_display(server.issuer, 200)));
  }
  const auto said = string_or(*answer, "token_endpoint_auth_method");
  if (const auto auth = client_auth_from(said)) {
    client.auth = *auth;
  } else if (!client.secret.empty() && !takes(server, ClientAuth::none)) {
    client.auth = takes(server, ClientAuth::secret_basic) ? ClientAuth::secret_basic
                                                          : ClientAuth::secret_post;
  }
  const bool needs_secret =
      client.auth == ClientAuth::secret_basic || client.auth == ClientAuth::secret_post;
  if (client.auth == ClientAuth::private_key_jwt || (needs_secret && client.secret.empty())) {
    return fail(ErrorCode::unsupported,
                fmt::format("the authorization server {} registered Gavel with a proof ({}) that "
                            "it did not give it",
                            for_display(server.issuer, 200), to_string(client.auth)));
  }
  return client;
}

std::vector<std::string> choose_scopes(const ScopeSources& sources, const ServerMetadata& server) {
  if (!sources.configured.empty()) return sources.configured;
  const auto challenged =
      sources.challenge ? sources.challenge->scopes : std::vector<std::string>{};
  auto scopes = scopes_with(sources.before, challenged.empty() ? sources.resource : challenged);
  const auto& known = server.scopes_supported;
  if (std::ranges::find(known, kOffline) != known.end()) {
    scopes = scopes_with(std::move(scopes), {std::string(kOffline)});
  }
  return scopes;
}

// --- the authorization request ---

std::string code_challenge(std::string_view verifier) {
  return to_base64url(sha256(verifier).view());
}

std::string authorization_url(const CodeRequest& request) {
  FormFields fields = {{"response_type", "code"},
                       {"client_id", request.client.id},
                       {"redirect_uri", request.redirect_uri},
                       {"state", request.state},
                       {"code_challenge", code_challenge(request.verifier)},
                       {"code_challenge_method", "S256"},
                       {"resource", request.resource}};
  if (!request.scopes.empty()) fields.emplace_back("scope", join_scopes(request.scopes));
  // OpenID Connect Core, section 11: without it, offline_access may be ignored.
  if (has_scopes(request.scopes, {std::string(kOffline)})) fields.emplace_back("prompt", "consent");
  const std::string& endpoint = request.server.authorization_endpoint;
  return fmt::format("{}{}{}", endpoint, endpoint.contains('?') ? '&' : '?', form_encode(fields));
}

Result<CodeAnswer> parse_code_answer(std::string_view query) {
  const auto fields = form_decode(query);
  if (!fields) return std::unexpected(fields.error());
  CodeAnswer answer;
  std::set<std::string> seen;
  for (const auto& [name, value] : *fields) {
    if (!seen.insert(name).second) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the answer says \"{}\" twice", for_display(name, 60)));
    }
    if (name == "state") answer.state = value;
    if (name == "code") answer.code = value;
    if (name == "iss") answer.issuer = value;
    if (name == "error") answer.error = value;
    if (name == "error_description") answer.error_description = value;
  }
  return answer;
}

Status check_code_answer(const CodeRequest& request, const CodeAnswer& answer) {
  const auto refuse = [](std::string message) {
    return fail(ErrorCode::permission_denied, std::move(message));
  };
  if (request.state.empty() || !equal_constant_time(request.state, answer.state)) {
    return refuse("this answer belongs to no login that is on its way; begin anew");
  }
  if (answer.issuer && *answer.issuer != request.server.issuer) {
    return refuse(
        fmt::format("the answer says that it comes from {}, but the login was with {}: "
                    "nothing was sent to either",
                    for_display(*answer.issuer, 200), for_display(request.server.issuer, 200)));
  }
  if (!answer.issuer && request.server.sends_issuer) {
    return refuse(
        fmt::format("the answer does not say that it comes from {}, which always says "
                    "so: it may be somebody else's",
                    for_display(request.server.issuer, 200)));
  }
  if (!answer.error.empty()) {
    return refuse(fmt::format("the authorization server {} refused the login: {} {}",
                              for_display(request.server.issuer, 200),
                              for_display(answer.error, 100),
                              for_display(answer.error_description, 300)));
  }
  if (answer.code.empty()) return refuse("the answer holds no code; begin anew");
  return {};
}

// --- the token endpoint ---

FormFields code_fields(const CodeRequest& request, const std::string& code) {
  return {{"grant_type", "authorization_code"},
          {"code", code},
          {"redirect_uri", request.redirect_uri},
          {"code_verifier", request.verifier},
          {"resource", request.resource}};
}

FormFields refresh_fields(const std::string& refresh_token, const std::string& resource) {
  return {
      {"grant_type", "refresh_token"}, {"refresh_token", refresh_token}, {"resource", resource}};
}

FormFields client_credentials_fields(const std::vector<std::string>& scopes,
                                     const std::string& resource) {
  FormFields fields = {{"grant_type", "client_credentials"}, {"resource", resource}};
  if (!scopes.empty()) fields.emplace_back("scope", join_scopes(scopes));
  return fields;
}

Result<TokenRequest> token_request(FormFields fields, const ClientIdentity& client,
                                   const std::string& token_endpoint, const std::string& issuer,
                                   const AssertionInput& assertion) {
  TokenRequest request;
  request.url = token_endpoint;
  switch (client.auth) {
    case ClientAuth::none:
      fields.emplace_back("client_id", client.id);
      break;
    case ClientAuth::secret_basic:
      request.authorization =
          "Basic " + to_base64(percent_encode(client.id) + ":" + percent_encode(client.secret));
      break;
    case ClientAuth::secret_post:
      fields.emplace_back("client_id", client.id);
      fields.emplace_back("client_secret", client.secret);
      break;
    case ClientAuth::private_key_jwt: {
      ASSIGN_OR_RETURN(auto signed_text, client_assertion(client.id, issuer, assertion));
      fields.emplace_back("client_id", client.id);
      fields.emplace_back("client_assertion_type",
                          "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
      fields.emplace_back("client_assertion", std::move(signed_text));
      break;
    }
  }
  request.body = form_encode(fields);
  return request;
}

Result<Tokens> read_tokens(int status, std::string_view body) {
  const auto answer = parse_json(body, kLimits);
  const bool object = answer && answer->is_object();
  if (status != 200) {
    const std::string why = object ? refusal_in(*answer) : "";
    const bool refused = status == 400 || status == 401 || status == 403;
    return fail(refused ? ErrorCode::denied : ErrorCode::unavailable,
                fmt::format("the token endpoint answered with HTTP {}{}{}", status,
                            why.empty() ? "" : ": ", why));
  }
  Tokens tokens;
  if (object) {
    tokens.access = std::string(string_or(*answer, "access_token"));
    tokens.refresh = std::string(string_or(*answer, "refresh_token"));
  }
  if (!is_credential_text(tokens.access, kTokenBytesMax) ||
      (!tokens.refresh.empty() && !is_credential_text(tokens.refresh, kTokenBytesMax))) {
    return fail(ErrorCode::invalid_argument, "the token endpoint gave no token that can be sent");
  }
  std::string type(string_or(*answer, "token_type"));
  std::ranges::transform(type, type.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  if (type != "bearer") {
    return fail(ErrorCode::unsupported,
                fmt::format("the token endpoint gave a token of type \"{}\"; Gavel sends bearer "
                            "tokens",
                            for_display(type, 60)));
  }
  const auto* expires = find(*answer, "expires_in");
  if (expires != nullptr && expires->is_number()) {
    const double seconds = std::clamp(expires->to_number<double>(), 0.0, kExpiresMax);
    tokens.expires_in = std::chrono::seconds(static_cast<std::int64_t>(seconds));
  }
  if (const auto* scope = find(*answer, "scope"); scope != nullptr && scope->is_string()) {
    tokens.scopes = split_scopes(view(scope->get_string()));
  }
  return tokens;
}

}  // namespace gavel
