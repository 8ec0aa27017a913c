#include "core/provenance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "core/rights.hpp"

namespace gavel {
namespace {

constexpr std::size_t kDepthMax = 32;
constexpr std::size_t kNestedTextsMax = 4;
constexpr std::size_t kFilterBits = std::size_t{1} << 16;
// Nothing matches it: it stands between values.
constexpr std::uint64_t kBorder = 0;

bool is_word_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         byte >= 0x80;
}

char folded(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// FNV-1a of the word, its letters folded.
std::uint64_t digest_of_word(std::string_view word) {
  std::uint64_t digest = 0xcbf29ce484222325;
  for (const char c : word) {
    digest = (digest ^ static_cast<unsigned char>(folded(c))) * 0x100000001b3;
  }
  return digest == kBorder ? 1 : digest;
}

// Calls visit(begin, end) for each word of the text until it returns false. What stands for a line
// break or a tab in quoted text (\n) is no letter.
template <typename Visit>
void for_each_word(std::string_view text, Visit visit) {
  for (std::size_t at = 0; at < text.size();) {
    if (!is_word_byte(text[at])) {
      const bool escape = text[at] == '\\' && at + 1 < text.size() &&
                          std::string_view("nrt").contains(text[at + 1]);
      at += escape ? 2 : 1;
      continue;
    }
    std::size_t end = at + 1;
    while (end < text.size() && is_word_byte(text[end])) ++end;
    if (!visit(at, end)) return;
    at = end;
  }
}

// Words that any text may have, in order: they say nothing of where it came from. Shorter ones are
// not looked up.
constexpr auto kCommonWords = std::to_array<std::string_view>(
    {"able",   "about",   "above",       "after",     "again",  "also",     "alter",   "another",
     "back",   "because", "been",        "before",    "being",  "below",    "between", "both",
     "call",   "cascade", "case",        "cast",      "check",  "column",   "commit",  "content",
     "copy",   "could",   "count",       "create",    "data",   "database", "date",    "default",
     "delete", "desc",    "description", "distinct",  "does",   "done",     "down",    "drop",
     "each",   "echo",    "else",        "empty",     "error",  "every",    "execute", "exists",
     "exit",   "false",   "file",        "files",     "find",   "first",    "force",   "found",
     "from",   "full",    "function",    "give",      "given",  "grant",    "group",   "have",
     "having", "here",    "href",        "html",      "http",   "https",    "index",   "inner",
     "insert", "into",    "item",        "items",     "join",   "just",     "keep",    "know",
     "last",   "left",    "like",        "limit",     "line",   "list",     "made",    "make",
     "many",   "message", "more",        "most",      "much",   "must",     "name",    "need",
     "never",  "next",    "none",        "null",      "number", "offset",   "once",    "only",
     "order",  "other",   "outer",       "over",      "path",   "please",   "primary", "print",
     "public", "query",   "read",        "recursive", "remove", "replace",  "result",  "results",
     "return", "right",   "rollback",    "rows",      "same",   "schema",   "select",  "self",
     "sent",   "should",  "show",        "since",     "some",   "start",    "state",   "status",
     "still",  "string",  "such",        "sudo",      "table",  "take",     "text",    "than",
     "that",   "their",   "them",        "then",      "there",  "these",    "they",    "this",
     "those",  "through", "time",        "title",     "true",   "truncate", "type",    "under",
     "union",  "unique",  "until",       "update",    "user",   "using",    "value",   "values",
     "very",   "view",    "want",        "were",      "what",   "when",     "where",   "which",
     "while",  "will",    "with",        "without",   "work",   "would",    "write",   "your"});
static_assert(std::ranges::is_sorted(kCommonWords));

constexpr std::size_t kTellingLetters = 4;
constexpr std::size_t kTellingDigits = 5;
// So many words in a row say something whatever they are, and fewer where they are a whole value.
constexpr std::size_t kTellingRun = 4;
constexpr std::size_t kTellingValue = 2;
constexpr std::size_t kTellingBytes = 8;

// Whether a word alone tells where it came from.
bool is_telling(std::string_view word) {
  if (word.size() < kTellingLetters) return false;
  std::string plain(word);
  std::ranges::transform(plain, plain.begin(), folded);
  if (plain.find_first_not_of("0123456789") == std::string::npos) {
    return plain.size() >= kTellingDigits;
  }
  return !std::ranges::binary_search(kCommonWords, std::string_view(plain));
}

void collect_constants(const json::value& schema, std::size_t depth, std::set<std::string>& found) {
  if (depth > kDepthMax) return;
  const auto take = [&](const json::value& value) {
    if (value.is_string()) found.emplace(view(value.get_string()));
  };
  if (schema.is_array()) {
    for (const auto& item : schema.get_array()) collect_constants(item, depth + 1, found);
  }
  if (!schema.is_object()) return;
  for (const auto& member : schema.get_object()) {
    if (member.key() == "const") take(member.value());
    if (member.key() == "enum" && member.value().is_array()) {
      for (const auto& item : member.value().get_array()) take(item);
    }
    if (member.key() == "properties" && member.value().is_object()) {
      for (const auto& property : member.value().get_object()) found.emplace(property.key());
    }
    collect_constants(member.value(), depth + 1, found);
  }
}

}  // namespace

// --- what is known ---

void Provenance::begin(Source source, Position position, const std::string& tool) {
  const auto [known, fresh] =
      tool_numbers_.try_emplace(tool, static_cast<std::uint32_t>(tools_.size()));
  if (fresh) tools_.push_back(tool);
  texts_.push_back({source, position, known->second, words_.size()});
}

void Provenance::add_text(std::string_view text) {
  for_each_word(text, [&](std::size_t begin, std::size_t end) {
    // A word and the border behind the last one.
    if (words_.size() + 1 >= kProvenanceWordsMax) {
      incomplete_ = true;
      return false;
    }
    words_.push_back(digest_of_word(text.substr(begin, end - begin)));
    return true;
  });
  if (!words_.empty() && words_.back() != kBorder) words_.push_back(kBorder);
}

void Provenance::add_value(const json::value& value, std::size_t depth) {
  if (depth > kDepthMax) {
    incomplete_ = true;
  } else if (value.is_object()) {
    for (const auto& member : value.get_object()) {
      add_text({member.key().data(), member.key().size()});
      add_value(member.value(), depth + 1);
    }
  } else if (value.is_array()) {
    for (const auto& item : value.get_array()) add_value(item, depth + 1);
  } else if (value.is_string()) {
    // JSON inside a text is what the agent reads, not how it is quoted.
    const std::string_view text = view(value.get_string());
    const auto start = text.find_first_not_of(" \t\r\n");
    const bool nested = start != std::string_view::npos && depth < kNestedTextsMax &&
                        (text[start] == '{' || text[start] == '[');
    const auto parsed = nested ? parse_json(text) : fail(ErrorCode::invalid_argument, "plain");
    if (parsed) {
      add_value(*parsed, depth + 1);
    } else {
      add_text(text);
    }
  } else if (value.is_number()) {
    add_text(write_json(value));
  }
}

// A CallToolResult, or a server's error.
void Provenance::add_result(const json::value& result) {
  const auto* content = find_array(result, "content");
  if (content == nullptr) {
    add_value(result, 0);
    return;
  }
  for (const auto& item : *content) {
    const auto* resource = find_object(item, "resource");
    for (const auto* part : {item.if_object(), resource}) {
      if (part == nullptr) continue;
      for (const auto& member : *part) {
        // What is encoded is no text, and the form's own words are the server's of all servers.
        const bool skipped = member.key() == "data" || member.key() == "blob" ||
                             member.key() == "type" || member.key() == "mimeType" ||
                             member.key() == "resource";
        if (!skipped) add_value(member.value(), 0);
      }
    }
  }
  if (const auto* structured = find(result, "structuredContent")) add_value(*structured, 0);
  const auto* meta = find(result, "_meta");
  if (meta != nullptr && bool_or(*meta, kCutMark, false)) incomplete_ = true;
}

void Provenance::add_payload(const Payload& payload, const PayloadReader& read, Source source) {
  if (payload.size == 0 || incomplete_) return;
  const auto bytes = read(payload);
  if (!bytes) {
    incomplete_ = true;
    return;
  }
  const auto value = parse_json(*bytes);
  if (!value) {
    add_text(*bytes);
  } else if (source == Source::result) {
    add_result(*value);
  } else if (source == Source::agent && value->is_object()) {
    for (const auto& member : value->get_object()) add_value(member.value(), 0);
  } else {
    add_value(*value, 0);
  }
}

void Provenance::add(const Entry& entry, const PayloadReader& read) {
  ASSERT(entry.position == tail_.next());
  tail_ = entry.position;
  if (!may_append(entry.role, kind_of(entry.body))) return;
  if (const auto* prompt = std::get_if<Prompted>(&entry.body)) {
    begin(Source::person, entry.position, "");
    add_payload(prompt->text, read, Source::person);
  } else if (const auto* intent = std::get_if<IntentProposed>(&entry.body)) {
    begin(Source::agent, entry.position, intent->tool);
    open_[entry.position] = texts_.back().tool;
    add_payload(intent->arguments, read, Source::agent);
  } else if (const auto* decision = std::get_if<Decision>(&entry.body)) {
    if (decision->ruling == Ruling::abort) open_.erase(decision->intent);
  } else if (const auto* outcome = std::get_if<Outcome>(&entry.body)) {
    const auto open = open_.find(outcome->intent);
    if (open == open_.end()) return;
    // A result that is too large is recorded and not passed on.
    const bool unseen =
        outcome->kind == OutcomeKind::ok && outcome->code == to_string(ErrorCode::too_large);
    begin(Source::result, outcome->intent, tools_[open->second]);
    if (!unseen) add_payload(outcome->result, read, Source::result);
    if (outcome->kind != OutcomeKind::unknown) open_.erase(open);
  }
}

// --- tracing ---

class Provenance::Tracer {
public:
  Tracer(const Provenance& known, const std::set<std::string>& constants)
      : known_(known), constants_(constants), partial_(known.incomplete_) {}

  std::vector<ArgumentOrigin> trace(const json::value& arguments,
                                    const std::function<bool(const std::string&)>& is_trusted) {
    if (const auto* object = arguments.if_object()) {
      for (const auto& member : *object) take(std::string(member.key()), member.value(), 0);
    }
    match();
    attribute(is_trusted);
    return worst_first();
  }

private:
  struct Value {
    std::string name;
    std::string text;
    std::size_t first = 0;  // its words, in words_
    std::size_t count = 0;
    bool whole = false;  // one run is all of it
  };
  struct Word {
    std::uint64_t digest = kBorder;
    std::size_t value = 0;  // in values_
    std::size_t begin = 0;  // in its text
    std::size_t end = 0;
  };
  // The longest run of words that ends at a word and stands in a text.
  struct Run {
    std::size_t length = 0;
    std::size_t text = 0;
  };
  struct Part {
    std::size_t words = 0;
    ArgumentOrigin origin;
  };

  void take(const std::string& name, const json::value& value, std::size_t depth) {
    if (depth > kDepthMax) {
      note({name, Origin::lost, {}, "", ""}, 0);
    } else if (value.is_object()) {
      for (const auto& member : value.get_object()) {
        take_text(name, {member.key().data(), member.key().size()});
        take(name + "/" + std::string(member.key()), member.value(), depth + 1);
      }
    } else if (value.is_array()) {
      std::size_t number = 0;
      for (const auto& item : value.get_array()) {
        take(fmt::format("{}/{}", name, number++), item, depth + 1);
      }
    } else if (value.is_string()) {
      take_text(name, view(value.get_string()));
    } else if (value.is_number()) {
      take_text(name, write_json(value));
    }
  }

  void take_text(const std::string& name, std::string_view text) {
    if (constants_.contains(std::string(text))) return;
    values_.push_back({name, std::string(text), words_.size()});
    for_each_word(text, [&](std::size_t begin, std::size_t end) {
      if (words_.size() >= kTracedWordsMax) {
        note({name, Origin::lost, {}, "", for_display(text.substr(begin), kOriginTextMax)}, 1);
        return false;
      }
      words_.push_back(
          {digest_of_word(text.substr(begin, end - begin)), values_.size() - 1, begin, end});
      return true;
    });
    values_.back().count = words_.size() - values_.back().first;
    words_.push_back({});
  }

  // Runs are found as they grow: the length of the one that ends here is that of the one that ended
  // at the word before, in the argument and in the text alike, and one more.
  void match() {
    std::unordered_map<std::uint64_t, std::vector<std::size_t>> places;
    // Most words of a session are in no argument: this tells so without a look-up.
    std::bitset<kFilterBits> filter;
    for (std::size_t i = words_.size(); i-- > 0;) {
      if (words_[i].digest == kBorder) continue;
      places[words_[i].digest].push_back(i);
      filter.set(words_[i].digest % kFilterBits);
    }
    runs_.resize(words_.size());
    std::vector<std::size_t> said(words_.size());     // longest run in the agent's own words so far
    std::vector<std::size_t> length(words_.size());   // of the run that ended there last, and ...
    std::vector<std::size_t> seen_at(words_.size());  // ... where in the texts, from 1
    std::size_t steps = 0;
    for (std::size_t text = 0; text < known_.texts_.size(); ++text) {
      const Source source = known_.texts_[text].source;
      const std::size_t end =
          text + 1 < known_.texts_.size() ? known_.texts_[text + 1].first : known_.words_.size();
      for (std::size_t at = known_.texts_[text].first; at < end; ++at) {
        if (!filter.test(known_.words_[at] % kFilterBits)) continue;
        const auto found = places.find(known_.words_[at]);
        if (found == places.end()) continue;
        steps += found->second.size();
        if (steps > kTraceStepsMax) {
          // A longer run may stand in what was not looked at.
          runs_.assign(words_.size(), {});
          partial_ = true;
          return;
        }
        // Later places first: each looks at the one before it as that was.
        for (const std::size_t i : found->second) {
          length[i] = i > 0 && seen_at[i - 1] == at && at > 0 ? length[i - 1] + 1 : 1;
          seen_at[i] = at + 1;
          if (source == Source::agent) {
            said[i] = std::max(said[i], length[i]);
          } else if (source == Source::person || length[i] > said[i]) {
            prefer(runs_[i], {length[i], text});
          }
        }
      }
    }
  }

  void prefer(Run& run, const Run& other) const {
    const auto is_person = [&](const Run& r) {
      return r.length > 0 && known_.texts_[r.text].source == Source::person;
    };
    if (other.length > run.length ||
        (other.length == run.length && is_person(other) && !is_person(run))) {
      run = other;
    }
  }

  bool tells(std::size_t word) const { return is_telling(text_of(word, word)); }
  std::string_view text_of(std::size_t first, std::size_t last) const {
    const Word& begin = words_[first];
    return std::string_view(values_[begin.value].text)
        .substr(begin.begin, words_[last].end - begin.begin);
  }

  // Each word goes to the longest run around it; what none has is the model's. Where not all is
  // known, a value that no single run explains is lost: a longer one may have been there.
  void attribute(const std::function<bool(const std::string&)>& is_trusted) {
    std::vector<std::size_t> ends(words_.size());
    std::iota(ends.begin(), ends.end(), 0);
    std::ranges::sort(ends, {}, [&](std::size_t i) { return std::pair(~runs_[i].length, i); });
    std::vector<bool> covered(words_.size());
    for (const std::size_t last : ends) {
      const Run& run = runs_[last];
      if (run.length == 0) break;
      const std::size_t first = last + 1 - run.length;
      std::size_t fresh = 0;
      bool telling = false;
      for (std::size_t i = first; i <= last; ++i) {
        if (covered[i]) continue;
        covered[i] = true;
        ++fresh;
        telling = telling || tells(i);
      }
      const Value& value = values_[words_[first].value];
      const bool is_value =
          fresh == value.count && fresh >= kTellingValue && value.text.size() >= kTellingBytes;
      if (telling || is_value || fresh >= kTellingRun) note_run(run, first, last, is_trusted);
    }
    for (const Value& value : values_) {
      if (value.whole) continue;
      for (std::size_t i = value.first; i < value.first + value.count; ++i) {
        if (!tells(i)) continue;
        if (partial_) {
          note({value.name, Origin::lost, {}, "", for_display(value.text, kOriginTextMax)}, 1);
        } else if (!covered[i]) {
          note({value.name, Origin::model, {}, "", shown(i, i)}, 1);
        }
      }
    }
  }

  void note_run(const Run& run, std::size_t first, std::size_t last,
                const std::function<bool(const std::string&)>& is_trusted) {
    const Text& text = known_.texts_[run.text];
    Value& value = values_[words_[first].value];
    value.whole = run.length == value.count;
    ArgumentOrigin origin;
    origin.argument = value.name;
    origin.source = text.position;
    origin.text = shown(first, last);
    if (text.source == Source::person) {
      origin.origin = Origin::person;
    } else {
      origin.tool = known_.tools_[text.tool];
      origin.origin = is_trusted(origin.tool) ? Origin::trusted : Origin::untrusted;
    }
    note(std::move(origin), run.length);
  }

  std::string shown(std::size_t first, std::size_t last) const {
    return for_display(text_of(first, last), kOriginTextMax);
  }

  void note(ArgumentOrigin origin, std::size_t words) {
    const auto key = std::pair(~static_cast<unsigned>(origin.origin), origin.argument);
    const auto [part, fresh] = parts_.try_emplace(key, Part{words, origin});
    if (!fresh && words > part->second.words) part->second = {words, std::move(origin)};
  }

  std::vector<ArgumentOrigin> worst_first() {
    std::vector<ArgumentOrigin> origins;
    for (auto& [key, part] : parts_) origins.push_back(std::move(part.origin));
    return origins;
  }

  const Provenance& known_;
  const std::set<std::string>& constants_;
  bool partial_;  // not all texts were looked at
  std::vector<Value> values_;
  std::vector<Word> words_;  // of all values, with a border behind each
  std::vector<Run> runs_;
  std::map<std::pair<unsigned, std::string>, Part> parts_;  // the worst first, then by argument
};

std::vector<ArgumentOrigin> Provenance::trace(
    const json::value& arguments, const std::set<std::string>& constants,
    const std::function<bool(const std::string&)>& is_trusted) const {
  return Tracer(*this, constants).trace(arguments, is_trusted);
}

std::set<std::string> constants_of(const json::value& schema) {
  std::set<std::string> found;
  collect_constants(schema, 0, found);
  return found;
}

std::string to_text(const ArgumentOrigin& origin) {
  const std::string part = fmt::format("argument `{}`: \"{}\"", origin.argument, origin.text);
  switch (origin.origin) {
    case Origin::person:
      return fmt::format("{} was said by the person (#{})", part, origin.source.value);
    case Origin::trusted:
    case Origin::untrusted:
      return fmt::format("{} first appeared in the result of #{} ({}, {})", part,
                         origin.source.value, origin.tool, to_string(origin.origin));
    case Origin::model:
      return part + " was not seen before";
    case Origin::lost:
      break;
  }
  return part + " may come from what is not known any more; it counts as untrusted";
}

}  // namespace gavel
