#include "runtime/oauth_record.hpp"

#include "base/json.hpp"

namespace gavel {
namespace {

constexpr std::int64_t kVersion = 1;

json::array to_array(const std::vector<std::string>& texts) {
  json::array out;
  for (const auto& text : texts) out.emplace_back(text);
  return out;
}

}  // namespace

std::vector<std::string> OAuthRecord::secrets() const {
  std::vector<std::string> out;
  for (const auto& each : {access, refresh, client.secret}) {
    if (!each.empty()) out.push_back(each);
  }
  return out;
}

std::string write_record(const OAuthRecord& record) {
  return write_json(json::object{
      {"version", kVersion},
      {"server_url", record.server_url},
      {"resource", record.resource},
      {"issuer", record.issuer},
      {"token_endpoint", record.token_endpoint},
      {"client_id", record.client.id},
      {"client_secret", record.client.secret},
      {"client_auth", json::string(to_string(record.client.auth))},
      {"redirect_uri", record.redirect_uri},
      {"scopes", to_array(record.scopes)},
      {"asked", to_array(record.asked)},
      {"access_token", record.access},
      {"refresh_token", record.refresh},
      {"expires_at_ms", record.expires_at.ms},
  });
}

Result<OAuthRecord> read_record(std::string_view text) {
  const auto value = parse_json(text);
  if (!value || !value->is_object() || int_or(*value, "version", 0) < 1) {
    return fail(ErrorCode::corrupted, "it holds no login");
  }
  if (int_or(*value, "version", 0) > kVersion) {
    return fail(ErrorCode::unsupported, "a newer Gavel wrote it");
  }
  const auto text_of = [&](std::string_view name) { return std::string(string_or(*value, name)); };
  OAuthRecord record;
  record.server_url = text_of("server_url");
  record.resource = text_of("resource");
  record.issuer = text_of("issuer");
  record.token_endpoint = text_of("token_endpoint");
  record.client.id = text_of("client_id");
  record.client.secret = text_of("client_secret");
  record.redirect_uri = text_of("redirect_uri");
  record.access = text_of("access_token");
  record.refresh = text_of("refresh_token");
  record.expires_at = Timestamp{int_or(*value, "expires_at_ms", 0)};
  for (auto [name, list] :
       {std::pair{"scopes", &record.scopes}, std::pair{"asked", &record.asked}}) {
    const auto* items = find_array(*value, name);
    if (items == nullptr) continue;
    for (const auto& item : *items) {
      if (item.is_string()) list->emplace_back(view(item.get_string()));
    }
  }
  const auto auth = client_auth_from(text_of("client_auth"));
  const bool sendable = record.access.find_first_of("\r\n ") == std::string::npos;
  if (!auth || !sendable || !resource_covers(record.resource, record.server_url)) {
    return fail(ErrorCode::corrupted, "it holds no login that can be used");
  }
  record.client.auth = *auth;
  return record;
}

}  // namespace gavel
