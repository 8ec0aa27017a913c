#include "workload.hpp"

#include <algorithm>
#include <array>

#include "base/json.hpp"

namespace gavel::simulation {
namespace {

constexpr std::array<ToolFacts, 11> kTools = {{
    {"bank__transfer", Effect::write, Verdict::allow, false, 1, false},
    {"bank__put", Effect::write, Verdict::allow, true, 4, false},
    {"bank__book", Effect::write, Verdict::allow, false, 1, true},
    {"bank__sell", Effect::write, Verdict::ask, false, 1, false},
    {"bank__close", Effect::destructive, Verdict::two_step, false, 1, true},
    {"bank__erase", Effect::irreversible, Verdict::deny, false, 1, false},
    {"bank__balance", Effect::read, Verdict::allow, true, 3, false},
    {"bank__booked", Effect::read, Verdict::allow, true, 1, false},
    {"mail__send", Effect::write, Verdict::allow, false, 1, false},
    {"mail__purge", Effect::destructive, Verdict::two_step, false, 1, false},
    {"own__shell", Effect::write, Verdict::allow, false, 1, false},
}};

constexpr std::array<BudgetFacts, 4> kBudgets = {{
    {"transfers", BudgetScope::session, "bank__transfer", 4, 0},
    {"mails", BudgetScope::everything, "mail__send", 6, 0},
    {"puts", BudgetScope::agent, "bank__put", 7, 0},
    {"booking", BudgetScope::session, "bank__book", 0, 30'000},
}};

// mail__purge is not listed, and so destructive.
constexpr std::string_view kPolicy = R"(
servers:
  bank:
    command: [bank]
    timeout: 5s
    tools:
      transfer: {effect: write}
      put: {effect: write, idempotent: true, retries: 3}
      book:
        effect: write
        probe: &probe
          tool: bank__booked
          arguments: {ref: "${args.ref}"}
          happened: {properties: {content: {contains: {properties: {text: {const: "yes"}}}}}}
          absent: {properties: {content: {contains: {properties: {text: {const: "no"}}}}}}
      sell: {effect: write}
      close: {effect: destructive, probe: *probe}
      erase: {effect: irreversible}
      balance: {effect: read, retries: 2}
      booked: {effect: read}
  mail:
    command: [mail]
    timeout: 5s
    result_limit: 16000
    tools:
      send: {effect: write}
defaults:
  read: allow
  write: allow
  destructive: two_step
  irreversible: two_step
  two_step_delay: 20s
  hold_for: 2m
rules:
  - {name: people sell, tools: [bank__sell], verdict: ask}
  - {name: nobody erases, tools: [bank__erase], verdict: deny}
  - {name: shells, tools: [own__shell], verdict: allow}
  - name: deployments
    tools: [own__shell]
    arguments: {required: [command], properties: {command: {pattern: "^deploy"}}}
    verdict: ask
  - name: large amounts
    tools: [bank__transfer, bank__put]
    arguments: {required: [amount], properties: {amount: {exclusiveMinimum: 900}}}
    verdict: ask
budgets:
  - {name: transfers, scope: session, tools: [bank__transfer], calls: 4}
  - {name: mails, scope: everything, tools: [mail__send], calls: 6}
  - {name: puts, scope: agent, tools: [bank__put], calls: 7}
  - {name: booking, scope: session, tools: [bank__book], wall_clock: 30s}
)";

}  // namespace

std::span<const ToolFacts> tools() {
  return kTools;
}

const ToolFacts* find_tool(std::string_view name) {
  const auto found = std::find_if(kTools.begin(), kTools.end(),
                                  [&](const ToolFacts& tool) { return tool.name == name; });
  return found == kTools.end() ? nullptr : &*found;
}

Verdict verdict_of(const ToolFacts& tool, const std::string& arguments) {
  const auto parsed = parse_json(arguments);
  if (!parsed) return tool.verdict;
  const bool watched = tool.name == "bank__transfer" || tool.name == "bank__put";
  const bool deploys = string_or(*parsed, "command").starts_with("deploy");
  const bool asks = (watched && int_or(*parsed, "amount", 0) > kAsksAbove) || deploys;
  return asks ? Verdict::ask : tool.verdict;
}

std::span<const BudgetFacts> budgets() {
  return kBudgets;
}

std::string policy_text(PolicyEdition edition) {
  std::string text(kPolicy);
  if (edition == PolicyEdition::first) return text;
  constexpr std::string_view kTimeout = "timeout: 5s";
  return text.replace(text.rfind(kTimeout), kTimeout.size(), "timeout: 6s");
}

}  // namespace gavel::simulation
