#include "cli/refs.hpp"

#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "base/text.hpp"

namespace gavel {
namespace {

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

std::unexpected<Error> not_a_ref(std::string_view text) {
  return fail(ErrorCode::invalid_argument,
              fmt::format("\"{}\" does not name an intent; write SESSION#NUMBER, as gavel "
                          "approvals lists them",
                          for_display(text, 80)));
}

}  // namespace

std::string to_string(const IntentRef& ref) {
  return fmt::format("{}#{}", ref.session, ref.intent);
}

Result<IntentRef> parse_intent_ref(std::string_view text) {
  const auto hash = text.rfind('#');
  const auto digits = hash == std::string_view::npos ? text : text.substr(hash + 1);
  const auto number = parse_number(digits);
  if (!number) return not_a_ref(text);
  return IntentRef{std::string(hash == std::string_view::npos ? "" : text.substr(0, hash)),
                   *number};
}

Result<SessionOrIntent> parse_session_or_intent(std::string_view text) {
  const auto hash = text.rfind('#');
  if (hash == std::string_view::npos) return SessionOrIntent{std::string(text), std::nullopt};
  ASSIGN_OR_RETURN(auto ref, parse_intent_ref(text));
  return SessionOrIntent{std::move(ref.session), ref.intent};
}

Result<IntentRef> complete_ref(const IntentRef& ref, const json::array& pending) {
  if (!ref.session.empty()) return ref;
  std::vector<std::string> sessions;
  for (const auto& item : pending) {
    if (int_or(item, "intent", 0) == static_cast<std::int64_t>(ref.intent)) {
      sessions.emplace_back(string_or(item, "session"));
    }
  }
  if (sessions.empty()) {
    return fail(
        ErrorCode::not_found,
        fmt::format("no pending intent has the number {}; see gavel approvals", ref.intent));
  }
  if (sessions.size() > 1) {
    std::string names;
    for (const auto& session : sessions) {
      names += fmt::format("{}{}#{}", names.empty() ? "" : ", ", session, ref.intent);
    }
    return fail(ErrorCode::conflict,
                fmt::format("several sessions have an intent {}: name one of {}", ref.intent,
                            for_display(names, 400)));
  }
  return IntentRef{sessions.front(), ref.intent};
}

}  // namespace gavel
