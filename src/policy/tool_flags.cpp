#include "policy/tool_flags.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>

#include "base/text.hpp"

namespace gavel {
namespace {

constexpr std::size_t kScannedMax = 256u << 10;  // of one text; a longer one is flagged unread
constexpr std::size_t kShownMax = 160;
constexpr std::size_t kInstructionMin = 8;  // no rule matches less

struct Range {
  char32_t first;
  char32_t last;
};
// Code points that show nothing and may say something, by first.
constexpr std::array kHidden = {
    Range{0x00, 0x08},     Range{0x0b, 0x0c},     Range{0x0e, 0x1f},       Range{0x7f, 0x9f},
    Range{0xad, 0xad},     Range{0x34f, 0x34f},   Range{0x61c, 0x61c},     Range{0x115f, 0x1160},
    Range{0x17b4, 0x17b5}, Range{0x180b, 0x180f}, Range{0x200b, 0x200f},   Range{0x2028, 0x202e},
    Range{0x2060, 0x206f}, Range{0x3164, 0x3164}, Range{0xfe00, 0xfe0d},   Range{0xfeff, 0xfeff},
    Range{0xffa0, 0xffa0}, Range{0xfff0, 0xfffb}, Range{0x1d173, 0x1d17a}, Range{0xe0000, 0xe0fff},
};

constexpr char32_t kZeroWidthNonJoiner = 0x200c;
constexpr char32_t kZeroWidthJoiner = 0x200d;

struct Decoded {
  char32_t point = 0;
  std::size_t size = 1;
};
// The code point at the front of UTF-8; a byte that is none stands for itself.
Decoded decode_front(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const std::size_t size = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (size == 1 || size > text.size()) return {lead, 1};
  char32_t point = lead & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0u) != 0x80u) return {lead, 1};
    point = point << 6 | (byte(i) & 0x3fu);
  }
  return {point, size};
}

bool is_hidden(char32_t point) {
  const auto after = std::ranges::upper_bound(kHidden, point, {}, &Range::first);
  return after != kHidden.begin() && point <= std::prev(after)->last;
}

// Joiners belong to emoji and to the scripts from Arabic to Sinhala.
bool may_join(char32_t before) {
  return (before >= 0x600 && before <= 0xdff) || (before >= 0x2600 && before <= 0x27bf) ||
         before == 0xfe0f || before >= 0x1f000;
}

// Calls `on_visible` and `on_hidden` with each code point and its bytes, in order.
template <class Visible, class Hidden>
void each_character(std::string_view text, const Visible& on_visible, const Hidden& on_hidden) {
  char32_t before = 0;
  while (!text.empty()) {
    const Decoded next = decode_front(text);
    const bool joins =
        (next.point == kZeroWidthJoiner || next.point == kZeroWidthNonJoiner) && may_join(before);
    if (is_hidden(next.point) && !joins) {
      on_hidden(next.point);
      before = 0;  // nothing joins what is not there
    } else {
      on_visible(next.point, text.substr(0, next.size));
      before = next.point;
    }
    text.remove_prefix(next.size);
  }
}

// Visible characters alone, white space as one blank: what a rule reads.
std::string plain(std::string_view text) {
  std::string out;
  each_character(
      text,
      [&](char32_t point, std::string_view bytes) {
        const bool blank = point == ' ' || point == '\t' || point == '\n' || point == '\r' ||
                           point == 0xa0 || point == 0x3000;
        if (!blank) {
          out += bytes;
        } else if (!out.empty() && out.back() != ' ') {
          out += ' ';
        }
      },
      [](char32_t) {});
  return out;
}

// Code points that are taken for a Latin letter, in lower case.
struct Homoglyph {
  char32_t point;
  char letter;
};
constexpr Homoglyph kHomoglyphs[] = {
    {U'а', 'a'}, {U'А', 'a'}, {U'α', 'a'}, {U'Α', 'a'}, {U'В', 'b'}, {U'Β', 'b'}, {U'с', 'c'},
    {U'С', 'c'}, {U'ϲ', 'c'}, {U'ԁ', 'd'}, {U'е', 'e'}, {U'Е', 'e'}, {U'Ε', 'e'}, {U'ε', 'e'},
    {U'ɡ', 'g'}, {U'һ', 'h'}, {U'Н', 'h'}, {U'Η', 'h'}, {U'і', 'l'}, {U'І', 'l'}, {U'ι', 'l'},
    {U'Ι', 'l'}, {U'ӏ', 'l'}, {U'Ӏ', 'l'}, {U'ı', 'l'}, {U'ј', 'j'}, {U'Ј', 'j'}, {U'к', 'k'},
    {U'К', 'k'}, {U'κ', 'k'}, {U'Κ', 'k'}, {U'м', 'm'}, {U'М', 'm'}, {U'Μ', 'm'}, {U'Ν', 'n'},
    {U'ո', 'n'}, {U'о', 'o'}, {U'О', 'o'}, {U'ο', 'o'}, {U'Ο', 'o'}, {U'р', 'p'}, {U'Р', 'p'},
    {U'ρ', 'p'}, {U'Ρ', 'p'}, {U'ԛ', 'q'}, {U'г', 'r'}, {U'ѕ', 's'}, {U'Ѕ', 's'}, {U'т', 't'},
    {U'Т', 't'}, {U'τ', 't'}, {U'Τ', 't'}, {U'υ', 'u'}, {U'ν', 'v'}, {U'ѵ', 'v'}, {U'ԝ', 'w'},
    {U'ω', 'w'}, {U'х', 'x'}, {U'Х', 'x'}, {U'χ', 'x'}, {U'Χ', 'x'}, {U'у', 'y'}, {U'У', 'y'},
    {U'Υ', 'y'}, {U'γ', 'y'}, {U'Ζ', 'z'},
};

std::optional<char> latin(char32_t point) {
  if (point >= 0xff01 && point <= 0xff5e) point -= 0xff01 - 0x21;  // full-width
  const auto found = std::ranges::find(kHomoglyphs, point, &Homoglyph::point);
  if (found != std::end(kHomoglyphs)) return found->letter;
  if (point >= 0x80) return std::nullopt;
  const char c = static_cast<char>(point);
  if (c >= 'A' && c <= 'Z') return latin(point + ('a' - 'A'));
  switch (c) {
    case '0':
      return 'o';
    case '1':
    case 'i':
    case '|':
      return 'l';
    case '5':
      return 's';
    case '-':
    case '.':
    case '/':
      return '_';
    default:
      return c;
  }
}

// What no description needs to say. Read in any case, over plain().
constexpr std::array<std::string_view, 6> kInstructions = {
    R"(\b(ignore|disregard|forget|override)\b.{0,40}\b(previous|prior|earlier|above|preceding|system|other)\b.{0,40}\b(instruction|prompt|rule|message|direction|guideline|polic))",
    R"(\b(do not|don't|don’t|never|must not|without)\b.{0,20}\b(tell|telling|inform|informing|mention|mentioning|reveal|revealing|show|showing|alert|alerting|notify|notifying)\b.{0,40}\b(user|human|person|operator|owner)\b)",
    R"(<\s*/?\s*(important|system|instructions?|secret|hidden|critical|admin|assistant)\s*>)",
    R"(\b(before|prior to|when|whenever|after|in order to)\b.{0,30}\b(using|calling|invoking|running|use|call|invoke|run)\b.{0,60}\b(tool|function)s?\b.{0,60}\b(read|open|cat|fetch|send|include|load|access|upload)\b.{0,80}(~/|\.ssh|\.env\b|id_rsa|credential|password|api[ _-]?key|secret|token|mcp\.json|\.aws|/etc/))",
    R"(\b(read|open|cat|load|include|attach|send|copy|upload|fetch)\b.{0,60}(\.ssh\b|id_rsa\b|id_ed25519\b|\.aws/|mcp\.json\b|/etc/(passwd|shadow)\b|\.netrc\b|\.git-credentials\b))",
    R"(\bpass\b.{0,40}\bcontents?\b.{0,30}\b(as|in|into|to)\b.{0,40}\b(argument|parameter|sidenote|side note|field|input)\b)",
};

const re2::RE2& instruction(std::size_t index) {
  static const auto compiled = [] {
    std::vector<std::unique_ptr<const re2::RE2>> rules;
    re2::RE2::Options options;
    options.set_case_sensitive(false);
    options.set_log_errors(false);
    for (const auto rule : kInstructions) {
      const re2::StringPiece pattern(rule.data(), rule.size());
      rules.push_back(std::make_unique<const re2::RE2>(pattern, options));
    }
    return rules;
  }();
  return *compiled[index];
}

class Scanner {
public:
  void text(std::string_view text, const std::string& where) {
    if (flags_.size() >= kFlagsMax) return;
    if (text.size() > kScannedMax) {
      flags_.push_back({FlagKind::instructions, where,
                        fmt::format("{} bytes are too many to look through", text.size())});
      return;
    }
    hidden(text, where);
    instructions(plain(text), where);
  }

  void value(const json::value& value, const std::string& where) {
    if (value.is_string()) return text(view(value.get_string()), where);
    if (value.is_object()) {
      for (const auto& member : value.get_object()) {
        const std::string_view key(member.key());
        const std::string below = fmt::format("{}.{}", where, reveal_hidden(for_display(key, 60)));
        text(key, below);
        this->value(member.value(), below);
      }
    } else if (value.is_array()) {
      for (const auto& item : value.get_array()) this->value(item, where);
    }
  }

  std::vector<ToolFlag> take() { return std::move(flags_); }

private:
  void hidden(std::string_view text, const std::string& where) {
    std::size_t count = 0;
    std::string smuggled;  // the tags block spells ASCII
    std::string first;
    each_character(
        text, [](char32_t, std::string_view) {},
        [&](char32_t point) {
          ++count;
          if (first.empty()) first = fmt::format("U+{:04X}", static_cast<std::uint32_t>(point));
          if (point > 0xe0020 && point < 0xe007f) smuggled += static_cast<char>(point - 0xe0000);
        });
    if (count == 0) return;
    std::string found =
        fmt::format("{} hidden character{}, first {}", count, count == 1 ? "" : "s", first);
    if (!smuggled.empty())
      found += fmt::format("; they spell \"{}\"", smuggled.substr(0, kShownMax));
    flags_.push_back({FlagKind::hidden_characters, where, std::move(found)});
  }

  void instructions(const std::string& text, const std::string& where) {
    if (text.size() < kInstructionMin) return;
    for (std::size_t i = 0; i < kInstructions.size(); ++i) {
      re2::StringPiece match;
      const bool found =
          instruction(i).Match(text, 0, text.size(), re2::RE2::UNANCHORED, &match, 1);
      if (!found) continue;
      flags_.push_back({FlagKind::instructions, where,
                        for_display(std::string_view(match.data(), match.size()), kShownMax)});
      return;
    }
  }

  std::vector<ToolFlag> flags_;
};

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

// Names that no sentence has by chance.
bool is_distinctive(std::string_view name) {
  return name.size() >= 6 && name.find_first_of("_-") != std::string_view::npos;
}

}  // namespace

std::string_view to_string(FlagKind kind) {
  switch (kind) {
    case FlagKind::hidden_characters:
      return "hidden_characters";
    case FlagKind::instructions:
      return "instructions";
    case FlagKind::look_alike:
      return "look_alike";
    case FlagKind::shadowing:
      return "shadowing";
  }
  return "instructions";
}

std::vector<ToolFlag> flags_of(const json::object& definition) {
  Scanner scanner;
  for (const std::string_view member :
       {"name", "title", "description", "annotations", "inputSchema", "outputSchema"}) {
    if (const auto* value = find(definition, member)) scanner.value(*value, std::string(member));
  }
  return scanner.take();
}

bool holds(FlagMode mode, const std::vector<ToolFlag>& flags) {
  return mode == FlagMode::hold && std::ranges::any_of(flags, [](const ToolFlag& flag) {
           return flag.kind == FlagKind::hidden_characters || flag.kind == FlagKind::instructions;
         });
}

std::string skeleton(std::string_view name) {
  std::string out;
  each_character(
      name,
      [&](char32_t point, std::string_view bytes) {
        if (const auto c = latin(point)) {
          out += *c;
        } else {
          out += bytes;
        }
      },
      [](char32_t) {});
  for (auto at = out.find("rn"); at != std::string::npos; at = out.find("rn", at)) {
    out.replace(at, 2, "m");
  }
  return out;
}

std::vector<std::vector<ToolFlag>> flags_among(const std::vector<NamedTool>& tools) {
  std::vector<std::vector<ToolFlag>> flags(tools.size());
  std::map<std::string, std::vector<std::size_t>> by_skeleton;
  std::map<std::string, std::vector<std::size_t>, std::less<>> by_name;  // how a text may call it
  for (std::size_t i = 0; i < tools.size(); ++i) {
    by_skeleton[skeleton(tools[i].name)].push_back(i);
    by_name[tool_name(tools[i].toolset, tools[i].name)].push_back(i);
    if (is_distinctive(tools[i].name)) by_name[std::string(tools[i].name)].push_back(i);
  }
  const auto full = [&](std::size_t i) {
    return reveal_hidden(tool_name(tools[i].toolset, tools[i].name));
  };
  for (const auto& [shape, alike] : by_skeleton) {
    for (const std::size_t i : alike) {
      const auto other = std::ranges::find_if(alike, [&](std::size_t j) {
        return tools[j].toolset != tools[i].toolset && tools[j].name != tools[i].name;
      });
      if (other == alike.end()) continue;
      flags[i].push_back({FlagKind::look_alike, "name", "looks like " + full(*other)});
    }
  }
  for (std::size_t i = 0; i < tools.size(); ++i) {
    std::string_view rest = tools[i].description;
    while (!rest.empty() && flags[i].size() < kFlagsMax) {
      const auto begin = std::ranges::find_if(rest, is_word) - rest.begin();
      rest.remove_prefix(static_cast<std::size_t>(begin));
      const auto end = std::ranges::find_if_not(rest, is_word) - rest.begin();
      const auto named = by_name.find(rest.substr(0, static_cast<std::size_t>(end)));
      rest.remove_prefix(static_cast<std::size_t>(end));
      if (named == by_name.end()) continue;
      const auto own = [&](std::size_t j) { return tools[j].toolset == tools[i].toolset; };
      if (std::ranges::any_of(named->second, own)) continue;
      flags[i].push_back(
          {FlagKind::shadowing, "description", "speaks of " + full(named->second.front())});
      break;
    }
  }
  return flags;
}

std::string reveal_hidden(std::string_view text) {
  std::string out;
  each_character(
      text, [&](char32_t, std::string_view bytes) { out += bytes; },
      [&](char32_t point) { out += fmt::format("<U+{:04X}>", static_cast<std::uint32_t>(point)); });
  return out;
}

}  // namespace gavel
