#include "cli/vote.hpp"

#include <fmt/format.h>

#include <string>

#include "base/text.hpp"
#include "cli/context.hpp"
#include "cli/session_text.hpp"

namespace gavel {

std::string intent_target(const IntentRef& ref) {
  return fmt::format("/v1/sessions/{}/intents/{}", percent_encode(ref.session), ref.intent);
}

std::string intent_target(const IntentRef& ref, std::string_view verb) {
  return fmt::format("{}/{}", intent_target(ref), verb);
}

namespace {

// The item of GET /v1/pending that is `ref`; null where it waits for nobody.
const json::value* item_of(const json::array& pending, const IntentRef& ref) {
  for (const auto& item : pending) {
    if (string_or(item, "session") == ref.session &&
        int_or(item, "intent", 0) == static_cast<std::int64_t>(ref.intent)) {
      return &item;
    }
  }
  return nullptr;
}

}  // namespace

Result<PendingIntent> find_pending(const Client& client, const std::string& text) {
  ASSIGN_OR_RETURN(const auto given, parse_intent_ref(text));
  ASSIGN_OR_RETURN(const auto answer, client.get("/v1/pending"));
  const auto* pending = find_array(answer, "pending");
  const json::array none;
  ASSIGN_OR_RETURN(const auto ref, complete_ref(given, pending == nullptr ? none : *pending));
  const auto* item = item_of(pending == nullptr ? none : *pending, ref);
  if (item != nullptr) return PendingIntent{ref, *item};
  return fail(ErrorCode::not_found,
              fmt::format("{} waits for nobody: it was decided, or never proposed; see gavel show "
                          "'{}'",
                          for_display(to_string(ref), 200), for_display(to_string(ref), 200)));
}

Result<bool> confirm(const Context& context, std::string_view question) {
  auto& world = context.world();
  if (!world.in_is_terminal) {
    return fail(ErrorCode::invalid_argument,
                "nobody can be asked here, as standard input is no terminal; say yes with --yes");
  }
  world.err << question << " [y/N] " << std::flush;
  std::string line;
  std::getline(world.in, line);
  return line == "y" || line == "Y" || line == "yes";
}

Result<std::string> fate_of(const Context& context, const Client& client, const IntentRef& ref) {
  ASSIGN_OR_RETURN(const auto waiting, client.get("/v1/pending"));
  if (const auto* pending = find_array(waiting, "pending")) {
    const auto* item = item_of(*pending, ref);
    if (item != nullptr && string_or(*item, "phase") == "held") {
      return fmt::format("held: {}", for_display(wait_text(*item, context.now()), 300));
    }
  }
  ASSIGN_OR_RETURN(const auto answer, client.get(fmt::format("/v1/sessions/{}/transcript",
                                                             percent_encode(ref.session))));
  if (const auto* intents = find_array(answer, "intents")) {
    for (const auto& item : *intents) {
      if (int_or(item, "intent", 0) != static_cast<std::int64_t>(ref.intent)) continue;
      return for_display(string_or(item, "phase"), 40);
    }
  }
  return std::string("recorded");
}

}  // namespace gavel
