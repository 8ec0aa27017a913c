// Any text as a policy file:
//   - it is a policy or has an error with its place, never both, and never an exception;
//   - read again it is the same, and what it says of calls does not change;
//   - what it accepts, the JSON Schema for editors accepts;
//   - no rule lets a call pass that another denies, and nobody is shown a tool they may never call.
#include <algorithm>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "bytes.hpp"
#include "policy/json_schema.hpp"
#include "policy/options.hpp"
#include "policy/parse.hpp"
#include "policy/yaml_tree.hpp"

namespace {

using namespace gavel;

const JsonSchema& editor_schema() {
  static const JsonSchema schema =
      JsonSchema::compile(parse_json(policy_json_schema()).value()).value();
  return schema;
}

void check_problems(const PolicyCheck& check, std::size_t lines) {
  const bool broken = std::ranges::any_of(check.problems, [](const PolicyProblem& problem) {
    return problem.severity == PolicyProblem::Severity::error;
  });
  ASSERT(broken == (check.policy == nullptr));
  for (const auto& problem : check.problems) {
    ASSERT(!problem.message.empty() && problem.line >= 0 && problem.column >= 0);
    ASSERT(static_cast<std::size_t>(problem.line) <= lines + 1);
    const auto text = to_text(problem, check.file_name);
    ASSERT(is_valid_utf8(text) && text.find('\0') == std::string::npos);
  }
}

void check_calls(const Policy& policy) {
  const json::value arguments = json::object{
      {"sql", "DELETE FROM t"}, {"path", "/etc/passwd"}, {"amount", 5}, {"command", "rm -rf /"}};
  std::vector<std::string> tools{"nobody__lists", "own__shell"};
  for (const auto& server : policy.servers()) {
    for (const auto& [name, tool] : server.tools) tools.push_back(tool_name(server.name, name));
  }
  if (tools.size() > 8) tools.resize(8);
  for (const auto& name : tools) {
    Call call;
    call.principal = Principal{"agent"};
    call.session = LogId{"s"};
    call.tool = name;
    call.arguments = &arguments;
    call.now = Timestamp{1'700'000'000'000};
    const auto assessment = policy.assess(call);
    const auto explained = policy.explain(call);
    ASSERT(explained.assessment == assessment);
    ASSERT(!assessment.reason.empty());
    for (const auto& rule : explained.rules) {
      if (rule.matched) ASSERT(assessment.verdict >= rule.verdict);
    }
    ASSERT(policy.may_ever_call(call.principal, name) || assessment.verdict == Verdict::deny);
    ASSERT(assessment.attempts_max >= 1);
    ASSERT(assessment.attempts_max == 1 || assessment.idempotent ||
           assessment.effect == Effect::read);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::text_of(data, size));
  const auto check = check_policy(text, "gavel.yaml");
  const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) +
                     static_cast<std::size_t>(std::ranges::count(text, '\r')) + 1;
  check_problems(check, lines);
  const auto again = check_policy(text, "gavel.yaml");
  ASSERT(again.problems == check.problems);
  std::vector<PolicyProblem> problems;
  const auto tree = read_yaml(text, problems);
  (void)to_json(tree);
  if (!check.policy) return 0;
  ASSERT(check.policy->source() == text && check.policy->version() == again.policy->version());
  check_calls(*check.policy);
  const auto value = to_json(tree);
  if (value.is_object()) ASSERT(editor_schema().validate(value).has_value());
  return 0;
}
