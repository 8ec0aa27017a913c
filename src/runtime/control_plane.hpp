#pragma once
// The control plane: the folded states of all control logs (control/everything, control/agent/...,
// ...). They are few and small, so all of them stay in memory. A session's decision asks view_of
// for what covers its call.

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "core/decide.hpp"
#include "log/log.hpp"
#include "runtime/clock.hpp"

namespace gavel {

inline constexpr std::string_view kControlPrefix = "control/";
inline const LogId kEverything{"control/everything"};

// A session's name: a valid log name, outside the control logs, and short enough that the session
// has a control log of its own, or it could not be halted. invalid_argument for any other.
Status check_session_name(const LogId& session);
inline constexpr std::size_t kSessionNameMax = 240;

// Which ends of halts count: those that were sequenced, for what is appended behind them, or those
// that are durable, for what is sent (an append may still fail, and then the halt never ended).
enum class Lifts { sequenced, durable };

class ControlPlane {
public:
  // `log` must outlive this.
  explicit ControlPlane(Log& log) : log_(log) {}

  // Folds every control log of the store. Errors: those of Log::read, and corrupted.
  Status load();
  // Folds what others appended to one log since; after a conflict or a refused guard.
  Status refresh(const LogId& log);
  // The same of the scopes that cover a call, where another process appended to one of them.
  Status catch_up(const LogId& session, const Principal& agent, std::string_view toolset);

  // Appends to a control log, folds once it is sequenced. Errors: those of Log::append.
  Status append(ControlState& state, std::vector<Entry> entries, Random& random,
                OnDurable on_durable);

  // The state of a control log; an empty one where nothing was written yet. Stable until this is
  // destroyed.
  ControlState& state(const LogId& log);
  const std::map<LogId, ControlState>& states() const { return states_; }

  // The scopes that cover a call, and the budgets that its claims name. Valid until the next call
  // of view_of: scopes that nobody ever wrote to are not kept.
  ControlView view_of(const LogId& session, const Principal& agent, std::string_view toolset,
                      const std::vector<BudgetClaim>& claims, Lifts lifts = Lifts::sequenced);

private:
  struct Lifting {
    ControlState before;  // with its halt
    Position lift;        // of the last one
  };
  // The state with the halt whose end is not durable yet; null where there is none.
  const ControlState* still_halted(const LogId& log);

  Log& log_;
  std::map<LogId, ControlState> states_;
  std::map<LogId, Lifting> lifting_;    // halts whose end, or loosening, is not durable yet
  std::deque<ControlState> unwritten_;  // empty but for their names; reused by view_of
  LogId scope_;                         // view_of's
};

}  // namespace gavel
