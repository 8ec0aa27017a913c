#include "gateway/mcp_parking.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "gateway/api_query.hpp"
#include "gateway/mcp_sessions.hpp"
#include "protocol/jsonrpc.hpp"

namespace gavel {
namespace {

constexpr std::string_view kPrefix = "gavel1.";
constexpr std::string_view kAnew = "anew-";  // anew-END-RANDOM
constexpr std::size_t kRandomBytes = 32;
constexpr std::size_t kIdBytes = 16;

// What stands between the prefix and the signature.
std::string_view id_of(std::string_view ticket) {
  ticket.remove_prefix(kPrefix.size());
  return ticket.substr(0, ticket.find('.'));
}

std::unexpected<Error> not_good() {
  return fail(ErrorCode::invalid_argument,
              "this requestState is not good here: it was used, has expired, belongs to another "
              "request, or was changed; call without it to begin anew");
}

}  // namespace

McpParking::McpParking(Clock clock) : clock_(std::move(clock)), key_(random_id(kRandomBytes)) {}

void McpParking::close() {
  for (auto& [id, place] : std::exchange(places_, {})) leave_unanswered(place.parked);
}

bool McpParking::looks_like_ticket(std::string_view state) {
  return state.starts_with(kPrefix);
}

bool McpParking::is_own(std::string_view ticket, const Principal& principal,
                        const Digest& request) const {
  if (!looks_like_ticket(ticket)) return false;
  ticket.remove_prefix(kPrefix.size());
  const auto dot = ticket.find('.');
  if (dot == std::string_view::npos) return false;
  const auto mac = ticket.substr(dot + 1);
  const std::string expected = sign(ticket.substr(0, dot), principal, request);
  return mac.size() == expected.size() &&
         ::CRYPTO_memcmp(mac.data(), expected.data(), expected.size()) == 0;
}

std::string McpParking::ticket_to_begin_anew(const Principal& principal,
                                             const Digest& request) const {
  const auto until = (clock_() + kParkedFor).time_since_epoch();
  const auto id =
      fmt::format("{}{}-{}", kAnew, until / std::chrono::milliseconds(1), random_id(kIdBytes));
  return fmt::format("{}{}.{}", kPrefix, id, sign(id, principal, request));
}

bool McpParking::begins_anew(std::string_view ticket, const Principal& principal,
                             const Digest& request) const {
  return is_own(ticket, principal, request) && id_of(ticket).starts_with(kAnew);
}

Status McpParking::begin_anew(std::string_view ticket, const Digest& answers) {
  drop_expired();
  const auto id = id_of(ticket);
  const auto end = id.substr(kAnew.size());
  ASSIGN_OR_RETURN(const auto end_ms,
                   parse_number("requestState", end.substr(0, end.find('-')), 0, UINT64_MAX));
  const Time until{std::chrono::milliseconds(static_cast<std::int64_t>(end_ms))};
  if (until <= clock_()) return not_good();
  const auto use = uses_.find(id);
  if (use != uses_.end()) return use->second.answers == answers ? Status{} : not_good();
  if (uses_.size() >= kUsesMax) {
    return fail(ErrorCode::busy,
                fmt::format("over {} calls were made anew lately; call again later", kUsesMax));
  }
  uses_.emplace(id, Use{answers, until});
  return {};
}

std::string McpParking::sign(std::string_view id, const Principal& principal,
                             const Digest& request) const {
  const std::string text = fmt::format("{}\n{}\n{}", id, request.hex(), principal.value);
  std::string mac(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  const auto* made = ::HMAC(::EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
                            reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                            reinterpret_cast<unsigned char*>(mac.data()), &size);
  ASSERT(made != nullptr);
  mac.resize(size);
  return to_hex(mac);
}

Result<std::string> McpParking::park(McpParked parked) {
  drop_expired();
  if (places_.size() >= kParkedMax) {
    leave_unanswered(parked);
    return fail(ErrorCode::busy, fmt::format("over {} calls wait for an answer of their client; "
                                             "call again later",
                                             kParkedMax));
  }
  const std::string id = random_id(kIdBytes);
  const auto ticket =
      fmt::format("{}{}.{}", kPrefix, id, sign(id, parked.principal, parked.request));
  parked.call->park();
  places_.emplace(id, Place{std::move(parked), clock_() + kParkedFor});
  return ticket;
}

Result<McpParked> McpParking::take(std::string_view ticket, const Principal& principal,
                                   const Digest& request) {
  drop_expired();
  if (!is_own(ticket, principal, request)) return not_good();
  const auto place = places_.find(id_of(ticket));
  if (place == places_.end()) return not_good();
  McpParked parked = std::move(place->second.parked);
  places_.erase(place);
  parked.call->unpark();
  return parked;
}

McpParked McpParking::take_same(const Principal& principal, const Digest& request,
                                std::string_view identity) {
  drop_expired();
  if (identity.empty()) return {};
  const auto same = std::ranges::find_if(places_, [&](const auto& place) {
    const McpParked& parked = place.second.parked;
    return parked.identity == identity && parked.principal == principal &&
           parked.request == request;
  });
  if (same == places_.end()) return {};
  McpParked parked = std::move(same->second.parked);
  places_.erase(same);
  parked.call->unpark();
  return parked;
}

void McpParking::drop_expired() {
  const auto now = clock_();
  std::erase_if(uses_, [now](const auto& use) { return use.second.until <= now; });
  for (auto place = places_.begin(); place != places_.end();) {
    if (place->second.until > now) {
      ++place;
      continue;
    }
    leave_unanswered(place->second.parked);
    place = places_.erase(place);
  }
}

void leave_unanswered(McpParked& parked) {
  for (auto& [key, question] : parked.questions) {
    question.answer({}, rpc_error_object(rpc::kInternalError, "the client did not answer"));
  }
  parked.questions.clear();
  parked.call->unpark();
  parked.call->abandon();
}

}  // namespace gavel
