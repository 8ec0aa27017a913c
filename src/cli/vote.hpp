#pragma once
// What approve, deny and resolve share: finding the pending intent that a person named.

#include <string>

#include "base/json.hpp"
#include "cli/client.hpp"
#include "cli/context.hpp"
#include "cli/refs.hpp"

namespace gavel {

struct PendingIntent {
  IntentRef ref;
  json::value shown;  // Pending of docs/api.md
};

// Errors: not_found (with what is pending, if little is), conflict.
Result<PendingIntent> find_pending(const Client& client, const std::string& ref);

// "/v1/sessions/S/intents/N", and with "/" + `verb`
std::string intent_target(const IntentRef& ref);
std::string intent_target(const IntentRef& ref, std::string_view verb);

// Asks on the terminal; false for anything but yes. Where there is no terminal:
// invalid_argument, with the option that answers instead.
Result<bool> confirm(const Context& context, std::string_view question);

// What came of it after a vote, for people: its phase, and what it still waits for.
Result<std::string> fate_of(const Context& context, const Client& client, const IntentRef& ref);

}  // namespace gavel
