#include "cli/help.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "base/assert.hpp"
#include "cli/style.hpp"

namespace gavel {
namespace {

constexpr std::size_t kColumns = 90;
constexpr std::size_t kLabelMax = 26;

struct Line {
  std::string label;
  std::string text;
};

// Labels in one column, the text wrapped beside them.
std::string two_columns(const std::vector<Line>& lines) {
  std::size_t width = 0;
  for (const auto& line : lines) {
    if (line.label.size() <= kLabelMax) width = std::max(width, line.label.size());
  }
  const std::string indent(width + 4, ' ');
  std::string out;
  for (const auto& [label, text] : lines) {
    auto wrapped = wrap(text, kColumns - indent.size(), indent);
    if (label.size() <= width) {
      wrapped.replace(0, indent.size(), fmt::format("  {:<{}}  ", label, width));
    } else {
      out += "  " + label + "\n";
    }
    out += wrapped + "\n";
  }
  return out;
}

std::string option_label(const CommandOption& option) {
  std::string names = option.names;
  if (const auto comma = names.find(','); comma != std::string::npos) names.insert(comma + 1, " ");
  return option.value.empty() ? names : names + " " + option.value;
}

std::string with_choices(std::string text, const std::vector<std::string>& choices) {
  if (choices.empty()) return text;
  std::string list;
  for (const auto& choice : choices) list += (list.empty() ? "" : ", ") + choice;
  // Not twice where the text names them already.
  return text.find(choices.front()) != std::string::npos ? text : text + ": " + list;
}

std::string usage(const Command& command, const std::string& path) {
  std::string out = path;
  if (!command.subcommands.empty() && !command.run) return out + " COMMAND ...";
  if (!command.options.empty()) out += " [options]";
  for (const auto& argument : command.positionals) {
    const bool many = std::holds_alternative<std::vector<std::string>*>(argument.target);
    const std::string name = argument.name + (many ? "..." : "");
    out += argument.presence == Presence::required ? " " + name : " [" + name + "]";
  }
  if (command.rest != nullptr) out += " -- PROGRAM ARGS...";
  return out;
}

std::vector<Line> option_lines(const Command& command) {
  std::vector<Line> lines;
  for (const auto& option : command.options) {
    lines.push_back({option_label(option), with_choices(option.help, option.choices)});
  }
  return lines;
}

std::vector<Line> argument_lines(const Command& command) {
  std::vector<Line> lines;
  for (const auto& argument : command.positionals) {
    lines.push_back({argument.name, with_choices(argument.help, argument.choices)});
  }
  if (command.rest != nullptr) lines.push_back({"PROGRAM ARGS...", command.rest_help});
  return lines;
}

// Subcommands under their headings, in order.
std::string subcommand_lists(const Command& command) {
  std::string out;
  std::string group;
  std::vector<Line> lines;
  const auto flush = [&] {
    if (lines.empty()) return;
    out += fmt::format("\n{}:\n{}", group.empty() ? "Commands" : group, two_columns(lines));
    lines.clear();
  };
  for (const auto& sub : command.subcommands) {
    if (sub.hidden) continue;
    if (sub.group != group) flush();
    group = sub.group;
    lines.push_back({sub.name, sub.summary});
  }
  flush();
  return out;
}

const Command& at_path(const Command& root, const std::vector<std::string>& path) {
  const Command* at = &root;
  for (const auto& name : path) {
    const auto found = std::ranges::find(at->subcommands, name, &Command::name);
    ASSERT(found != at->subcommands.end());
    at = &*found;
  }
  return *at;
}

std::string markdown_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '<') out += '\\';
    out += c;
  }
  return out;
}

void add_reference(const Command& command, const std::string& path, std::string& out) {
  if (command.run) {
    out += fmt::format("\n## {}\n\n{}.\n", path, markdown_text(command.summary));
    if (!command.description.empty()) {
      out += "\n" + wrap(markdown_text(command.description), 100, "") + "\n";
    }
    out += fmt::format("\n    {}\n", usage(command, path));
    auto lines = argument_lines(command);
    const auto options = option_lines(command);
    lines.insert(lines.end(), options.begin(), options.end());
    if (!lines.empty()) out += "\n| | |\n|---|---|\n";
    for (const auto& [label, text] : lines) {
      out += fmt::format("| `{}` | {} |\n", label, markdown_text(text));
    }
  }
  for (const auto& sub : command.subcommands) {
    if (!sub.hidden) add_reference(sub, path + " " + sub.name, out);
  }
}

}  // namespace

std::string help_page(const Command& root, const std::vector<std::string>& path) {
  const auto& command = at_path(root, path);
  std::string name = root.name;
  for (const auto& word : path) name += " " + word;
  std::string out =
      fmt::format("{}: {}\n\nUsage: {}\n", name, command.summary, usage(command, name));
  if (!command.description.empty()) out += "\n" + wrap(command.description, kColumns, "") + "\n";
  const auto arguments = argument_lines(command);
  if (!arguments.empty()) out += "\nArguments:\n" + two_columns(arguments);
  out += subcommand_lists(command);
  auto options = option_lines(command);
  const bool at_root = path.empty();
  if (at_root) options.push_back({"-h, --help", "print this page, or that of a command"});
  if (!options.empty()) {
    out += (at_root ? "\nOptions of every command:\n" : "\nOptions:\n") + two_columns(options);
  }
  if (!at_root) out += "\nThe options of every command: gavel --help\n";
  return out;
}

std::string reference_page(const Command& root) {
  std::string out =
      "# The command line\n\n"
      "This page is made from the declarations in src/cli; a test compares them. Exit codes are "
      "in\n"
      "[exit-codes.md](exit-codes.md), the HTTP API that the commands use in [api.md](api.md).\n\n"
      "An intent is named `SESSION#N`, or `N` alone where one pending intent has that number.\n\n"
      "Options of every command, before or after its name:\n\n| | |\n|---|---|\n";
  for (const auto& [label, text] : option_lines(root)) {
    out += fmt::format("| `{}` | {} |\n", label, markdown_text(text));
  }
  add_reference(root, root.name, out);
  return out;
}

}  // namespace gavel
