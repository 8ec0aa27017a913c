#pragma once
// Whether a history of concurrent operations could have come from one object that does them one
// after the other, each at some moment between its call and its return: the search of Wing and Gong
// with Lowe's memory of what was tried. An operation whose outcome nobody knows has no return; it
// may take effect at any later moment, or never.
//
// It knows nothing of Gavel but the object that it judges: a few lists of entries, each with an
// epoch and a barrier, and an append to one or more of them at once that compares all of these.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gavel::simulation {

inline constexpr std::size_t kJudgedLogs = 2;

struct LogOperation {
  enum class Kind { append, read, tail };
  // What an append is refused for: another tail or a lost election; an epoch that is over; a
  // barrier that was raised.
  enum class Refusal { tail, epoch, guard };
  struct Part {
    std::size_t log = 0;
    std::uint64_t expected_tail = 0;
    std::uint64_t entry = 0;
    std::uint64_t epoch = 0;
    bool elects = false;  // `epoch` is the next one, and becomes the log's
    bool raises_barrier = false;
  };
  struct Guard {
    std::size_t log = 0;
    std::uint64_t barrier = 0;
  };
  struct Fence {
    std::uint64_t epoch = 0;
    std::uint64_t barrier = 0;
    bool operator==(const Fence&) const = default;
  };

  Kind kind = Kind::read;
  std::uint64_t called = 0;               // moments of one clock
  std::optional<std::uint64_t> returned;  // none: its outcome is unknown
  // append: all of its parts, or refused
  std::vector<Part> parts;
  std::vector<Guard> guards;
  std::optional<Refusal> refused;
  // of one log: read, the entries; tail, how many, and perhaps what stands beside them
  std::size_t log = 0;
  std::vector<std::uint64_t> entries;
  std::uint64_t tail = 0;
  std::optional<Fence> fence;
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
