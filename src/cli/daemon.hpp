#pragma once
// Making sure that a daemon runs, for `gavel mcp`, which an MCP client starts without knowing of
// one.

#include "base/result.hpp"
#include "cli/context.hpp"

namespace gavel {

// Starts `gavel up` detached where none answers, and waits until it is healthy. Several callers at
// once start one. Errors: unavailable (it ended or was not ready in time: the message quotes its
// log), or what starting gave.
Status ensure_daemon(const Context& context);

// Whether a daemon answers there, with or without a token.
bool answers(const DaemonAddress& address);

}  // namespace gavel
