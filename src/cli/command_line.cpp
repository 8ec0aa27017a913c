#include "cli/command_line.hpp"

#include <algorithm>
#include <variant>

#include "base/assert.hpp"
#include "cli/commands.hpp"
#include "cli/parser.hpp"

namespace gavel {

int run_command_line(std::vector<std::string> words, World& world, const CliHooks& hooks) {
  Globals globals;
  if (words.size() == 1 && words.front() == "--version") words = {"version"};
  // An error of usage is printed before the options are known; for programs, --json shows it.
  const auto end = std::ranges::find(words, "--");
  const bool wants_json = std::find(words.begin(), end, "--json") != end;
  const auto tree = make_tree(globals);
  const auto parsed = parse_command_line(tree, std::move(words));
  if (!parsed) {
    globals.json = wants_json;
    return report(parsed.error(), world, globals);
  }
  if (const auto* text = std::get_if<ParsedText>(&*parsed)) {
    world.out << text->text;
    return kExitOk;
  }
  const auto& command = *std::get<ParsedCommand>(*parsed).command;
  ASSERT(command.run != nullptr);
  Context context(world, globals, hooks);
  const auto code = command.run(context);
  world.out.flush();
  if (!code) return report(code.error(), world, globals);
  return *code;
}

}  // namespace gavel
