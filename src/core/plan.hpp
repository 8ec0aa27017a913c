#pragma once
// Builds a plan: entries of one session in order, each stamped with the command's time and the
// session's epoch, and entries of control logs beside them. Private to core.

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "core/decide.hpp"

namespace gavel {

// Spans as entries may carry them: policies and clients can say anything.
inline constexpr Duration kSpanMax{100LL * 366 * 86'400'000};
inline Duration bounded(Duration span) {
  return std::clamp(span, Duration{0}, kSpanMax);
}

class PlanBuilder {
public:
  PlanBuilder(const State& state, Timestamp now)
      : tail_(state.tail), epoch_(state.epoch), now_(now) {
    plan_.entries.reserve(kEntriesOfACall);
  }

  void epoch(Epoch epoch) { epoch_ = epoch; }

  // Returns the position that the entry will have.
  Position add(Role role, std::string_view author, Body body) {
    plan_.entries.push_back(entry(role, author, epoch_, std::move(body)));
    return tail_.plus(plan_.entries.size());
  }
  void add_control(const LogId& log, Role role, std::string_view author, Body body) {
    for (auto& append : plan_.control) {
      if (append.log == log) {
        append.entries.push_back(entry(role, author, Epoch{}, std::move(body)));
        return;
      }
    }
    plan_.control.push_back({log, {}});
    plan_.control.back().entries.push_back(entry(role, author, Epoch{}, std::move(body)));
  }
  void guard(const std::vector<ControlPosition>& positions) { plan_.guards = positions; }
  Plan take() { return std::move(plan_); }

private:
  // An intent, its votes, its decision, an attempt.
  static constexpr std::size_t kEntriesOfACall = 4;

  Entry entry(Role role, std::string_view author, Epoch epoch, Body body) const {
    Entry made;
    made.epoch = epoch;
    made.at = now_;
    made.author = Principal{std::string(author)};
    made.role = role;
    made.body = std::move(body);
    return made;
  }

  Position tail_;
  Epoch epoch_;
  Timestamp now_;
  Plan plan_;
};

}  // namespace gavel
