#include "policy/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "policy/json_schema.hpp"
#include "policy/parse.hpp"
#include "policy/yaml_tree.hpp"

namespace gavel {
namespace {

namespace fs = std::filesystem;

fs::path root() {
  return fs::path(__FILE__).parent_path() / "../..";
}

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

bool updating() {
  return std::getenv("GAVEL_UPDATE_DOCS") != nullptr;
}

TEST(PolicyOptions, TheCommittedSchemaIsWhatTheTableSays) {
  const fs::path file = root() / "schema/gavel.schema.json";
  if (updating()) std::ofstream(file, std::ios::binary) << policy_json_schema();
  EXPECT_TRUE(read(file) == policy_json_schema())
      << file << " is not what the table says; run this test with GAVEL_UPDATE_DOCS=1";
}

TEST(PolicyOptions, TheReferenceIsWhatTheTableSays) {
  constexpr std::string_view kBegin = "<!-- reference: made from the option table -->\n";
  constexpr std::string_view kEnd = "<!-- end of reference -->\n";
  const fs::path file = root() / "docs/policy.md";
  std::string page = read(file);
  const auto begin = page.find(kBegin);
  const auto end = page.find(kEnd);
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos) << file;
  const std::string expected =
      page.substr(0, begin + kBegin.size()) + policy_reference() + "\n" + page.substr(end);
  if (updating()) std::ofstream(file, std::ios::binary) << expected;
  EXPECT_TRUE(read(file) == expected)
      << file << " is not what the table says; run this test with GAVEL_UPDATE_DOCS=1";
}

JsonSchema published() {
  SchemaOptions strict;
  strict.strict_keywords = true;
  return JsonSchema::compile(parse_json(policy_json_schema()).value(), strict).value();
}

TEST(PolicyOptions, ExamplesAreAcceptedByTheProgramAndByTheSchema) {
  const JsonSchema schema = published();
  std::size_t seen = 0;
  for (const auto& entry : fs::directory_iterator(root() / "examples")) {
    if (entry.path().extension() != ".yaml") continue;
    ++seen;
    const std::string yaml = read(entry.path());
    const PolicyCheck check = check_policy(yaml, entry.path().filename());
    EXPECT_NE(check.policy, nullptr);
    EXPECT_EQ(check.text(), "");
    std::vector<PolicyProblem> problems;
    const auto valid = schema.validate(to_json(read_yaml(yaml, problems)));
    EXPECT_TRUE(valid) << entry.path() << ": " << valid.error().message;
  }
  EXPECT_GT(seen, 0u);
}

TEST(PolicyOptions, TheSchemaRefusesWhatTheProgramRefuses) {
  const JsonSchema schema = published();
  for (const auto* yaml :
       {"servers: {pg: {tolls: {}}}", "servers: {Pg: {command: [a]}}", "servers: {a: {command: a}}",
        "servers: {a: {command: []}}", "servers: {a: {command: [a], concurrency: 0}}",
        "servers: {a: {command: [a], timeout: 30}}", "rules: [{name: a}]",
        "rules: [{name: a, verdict: maybe}]", "rules: [{name: a, verdict: deny, tools: pg}]",
        "rules: [{name: a, verdict: deny, utc_time: \"1-2\"}]", "budgets: [{name: a, scope: x}]",
        "defaults: {read: yes}", "servers: {a: {command: [b], tools: {t: {effect: reed}}}}",
        "servers: {a: {command: [b], tools: {t: {retries: 11}}}}"}) {
    EXPECT_EQ(check_policy(yaml, "x").policy, nullptr) << yaml;
    std::vector<PolicyProblem> problems;
    EXPECT_FALSE(schema.validate(to_json(read_yaml(yaml, problems)))) << yaml;
  }
}

void check_group(const OptionGroup& group) {
  EXPECT_FALSE(group.doc.empty()) << group.title;
  for (const Option& option : group.options) {
    EXPECT_FALSE(option.doc.empty()) << option.name;
    EXPECT_EQ(option.doc.find('|'), std::string_view::npos) << option.name;
    EXPECT_FALSE(kind_name(option.kind).empty()) << option.name;
    EXPECT_FALSE(option.required && !option.preset.empty()) << option.name;
    const bool nests = option.kind == OptionKind::group || option.kind == OptionKind::groups ||
                       option.kind == OptionKind::groups_by_name;
    EXPECT_EQ(option.group != nullptr, nests) << option.name;
    if (option.group != nullptr) check_group(*option.group);
  }
}

TEST(PolicyOptions, EachIsDocumented) {
  check_group(policy_options());
}

}  // namespace
}  // namespace gavel
