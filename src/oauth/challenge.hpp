#pragma once
// What a server answers to a request without the right token: WWW-Authenticate with the scheme
// Bearer (RFC 6750, section 3), and where its metadata is (RFC 9728, section 5.1).

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gavel {

struct BearerChallenge {
  std::string resource_metadata;    // a URL; empty where none is named
  std::vector<std::string> scopes;  // empty where none are named
  std::string error;                // "invalid_token", "insufficient_scope"; may be empty
  bool operator==(const BearerChallenge&) const = default;
};

// The first challenge of scheme Bearer in the header's value, which may hold several; nothing where
// there is none, or the value is no list of challenges.
std::optional<BearerChallenge> parse_bearer_challenge(std::string_view header);

// "a b" as its parts, each once, in their order. At most kScopesMax, none longer than
// kScopeBytesMax or with other characters than RFC 6749 allows: what is beyond is left out.
std::vector<std::string> split_scopes(std::string_view text);
std::string join_scopes(const std::vector<std::string>& scopes);
// `scopes` with those of `more` that it lacks at its end.
std::vector<std::string> scopes_with(std::vector<std::string> scopes,
                                     const std::vector<std::string>& more);
// Whether `all` holds each of `some`.
bool has_scopes(const std::vector<std::string>& all, const std::vector<std::string>& some);

inline constexpr std::size_t kScopesMax = 100;
inline constexpr std::size_t kScopeBytesMax = 256;

}  // namespace gavel
