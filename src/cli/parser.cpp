#include "cli/parser.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "cli/help.hpp"

namespace gavel {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

void bind(CLI::App& app, const CommandOption& option) {
  CLI::Option* bound = std::visit(
      Overloaded{
          [&](bool* flag) { return app.add_flag(option.names, *flag, option.help); },
          [&](std::vector<std::string>* list) {
            return app.add_option(option.names, *list, option.help)->take_all()->expected(1);
          },
          [&](auto* value) { return app.add_option(option.names, *value, option.help); },
      },
      option.target);
  if (!option.value.empty()) bound->type_name(option.value);
  if (!option.choices.empty()) bound->check(CLI::IsMember(option.choices));
}

void bind(CLI::App& app, const CommandArgument& argument) {
  CLI::Option* bound = std::visit(
      Overloaded{
          [&](bool*) -> CLI::Option* { return nullptr; },
          [&](std::vector<std::string>* list) {
            return app.add_option(argument.name, *list, argument.help)->expected(0, 10'000);
          },
          [&](auto* value) { return app.add_option(argument.name, *value, argument.help); },
      },
      argument.target);
  bound->type_name("");
  if (argument.presence == Presence::required) bound->required();
  if (!argument.choices.empty()) bound->check(CLI::IsMember(argument.choices));
}

void build(CLI::App& app, const Command& command) {
  app.fallthrough();
  for (const auto& option : command.options) bind(app, option);
  for (const auto& argument : command.positionals) bind(app, argument);
  if (!command.subcommands.empty()) app.require_subcommand(command.run ? 0 : 1, 1);
  for (const auto& sub : command.subcommands) {
    auto* child = app.add_subcommand(sub.name, sub.summary);
    build(*child, sub);
  }
}

std::unique_ptr<CLI::App> make_app(const Command& root) {
  auto app = std::make_unique<CLI::App>(root.description, root.name);
  app->option_defaults()->always_capture_default(false);
  build(*app, root);
  return app;
}

bool has_name(const CommandOption& option, std::string_view word) {
  const std::string names = "," + option.names + ",";
  return names.find(fmt::format(",{},", word)) != std::string::npos;
}

const Command* find_subcommand(const Command& command, std::string_view name) {
  const auto found = std::ranges::find(command.subcommands, name, &Command::name);
  return found == command.subcommands.end() ? nullptr : &*found;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates) {
  const auto near = nearest(word, candidates);
  return near.empty() ? std::string{} : fmt::format(" (did you mean \"{}\"?)", near);
}

// Follows the subcommands among `words`; what is left over is for CLI11 to judge.
struct Walk {
  const Command* command;
  std::vector<std::string> path;
  std::vector<std::string_view> options;  // that may stand here, by their long names
  std::vector<const CommandOption*> known;

  const CommandOption* find(std::string_view name) const {
    const auto found =
        std::ranges::find_if(known, [&](const CommandOption* o) { return has_name(*o, name); });
    return found == known.end() ? nullptr : *found;
  }
};

Result<Walk> walk(const Command& root, const std::vector<std::string>& words) {
  Walk at{&root, {}, {"--help"}, {}};
  const auto enter = [&](const Command& command) {
    at.command = &command;
    for (const auto& option : command.options) {
      at.known.push_back(&option);
      const auto comma = option.names.rfind(',');
      at.options.push_back(
          std::string_view(option.names).substr(comma == std::string::npos ? 0 : comma + 1));
    }
  };
  enter(root);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word.starts_with('-') && word.size() > 1) {
      const auto name = word.substr(0, word.find('='));
      const auto* found = at.find(name);
      const bool takes_next =
          found != nullptr && !found->value.empty() && name.size() == word.size();
      if (takes_next) ++i;
      continue;
    }
    if (at.command->subcommands.empty()) continue;
    const auto* next = find_subcommand(*at.command, word);
    if (next == nullptr && at.command->run) continue;
    if (next == nullptr) {
      std::vector<std::string_view> names;
      for (const auto& sub : at.command->subcommands) {
        if (!sub.hidden) names.push_back(sub.name);
      }
      const auto where = at.path.empty() ? std::string("gavel") : "gavel " + at.path.back();
      return fail(ErrorCode::invalid_argument,
                  fmt::format("there is no subcommand \"{}\"{}; see {} --help",
                              for_display(word, 60), did_you_mean(word, names), where));
    }
    at.path.emplace_back(next->name);
    enter(*next);
  }
  return at;
}

// The first option among `words` that nobody declared; empty where there is none.
std::string_view unknown_option(const Walk& at, const std::vector<std::string>& words) {
  for (const auto& word : words) {
    if (!word.starts_with('-') || word.size() < 2) continue;
    auto name = std::string_view(word).substr(0, word.find('='));
    if (!name.starts_with("--")) name = name.substr(0, 2);
    if (name == "--" || name == "--help" || name == "-h") continue;
    if (at.find(name) == nullptr) return name;
  }
  return {};
}

// What was given to the option, as "--from=x" or "--from x"; nothing where it is not among `words`,
// or is a flag and has none.
std::optional<std::string_view> given_to(const CommandOption& option,
                                         const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const auto equals = word.find('=');
    if (!has_name(option, word.substr(0, equals))) continue;
    if (equals != std::string_view::npos) return word.substr(equals + 1);
    if (option.value.empty()) continue;
    return i + 1 < words.size() ? std::string_view(words[i + 1]) : std::string_view{};
  }
  return std::nullopt;
}

std::string one_of(const std::vector<std::string>& choices, std::string_view given) {
  const std::vector<std::string_view> views(choices.begin(), choices.end());
  const auto instead = given.empty() ? "" : fmt::format(", not \"{}\"", for_display(given, 60));
  return fmt::format("one of {}{}{}", fmt::join(choices, ", "), instead,
                     did_you_mean(given, views));
}

// Of a value that does not fit its option; empty where it is not the option's fault.
std::string option_problem(const CommandOption& option, const std::vector<std::string>& words) {
  const auto found = given_to(option, words);
  if (!found) return {};
  const auto given = *found;
  const auto long_name = option.names.substr(option.names.rfind(',') + 1);
  if (option.value.empty()) return fmt::format("{} stands alone: it takes no value", long_name);
  if (given.empty()) {
    return fmt::format("{} needs a value: {} {}", long_name, long_name, option.value);
  }
  if (!option.choices.empty()) {
    return std::ranges::find(option.choices, given) != option.choices.end()
               ? ""
               : fmt::format("{} takes {}", long_name, one_of(option.choices, given));
  }
  if (!std::holds_alternative<std::uint64_t*>(option.target)) return {};
  if (given.find_first_not_of("0123456789") == std::string_view::npos) return {};
  return fmt::format("{} takes a whole number, as in {} 10, not \"{}\"", long_name, long_name,
                     for_display(given, 60));
}

// The first argument that must be there and is not, or that is not one of its choices.
std::string argument_problem(const Command& command, const std::vector<std::string>& values) {
  for (std::size_t i = 0; i < command.positionals.size(); ++i) {
    const auto& argument = command.positionals[i];
    if (i >= values.size()) {
      if (argument.presence == Presence::optional) continue;
      return fmt::format("{} is missing: {}", argument.name, argument.help);
    }
    const bool fits = argument.choices.empty() ||
                      std::ranges::find(argument.choices, values[i]) != argument.choices.end();
    if (!fits) return fmt::format("{} is {}", argument.name, one_of(argument.choices, values[i]));
  }
  const bool takes_all =
      !command.positionals.empty() &&
      std::holds_alternative<std::vector<std::string>*>(command.positionals.back().target);
  if (takes_all || values.size() <= command.positionals.size()) return {};
  return fmt::format("\"{}\" is one argument too many",
                     for_display(values[command.positionals.size()], 60));
}

// The words that are no options, no options' values and no subcommands.
std::vector<std::string> arguments_among(const Walk& at, const std::vector<std::string>& words) {
  std::vector<std::string> values;
  std::size_t entered = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word.starts_with('-') && word.size() > 1) {
      const auto* option = at.find(word.substr(0, word.find('=')));
      if (option != nullptr && !option->value.empty() && !word.contains('=')) ++i;
    } else if (entered < at.path.size() && word == at.path[entered]) {
      ++entered;
    } else {
      values.push_back(words[i]);
    }
  }
  return values;
}

// "gavel policy check"
std::string where_of(const Walk& at) {
  std::string where = "gavel";
  for (const auto& name : at.path) where += " " + name;
  return where;
}

std::string usage_problem(const CLI::ParseError& error, const Walk& at,
                          const std::vector<std::string>& words) {
  const auto where = where_of(at);
  if (!at.command->subcommands.empty()) {
    std::string names;
    for (const auto& sub : at.command->subcommands) {
      if (!sub.hidden) names += (names.empty() ? "" : ", ") + sub.name;
    }
    return fmt::format("{} needs one of: {}", where, names);
  }
  const auto name = unknown_option(at, words);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && at.command->rest != nullptr) {
    return fmt::format("put -- before the program, as in: {} -- PROGRAM", where);
  }
  if (!name.empty()) {
    return fmt::format("{} has no option {}{}", where, for_display(name, 60),
                       did_you_mean(name, at.options));
  }
  for (const auto* option : at.known) {
    if (auto problem = option_problem(*option, words); !problem.empty()) return problem;
  }
  const auto problem = argument_problem(*at.command, arguments_among(at, words));
  return problem.empty() ? error.what() : problem;
}

std::unexpected<Error> usage_error(const Walk& at, std::string_view problem) {
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}; see {} --help", for_display(problem, 400), where_of(at)));
}

}  // namespace

Result<Parsed> parse_command_line(const Command& root, std::vector<std::string> words) {
  std::vector<std::string> rest;
  bool has_rest = false;
  if (const auto mark = std::ranges::find(words, "--"); mark != words.end()) {
    rest.assign(mark + 1, words.end());
    words.erase(mark, words.end());
    has_rest = true;
  }
  ASSIGN_OR_RETURN(const auto at, walk(root, words));
  auto app = make_app(root);
  if (has_rest) {
    if (at.command->rest != nullptr) {
      *at.command->rest = rest;
    } else {
      words.emplace_back("--");
      words.insert(words.end(), rest.begin(), rest.end());
    }
  }
  try {
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    app->parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return ParsedText{help_page(root, at.path)};
  } catch (const CLI::ParseError& error) {
    if (words.empty()) return ParsedText{help_page(root, {})};
    return usage_error(at, usage_problem(error, at, words));
  }
  // CLI11 wraps negative numbers around.
  for (const auto* option : at.known) {
    if (!std::holds_alternative<std::uint64_t*>(option->target)) continue;
    const auto problem = option_problem(*option, words);
    if (!problem.empty()) return usage_error(at, problem);
  }
  return ParsedCommand{at.command, at.path};
}

}  // namespace gavel
