// gavel checkpoint: a signed statement of how far every log was, to carry elsewhere.

#include "log/checkpoint.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/commands.hpp"
#include "cli/discovery.hpp"
#include "cli/format.hpp"
#include "cli/store_access.hpp"
#include "log/rocks_log.hpp"

namespace gavel {
namespace fs = std::filesystem;

namespace {

struct CheckpointOptions {
  std::string file;
};

Result<int> run_checkpoint(Context& context, const CheckpointOptions& options) {
  ASSIGN_OR_RETURN(const auto state, context.state());
  ASSIGN_OR_RETURN(const auto store, store_directory(context, {}));
  RocksOptions rocks;
  rocks.directory = store.string();
  auto log = open_rocks_log(rocks);
  if (!log && log.error().code == ErrorCode::unavailable) {
    return fail(ErrorCode::unavailable,
                log.error().message + "; stop the daemon to make a checkpoint");
  }
  if (!log) return std::unexpected(log.error());
  ASSIGN_OR_RETURN(const auto key,
                   CheckpointKey::load_or_create((state / "checkpoint.key").string()));
  ASSIGN_OR_RETURN(const auto checkpoint, make_checkpoint(**log, key, context.now()));
  const auto text = write_checkpoint(checkpoint);
  if (options.file.empty()) {
    context.print(text);
    if (!text.ends_with('\n')) context.print("\n");
    return kExitOk;
  }
  const fs::path given(options.file);
  const auto file = given.is_absolute() ? given : fs::path(context.world().directory) / given;
  TRY(write_text_file(file, text, 0644, Replace::no));
  if (context.json()) {
    context.print_json(json::object{{"file", file.string()},
                                    {"logs", checkpoint.heads.size()},
                                    {"public_key", checkpoint.public_key}});
    return kExitOk;
  }
  context.print(fmt::format("wrote {}: {}, signed by {}\n", file.string(),
                            count_text(checkpoint.heads.size(), "log"), checkpoint.public_key));
  context.note(fmt::format("keep it elsewhere; later: gavel verify --checkpoint {} --key {}",
                           file.string(), checkpoint.public_key));
  return kExitOk;
}

}  // namespace

Command checkpoint_command() {
  auto options = std::make_shared<CheckpointOptions>();
  Command command("checkpoint", "sign how far every log is, for a later verify");
  command.description =
      "Reads the store itself, so the daemon must not run. Signed with STATE/checkpoint.key, which "
      "is "
      "made where it is missing.";
  command.argument("FILE", options->file, "what to write (standard output)", Values::file,
                   Presence::optional);
  command.run = [options](Context& context) { return run_checkpoint(context, *options); };
  return command;
}

}  // namespace gavel
