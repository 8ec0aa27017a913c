#include "cli/context.hpp"

#include <fmt/format.h>

namespace gavel {
namespace {

Style style_for(const Globals& globals, const World& world, bool is_terminal) {
  const auto mode = globals.color == "always"  ? ColorMode::always
                    : globals.color == "never" ? ColorMode::never
                                               : ColorMode::automatic;
  return Style(use_color(mode, world.variable("NO_COLOR").has_value(),
                         world.variable("TERM").value_or(""), is_terminal));
}

}  // namespace

Style Context::style() const {
  return style_for(globals_, world_, world_.out_is_terminal);
}

Style Context::error_style() const {
  return style_for(globals_, world_, world_.err_is_terminal);
}

std::size_t Context::columns() const {
  return world_.out_is_terminal ? world_.terminal_size().columns : 0;
}

Result<std::filesystem::path> Context::state() const {
  return state_directory(globals_.state, world_);
}

Result<DaemonAddress> Context::daemon_address() const {
  std::string url = globals_.url;
  if (url.empty()) url = world_.variable("GAVEL_URL").value_or("");
  const auto record = daemon_record();
  if (!record && url.empty()) return std::unexpected(record.error());
  // `gavel run` gives its programs the address of this very daemon.
  const bool is_own = record && *record && (url.empty() || url == (*record)->url);
  if (is_own) return address_of(**record);
  if (url.empty()) url = kDefaultUrl;
  return DaemonAddress{std::move(url),
                       {.certificate = world_.variable("GAVEL_CERTIFICATE").value_or(""),
                        .authorities = world_.variable("GAVEL_CA").value_or("")}};
}

Result<std::optional<DaemonRecord>> Context::daemon_record() const {
  ASSIGN_OR_RETURN(const auto directory, state());
  return read_daemon_record(directory);
}

Result<std::filesystem::path> Context::token_path(Identity identity) const {
  if (identity != Identity::agent && !globals_.token_file.empty()) {
    return std::filesystem::path(globals_.token_file);
  }
  ASSIGN_OR_RETURN(const auto directory, state());
  return directory / "tokens" / (identity == Identity::agent ? "agent.json" : "operator.json");
}

Result<std::string> Context::token(Identity identity) const {
  if (identity == Identity::person && globals_.token_file.empty()) {
    if (auto token = world_.variable("GAVEL_TOKEN")) return *token;
  }
  ASSIGN_OR_RETURN(const auto path, token_path(identity));
  auto record = read_token(path);
  if (!record) return std::unexpected(record.error());
  return std::move(record->token);
}

Result<Client> Context::client(Identity identity) const {
  ASSIGN_OR_RETURN(const auto address, daemon_address());
  auto secret = token(identity);
  if (!secret && secret.error().code != ErrorCode::not_found) {
    return std::unexpected(secret.error());
  }
  if (secret) return Client::make(address, std::move(*secret));
  // Without a token the likeliest reason is that no daemon ever ran here: ask before blaming it.
  ASSIGN_OR_RETURN(auto bare, Client::make(address, {}));
  if (auto health = bare.get("/v1/health");
      !health && health.error().code != ErrorCode::unauthenticated) {
    return std::unexpected(health.error());
  }
  return fail(ErrorCode::unauthenticated,
              fmt::format("{}; name the daemon's state directory with --state, or a token with "
                          "--token-file",
                          secret.error().message));
}

void Context::print(std::string_view text) const {
  world_.out << text;
}

void Context::print_json(const json::value& value) const {
  world_.out << write_json(value) << '\n';
}

void Context::note(std::string_view line) const {
  if (!globals_.quiet) world_.err << line << '\n';
}

int report(const Error& error, const World& world, const Globals& globals) {
  if (globals.json) {
    world.err << write_json(json::object{{"error", json::object{{"code", to_string(error.code)},
                                                                {"message", error.message}}}})
              << '\n';
  } else {
    const auto style = style_for(globals, world, world.err_is_terminal);
    world.err << style.paint(Tone::bad, "gavel:") << ' ' << error.message << '\n';
  }
  return mapping(error.code).exit_code;
}

}  // namespace gavel
