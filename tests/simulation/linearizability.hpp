#pragma once
// Whether a history of concurrent operations could have come from one object that does them one
// after the other, each at some moment between its call and its return: the search of Wing and Gong
// with Lowe's memory of what was tried. An operation whose outcome nobody knows has no return; it
// may take effect at any later moment, or never.
//
// It knows nothing of Gavel but the log that it judges: a list of entries with compare-and-append.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gavel::simulation {

struct LogOperation {
  enum class Kind { append, read, tail };
  Kind kind = Kind::read;
  std::uint64_t called = 0;               // moments of one clock
  std::optional<std::uint64_t> returned;  // none: its outcome is unknown
  // append
  std::uint64_t expected_tail = 0;
  std::uint64_t entry = 0;
  bool accepted = false;  // else: refused because the tail was another
  // read: the entries; tail: how many
  std::vector<std::uint64_t> entries;
  std::uint64_t tail = 0;
};
std::string describe(const LogOperation& operation);

enum class Linearity { linearizable, not_linearizable, gave_up };

struct Judgement {
  Linearity verdict = Linearity::linearizable;
  std::uint64_t tried = 0;
  // Where it is not: the longest order that was found, and what could not follow it.
  std::string explanation;
};

// At most `tries_max` steps of the search.
Judgement judge(const std::vector<LogOperation>& history, std::uint64_t tries_max = 2'000'000);

}  // namespace gavel::simulation
