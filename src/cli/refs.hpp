#pragma once
// How people name an intent: "refund-42#17", or "#17" or "17" where one pending intent alone has
// that number.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"

namespace gavel {

struct IntentRef {
  std::string session;  // empty where only the number was given
  std::uint64_t intent = 0;
  bool operator==(const IntentRef&) const = default;
};

std::string to_string(const IntentRef& ref);

// Error: invalid_argument, with the forms that are understood.
Result<IntentRef> parse_intent_ref(std::string_view text);
// Splits "S#17" or gives back "S" alone; "#17" and "17" are intents without a session.
struct SessionOrIntent {
  std::string session;
  std::optional<std::uint64_t> intent;
};
Result<SessionOrIntent> parse_session_or_intent(std::string_view text);

// The session of `ref`, found among `pending` (an array of Pending, docs/api.md) where it names
// none. Errors: not_found, conflict (several sessions have that number; the message lists them).
Result<IntentRef> complete_ref(const IntentRef& ref, const json::array& pending);

}  // namespace gavel
