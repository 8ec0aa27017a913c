#pragma once
// URLs of OAuth: compared by origin, never followed unseen. What a server names as a URL is taken
// only where it is https, or plain http on this very machine for a server that is there too.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace gavel {

struct WebUrl {
  std::string scheme;  // "https" or "http"
  std::string host;    // lower case, without brackets
  std::string port;    // always there: "443"
  std::string path;    // as it came, percent-encoded; may be empty
  std::string query;   // without the question mark
  bool has_fragment = false;

  // "https://host:8443", the port left out where it is the scheme's own.
  std::string origin() const;
  bool is_loopback() const;
};

// An absolute http or https URL without user information; invalid_argument says what is wrong.
Result<WebUrl> parse_web_url(std::string_view url);

bool same_origin(const WebUrl& a, const WebUrl& b);

// "localhost", 127.0.0.0/8 or ::1.
bool is_loopback_host(std::string_view host);

// permission_denied where nothing secret may be sent to `url`: it is neither https nor on loopback.
// `what` names it in the message: "the token endpoint".
Status check_confidential(const WebUrl& url, std::string_view what);

// "https://host/.well-known/NAME/path" (RFC 8414, RFC 9728): the name goes before the path.
std::string well_known_before_path(const WebUrl& url, std::string_view name);
// "https://host/path/.well-known/NAME" (OpenID Connect Discovery).
std::string well_known_after_path(const WebUrl& url, std::string_view name);

using FormFields = std::vector<std::pair<std::string, std::string>>;
// application/x-www-form-urlencoded, with %20 for a space, so that it is a query, too.
std::string form_encode(const FormFields& fields);
// The other way round, a plus sign for a space, too. invalid_argument where it is none.
Result<FormFields> form_decode(std::string_view text);
inline constexpr std::size_t kFormBytesMax = 16u << 10;
inline constexpr std::size_t kFormFieldsMax = 64;

// Base64 with the alphabet of URLs and without padding (RFC 4648, section 5).
std::string to_base64url(std::string_view bytes);

}  // namespace gavel
