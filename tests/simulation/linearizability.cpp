#include "linearizability.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

namespace gavel::simulation {
namespace {

using Kind = LogOperation::Kind;
using Refusal = LogOperation::Refusal;

struct JudgedLog {
  std::vector<std::uint64_t> entries;
  LogOperation::Fence fence;
  bool operator==(const JudgedLog&) const = default;
  bool operator<(const JudgedLog& other) const {
    return std::tie(entries, fence.epoch, fence.barrier) <
           std::tie(other.entries, other.fence.epoch, other.fence.barrier);
  }
};
using State = std::array<JudgedLog, kJudgedLogs>;

// Whether the state refuses the append for this.
bool refuses(const State& state, const LogOperation& append, Refusal why) {
  if (why == Refusal::guard) {
    return std::ranges::any_of(append.guards, [&](const LogOperation::Guard& guard) {
      return state[guard.log].fence.barrier != guard.barrier;
    });
  }
  return std::ranges::any_of(append.parts, [&](const LogOperation::Part& part) {
    const JudgedLog& log = state[part.log];
    const bool lost = part.elects && part.epoch != log.fence.epoch + 1;
    const bool over = !part.elects && part.epoch != log.fence.epoch;
    return why == Refusal::epoch ? over : lost || part.expected_tail != log.entries.size();
  });
}

// Whether the operation's answer is the one that the object gives in `state`, which it may change.
bool applies(const LogOperation& operation, State& state) {
  if (operation.kind == Kind::append) {
    if (operation.refused) return refuses(state, operation, *operation.refused);
    for (const auto why : {Refusal::tail, Refusal::epoch, Refusal::guard}) {
      // What nobody was told of may as well have been refused.
      if (refuses(state, operation, why)) return !operation.returned;
    }
    for (const auto& part : operation.parts) {
      state[part.log].entries.push_back(part.entry);
      state[part.log].fence.epoch = part.epoch;
      state[part.log].fence.barrier += part.raises_barrier ? 1 : 0;
    }
    return true;
  }
  if (!operation.returned) return true;
  const JudgedLog& log = state[operation.log];
  if (operation.kind == Kind::read) return operation.entries == log.entries;
  return operation.tail == log.entries.size() &&
         (!operation.fence || *operation.fence == log.fence);
}

bool changes_nothing(const LogOperation& operation) {
  return operation.kind != Kind::append || operation.refused;
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
    // What changes nothing and can come now need not be tried later: no order becomes impossible.
    for (const bool looks : {true, false}) {
      for (std::size_t i = 0; i < history_.size(); ++i) {
        if (done_[i] || history_[i].called > first) continue;
        if (changes_nothing(history_[i]) != looks) continue;
        if (++tried_ >= tries_max_) return false;
        State next = state;
        if (!applies(history_[i], next)) continue;
        if (take(i, next)) return true;
        if (looks) return false;
      }
    }
    return false;
  }

  bool take(std::size_t index, const State& next) {
    done_[index] = true;
    order_.push_back(index);
    if (order_.size() > longest_.size()) longest_ = order_;
    if (extend(next)) return true;
    order_.pop_back();
    done_[index] = false;
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
    case Kind::append: {
      constexpr std::array<std::string_view, 3> kWhy = {"tail", "epoch", "guard"};
      std::string text = when + " append";
      for (const auto& part : operation.parts) {
        text += fmt::format(" {} at {}:{} {} epoch {}{}", part.entry, part.log, part.expected_tail,
                            part.elects ? "elects" : "in", part.epoch,
                            part.raises_barrier ? ", raises" : "");
      }
      for (const auto& guard : operation.guards) {
        text += fmt::format(" if {} is at barrier {}", guard.log, guard.barrier);
      }
      if (operation.refused) {
        return fmt::format("{}: refused for its {}", text,
                           kWhy[static_cast<std::size_t>(*operation.refused)]);
      }
      return text + (operation.returned ? ": accepted" : ": unknown");
    }
    case Kind::read:
      return fmt::format("{} read {}: {}", when, operation.log, fmt::join(operation.entries, " "));
    case Kind::tail:
      return fmt::format("{} tail of {}: {}{}", when, operation.log, operation.tail,
                         operation.fence
                             ? fmt::format(", epoch {}, barrier {}", operation.fence->epoch,
                                           operation.fence->barrier)
                             : "");
  }
  return when;
}

Judgement judge(const std::vector<LogOperation>& history, std::uint64_t tries_max) {
  return Search(history, tries_max).run();
}

}  // namespace gavel::simulation
