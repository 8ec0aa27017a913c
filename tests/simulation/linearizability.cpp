#include "linearizability.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace gavel::simulation {
namespace {

using State = std::vector<std::uint64_t>;

// Whether the operation's answer is the one that the object gives in `state`, which it may change.
bool applies(const LogOperation& operation, State& state) {
  switch (operation.kind) {
    case LogOperation::Kind::append: {
      const bool fits = state.size() == operation.expected_tail;
      if (operation.returned && operation.accepted != fits) return false;
      if (fits) state.push_back(operation.entry);
      return true;
    }
    case LogOperation::Kind::read:
      return !operation.returned || operation.entries == state;
    case LogOperation::Kind::tail:
      return !operation.returned || operation.tail == state.size();
  }
  return false;
}

class Search {
public:
  Search(const std::vector<LogOperation>& history, std::uint64_t tries_max)
      : history_(history), tries_max_(tries_max), done_(history.size(), false) {}

  Judgement run() {
    Judgement judgement;
    const bool found = extend({});
    judgement.tried = tried_;
    if (found) return judgement;
    judgement.verdict = tried_ >= tries_max_ ? Linearity::gave_up : Linearity::not_linearizable;
    judgement.explanation = "the longest order that was found:\n";
    for (const auto index : longest_) judgement.explanation += describe(history_[index]) + "\n";
    judgement.explanation += "nothing of this can follow:\n";
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (std::find(longest_.begin(), longest_.end(), i) == longest_.end()) {
        judgement.explanation += describe(history_[i]) + "\n";
      }
    }
    return judgement;
  }

private:
  // What is called after another's return cannot come before it.
  std::uint64_t first_return() const {
    std::uint64_t first = UINT64_MAX;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (!done_[i] && history_[i].returned) first = std::min(first, *history_[i].returned);
    }
    return first;
  }

  bool extend(const State& state) {
    const std::uint64_t first = first_return();
    if (first == UINT64_MAX) return true;  // what is left may never have happened
    if (!seen_.emplace(done_, state).second) return false;
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (done_[i] || history_[i].called > first) continue;
      if (++tried_ >= tries_max_) return false;
      State next = state;
      if (!applies(history_[i], next)) continue;
      done_[i] = true;
      order_.push_back(i);
      if (order_.size() > longest_.size()) longest_ = order_;
      if (extend(next)) return true;
      order_.pop_back();
      done_[i] = false;
    }
    return false;
  }

  const std::vector<LogOperation>& history_;
  const std::uint64_t tries_max_;
  std::vector<bool> done_;
  std::set<std::pair<std::vector<bool>, State>> seen_;
  std::vector<std::size_t> order_;
  std::vector<std::size_t> longest_;
  std::uint64_t tried_ = 0;
};

}  // namespace

std::string describe(const LogOperation& operation) {
  const std::string when = operation.returned
                               ? fmt::format("[{}, {}]", operation.called, *operation.returned)
                               : fmt::format("[{}, never]", operation.called);
  switch (operation.kind) {
    case LogOperation::Kind::append:
      return fmt::format("{} append {} at {}: {}", when, operation.entry, operation.expected_tail,
                         !operation.returned  ? "unknown"
                         : operation.accepted ? "accepted"
                                              : "refused");
    case LogOperation::Kind::read:
      return fmt::format("{} read: {}", when, fmt::join(operation.entries, " "));
    case LogOperation::Kind::tail:
      return fmt::format("{} tail: {}", when, operation.tail);
  }
  return when;
}

Judgement judge(const std::vector<LogOperation>& history, std::uint64_t tries_max) {
  return Search(history, tries_max).run();
}

}  // namespace gavel::simulation
