#include "oauth/challenge.hpp"

#include <algorithm>
#include <utility>

namespace gavel {
namespace {

constexpr std::string_view kSpace = " \t";

bool is_token_char(char c) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kOthers.contains(c);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

// Reads a header's value from left to right.
class Reader {
public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  void skip_space() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(kSpace), rest_.size()));
  }
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void skip_commas() {
    for (skip_space(); take(','); skip_space()) {
    }
  }
  std::string_view token() {
    const auto end = std::ranges::find_if_not(rest_, is_token_char) - rest_.begin();
    return take_bytes(static_cast<std::size_t>(end));
  }
  // Of scheme Negotiate and its like: base64 without a name.
  void skip_token68() {
    const auto end = std::min(rest_.find_first_of(", \t"), rest_.size());
    rest_.remove_prefix(end);
  }
  // "name = value"; nothing, and nothing read, where something else follows.
  std::optional<std::pair<std::string, std::string>> parameter() {
    const auto before = rest_;
    std::string name = lower(token());
    skip_space();
    if (name.empty() || !take('=') || rest_.starts_with('=')) {
      rest_ = before;
      return std::nullopt;
    }
    skip_space();
    if (!take('"')) return std::pair{std::move(name), std::string(token())};
    std::string value;
    while (!rest_.empty() && !rest_.starts_with('"')) {
      take('\\');
      if (rest_.empty()) break;
      value += rest_.front();
      rest_.remove_prefix(1);
    }
    if (!take('"')) {
      rest_ = before;
      return std::nullopt;
    }
    return std::pair{std::move(name), std::move(value)};
  }

private:
  std::string_view take_bytes(std::size_t count) {
    const auto taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::string_view rest_;
};

void set(BearerChallenge& challenge, const std::string& name, std::string value) {
  if (name == "resource_metadata") {
    challenge.resource_metadata = std::move(value);
  } else if (name == "scope") {
    challenge.scopes = split_scopes(value);
  } else if (name == "error") {
    challenge.error = std::move(value);
  }
}

bool holds(const std::vector<std::string>& scopes, std::string_view scope) {
  return std::ranges::find(scopes, scope) != scopes.end();
}

bool is_scope(std::string_view text) {
  return text.size() <= kScopeBytesMax && std::ranges::all_of(text, [](char c) {
           return c > 0x20 && c < 0x7F && c != '"' && c != '\\';
         });
}

}  // namespace

std::optional<BearerChallenge> parse_bearer_challenge(std::string_view header) {
  Reader reader(header);
  reader.skip_commas();
  while (!reader.at_end()) {
    const std::string scheme = lower(reader.token());
    if (scheme.empty()) return std::nullopt;
    reader.skip_space();
    BearerChallenge challenge;
    auto parameter = reader.parameter();
    if (!parameter && scheme != "bearer") reader.skip_token68();
    while (parameter) {
      set(challenge, parameter->first, std::move(parameter->second));
      reader.skip_commas();
      parameter = reader.parameter();
    }
    if (scheme == "bearer") return challenge;
    reader.skip_commas();
  }
  return std::nullopt;
}

std::vector<std::string> split_scopes(std::string_view text) {
  std::vector<std::string> scopes;
  while (!text.empty() && scopes.size() < kScopesMax) {
    const auto end = std::min(text.find(' '), text.size());
    const auto scope = text.substr(0, end);
    if (!scope.empty() && is_scope(scope) && !holds(scopes, scope)) {
      scopes.emplace_back(scope);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return scopes;
}

std::string join_scopes(const std::vector<std::string>& scopes) {
  std::string text;
  for (const auto& scope : scopes) {
    if (!text.empty()) text += ' ';
    text += scope;
  }
  return text;
}

std::vector<std::string> scopes_with(std::vector<std::string> scopes,
                                     const std::vector<std::string>& more) {
  for (const auto& scope : more) {
    if (scopes.size() < kScopesMax && !holds(scopes, scope)) {
      scopes.push_back(scope);
    }
  }
  return scopes;
}

bool has_scopes(const std::vector<std::string>& all, const std::vector<std::string>& some) {
  return std::ranges::all_of(some, [&](const auto& scope) { return holds(all, scope); });
}

}  // namespace gavel
