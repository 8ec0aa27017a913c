#include "coverage.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/entry.hpp"
#include "core/state.hpp"
#include "plan.hpp"
#include "runtime/harness.hpp"
#include "sim_net.hpp"

namespace gavel::simulation {
namespace {

constexpr std::array kExemptions = {
    Exemption{"code: internal", "a bug that was contained; every run looks for it"},
    Exemption{"entry: task", "no server of the world offers tasks"},
    Exemption{"origin: *", "no rule of the world asks where arguments come from"},
    Exemption{"intent: * -> proposed", "an intent is proposed once"},
    Exemption{"intent: proposed -> [iuof]*", "nothing runs before its decision"},
    Exemption{"intent: held -> [iuof]*", "nothing runs before its decision"},
    Exemption{"intent: committed -> [hau]*", "a commit is final, and nothing ran that is unknown"},
    Exemption{"intent: committed -> ok", "nothing ran"},
    Exemption{"intent: in_flight -> [hca]*", "what runs was decided"},
    Exemption{"intent: unknown -> [hca]*", "what may have run was decided"},
    Exemption{"outcome: ok by recovery", "who finds a lost call knows only that it was lost"},
    Exemption{"outcome: unknown by probe", "a probe that cannot tell gives no outcome"},
    Exemption{"outcome: unknown by person", "a person says what happened"},
};

// What no enum says. Of errors and of codes of aborts and votes, where they have to turn up.
constexpr std::array kOwn = {
    "abort: budget_exhausted",
    "abort: cancelled",
    "abort: denied",
    "abort: halted",
    "abort: timeout",
    "agent: a tool that does not exist",
    "agent: a zombie learns that it is one",
    "agent: accepts a tool and may not",
    "agent: asks again",
    "agent: halts everything and may not",
    "agent: never reports",
    "agent: has a token that nobody knows and may not",
    "agent: resolves and may not",
    "agent: resumes everything and may not",
    "agent: votes and may not",
    "answer: by another number",
    "answer: granted",
    "answer: pending",
    "answer: refused",
    "answer: refused as budget_exhausted",
    "answer: refused as denied",
    "answer: refused as halted",
    "answer: refused as timeout",
    "answer: refused as unavailable",
    "answer: replayed",
    "answer: result",
    "answer: the gateway stops",
    "checks: chains",
    "checks: contents through the gateway",
    "checks: reads sent",
    "checks: replicas",
    "checks: writes sent",
    "client: calls (legacy)",
    "client: calls (modern)",
    "client: initializes",
    "client: is answered with a stream",
    "client: its connection broke",
    "client: its session is ended",
    "client: its session is gone",
    "client: its session outlives the daemon",
    "client: waits no longer",
    "clock: jumps",
    "disk: a bit flips",
    "disk: a crash keeps what nobody was told of",
    "disk: a crash loses what was not synced",
    "disk: a damaged record is refused",
    "disk: a damaged snapshot is refused",
    "disk: a snapshot is damaged",
    "disk: a sync fails",
    "disk: a sync stalls",
    "disk: a torn write is cut off",
    "disk: a write has a hole",
    "disk: a write is cut short",
    "disk: full",
    "disk: refuses as busy",
    "error: busy",
    "error: invalid_argument",
    "error: key_reused",
    "error: not_found",
    "error: stale_epoch",
    "error: storage_failed",
    "error: unavailable",
    "halt: by another process",
    "log: a guard refuses",
    "network: a message in pieces",
    "network: delivers twice (agents)",
    "network: delivers twice (people)",
    "network: nobody listens",
    "payload: a large result",
    "payload: a result over its limit",
    "payload: large arguments",
    "person: a prompt",
    "person: accepts a tool",
    "person: another policy",
    "person: attaches what is there",
    "person: refuses a tool",
    "pin: pinned -> pinned",
    "pin: pinned -> unseen",
    "pin: unseen -> pinned",
    "process: cannot start",
    "process: restarted after its store failed",
    "process: restarted with a restored disk",
    "process: stops in order",
    "refused: permission_denied",
    "refused: stale_epoch",
    "server: a probe lags behind",
    "server: a read gets no answer",
    "server: an idempotent call again",
    "vote: busy",
    "vote: conflict",
    "vote: halted",
    "vote: permission_denied",
    "vote: storage_failed",
    "wake: by another process",
    "web server: answers with a stream",
    "web server: discovered",
    "web server: initialized",
};

// The names of an enum's values begin with the type's; a number that none has is a cast.
template <auto kValue>
consteval bool is_named() {
  return std::string_view(__PRETTY_FUNCTION__).find("= (") == std::string_view::npos;
}

template <typename Enum, std::size_t kAt = 0>
consteval std::size_t size_of() {
  if constexpr (is_named<static_cast<Enum>(kAt)>()) {
    return size_of<Enum, kAt + 1>();
  } else {
    return kAt;
  }
}
static_assert(size_of<Verdict>() == 4 && size_of<StepKind>() == kStepKinds);
// Whose names are among kOwn.
static_assert(size_of<AnswerKind>() == 4);

template <typename Enum>
std::vector<std::string_view> names_of() {
  std::vector<std::string_view> out;
  for (std::size_t i = 0; i < size_of<Enum>(); ++i) {
    out.push_back(to_string(static_cast<Enum>(i)));
  }
  return out;
}

class Derived {
public:
  Derived() {
    add_kinds(std::make_index_sequence<std::variant_size_v<Body>>());
    group<ErrorCode>("code");
    group<Role>("author");
    group<Effect>("effect");
    group<KeySource>("key");
    group<Verdict>("policy");
    group<HoldReason>("held");
    group<ProbeVerdict>("probe");
    group<Origin>("origin");
    group<StepKind>("step");
    group<ServerFault>("server");
    auto ends = names_of<Phase>();
    for (const auto end : names_of<Final>()) ends.push_back(end);
    arrows("intent", names_of<Phase>(), ends);
    auto modes = names_of<HaltMode>();
    modes.push_back("running");
    arrows("halt", modes, modes);
    for (const auto kind : names_of<OutcomeKind>()) {
      for (const auto source : names_of<OutcomeSource>()) {
        names_.push_back(fmt::format("outcome: {} by {}", kind, source));
      }
    }
    for (const auto fault : names_of<NetFault>()) {
      for (const auto link : names_of<Link>()) {
        names_.push_back(fmt::format("network: {} ({})", fault, link));
      }
    }
  }
  std::vector<std::string> take() { return std::move(names_); }

private:
  template <std::size_t... kIndex>
  void add_kinds(std::index_sequence<kIndex...> /*all*/) {
    (add_kind<std::variant_alternative_t<kIndex, Body>>(), ...);
  }
  template <typename Kind>
  void add_kind() {
    // What this build cannot read is no kind of its own.
    if constexpr (!std::is_same_v<Kind, UnknownEntry>) {
      names_.push_back(fmt::format("entry: {}", Kind::kName));
    }
  }
  template <typename Enum>
  void group(std::string_view name) {
    for (const auto value : names_of<Enum>()) names_.push_back(fmt::format("{}: {}", name, value));
  }
  void arrows(std::string_view machine, const std::vector<std::string_view>& from,
              const std::vector<std::string_view>& to) {
    for (const auto before : from) {
      for (const auto after : to) {
        if (before != after) names_.push_back(fmt::format("{}: {} -> {}", machine, before, after));
      }
    }
  }

  std::vector<std::string> names_;
};

bool is_exempt(const std::string& name) {
  return std::any_of(kExemptions.begin(), kExemptions.end(), [&](const Exemption& exemption) {
    return fnmatch(std::string(exemption.names).c_str(), name.c_str(), 0) == 0;
  });
}

}  // namespace

void count_code(Coverage& coverage, std::string_view code) {
  ++coverage[fmt::format("code: {}", code)];
}

std::span<const Exemption> exemptions() {
  return kExemptions;
}

std::vector<std::string> coverage_derived() {
  return Derived().take();
}

std::vector<std::string> coverage_expected() {
  std::vector<std::string> out = coverage_derived();
  std::erase_if(out, is_exempt);
  out.insert(out.end(), kOwn.begin(), kOwn.end());
  return out;
}

std::vector<std::string> coverage_gaps(const Coverage& coverage) {
  std::vector<std::string> out;
  for (const auto& name : coverage_expected()) {
    if (!coverage.contains(name)) out.push_back("NEVER REACHED: " + name);
  }
  for (const auto& name : coverage_derived()) {
    if (is_exempt(name) && coverage.contains(name)) {
      out.push_back("REACHED, AND EXEMPTED: " + name);
    }
  }
  return out;
}

}  // namespace gavel::simulation
