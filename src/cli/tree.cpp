#include "cli/commands.hpp"

#include <utility>

namespace gavel {
namespace {

void add_group(Command& root, std::string_view group, std::vector<Command> commands) {
  for (auto& command : commands) {
    command.group = group;
    root.subcommands.push_back(std::move(command));
  }
}

}  // namespace

Command make_tree(Globals& globals) {
  Command root("gavel", "the control plane that an AI agent's actions pass through");
  root.description = "Begin with: gavel up, then gavel run -- YOUR-AGENT";
  root.flag("--json", globals.json, "print JSON for programs");
  root.option("--url", "URL", globals.url, "the daemon's address (http://127.0.0.1:7420)");
  root.option("--state", "DIR", globals.state,
              "the state directory ($GAVEL_STATE, else ~/.local/state/gavel)", Values::directory);
  root.option("--token-file", "FILE", globals.token_file, "whose token to use (the operator's)",
              Values::file);
  root.option("--color", "WHEN", globals.color, "colours: auto, always or never (auto)").choices = {
      "auto", "always", "never"};
  root.flag("-q,--quiet", globals.quiet, "no hints on standard error");

  add_group(root, "Start",
            {up_command(), run_command(), mcp_command(), init_command(), setup_command(),
             hook_command()});
  add_group(root, "Look",
            {sessions_command(), show_command(), log_command(), watch_command(), tools_command(),
             upstreams_command()});
  add_group(root, "Decide",
            {approvals_command(), approve_command(), deny_command(), resolve_command(),
             halt_command(), freeze_command(), resume_command(), wake_command()});
  add_group(root, "Policy and proof",
            {policy_command(), verify_command(), checkpoint_command(), incidents_command()});
  add_group(root, "Care",
            {doctor_command(), login_command(), logout_command(), token_command(),
             completion_command(), version_command()});
  root.subcommands.push_back(values_command());
  return root;
}

}  // namespace gavel
