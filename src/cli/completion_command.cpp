// gavel completion: a script that completes gavel's command line in a shell.

#include <memory>

#include "cli/commands.hpp"
#include "cli/completion.hpp"

namespace gavel {
namespace {

struct CompletionOptions {
  std::string shell;
};

Result<int> run_completion(Context& context, const CompletionOptions& options) {
  Globals unused;
  const auto tree = make_tree(unused);
  const auto script = options.shell == "bash"  ? bash_completion(tree)
                      : options.shell == "zsh" ? zsh_completion(tree)
                                               : fish_completion(tree);
  if (context.json()) {
    context.print_json(json::object{{"shell", options.shell}, {"script", script}});
  } else {
    context.print(script);
  }
  return kExitOk;
}

}  // namespace

Command completion_command() {
  auto options = std::make_shared<CompletionOptions>();
  Command command("completion", "print the completion script of a shell");
  command.argument("SHELL", options->shell, "bash, zsh or fish").choices = {"bash", "zsh", "fish"};
  command.run = [options](Context& context) { return run_completion(context, *options); };
  return command;
}

}  // namespace gavel
