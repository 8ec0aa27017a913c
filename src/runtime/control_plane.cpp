#include "runtime/control_plane.hpp"

#include <fmt/format.h>

#include <array>

#include "core/codec.hpp"
#include "core/fold.hpp"
#include "core/rights.hpp"
#include "runtime/append.hpp"
#include "runtime/harness.hpp"

namespace gavel {
namespace {

constexpr std::array<std::string_view, 4> kScopeKinds = {"agent", "toolset", "session", "tenant"};

// Whether the entry ends the halt, or makes a freeze of it.
bool loosens(const Halt& halt, const Body& body) {
  if (std::holds_alternative<HaltLifted>(body)) return true;
  const auto* raised = std::get_if<HaltRaised>(&body);
  return raised != nullptr && raised->mode == HaltMode::freeze && halt.mode == HaltMode::halt;
}

}  // namespace

Result<LogId> control_log_of(const std::string& scope) {
  if (scope == "everything") return kEverything;
  for (const auto kind : kScopeKinds) {
    const std::string prefix = fmt::format("{}:", kind);
    if (scope.starts_with(prefix) && scope.size() > prefix.size()) {
      LogId log{fmt::format("control/{}/{}", kind, scope.substr(prefix.size()))};
      TRY(check_log_name(log));
      return log;
    }
  }
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("no scope \"{}\"; use everything, agent:NAME, toolset:NAME, session:NAME or "
                  "tenant:NAME",
                  scope));
}

std::string scope_of(const LogId& control_log) {
  std::string name =
      control_log.value.substr(std::min(kControlPrefix.size(), control_log.value.size()));
  const auto slash = name.find('/');
  if (slash != std::string::npos) name[slash] = ':';
  return name;
}

Status ControlPlane::load() {
  LogId after;
  for (;;) {
    ASSIGN_OR_RETURN(const auto heads, log_.list(kControlPrefix, after, 256));
    if (heads.empty()) return {};
    for (const auto& head : heads) TRY(refresh(head.log));
    after = heads.back().log;
  }
}

Status ControlPlane::refresh(const LogId& log) {
  ControlState& folded = state(log);
  for (;;) {
    ASSIGN_OR_RETURN(const auto stored, log_.read(log, folded.tail.next()));
    if (stored.empty()) return {};
    for (const auto& record : stored) {
      ASSIGN_OR_RETURN(const auto entry, decode(record.position, record.bytes));
      fold(folded, entry);
    }
  }
}

Status ControlPlane::catch_up(const LogId& session, const Principal& agent,
                              std::string_view toolset) {
  const ControlView view = view_of(session, agent, toolset, {});
  for (const auto* scope : view.scopes) {
    ASSIGN_OR_RETURN(const auto head, log_.head(scope->log));
    if (head.durable > scope->tail) TRY(refresh(scope->log));
  }
  return {};
}

Status check_session_name(const LogId& session) {
  TRY(check_log_name(session));
  if (session.value.starts_with(kControlPrefix)) {
    return fail(ErrorCode::invalid_argument,
                "a session's name does not start with \"control/\": those are control logs");
  }
  if (session.value.size() > kSessionNameMax) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("a session's name has {} characters at most", kSessionNameMax));
  }
  return {};
}

Status ControlPlane::append(ControlState& state, std::vector<Entry> entries, Random& random,
                            OnDurable on_durable) {
  Append append;
  append.id = random_append_id(random);
  AppendPart part;
  part.log = state.log;
  part.expected_tail = state.tail;
  Position position = state.tail;
  for (auto& entry : entries) {
    position = position.next();
    entry.position = position;
    TRY(check_rights(entry));
    externalize(entry, append.blobs);
    part.raises_barrier |= raises_barrier(entry.body);
    part.entries.push_back(encode(entry));
  }
  append.parts.push_back(std::move(part));
  const auto sequenced = log_.append(std::move(append), std::move(on_durable));
  if (!sequenced) return std::unexpected(sequenced.error());
  for (const auto& entry : entries) {
    if (state.halt && loosens(*state.halt, entry.body)) {
      lifting_.try_emplace(state.log, Lifting{state, {}}).first->second.lift = entry.position;
    }
    fold(state, entry);
  }
  return {};
}

const ControlState* ControlPlane::still_halted(const LogId& log) {
  const auto lifting = lifting_.find(log);
  if (lifting == lifting_.end()) return nullptr;
  const auto head = log_.head(log);
  if (!head || head->durable < lifting->second.lift) return &lifting->second.before;
  lifting_.erase(lifting);
  return nullptr;
}

ControlState& ControlPlane::state(const LogId& log) {
  const auto [found, inserted] = states_.try_emplace(log);
  if (inserted) found->second.log = log;
  return found->second;
}

ControlView ControlPlane::view_of(const LogId& session, const Principal& agent,
                                  std::string_view toolset, const std::vector<BudgetClaim>& claims,
                                  Lifts lifts) {
  std::size_t unwritten = 0;
  const auto peek = [&](const LogId& log) -> const ControlState* {
    if (lifts == Lifts::durable) {
      if (const ControlState* halted = still_halted(log)) return halted;
    }
    const auto found = states_.find(log);
    if (found != states_.end()) return &found->second;
    if (unwritten == unwritten_.size()) unwritten_.emplace_back();
    ControlState& empty = unwritten_[unwritten++];
    empty.log = log;
    return &empty;
  };
  ControlView view;
  view.scopes.reserve(4);
  const auto cover = [&](std::string_view kind, std::string_view name) {
    scope_.value.assign(kControlPrefix).append(kind).append(name);
    view.scopes.push_back(peek(scope_));
  };
  view.scopes.push_back(peek(kEverything));
  cover("agent/", agent.value);
  cover("toolset/", toolset);
  cover("session/", session.value);
  view.claims = claims;
  for (const auto& claim : claims) {
    if (!claim.log.empty()) view.budgets.push_back(peek(claim.log));
  }
  return view;
}

}  // namespace gavel
