#include "cli/parser.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "base/text.hpp"

namespace gavel {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

void bind(CLI::App& app, const Option& option) {
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

void bind(CLI::App& app, const Argument& argument) {
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
  if (command.rest != nullptr) app.footer("  -- PROGRAM ARGS...  " + command.rest_help);
  for (const auto& sub : command.subcommands) {
    auto* child = app.add_subcommand(sub.name, sub.summary);
    if (!sub.group.empty()) child->group(sub.group);
    if (sub.hidden) child->group("");
    build(*child, sub);
    if (!sub.description.empty()) child->description(sub.summary + "\n\n" + sub.description);
  }
}

std::unique_ptr<CLI::App> make_app(const Command& root) {
  auto app = std::make_unique<CLI::App>(root.description, root.name);
  app->option_defaults()->always_capture_default(false);
  app->get_formatter()->column_width(34);
  build(*app, root);
  return app;
}

bool has_name(const Option& option, std::string_view word) {
  const std::string names = "," + option.names + ",";
  return names.find(fmt::format(",{},", word)) != std::string::npos;
}

const Command* find_subcommand(const Command& command, std::string_view name) {
  const auto found = std::ranges::find(command.subcommands, name, &Command::name);
  return found == command.subcommands.end() ? nullptr : &*found;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates) {
  const auto near = nearest(word, candidates);
  return near.empty() ? std::string{} : fmt::format("; did you mean \"{}\"?", near);
}

// Follows the subcommands among `words`; what is left over is for CLI11 to judge.
struct Walk {
  const Command* command;
  std::vector<std::string> path;
  std::vector<std::string_view> options;  // that may stand here
};

Result<Walk> walk(const Command& root, const std::vector<std::string>& words) {
  Walk at{&root, {}, {"--help"}};
  std::vector<const Option*> known;
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
          std::ranges::find_if(known, [&](const Option* o) { return has_name(*o, name); });
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
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("there is no subcommand \"{}\"{} See {} --help", for_display(word, 60),
                      did_you_mean(word, names).empty() ? "." : did_you_mean(word, names), where));
    }
    at.path.emplace_back(next->name);
    enter(*next);
  }
  return at;
}

CLI::App* app_at(CLI::App& app, const std::vector<std::string>& path) {
  CLI::App* at = &app;
  for (const auto& name : path) at = at->get_subcommand(name);
  return at;
}

std::unexpected<Error> usage_error(const CLI::ParseError& error, const Walk& at,
                                   const std::vector<std::string>& words) {
  std::string where = "gavel";
  for (const auto& name : at.path) where += " " + name;
  std::string message = error.what();
  if (const auto* extras = dynamic_cast<const CLI::ExtrasError*>(&error)) {
    (void)extras;
    for (const auto& word : words) {
      if (!word.starts_with("--") || word.size() < 3) continue;
      const auto name = std::string_view(word).substr(0, word.find('='));
      if (std::ranges::find(at.options, name) != at.options.end()) continue;
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("{} has no option {}{} See {} --help", where, for_display(name, 60),
                      did_you_mean(name, at.options).empty() ? "." : did_you_mean(name, at.options),
                      where));
    }
    if (at.command->rest != nullptr) {
      message = fmt::format("put \"--\" before the program: {} -- PROGRAM ARGS...", where);
    }
  }
  std::ranges::replace(message, '\n', ' ');
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}. See {} --help", for_display(message, 400), where));
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
    return ParsedText{help_of(root, at.path)};
  } catch (const CLI::CallForAllHelp&) {
    return ParsedText{app->help("", CLI::AppFormatMode::All)};
  } catch (const CLI::ParseError& error) {
    if (words.empty()) return ParsedText{help_of(root, {})};
    return usage_error(error, at, words);
  }
  return ParsedCommand{at.command, at.path};
}

std::string help_of(const Command& root, const std::vector<std::string>& path) {
  auto app = make_app(root);
  auto* at = app_at(*app, path);
  std::string prefix = root.name;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) prefix += " " + path[i];
  return at->help(path.empty() ? "" : prefix);
}

}  // namespace gavel
