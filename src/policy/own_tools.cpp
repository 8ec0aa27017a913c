#include "policy/own_tools.hpp"

namespace gavel {
namespace {

// A client reports at the end of its action; a build may take that long.
constexpr Duration kOwnTimeout{20 * 60'000};

ServerSpec make_own_tools() {
  ServerSpec own;
  own.name = kOwnToolset;
  own.timeout = kOwnTimeout;
  const auto add = [&](std::string name, Effect effect) -> ToolSpec& {
    ToolSpec& tool = own.tools[name];
    tool.name = std::move(name);
    tool.effect = effect;
    return tool;
  };
  add("shell", Effect::read).shell_argument = "command";
  add("read", Effect::read).path_argument = "path";
  add("list", Effect::read).path_argument = "path";
  ToolSpec& search = add("search", Effect::read);
  search.path_argument = "path";
  search.path_deep = true;
  add("edit", Effect::write).path_argument = "path";
  // An address may carry out what the agent knows.
  add("fetch", Effect::write);
  add("web-search", Effect::write);
  // Its own steps come through the hook one by one.
  add("task", Effect::read);
  // What stays between the agent and its user: to-do lists, plans, questions.
  add("note", Effect::read);
  // Denied all the same (kForbiddenTool).
  add("forbidden", Effect::read);
  return own;
}

}  // namespace

const ServerSpec& own_tools() {
  static const ServerSpec kOwn = make_own_tools();
  return kOwn;
}

}  // namespace gavel
