#include "policy/own_tools.hpp"

#include <functional>
#include <map>

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

// A server may ask a person for something before it answers.
constexpr Duration kPassedTimeout{12 * 60'000};

std::map<std::string, ToolSpec, std::less<>> make_passed_methods() {
  std::map<std::string, ToolSpec, std::less<>> passed;
  for (const char* method : {"resources/read", "prompts/get", "completion/complete"}) {
    ToolSpec& spec = passed[method];
    spec.name = method;
    spec.effect = Effect::read;
    spec.timeout = kPassedTimeout;
  }
  return passed;
}

}  // namespace

const ServerSpec& own_tools() {
  static const ServerSpec kOwn = make_own_tools();
  return kOwn;
}

const ToolSpec* passed_method(std::string_view method) {
  static const auto kPassed = make_passed_methods();
  const auto found = kPassed.find(method);
  return found == kPassed.end() ? nullptr : &found->second;
}

}  // namespace gavel
