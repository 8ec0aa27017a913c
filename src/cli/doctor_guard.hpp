#pragma once
// Whether the guard is live: gavel doctor asks for own__forbidden, which no policy allows, by the
// ways that agents take, and looks in the log for the refusal. A block alone proves little: a hook
// that cannot reach its daemon blocks everything.

#include <vector>

#include "cli/doctor_checks.hpp"

namespace gavel {

// Through the very command that each agent program's configuration has as its hook. Programs that
// are not there have no finding. `client` is the daemon, asked as a person.
void check_hooks(const Context& context, const Client& client, std::vector<Finding>& out);

// Through the MCP endpoint: nothing is answered without a token, and the agent's is refused.
void check_mcp(const Context& context, const Client& client, std::vector<Finding>& out);

}  // namespace gavel
