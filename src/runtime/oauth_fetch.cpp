#include "runtime/oauth_fetch.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "oauth/url.hpp"

namespace gavel {

Reach reach_for(const std::string& server_url) {
  const auto url = parse_web_url(server_url);
  if (!url) return Reach::internet;
  if (url->is_loopback()) return Reach::local;
  boost::system::error_code not_literal;
  const auto address = asio::ip::make_address(url->host, not_literal);
  return !not_literal && !is_public(address) ? Reach::local : Reach::internet;
}

asio::awaitable<Result<FetchedDocument>> fetch_oauth(asio::any_io_executor executor,
                                                     const Clock& clock,
                                                     std::string trusted_ca_file,
                                                     OAuthFetch fetch) {
  const auto checked = parse_web_url(fetch.url);
  if (!checked) co_return std::unexpected(checked.error());
  if (auto safe = check_confidential(*checked, "what is to be fetched"); !safe) {
    co_return std::unexpected(safe.error());
  }
  auto url = parse_outbound_url(fetch.url);
  if (!url) co_return std::unexpected(url.error());
  auto http =
      OutboundHttp::make(executor, clock, std::move(*url),
                         {.trusted_ca_file = std::move(trusted_ca_file), .reach = fetch.reach});
  if (!http) co_return std::unexpected(http.error());
  OutboundRequest request;
  request.method = fetch.body.empty() ? "GET" : "POST";
  request.headers = std::move(fetch.headers);
  request.headers.emplace_back("Accept", "application/json");
  if (!fetch.body.empty()) request.headers.emplace_back("Content-Type", fetch.content_type);
  request.body = std::move(fetch.body);
  request.deadline = std::min(fetch.deadline, clock.steady() + kOAuthPatience);
  auto sent = co_await (*http)->send(std::move(request));
  if (!sent) co_return std::unexpected(std::move(sent).error().error);
  FetchedDocument document;
  document.status = sent->status();
  auto body = co_await sent->read_all(kOAuthAnswerBytesMax);
  if (!body) co_return std::unexpected(std::move(body).error());
  document.body = std::move(*body);
  co_return document;
}

}  // namespace gavel
