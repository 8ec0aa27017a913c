// gavel doctor: is everything well, and what to do if not.

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/doctor_checks.hpp"

namespace gavel {
namespace {

struct DoctorOptions {
  std::string config;
};

std::string_view word_of(Health health) {
  switch (health) {
    case Health::ok:
      return "ok";
    case Health::warning:
      return "warn";
    case Health::failed:
      return "fail";
  }
  return "fail";
}

Tone tone_of_health(Health health) {
  return health == Health::ok ? Tone::good : health == Health::warning ? Tone::warning : Tone::bad;
}

Result<int> run_doctor(Context& context, const DoctorOptions& options) {
  const auto findings = examine(context, options.config);
  const bool failed = std::ranges::any_of(
      findings, [](const Finding& finding) { return finding.health == Health::failed; });
  const int code = failed ? kExitCheckFailed : kExitOk;
  if (context.json()) {
    json::array list;
    for (const auto& finding : findings) {
      list.push_back(json::object{{"check", finding.check},
                                  {"health", word_of(finding.health)},
                                  {"text", finding.text},
                                  {"advice", finding.advice}});
    }
    context.print_json(json::object{{"healthy", !failed}, {"checks", std::move(list)}});
    return code;
  }
  const auto style = context.style();
  for (const auto& finding : findings) {
    context.print(fmt::format(
        "{}  {:<16} {}\n",
        style.paint(tone_of_health(finding.health), fmt::format("{:<4}", word_of(finding.health))),
        finding.check, for_display(finding.text, 1000)));
    if (!finding.advice.empty()) {
      context.print(
          fmt::format("      {:<16} {}\n", "", style.paint(Tone::accent, "→ " + finding.advice)));
    }
  }
  return code;
}

}  // namespace

Command doctor_command() {
  auto options = std::make_shared<DoctorOptions>();
  Command command("doctor", "check that everything is well, and say what to do if not");
  command.description =
      "Also asks for what no policy allows, through each agent program's hook and the MCP "
      "endpoint, and "
      "looks in the log for the refusal.";
  command.option("-c,--config", "FILE", options->config,
                 "also check this gavel.yaml (STATE/gavel.yaml)", Values::file);
  command.run = [options](Context& context) { return run_doctor(context, *options); };
  return command;
}

}  // namespace gavel
