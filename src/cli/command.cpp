#include "cli/command.hpp"

#include <utility>

namespace gavel {

Command::Command(std::string its_name, std::string its_summary)
    : name(std::move(its_name)), summary(std::move(its_summary)) {}

CommandOption& Command::option(std::string names, std::string value, std::string& target,
                               std::string help, Values values) {
  options.push_back({std::move(names), std::move(value), std::move(help), &target, values, {}});
  return options.back();
}

CommandOption& Command::option(std::string names, std::string value, std::uint64_t& target,
                               std::string help) {
  options.push_back(
      {std::move(names), std::move(value), std::move(help), &target, Values::any, {}});
  return options.back();
}

CommandOption& Command::option(std::string names, std::string value,
                               std::vector<std::string>& target, std::string help, Values values) {
  options.push_back({std::move(names), std::move(value), std::move(help), &target, values, {}});
  return options.back();
}

CommandOption& Command::flag(std::string names, bool& target, std::string help) {
  options.push_back({std::move(names), {}, std::move(help), &target, Values::any, {}});
  return options.back();
}

CommandArgument& Command::argument(std::string name_in_help, std::string& target, std::string help,
                                   Values values, Presence presence) {
  positionals.push_back({std::move(name_in_help), std::move(help), &target, values, {}, presence});
  return positionals.back();
}

CommandArgument& Command::arguments(std::string name_in_help, std::vector<std::string>& target,
                                    std::string help, Values values) {
  positionals.push_back(
      {std::move(name_in_help), std::move(help), &target, values, {}, Presence::optional});
  return positionals.back();
}

void Command::program(std::vector<std::string>& target, std::string help) {
  rest = &target;
  rest_help = std::move(help);
}

}  // namespace gavel
