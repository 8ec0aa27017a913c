// Words of a command line, one a line. They become a command, a text to print, or an error with
// its reason, and nothing is run. What follows "--" reaches a program as it was typed. References
// to intents and names of sessions and servers are read from the same words.
#include <algorithm>
#include <string>
#include <vector>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "bytes.hpp"
#include "cli/commands.hpp"
#include "cli/parser.hpp"
#include "cli/refs.hpp"
#include "cli/session_name.hpp"

namespace {

using namespace gavel;

constexpr std::size_t kWordsMax = 64;

void check_parsing(const std::vector<std::string>& words) {
  Globals globals;
  const auto tree = make_tree(globals);
  const auto parsed = parse_command_line(tree, words);
  if (!parsed) {
    ASSERT(parsed.error().code == ErrorCode::invalid_argument);
    ASSERT(!parsed.error().message.empty());
    return;
  }
  const auto* found = std::get_if<ParsedCommand>(&*parsed);
  if (found == nullptr) return;
  ASSERT(found->command != nullptr && found->command->run && !found->path.empty());
  for (const auto& name : found->path) ASSERT(std::ranges::find(words, name) != words.end());
  const auto rest = std::ranges::find(words, "--");
  if (found->command->rest == nullptr || rest == words.end()) return;
  ASSERT(*found->command->rest == std::vector<std::string>(rest + 1, words.end()));
}

void check_ref(const std::string& word) {
  if (const auto ref = parse_intent_ref(word)) {
    ASSERT(ref->intent > 0);
    ASSERT(parse_intent_ref(to_string(*ref)) == *ref);
  }
  if (const auto named = parse_session_or_intent(word)) {
    ASSERT(named->intent.has_value() == word.contains('#'));
    ASSERT(named->intent.has_value() || named->session == word);
  }
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(fuzz::text_of(data, size));
  std::vector<std::string> words;
  while (!bytes.empty() && words.size() < kWordsMax) {
    std::string word(bytes.until('\n'));
    // The end of an argument for whoever starts a program.
    std::erase(word, '\0');
    check_ref(word);
    ASSERT(is_name(session_name_for(word, Timestamp{1'700'000'000'000}, 4711)));
    words.push_back(std::move(word));
  }
  check_parsing(words);
  ASSERT(is_name(server_name_for(words)));
  return 0;
}
