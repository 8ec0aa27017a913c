#include "cli/parser.hpp"

#include <fmt/format.h>

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
  if (!command.subcommands.empty()) app.require_subcommand(1);
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
  std::vector<std::string_view> options;  // that may stand here
};

Result<Walk> walk(const Command& root, const std::vector<std::string>& words) {
  Walk at{&root, {}, {"--help"}};
  std::vector<const CommandOption*> known;
  const auto enter = [&](const Command& command) {
    at.command = &command;
    for (const auto& option : command.options) {
      known.push_back(&option);
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
      const auto found =
          std::ranges::find_if(known, [&](const CommandOption* o) { return has_name(*o, name); });
      const bool takes_next =
          found != known.end() && !(*found)->value.empty() && name.size() == word.size();
      if (takes_next) ++i;
      continue;
    }
    if (at.command->subcommands.empty()) continue;
    const auto* next = find_subcommand(*at.command, word);
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
    if (!word.starts_with("--") || word.size() < 3) continue;
    const auto name = std::string_view(word).substr(0, word.find('='));
    if (std::ranges::find(at.options, name) == at.options.end()) return name;
  }
  return {};
}

std::string usage_problem(const CLI::ParseError& error, const Walk& at, const std::string& where,
                          const std::vector<std::string>& words) {
  if (!at.command->subcommands.empty()) {
    std::string names;
    for (const auto& sub : at.command->subcommands) {
      if (!sub.hidden) names += (names.empty() ? "" : ", ") + sub.name;
    }
    return fmt::format("{} needs one of: {}", where, names);
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    if (at.command->rest != nullptr) {
      return fmt::format("put -- before the program, as in: {} -- PROGRAM", where);
    }
    if (const auto name = unknown_option(at, words); !name.empty()) {
      return fmt::format("{} has no option {}{}", where, for_display(name, 60),
                         did_you_mean(name, at.options));
    }
  }
  return error.what();
}

std::unexpected<Error> usage_error(const CLI::ParseError& error, const Walk& at,
                                   const std::vector<std::string>& words) {
  std::string where = "gavel";
  for (const auto& name : at.path) where += " " + name;
  const auto problem = for_display(usage_problem(error, at, where, words), 400);
  return fail(ErrorCode::invalid_argument, fmt::format("{}; see {} --help", problem, where));
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
    return usage_error(error, at, words);
  }
  return ParsedCommand{at.command, at.path};
}

}  // namespace gavel
