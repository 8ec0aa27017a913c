#pragma once
// One request to an authorization server, or for a document that leads to one. Its URL came from
// somebody else, so it is bounded in time and size, follows no redirection, and reaches only what
// its rule allows: a server on the internet must not make Gavel ask the machines around it.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "oauth/discovery.hpp"
#include "runtime/clock.hpp"
#include "runtime/http_client.hpp"

namespace gavel {

// Where a server that is here may send Gavel, and where one that is not.
Reach reach_for(const std::string& server_url);

struct OAuthFetch {
  std::string url;
  std::string body;  // a POST of it; empty: a GET
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> headers;
  Reach reach = Reach::internet;
  SteadyTime deadline;
};

// Errors: permission_denied (neither https nor loopback, or out of reach), unavailable, timeout,
// too_large.
asio::awaitable<Result<FetchedDocument>> fetch_oauth(asio::any_io_executor executor,
                                                     const Clock& clock,
                                                     std::string trusted_ca_file, OAuthFetch fetch);

inline constexpr std::size_t kOAuthAnswerBytesMax = 256u << 10;
inline constexpr std::chrono::seconds kOAuthPatience{15};

}  // namespace gavel
