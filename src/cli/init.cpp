// gavel init: writes a commented gavel.yaml for the MCP servers that known clients are configured
// with.

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/discovery.hpp"
#include "cli/table.hpp"
#include "policy/parse.hpp"
#include "policy/starter.hpp"

namespace gavel {
namespace fs = std::filesystem;

namespace {

struct InitOptions {
  std::string file;
  std::string secrets;
  bool force = false;
  bool print = false;
};

struct Search {
  std::vector<FoundServer> servers;
  std::vector<std::string> files;     // that were read
  std::vector<std::string> problems;  // files that were not
};

Search search(const World& world) {
  Search out;
  const auto home = world.variable("HOME");
  for (const auto& config : known_configs()) {
    fs::path file;
    if (config.path.starts_with("~/")) {
      if (!home) continue;
      file = fs::path(*home) / config.path.substr(2);
    } else {
      file = fs::path(world.directory) / config.path;
    }
    const auto text = read_text_file(file);
    if (!text && text.error().code == ErrorCode::not_found) continue;
    if (!text) {
      out.problems.push_back(text.error().message);
      continue;
    }
    auto found = find_servers(config.kind, file.string(), *text);
    if (!found) {
      out.problems.push_back(found.error().message);
      continue;
    }
    out.files.push_back(file.string());
    out.servers.insert(out.servers.end(), std::make_move_iterator(found->begin()),
                       std::make_move_iterator(found->end()));
  }
  return out;
}

json::object server_json(const FoundServer& server) {
  json::array secrets;
  for (const auto& secret : server.secrets) secrets.emplace_back(secret);
  json::array notes;
  for (const auto& note : server.notes) notes.emplace_back(note);
  return {{"name", server.spec.name},
          {"client", server.client},
          {"file", server.file},
          {"secrets", std::move(secrets)},
          {"notes", std::move(notes)}};
}

json::object found_json(const Search& found) {
  json::array servers;
  for (const auto& server : found.servers) servers.push_back(server_json(server));
  json::array problems;
  for (const auto& problem : found.problems) problems.emplace_back(problem);
  return {{"servers", std::move(servers)}, {"problems", std::move(problems)}};
}

void print_found(Context& context, const Search& found, const fs::path& file) {
  for (const auto& problem : found.problems) {
    context.note("gavel: skipped: " + for_display(problem, 500));
  }
  if (found.servers.empty()) {
    context.note(
        "no MCP servers were found in the configs of known clients; the file holds an "
        "example");
  } else {
    Table table({{.title = "SERVER"},
                 {.title = "CLIENT"},
                 {.title = "FOUND IN", .shrink = Shrink::may},
                 {.title = "NOT COPIED", .shrink = Shrink::may}});
    for (const auto& server : found.servers) {
      std::string secrets;
      for (const auto& secret : server.secrets) secrets += (secrets.empty() ? "" : ", ") + secret;
      table.add({{server.spec.name, Tone::strong},
                 server.client,
                 {server.file, Tone::dim},
                 {secrets, Tone::warning}});
    }
    context.print(table.render(context.style(), context.columns()));
    for (const auto& server : found.servers) {
      for (const auto& note : server.notes) {
        context.note(fmt::format("{}: {}", server.spec.name, for_display(note, 500)));
      }
    }
  }
  context.print(fmt::format("wrote {}\n", file.string()));
  context.note(fmt::format("read it, then: gavel up --config {}", file.string()));
}

Result<int> run_init(Context& context, const InitOptions& options) {
  const auto found = search(context.world());
  StarterOptions starter;
  if (!options.secrets.empty()) {
    starter.secrets_directory = options.secrets;
  } else {
    ASSIGN_OR_RETURN(const auto state, context.state());
    starter.secrets_directory = (state / "secrets").string();
  }
  const auto text = render_starter(found.servers, starter);
  auto answer = found_json(found);
  if (options.print) {
    answer["text"] = text;
    if (context.json()) {
      context.print_json(answer);
    } else {
      context.print(text);
    }
    return kExitOk;
  }
  const fs::path given(options.file);
  const auto file = (given.is_absolute() ? given : fs::path(context.world().directory) / given)
                        .lexically_normal();
  auto written = write_text_file(file, text, 0644, options.force ? Replace::yes : Replace::no);
  if (!written && written.error().code == ErrorCode::already_exists) {
    return fail(ErrorCode::already_exists,
                fmt::format("{} is there already; keep it, write another file, or replace it with "
                            "--force",
                            file.string()));
  }
  if (!written) return std::unexpected(written.error());
  if (context.json()) {
    answer["file"] = file.string();
    context.print_json(answer);
  } else {
    print_found(context, found, file);
  }
  return kExitOk;
}

}  // namespace

Command init_command() {
  auto options = std::make_shared<InitOptions>();
  options->file = "gavel.yaml";
  Command command("init", "write a starter gavel.yaml for the MCP servers you have");
  command.description =
      "Looks into the configs of known clients, of this project and of your home directory. "
      "Secrets "
      "are never copied: the file names where to put them.";
  command.argument("FILE", options->file, "what to write (gavel.yaml)", Values::file,
                   Presence::optional);
  command.option("--secrets", "DIR", options->secrets,
                 "the directory that secrets are read from (STATE/secrets)", Values::directory);
  command.flag("--force", options->force, "replace the file where it is there");
  command.flag("--print", options->print, "print it and write nothing");
  command.run = [options](Context& context) { return run_init(context, *options); };
  return command;
}

}  // namespace gavel
