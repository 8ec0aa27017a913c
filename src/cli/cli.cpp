#include "cli/cli.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string_view>

#include "cli/command_line.hpp"

namespace gavel {
namespace {

TerminalSize size_of_terminal() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {};
  return {size.ws_col, size.ws_row};
}

std::map<std::string, std::string> environment_of_process() {
  std::map<std::string, std::string> out;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view entry(*at);
    const auto equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    out.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return out;
}

World world_of_process() {
  World world{.in = std::cin, .out = std::cout, .err = std::cerr};
  world.in_is_terminal = ::isatty(STDIN_FILENO) == 1;
  world.out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
  world.err_is_terminal = ::isatty(STDERR_FILENO) == 1;
  world.terminal_size = size_of_terminal;
  world.environment = environment_of_process();
  std::error_code error;
  world.directory = std::filesystem::current_path(error).string();
  world.program = std::filesystem::read_symlink("/proc/self/exe", error).string();
  world.process_id = ::getpid();
  world.now = [] {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return Timestamp{std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
  };
  world.limit_life = [](unsigned seconds) { ::alarm(seconds); };
  return world;
}

}  // namespace

int run_cli(int argc, char** argv, const CliHooks& hooks) {
  try {
    std::ios::sync_with_stdio(false);
    auto world = world_of_process();
    const int code = run_command_line({argv + 1, argv + argc}, world, hooks);
    std::cout.flush();
    if (!std::cout && code == 0) {
      std::cerr << "gavel: could not write all of the output\n";
      return mapping(ErrorCode::unavailable).exit_code;
    }
    return code;
  } catch (const std::exception& error) {
    std::cerr << "gavel: internal error: " << error.what()
              << "; please report it with the command that you typed\n";
    return mapping(ErrorCode::internal).exit_code;
  }
}

}  // namespace gavel
