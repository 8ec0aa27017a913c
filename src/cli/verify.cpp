// gavel verify: reads a whole store offline and recomputes every hash chain (I9).

#include "log/verify.hpp"

#include <fmt/format.h>

#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/discovery.hpp"
#include "cli/format.hpp"
#include "cli/store_access.hpp"
#include "log/checkpoint.hpp"

namespace gavel {
namespace {

struct VerifyCommandOptions {
  std::string directory;
  std::string checkpoint;
  std::string key;
};

std::string progress_line(const VerifyReport& report) {
  return fmt::format("{}, {}, {}", count_text(report.logs, "log"),
                     report.entries == 1 ? "1 entry" : fmt::format("{} entries", report.entries),
                     bytes_text(report.bytes));
}

// One line on the terminal that is written over, a few times a second.
class ProgressLine {
public:
  explicit ProgressLine(const Context& context)
      : context_(context),
        shown_(context.world().err_is_terminal && !context.json() && !context.globals().quiet) {}
  ~ProgressLine() {
    if (drawn_) context_.world().err << "\r\x1b[K" << std::flush;
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const VerifyReport& report) {
    constexpr Duration kEvery{100};
    const auto now = context_.now();
    if (!shown_ || (drawn_ && now - last_ < kEvery)) return;
    last_ = now;
    drawn_ = true;
    context_.world().err << "\r\x1b[Kverifying: " << progress_line(report) << std::flush;
  }

private:
  const Context& context_;
  bool shown_;
  bool drawn_ = false;
  Timestamp last_;
};

json::object report_json(const VerifyReport& report) {
  json::array problems;
  for (const auto& problem : report.problems) {
    problems.push_back(json::object{
        {"log", problem.log.value}, {"position", problem.position.value}, {"what", problem.what}});
  }
  return {{"clean", report.is_clean()},     {"logs", report.logs},
          {"entries", report.entries},      {"bytes", report.bytes},
          {"blobs", report.blobs},          {"not_compared", report.not_compared},
          {"problems", std::move(problems)}};
}

std::string place_of(const VerifyProblem& problem) {
  if (problem.log.empty()) return "store";
  const auto log = for_display(problem.log.value, 300);
  return problem.position.value == 0 ? log : fmt::format("{}#{}", log, problem.position.value);
}

Result<int> run_verify(Context& context, const VerifyCommandOptions& options) {
  ASSIGN_OR_RETURN(const auto store, store_directory(context, options.directory));
  VerifyOptions verify;
  verify.blobs_of = blobs_of_entry;
  if (!options.checkpoint.empty()) {
    ASSIGN_OR_RETURN(const auto text, read_text_file(options.checkpoint, 256u << 20));
    ASSIGN_OR_RETURN(
        verify.checkpoint,
        read_checkpoint(
            text, options.key.empty() ? std::nullopt : std::optional<std::string>(options.key)));
  }
  Result<VerifyReport> report;
  {
    ProgressLine progress(context);
    verify.on_progress = [&](const VerifyReport& so_far) { progress.show(so_far); };
    report = verify_store(store.string(), verify);
  }
  if (!report && report.error().code == ErrorCode::unavailable) {
    return fail(ErrorCode::unavailable,
                fmt::format("{}; stop the daemon first, or verify a copy of {}",
                            report.error().message, store.string()));
  }
  if (!report) return std::unexpected(report.error());
  const int code = report->is_clean() ? kExitOk : mapping(ErrorCode::corrupted).exit_code;
  if (context.json()) {
    context.print_json(report_json(*report));
    return code;
  }
  const auto style = context.style();
  for (const auto& problem : report->problems) {
    context.print(fmt::format("{} {}: {}\n", style.paint(Tone::bad, "problem"), place_of(problem),
                              for_display(problem.what, 1000)));
  }
  context.print(fmt::format(
      "{}: {}{}\n",
      report->is_clean() ? style.paint(Tone::good, "clean") : style.paint(Tone::bad, "damaged"),
      progress_line(*report), verify.checkpoint ? ", compared with the checkpoint" : ""));
  if (verify.checkpoint && options.key.empty()) {
    context.note(fmt::format("the checkpoint is signed by {}; pin that key with --key",
                             verify.checkpoint->public_key));
  }
  return code;
}

}  // namespace

Command verify_command() {
  auto options = std::make_shared<VerifyCommandOptions>();
  Command command("verify", "check that no entry was changed, dropped or reordered");
  command.description =
      "Reads the store itself, so the daemon must not run. Exits with 9 where something is wrong.";
  command.argument("DIR", options->directory, "a state directory or a store (that of --state)",
                   Values::directory, Presence::optional);
  command.option("--checkpoint", "FILE", options->checkpoint,
                 "also compare with this signed checkpoint", Values::file);
  command.option("--key", "HEX", options->key, "the public key that must have signed it");
  command.run = [options](Context& context) { return run_verify(context, *options); };
  return command;
}

}  // namespace gavel
