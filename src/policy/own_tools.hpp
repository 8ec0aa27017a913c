#pragma once
// The catalogue of what agent programs do by themselves: own__shell, own__read, own__edit and so
// on, the same names whatever the program calls them (protocol/hooks.hpp translates). A policy may
// list them anew under `servers: own:`. What is not here is unlisted, so destructive.

#include "policy/policy.hpp"

namespace gavel {

const ServerSpec& own_tools();

// Requests other than tools/call that Gavel passes to a server, SERVER__METHOD in the log and in
// rules: reading a resource, getting a prompt, completing an argument. Reads, whatever the server.
// Null of any other name; no tool that a server lists is called by such a one.
const ToolSpec* passed_method(std::string_view method);

// A tool that does nothing and that every policy denies, whatever its rules say: whoever calls it
// sees that the guard refuses (gavel doctor).
inline constexpr std::string_view kForbiddenTool = "own__forbidden";

}  // namespace gavel
