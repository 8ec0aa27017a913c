// What is written about the command line, compared with what it is. GAVEL_UPDATE_DOCS=1 writes
// docs/cli.md anew.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "cli/commands.hpp"
#include "cli/completion.hpp"
#include "cli/discovery.hpp"
#include "cli/help.hpp"
#include "cli/parser.hpp"

namespace gavel {
namespace {

using ::testing::HasSubstr;

std::filesystem::path docs() {
  return std::filesystem::path(__FILE__).parent_path() / "../../docs";
}

TEST(Reference, IsWhatTheDeclarationsSay) {
  Globals globals;
  const auto page = reference_page(make_tree(globals));
  const auto file = docs() / "cli.md";
  if (std::getenv("GAVEL_UPDATE_DOCS") != nullptr) {
    ASSERT_TRUE(write_text_file(file, page, 0644, Replace::yes).has_value());
  }
  EXPECT_TRUE(read_text_file(file).value_or("") == page)
      << file << " is not what the declarations say; run this test with GAVEL_UPDATE_DOCS=1";
}

TEST(ExitCodes, AreDocumentedAsTheTableOfErrorsHasThem) {
  const auto page = read_text_file(docs() / "exit-codes.md").value();
  for (auto code = ErrorCode::invalid_argument; code <= ErrorCode::internal;
       code = static_cast<ErrorCode>(static_cast<int>(code) + 1)) {
    const auto& row = mapping(code);
    EXPECT_THAT(page, HasSubstr(fmt::format("| {} | `{}` | {} |", row.exit_code, row.name,
                                            row.http_status)));
  }
}

void check_tree(const Command& command, const std::string& path) {
  EXPECT_FALSE(command.summary.empty()) << path;
  EXPECT_TRUE(!command.subcommands.empty() || command.run) << path;
  EXPECT_FALSE(command.summary.ends_with('.')) << path;
  std::set<std::string> names;
  for (const auto& option : command.options) {
    EXPECT_TRUE(names.insert(option.names).second) << path << " " << option.names;
    EXPECT_FALSE(option.help.empty()) << path << " " << option.names;
    EXPECT_EQ(std::holds_alternative<bool*>(option.target), option.value.empty())
        << path << " " << option.names;
  }
  for (const auto& sub : command.subcommands) check_tree(sub, path + " " + sub.name);
}

TEST(Tree, DeclaresEveryCommandWhole) {
  Globals globals;
  check_tree(make_tree(globals), "gavel");
}

TEST(Tree, HasAHelpPageForEveryCommand) {
  Globals globals;
  const auto tree = make_tree(globals);
  for (const auto& command : tree.subcommands) {
    EXPECT_THAT(help_page(tree, {command.name}), HasSubstr("Usage: gavel " + command.name));
  }
}

// What a shell prints for `words`, completed by the script; the last word is completed.
std::string complete_in_bash(const std::string& script, const std::string& words) {
  const auto program = fmt::format(
      "gavel() {{ echo one; echo two; }}\n{}\nCOMP_WORDS=({})\nCOMP_CWORD=$((${{#COMP_WORDS[@]}} - "
      "1))\n_gavel\necho \"${{COMPREPLY[*]}}\"\n",
      script, words);
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / fmt::format("gavel-completion-{}", ::getpid());
  EXPECT_TRUE(write_text_file(file, program, 0600, Replace::yes).has_value());
  std::string out;
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(("bash " + file.string()).c_str(), "r"),
                                             ::pclose);
  char block[4096];
  while (const auto n = ::fread(block, 1, sizeof block, pipe.get())) out.append(block, n);
  std::filesystem::remove(file);
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

TEST(BashCompletion, CompletesCommandsOptionsChoicesAndNames) {
  Globals globals;
  const auto script = bash_completion(make_tree(globals));
  EXPECT_EQ(complete_in_bash(script, "gavel appr"), "approvals approve");
  EXPECT_EQ(complete_in_bash(script, "gavel token n"), "new");
  EXPECT_EQ(complete_in_bash(script, "gavel approve --re"), "--reason");
  EXPECT_EQ(complete_in_bash(script, "gavel approve --js"), "--json");
  EXPECT_EQ(complete_in_bash(script, "gavel completion z"), "zsh");
  EXPECT_EQ(complete_in_bash(script, "gavel up --log-level w"), "warn");
  EXPECT_EQ(complete_in_bash(script, "gavel --color al"), "always");
  EXPECT_EQ(complete_in_bash(script, "gavel log o"), "one");
  EXPECT_EQ(complete_in_bash(script, "gavel resolve x#1 fa"), "failed");
}

TEST(Completion, OffersEveryCommandInEveryShell) {
  Globals globals;
  const auto tree = make_tree(globals);
  for (const auto& script : {bash_completion(tree), zsh_completion(tree), fish_completion(tree)}) {
    for (const auto& command : tree.subcommands) {
      if (command.hidden) continue;
      EXPECT_THAT(script, HasSubstr(command.name));
    }
  }
}

}  // namespace
}  // namespace gavel
