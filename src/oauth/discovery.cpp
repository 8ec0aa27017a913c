#include "oauth/discovery.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "oauth/url.hpp"

namespace gavel {
namespace {

constexpr std::string_view kResourceName = "oauth-protected-resource";

// A document that is not there, as against one that cannot be had now.
bool is_missing(int status) {
  return status >= 300 && status < 500 && status != 408 && status != 429;
}

Error unavailable(std::string_view url, int status) {
  return {ErrorCode::unavailable,
          fmt::format("{} answered with HTTP {}", for_display(url, 200), status)};
}

}  // namespace

Discovery::Discovery(std::string server_url, const std::optional<BearerChallenge>& challenge,
                     std::string issuer)
    : server_url_(std::move(server_url)), pinned_issuer_(std::move(issuer)) {
  if (challenge && !challenge->resource_metadata.empty()) {
    candidates_ = {challenge->resource_metadata};
    return;
  }
  const auto url = parse_web_url(server_url_);
  if (!url) return;
  WebUrl root = *url;
  root.path.clear();
  candidates_.push_back(well_known_before_path(root, kResourceName));
  const auto by_path = well_known_before_path(*url, kResourceName);
  if (by_path != candidates_.front()) candidates_.push_back(by_path);
}

std::optional<std::string> Discovery::next() const {
  if (stage_ == Stage::done || candidates_.empty()) return std::nullopt;
  return candidates_.back();
}

Status Discovery::take(const FetchedDocument& document) {
  return stage_ == Stage::resource ? take_resource(document) : take_server(document);
}

Status Discovery::take_resource(const FetchedDocument& document) {
  const std::string url = candidates_.back();
  candidates_.pop_back();
  if (document.status == 200) {
    ASSIGN_OR_RETURN(auto metadata, read_resource_metadata(document.body, server_url_));
    const auto& issuers = metadata.authorization_servers;
    if (issuers.empty()) {
      return fail(ErrorCode::not_found,
                  fmt::format("{} names no authorization server", for_display(url, 200)));
    }
    const std::string issuer = pinned_issuer_.empty() ? issuers.front() : pinned_issuer_;
    if (std::ranges::find(issuers, issuer) == issuers.end()) {
      return fail(ErrorCode::permission_denied,
                  fmt::format("{} does not name the authorization server {} that `oauth.issuer` "
                              "asks for",
                              for_display(url, 200), for_display(issuer, 200)));
    }
    found_.resource = metadata.resource;
    found_.resource_scopes = std::move(metadata.scopes_supported);
    return look_for(issuer);
  }
  if (!is_missing(document.status)) return std::unexpected(unavailable(url, document.status));
  if (!candidates_.empty()) return {};
  // As before there was such metadata.
  ASSIGN_OR_RETURN(const auto own, parse_web_url(server_url_));
  found_.resource = server_url_;
  return look_for(pinned_issuer_.empty() ? own.origin() : pinned_issuer_);
}

Status Discovery::look_for(std::string issuer) {
  ASSIGN_OR_RETURN(const auto url, parse_web_url(issuer));
  TRY(check_confidential(url, "the authorization server"));
  if (!url.query.empty() || url.has_fragment) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the authorization server {} has a query or a fragment",
                            for_display(issuer, 200)));
  }
  stage_ = Stage::server;
  issuer_ = std::move(issuer);
  candidates_ = {well_known_after_path(url, "openid-configuration")};
  if (const auto before = well_known_before_path(url, "openid-configuration");
      before != candidates_.front()) {
    candidates_.push_back(before);
  }
  candidates_.push_back(well_known_before_path(url, "oauth-authorization-server"));
  return {};
}

Status Discovery::take_server(const FetchedDocument& document) {
  const std::string url = candidates_.back();
  candidates_.pop_back();
  if (document.status == 200) {
    ASSIGN_OR_RETURN(found_.server, read_server_metadata(document.body, issuer_));
    stage_ = Stage::done;
    return {};
  }
  if (!is_missing(document.status)) return std::unexpected(unavailable(url, document.status));
  if (!candidates_.empty()) return {};
  return fail(ErrorCode::not_found,
              fmt::format("the authorization server {} publishes no metadata (RFC 8414 or OpenID "
                          "Connect), so nobody can log in there",
                          for_display(issuer_, 200)));
}

}  // namespace gavel
