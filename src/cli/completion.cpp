#include "cli/completion.hpp"

#include <fmt/format.h>

#include <string_view>
#include <vector>

namespace gavel {
namespace {

// One command with where it stands: "policy check".
struct Place {
  const Command* command;
  std::string path;  // without "gavel"; empty for the root
};

void collect(const Command& command, const std::string& path, std::vector<Place>& out) {
  out.push_back({&command, path});
  for (const auto& sub : command.subcommands) {
    if (!sub.hidden) collect(sub, path.empty() ? sub.name : path + " " + sub.name, out);
  }
}

std::vector<Place> places_of(const Command& root) {
  std::vector<Place> out;
  collect(root, "", out);
  return out;
}

std::vector<std::string> names_of(const CommandOption& option) {
  std::vector<std::string> out;
  std::string_view rest = option.names;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    out.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
  return out;
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string out;
  for (const auto& word : words) {
    if (!out.empty()) out += between;
    out += word;
  }
  return out;
}

std::string option_words(const Command& command) {
  std::vector<std::string> words;
  for (const auto& option : command.options) {
    for (auto& name : names_of(option)) words.push_back(std::move(name));
  }
  return joined(words, " ");
}

std::string_view kind_word(Values values) {
  switch (values) {
    case Values::any:
      return "";
    case Values::file:
      return "file";
    case Values::directory:
      return "directory";
    case Values::session:
      return "session";
    case Values::intent:
      return "intent";
    case Values::scope:
      return "scope";
    case Values::tool:
      return "tool";
    case Values::incident:
      return "incident";
  }
  return "";
}

// The bash command that fills COMPREPLY for a value.
std::string bash_values(Values values, const std::vector<std::string>& choices) {
  if (!choices.empty()) {
    return fmt::format("COMPREPLY=($(compgen -W '{}' -- \"$cur\"))", joined(choices, " "));
  }
  switch (values) {
    case Values::any:
      return "COMPREPLY=()";
    case Values::file:
      return "COMPREPLY=($(compgen -f -- \"$cur\"))";
    case Values::directory:
      return "COMPREPLY=($(compgen -d -- \"$cur\"))";
    default:
      return fmt::format(
          "COMPREPLY=($(compgen -W \"$(gavel __values {} 2>/dev/null)\" -- \"$cur\"))",
          kind_word(values));
  }
}

// Text inside single quotes of a shell.
std::string quoted(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out;
}

// Inside zsh's _arguments specs, where ':' and brackets have a meaning.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') out += '\\';
    out += c;
  }
  return quoted(out);
}

std::string zsh_action(Values values, const std::vector<std::string>& choices) {
  if (!choices.empty()) return fmt::format("({})", joined(choices, " "));
  switch (values) {
    case Values::any:
      return " ";
    case Values::file:
      return "_files";
    case Values::directory:
      return "_files -/";
    default:
      return fmt::format("{{_gavel_values {}}}", kind_word(values));
  }
}

std::string fish_action(Values values, const std::vector<std::string>& choices) {
  if (!choices.empty()) return fmt::format(" -x -a '{}'", quoted(joined(choices, " ")));
  switch (values) {
    case Values::any:
      return " -x";
    case Values::file:
      return " -r -F";
    case Values::directory:
      return " -x -a '(__fish_complete_directories)'";
    default:
      return fmt::format(" -x -a '(gavel __values {} 2>/dev/null)'", kind_word(values));
  }
}

std::string zsh_specs(const Command& command) {
  std::string out;
  for (const auto& option : command.options) {
    const auto names = names_of(option);
    for (const auto& name : names) {
      const bool flag = option.value.empty();
      out += fmt::format("    '{}[{}]{}'\n", name, zsh_text(option.help),
                         flag ? ""
                              : fmt::format(":{}:{}", zsh_text(option.value),
                                            zsh_action(option.values, option.choices)));
    }
  }
  return out;
}

std::string function_name(std::string_view path) {
  std::string out = "_gavel_args";
  for (const char c : path) out += c == ' ' || c == '-' ? '_' : c;
  return out;
}

}  // namespace

std::string bash_completion(const Command& root) {
  std::string out =
      "# bash completion of gavel; load it with: source <(gavel completion bash)\n"
      "_gavel() {\n"
      "  local cur prev path word i positional=0\n"
      "  cur=${COMP_WORDS[COMP_CWORD]}\n"
      "  prev=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  path=''\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    word=${COMP_WORDS[i]}\n"
      "    case \"$word\" in\n"
      "      --) COMPREPLY=($(compgen -c -- \"$cur\")); return ;;\n"
      "      -*) continue ;;\n"
      "    esac\n"
      "    case \"$path $word\" in\n";
  for (const auto& place : places_of(root)) {
    if (place.path.empty()) continue;
    const auto space = place.path.rfind(' ');
    const auto parent = space == std::string::npos ? "" : place.path.substr(0, space);
    out += fmt::format("      '{} {}') path='{}' ;;\n", parent, place.command->name, place.path);
  }
  out +=
      "      *) positional=$((positional + 1)) ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$path $prev\" in\n";
  for (const auto& place : places_of(root)) {
    for (const auto& option : place.command->options) {
      if (option.value.empty()) continue;
      for (const auto& name : names_of(option)) {
        out += fmt::format("    {}' {}') {}; return ;;\n",
                           place.path.empty() ? "*" : "'" + place.path + "'", name,
                           bash_values(option.values, option.choices));
      }
    }
  }
  out += fmt::format(
      "  esac\n"
      "  local options='{} --help'\n"
      "  case \"$path\" in\n",
      option_words(root));
  for (const auto& place : places_of(root)) {
    std::vector<std::string> subs;
    for (const auto& sub : place.command->subcommands) {
      if (!sub.hidden) subs.push_back(sub.name);
    }
    const auto own = place.path.empty() ? std::string{} : option_words(*place.command);
    std::string positional = subs.empty() ? "COMPREPLY=()" : bash_values(Values::any, subs);
    if (!place.command->positionals.empty()) {
      const auto& argument = place.command->positionals.front();
      positional = bash_values(argument.values, argument.choices);
      if (place.command->positionals.size() > 1) {
        const auto& second = place.command->positionals[1];
        positional = fmt::format("if ((positional == 0)); then {}; else {}; fi", positional,
                                 bash_values(second.values, second.choices));
      }
    }
    out += fmt::format(
        "    '{}')\n"
        "      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"{} $options\" -- \"$cur\"))\n"
        "      else {}; fi ;;\n",
        place.path, own, positional);
  }
  out +=
      "  esac\n"
      "}\n"
      "complete -o bashdefault -F _gavel gavel\n";
  return out;
}

std::string zsh_completion(const Command& root) {
  std::string out =
      "#compdef gavel\n"
      "# zsh completion of gavel; put it in a directory of $fpath as _gavel, or load it with:\n"
      "#   source <(gavel completion zsh)\n"
      "_gavel_values() {\n"
      "  local -a candidates\n"
      "  candidates=(${(f)\"$(gavel __values $1 2>/dev/null)\"})\n"
      "  compadd -a candidates\n"
      "}\n";
  out += "_gavel_globals=(\n" + zsh_specs(root) + ")\n";
  for (const auto& place : places_of(root)) {
    out += fmt::format("{}() {{\n", function_name(place.path));
    if (place.command->subcommands.empty()) {
      out += "  _arguments -s $_gavel_globals \\\n";
      std::string specs = zsh_specs(*place.command);
      for (const auto& argument : place.command->positionals) {
        specs +=
            fmt::format("    '{}{}:{}'\n",
                        std::holds_alternative<std::vector<std::string>*>(argument.target) ? "*:"
                        : argument.presence == Presence::optional                          ? "::"
                                                                                           : ":",
                        zsh_text(argument.name), zsh_action(argument.values, argument.choices));
      }
      if (place.command->rest != nullptr) specs += "    '*:::program:_normal'\n";
      std::string continued;
      for (const char c : specs) {
        if (c == '\n') {
          continued += " \\\n";
        } else {
          continued += c;
        }
      }
      out += continued + "    && return\n}\n";
      continue;
    }
    out +=
        "  local line state\n  _arguments -C $_gavel_globals '1:command:->command' "
        "'*::argument:->argument'\n";
    out += "  case $state in\n    command)\n      local -a commands\n      commands=(\n";
    for (const auto& sub : place.command->subcommands) {
      if (!sub.hidden) {
        out += fmt::format("        '{}:{}'\n", sub.name, zsh_text(sub.summary));
      }
    }
    out += "      )\n      _describe command commands ;;\n    argument)\n      case $line[1] in\n";
    for (const auto& sub : place.command->subcommands) {
      if (sub.hidden) continue;
      const auto path = place.path.empty() ? sub.name : place.path + " " + sub.name;
      out += fmt::format("        {}) {} ;;\n", sub.name, function_name(path));
    }
    out += "      esac ;;\n  esac\n}\n";
  }
  // As a file of $fpath this is the body of _gavel itself; sourced, it must register.
  out +=
      fmt::format("if [[ $funcstack[1] == _gavel ]]; then {0} \"$@\"; else compdef {0} gavel; fi\n",
                  function_name(""));
  return out;
}

std::string fish_completion(const Command& root) {
  std::string out =
      "# fish completion of gavel; save it as ~/.config/fish/completions/gavel.fish\n"
      "complete -c gavel -f\n"
      "# The subcommands on the line so far, as one string: \"policy check\".\n"
      "function __gavel_path\n"
      "  set -l path\n"
      "  for word in (commandline -opc)[2..-1]\n"
      "    string match -q -- '--' $word; and break\n"
      "    string match -q -- '-*' $word; and continue\n"
      "    set -l next (string join ' ' $path $word)\n"
      "    contains -- $next $__gavel_paths; and set path $path $word\n"
      "  end\n"
      "  string join ' ' $path\n"
      "end\n"
      "function __gavel_at; set -l path (__gavel_path); test \"$path\" = \"$argv\"; end\n"
      "set -g __gavel_paths";
  for (const auto& place : places_of(root)) {
    if (!place.path.empty()) out += fmt::format(" '{}'", place.path);
  }
  out += '\n';
  for (const auto& place : places_of(root)) {
    const std::string condition =
        place.path.empty() ? std::string{} : fmt::format(" -n '__gavel_at {}'", place.path);
    for (const auto& option : place.command->options) {
      std::string names;
      for (const auto& name : names_of(option)) {
        names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      out += fmt::format("complete -c gavel{}{}{} -d '{}'\n", condition, names,
                         option.value.empty() ? "" : fish_action(option.values, option.choices),
                         quoted(option.help));
    }
    for (const auto& argument : place.command->positionals) {
      if (argument.values == Values::any && argument.choices.empty()) continue;
      const auto action = fish_action(argument.values, argument.choices);
      const auto shown = action.starts_with(" -x") ? " -f" + action.substr(3) : action;
      out += fmt::format("complete -c gavel{}{}\n", condition, shown);
    }
    for (const auto& sub : place.command->subcommands) {
      if (sub.hidden) continue;
      out += fmt::format("complete -c gavel -n '__gavel_at {}' -f -a {} -d '{}'\n", place.path,
                         sub.name, quoted(sub.summary));
    }
  }
  return out;
}

}  // namespace gavel
