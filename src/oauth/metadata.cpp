#include "oauth/metadata.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.hpp"
#include "base/text.hpp"
#include "oauth/challenge.hpp"
#include "oauth/url.hpp"

namespace gavel {
namespace {

constexpr std::size_t kListMax = 100;
constexpr JsonLimits kLimits{.max_bytes = 256u << 10, .max_depth = 32};

Result<json::value> read_object(std::string_view body, std::string_view what) {
  auto value = parse_json(body, kLimits);
  if (!value || !value->is_object()) {
    return fail(ErrorCode::invalid_argument, fmt::format("the {} is no JSON object", what));
  }
  return value;
}

std::optional<std::vector<std::string>> strings(const json::value& object, std::string_view name) {
  const auto* list = find_array(object, name);
  if (list == nullptr) return std::nullopt;
  std::vector<std::string> out;
  for (const auto& item : *list) {
    if (out.size() < kListMax && item.is_string()) out.emplace_back(view(item.get_string()));
  }
  return out;
}

// Scopes as RFC 6749 has them; others are left out.
std::vector<std::string> scopes(const json::value& object) {
  std::vector<std::string> out;
  for (const auto& text :
       strings(object, "scopes_supported").value_or(std::vector<std::string>{})) {
    const auto good = split_scopes(text);
    if (good.size() == 1 && good.front() == text) out.push_back(text);
  }
  return out;
}

Result<std::string> endpoint(const json::value& object, std::string_view name) {
  const std::string text(string_or(object, name));
  if (text.empty()) return text;
  ASSIGN_OR_RETURN(const auto url, parse_web_url(text));
  TRY(check_confidential(url, name));
  return text;
}

}  // namespace

bool resource_covers(std::string_view resource, std::string_view server) {
  const auto of = parse_web_url(resource);
  const auto to = parse_web_url(server);
  if (!of || !to || of->has_fragment || !same_origin(*of, *to)) return false;
  if (!of->query.empty() && of->query != to->query) return false;
  std::string above = of->path;
  while (above.ends_with('/')) above.pop_back();
  if (!to->path.starts_with(above)) return false;
  const auto below = std::string_view(to->path).substr(above.size());
  return below.empty() || below.starts_with('/');
}

Result<ResourceMetadata> read_resource_metadata(std::string_view body, std::string_view server) {
  ASSIGN_OR_RETURN(const auto object, read_object(body, "protected resource metadata"));
  ResourceMetadata made;
  made.resource = std::string(string_or(object, "resource"));
  if (!resource_covers(made.resource, server)) {
    return fail(ErrorCode::permission_denied,
                fmt::format("the protected resource metadata is for \"{}\" and not for {}: a token "
                            "for it would be one for somebody else",
                            for_display(made.resource, 200), for_display(server, 200)));
  }
  made.authorization_servers =
      strings(object, "authorization_servers").value_or(std::vector<std::string>{});
  made.scopes_supported = scopes(object);
  return made;
}

Result<ServerMetadata> read_server_metadata(std::string_view body, std::string_view issuer) {
  ASSIGN_OR_RETURN(const auto object, read_object(body, "authorization server metadata"));
  ServerMetadata made;
  made.issuer = std::string(string_or(object, "issuer"));
  if (made.issuer != issuer) {
    return fail(ErrorCode::permission_denied,
                fmt::format("the metadata of the authorization server {} says that its issuer is "
                            "\"{}\": it is not used",
                            for_display(issuer, 200), for_display(made.issuer, 200)));
  }
  ASSIGN_OR_RETURN(made.authorization_endpoint, endpoint(object, "authorization_endpoint"));
  ASSIGN_OR_RETURN(made.token_endpoint, endpoint(object, "token_endpoint"));
  ASSIGN_OR_RETURN(made.registration_endpoint, endpoint(object, "registration_endpoint"));
  if (made.token_endpoint.empty()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the authorization server {} names no token endpoint",
                            for_display(issuer, 200)));
  }
  made.scopes_supported = scopes(object);
  made.grants = strings(object, "grant_types_supported");
  made.auth_methods = strings(object, "token_endpoint_auth_methods_supported");
  made.challenge_methods = strings(object, "code_challenge_methods_supported");
  made.metadata_documents = bool_or(object, "client_id_metadata_document_supported", false);
  made.sends_issuer = bool_or(object, "authorization_response_iss_parameter_supported", false);
  return made;
}

bool lists(const std::optional<std::vector<std::string>>& values, std::string_view value) {
  return values && std::ranges::find(*values, value) != values->end();
}

Status check_code_grant(const ServerMetadata& server) {
  if (server.authorization_endpoint.empty()) {
    return fail(ErrorCode::unsupported,
                fmt::format("the authorization server {} names no authorization endpoint: nobody "
                            "can log in there",
                            for_display(server.issuer, 200)));
  }
  if (!lists(server.challenge_methods, "S256")) {
    return fail(ErrorCode::unsupported,
                fmt::format("the authorization server {} does not say that it checks PKCE with "
                            "S256, so a stolen code could be used by others; Gavel logs in nowhere "
                            "without it",
                            for_display(server.issuer, 200)));
  }
  return {};
}

}  // namespace gavel
