#pragma once
// The reference model: what the durable entries of all logs say, read the naive way, by code that
// shares nothing with fold, decide or react (only the byte codec). It complains of every entry that
// breaks an invariant where it stands, and can be held against a fold of the same prefix.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/entry.hpp"
#include "core/state.hpp"
#include "trace.hpp"

namespace gavel::simulation {

struct ModelIntent {
  IntentProposed proposal;
  Position position;
  Timestamp at;
  Epoch epoch;
  std::optional<Verdict> policy;
  std::optional<Held> held;
  std::set<std::string> confirmed_by;
  std::optional<Ruling> ruling;
  std::uint64_t attempts = 0;
  std::uint64_t token = 0;
  Timestamp attempt_at;
  bool running = false;
  bool unknown = false;
  std::optional<Outcome> outcome;  // the last one
  Position answer;                 // the entry that closed it
  bool delivered = false;
  bool probed = true;  // false: a write that succeeded and was not seen by its probe yet

  bool closed() const { return answer.value > 0; }
  // In the words of core/state.hpp, or ok, failed, aborted.
  std::string phase() const;
};

struct ModelBudget {
  std::map<std::pair<std::string, std::uint64_t>, BudgetReserved> reserved;
  std::uint64_t calls = 0;
  std::int64_t wall_ms = 0;
};

struct ModelSession {
  Position tail;
  Epoch epoch;
  std::uint64_t token = 0;
  std::map<std::uint64_t, ModelIntent> intents;
  std::map<std::string, std::uint64_t> keys;
  std::map<std::string, ModelBudget> budgets;
  Counters counters;
};

struct ModelControl {
  Position tail;
  std::optional<HaltMode> halt;
  std::uint64_t halts = 0;  // raised
  std::uint64_t lifts = 0;
  bool from_outside = false;  // another process raised it
  std::map<std::string, ModelBudget> budgets;
  std::map<std::string, Digest> pins;  // by tool; zero where a person refused what was pinned
};

class Model {
public:
  using Complain = std::function<void(std::string_view oracle, std::string text)>;
  Model(Coverage& coverage, Complain complain)
      : coverage_(coverage), complain_(std::move(complain)) {}

  // The next durable entry of a log.
  void apply(const LogId& log, const Entry& entry);
  // A commit that is durable with all of its append has room in every budget of its tool.
  void check_reserved(const LogId& log, IntentId intent);
  // The word for what differs, or nothing.
  std::optional<std::string> differs(const ModelSession& session, const State& folded) const;

  const std::map<std::string, ModelSession>& sessions() const { return sessions_; }
  const ModelIntent* find(const LogId& session, IntentId intent) const;
  // The mode of the strictest halt in force over a call, and whether the process can know of it.
  struct Covering {
    LogId log;
    HaltMode mode = HaltMode::halt;
    bool from_outside = false;
  };
  std::vector<Covering> halts_over(const LogId& session, const IntentProposed& call) const;
  void came_from_outside(const LogId& control) { control_[control.value].from_outside = true; }
  const std::map<std::string, ModelControl>& control() const { return control_; }

private:
  struct Reader;
  friend struct Reader;

  void reserve(std::map<std::string, ModelBudget>& budgets, const Entry& entry,
               const BudgetReserved& reserved, bool shared);
  void settle(std::map<std::string, ModelBudget>& budgets, const Entry& entry,
              const BudgetSettled& settled);
  void apply_control(const LogId& log, const Entry& entry);
  void wrong(std::string_view oracle, const LogId& log, const Entry& entry, std::string_view what);

  Coverage& coverage_;
  Complain complain_;
  std::map<std::string, ModelSession> sessions_;
  std::map<std::string, ModelControl> control_;
  LogId log_;  // of the entry that is being applied
};

}  // namespace gavel::simulation
