// gavel up: starts the daemon in the foreground, through the application's hook.

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/commands.hpp"

namespace gavel {
namespace {

constexpr std::uint64_t kPollMax = 10'000;  // microseconds

Result<int> run_up(Context& context, UpOptions options) {
  if (!context.hooks().up) {
    return fail(ErrorCode::unsupported, "this build has no daemon");
  }
  if (options.poll_micros > kPollMax) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("--poll {}: at most {}, as it keeps a processor busy",
                            options.poll_micros, kPollMax));
  }
  ASSIGN_OR_RETURN(const auto state, context.state());
  options.state_directory = state.string();
  if (!options.config_path.empty()) {
    const std::filesystem::path given(options.config_path);
    const auto absolute =
        given.is_absolute() ? given : std::filesystem::path(context.world().directory) / given;
    options.config_path = absolute.lexically_normal().string();
    if (!std::filesystem::exists(absolute)) {
      return fail(ErrorCode::not_found,
                  fmt::format("there is no {}; make one with gavel init", options.config_path));
    }
  }
  context.world().out.flush();
  return context.hooks().up(options);
}

}  // namespace

Command up_command() {
  auto options = std::make_shared<UpOptions>();
  options->log_level = "info";
  Command command("up", "start the daemon, in the foreground");
  command.description =
      "Without a configuration it starts on loopback with an embedded store and safe defaults: "
      "reads pass, writes ask, destructive calls need two steps.";
  command.option("-c,--config", "FILE", options->config_path,
                 "gavel.yaml: servers, tools, rules (STATE/gavel.yaml where it exists)",
                 Values::file);
  command.option("--listen", "HOST:PORT", options->listen,
                 "where to listen, instead of `daemon.listen`; port 0 takes a free one");
  command.option("--log-level", "LEVEL", options->log_level, "how much to log (info)").choices = {
      "error", "warn", "info", "debug"};
  command.option("--poll", "MICROSECONDS", options->poll_micros,
                 "after work, look for more so long before sleeping (200; 0: sleep at once)");
  command.run = [options](Context& context) { return run_up(context, *options); };
  return command;
}

}  // namespace gavel
