// What servers and authorization servers say to a client of OAuth: headers, documents, answers. The
// first byte chooses which reader gets the rest.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.hpp"
#include "oauth/challenge.hpp"
#include "oauth/client.hpp"
#include "oauth/metadata.hpp"
#include "oauth/url.hpp"

namespace {

constexpr std::string_view kServer = "https://mcp.example/mcp";
constexpr std::string_view kIssuer = "https://auth.example";

void read_challenge(std::string_view text) {
  const auto challenge = gavel::parse_bearer_challenge(text);
  if (!challenge) return;
  const auto scopes = gavel::join_scopes(challenge->scopes);
  ASSERT(gavel::split_scopes(scopes) == challenge->scopes);
}

void read_documents(std::string_view text) {
  if (const auto made = gavel::read_resource_metadata(text, kServer)) {
    ASSERT(gavel::resource_covers(made->resource, kServer));
  }
  if (const auto made = gavel::read_server_metadata(text, kIssuer)) {
    ASSERT(made->issuer == kIssuer && !made->token_endpoint.empty());
    const auto client = gavel::read_registration(201, text, *made);
    ASSERT(!client || !client->id.empty());
  }
  if (const auto tokens = gavel::read_tokens(200, text)) {
    ASSERT(tokens->access.find_first_of("\r\n ") == std::string::npos);
    ASSERT(!tokens->expires_in || tokens->expires_in->count() >= 0);
  }
}

void read_form(std::string_view text) {
  const auto fields = gavel::form_decode(text);
  if (!fields) return;
  const auto again = gavel::form_decode(gavel::form_encode(*fields));
  // Escapes may make it longer than what is read.
  ASSERT(!again || *again == *fields);
  const auto answer = gavel::parse_code_answer(text);
  if (answer) ASSERT(!gavel::check_code_answer({}, *answer));
}

void read_url(std::string_view text) {
  const auto url = gavel::parse_web_url(text);
  if (!url) return;
  const auto origin = gavel::parse_web_url(url->origin());
  ASSERT(origin && gavel::same_origin(*origin, *url));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      read_challenge(text);
      break;
    case 1:
      read_documents(text);
      break;
    case 2:
      read_form(text);
      break;
    default:
      read_url(text);
  }
  return 0;
}
