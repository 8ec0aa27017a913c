#pragma once
// What every subcommand gets: the global options, the process around it, and the way to the daemon.

#include <filesystem>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "cli/cli.hpp"
#include "cli/client.hpp"
#include "cli/discovery.hpp"
#include "cli/style.hpp"
#include "cli/world.hpp"

namespace gavel {

struct Globals {
  bool json = false;
  bool quiet = false;
  std::string url;
  std::string state;
  std::string token_file;
  std::string color = "auto";
};

// Whose token a request carries.
enum class Identity {
  person,         // --token-file, else $GAVEL_TOKEN, else <state>/tokens/operator.json
  operator_only,  // --token-file, else <state>/tokens/operator.json
  agent,          // <state>/tokens/agent.json
};

class Context {
public:
  // All are borrowed and outlive the context.
  Context(World& world, const Globals& globals, const CliHooks& hooks)
      : world_(world), globals_(globals), hooks_(hooks) {}

  World& world() const { return world_; }
  const Globals& globals() const { return globals_; }
  const CliHooks& hooks() const { return hooks_; }
  bool json() const { return globals_.json; }

  Style style() const;        // of standard output
  Style error_style() const;  // of standard error
  // Columns of the terminal that standard output is, or 0 where it is none: then nothing is cut.
  std::size_t columns() const;
  Timestamp now() const { return world_.now(); }

  Result<std::filesystem::path> state() const;
  // --url, else $GAVEL_URL, else daemon.json, else the default. The daemon of daemon.json is known
  // by its certificate; any other by $GAVEL_CA, else by the authorities that the system trusts.
  Result<DaemonAddress> daemon_address() const;
  Result<std::filesystem::path> token_path(Identity identity) const;
  Result<std::string> token(Identity identity) const;
  Result<Client> client(Identity identity = Identity::person) const;

  void print(std::string_view text) const;          // standard output, as it is
  void print_json(const json::value& value) const;  // one line
  // A line on standard error for people, unless --quiet.
  void note(std::string_view line) const;

private:
  Result<std::optional<DaemonRecord>> daemon_record() const;

  World& world_;
  const Globals& globals_;
  const CliHooks& hooks_;
};

// The exit codes beside those of base/result.cpp.
inline constexpr int kExitOk = 0;
inline constexpr int kExitCheckFailed = 1;  // doctor and incidents found something

// Prints the error as people or programs want it and returns its exit code.
int report(const Error& error, const World& world, const Globals& globals);

}  // namespace gavel
