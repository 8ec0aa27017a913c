#pragma once
// A signed statement of who a client is, instead of a secret: private_key_jwt (RFC 7523, section
// 2.2; OpenID Connect Core, section 9).

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "oauth/client.hpp"

namespace gavel {

// A JWT that is good for a minute, for the audience `issuer`: ES256 with a key on P-256, RS256 with
// one of RSA. Errors: invalid_argument (the PEM holds no such private key); what it holds is never
// in the message.
Result<std::string> client_assertion(std::string_view client_id, std::string_view issuer,
                                     const AssertionInput& input);

}  // namespace gavel
