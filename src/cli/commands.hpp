#pragma once
// Every subcommand, one file each. make_tree() puts them together in the order of the help.

#include "cli/command.hpp"
#include "cli/context.hpp"

namespace gavel {

// `globals` is filled by the parser and outlives the tree.
Command make_tree(Globals& globals);

Command up_command();
Command run_command();
Command mcp_command();
Command init_command();
Command setup_command();
Command hook_command();

Command sessions_command();
Command log_command();
Command show_command();
Command watch_command();
Command wake_command();

Command approvals_command();
Command approve_command();
Command deny_command();
Command resolve_command();

Command halt_command();
Command freeze_command();
Command resume_command();

Command policy_command();
Command tools_command();
Command upstreams_command();
Command login_command();
Command logout_command();

Command verify_command();
Command checkpoint_command();
Command token_command();
Command doctor_command();
Command incidents_command();
Command completion_command();
Command values_command();  // hidden: candidates for the completion scripts
Command version_command();

}  // namespace gavel
