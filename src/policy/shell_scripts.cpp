#include "policy/shell_scripts.hpp"

#include <algorithm>

namespace gavel {
namespace {

void skip_spaces(std::string_view& text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
}

bool skip_to(std::string_view& text, char delimiter) {
  while (!text.empty() && text.front() != delimiter) {
    text.remove_prefix(text.front() == '\\' && text.size() > 1 ? 2 : 1);
  }
  if (text.empty()) return false;
  text.remove_prefix(1);
  return true;
}

// A line number, the last line or a pattern; true where there is none, too.
bool skip_address(std::string_view& text) {
  if (text.starts_with('$')) {
    text.remove_prefix(1);
  } else if (text.starts_with('/')) {
    text.remove_prefix(1);
    return skip_to(text, '/');
  } else {
    text.remove_prefix(std::min(text.find_first_not_of("0123456789"), text.size()));
  }
  return true;
}

}  // namespace

bool is_plain_sed(std::string_view script) {
  if (script.find('\n') != std::string_view::npos) return false;
  skip_spaces(script);
  if (!skip_address(script)) return false;
  if (script.starts_with(',')) {
    script.remove_prefix(1);
    if (!skip_address(script)) return false;
  }
  skip_spaces(script);
  if (script.starts_with('!')) script.remove_prefix(1);
  if (script.empty()) return false;
  const char command = script.front();
  script.remove_prefix(1);
  if (command == 's') {
    if (script.empty()) return false;
    const char delimiter = script.front();
    if (delimiter == '\\' || delimiter == ';' || delimiter == ' ') return false;
    script.remove_prefix(1);
    if (!skip_to(script, delimiter) || !skip_to(script, delimiter)) return false;
    return script.find_first_not_of("gpiI0123456789") == std::string_view::npos;
  }
  return (command == 'p' || command == 'd' || command == 'q' || command == '=') && script.empty();
}

bool is_plain_awk(std::string_view program) {
  if (program.find_first_of("|>@") != std::string_view::npos) return false;
  for (const std::string_view word : {"system", "getline", "ENVIRON", "close", "fflush"}) {
    if (program.find(word) != std::string_view::npos) return false;
  }
  return true;
}

}  // namespace gavel
