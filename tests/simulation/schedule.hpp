#pragma once
// What the world will do, by time: disks that finish, messages that arrive, people who look. What
// is due at the same moment happens in the order in which it was asked for.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "machine.hpp"

namespace gavel::simulation {

class Schedule {
public:
  using Work = std::move_only_function<void()>;

  void after(Instant span, Work work) {
    due_.emplace(std::pair{machine::now() + span, ++number_}, std::move(work));
  }
  std::optional<Instant> next() const {
    if (due_.empty()) return std::nullopt;
    return due_.begin()->first.first;
  }
  // Does what is due first. There is something.
  void run_one() {
    Work work = std::move(due_.begin()->second);
    due_.erase(due_.begin());
    work();
  }

private:
  std::map<std::pair<Instant, std::uint64_t>, Work> due_;
  std::uint64_t number_ = 0;
};

}  // namespace gavel::simulation
