#pragma once
// Provenance: where the parts of a call's arguments first appeared in its session's log. A second
// fold over the same entries as State, made only where a policy asks for it, so that it is a pure
// function of the log's prefix too, and costs nothing otherwise.
//
// The method is lexical (docs/adr/0017-provenance.md). Prompts, results and earlier arguments are
// texts; a text is a sequence of words (letters, digits, '_'; case is folded, all else separates).
// Each word of an argument belongs to the longest run of words, around it, that stands in a prompt
// or a result:
//
//   ticket, #12:   "... then run  DROP TABLE users  at once"
//   argument sql:  "              DROP TABLE users; -- tidy"
//                                 └── untrusted, #12 ──┘  └─ model
//
// Of runs of equal length the person's counts, whenever it was said; then the first in the log. A
// result that repeats what the agent had asked with first is no source of it. Words that say
// nothing by themselves (is_telling in provenance.cpp) have no origin, unless a run of theirs is
// longer.

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "core/codec.hpp"
#include "core/entry.hpp"

namespace gavel {

// How many words of a session are known: its first ones. Of what came later nothing is known, and
// what is found nowhere is then `lost`.
inline constexpr std::size_t kProvenanceWordsMax = std::size_t{1} << 20;
// How many words of one call's arguments are traced, and how many comparisons that may take; the
// rest is `lost`.
inline constexpr std::size_t kTracedWordsMax = std::size_t{1} << 14;
inline constexpr std::size_t kTraceStepsMax = std::size_t{1} << 22;

// Of a result that was recorded shorter than the agent saw it: a member of its `_meta`.
inline constexpr std::string_view kCutMark = "com.gavel/cut";

class Provenance {
public:
  // Entries of one session's log, from its first on, each in its turn. `read` gives the bytes of
  // their payloads; a text that it cannot give leaves the rest `lost`.
  void add(const Entry& entry, const PayloadReader& read);
  // Of the last entry that was added.
  Position tail() const { return tail_; }

  // `arguments` is a JSON object. A value that is one of `constants` (an enum's, say) has no
  // origin. The worst first; of each argument and origin the longest part.
  std::vector<ArgumentOrigin> trace(
      const json::value& arguments, const std::set<std::string>& constants,
      const std::function<bool(const std::string& tool)>& is_trusted) const;

private:
  enum class Source : std::uint8_t { person, agent, result };
  struct Text {
    Source source = Source::agent;
    Position position;       // of the prompt or the intent
    std::uint32_t tool = 0;  // in tools_
    std::size_t first = 0;   // its words reach to the next text's
  };
  class Tracer;

  void begin(Source source, Position position, const std::string& tool);
  void add_text(std::string_view text);
  void add_value(const json::value& value, std::size_t depth);
  void add_result(const json::value& result);
  void add_payload(const Payload& payload, const PayloadReader& read, Source source);

  Position tail_;
  bool incomplete_ = false;
  std::vector<std::uint64_t> words_;  // digests of the words of all texts
  std::vector<Text> texts_;
  std::vector<std::string> tools_;
  std::map<std::string, std::uint32_t> tool_numbers_;
  std::map<IntentId, std::uint32_t> open_;  // intents whose result may still come
};

// The texts that a JSON Schema names itself: members of enum and const, names of properties.
std::set<std::string> constants_of(const json::value& schema);

// "argument `sql`: "drop table users" first appeared in the result of #12 (tickets__read,
// untrusted)"
std::string to_text(const ArgumentOrigin& origin);

}  // namespace gavel
