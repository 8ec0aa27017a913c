#include "cli/doctor_checks.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "base/text.hpp"
#include "cli/daemon.hpp"
#include "cli/discovery.hpp"
#include "cli/doctor_guard.hpp"
#include "cli/format.hpp"
#include "cli/tool_text.hpp"
#include "policy/parse.hpp"
#include "policy/tool_flags.hpp"

namespace gavel {
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kDiskFailed = 64u << 20;
constexpr std::uint64_t kDiskWarning = 1u << 30;
constexpr Timestamp kClockSane{1'700'000'000'000};  // November 2023: before any build of Gavel

std::string mode_text(const struct stat& info) {
  return fmt::format("{:04o}", info.st_mode & 07777);
}

Finding check_state_directory(const fs::path& state) {
  Finding finding{Health::ok, "state directory", state.string(), {}};
  struct stat info{};
  if (::stat(state.c_str(), &info) != 0) {
    return {Health::warning, finding.check, state.string() + " does not exist yet",
            "gavel up makes it"};
  }
  if (!S_ISDIR(info.st_mode)) {
    return {Health::failed, finding.check, state.string() + " is not a directory",
            "move it away, or name another with --state"};
  }
  if (info.st_uid != ::geteuid()) {
    return {Health::warning, finding.check, state.string() + " belongs to another user",
            "run gavel as that user, or name another with --state"};
  }
  if ((info.st_mode & 0077) != 0) {
    return {Health::failed, finding.check,
            fmt::format("{} has mode {}: others may read it", state.string(), mode_text(info)),
            "chmod 700 " + state.string()};
  }
  finding.text += ", mode " + mode_text(info);
  return finding;
}

Finding check_tokens(const fs::path& state) {
  const auto directory = state / "tokens";
  std::size_t count = 0;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(directory, error)) {
    if (file.path().extension() != ".json") continue;
    struct stat info{};
    if (::stat(file.path().c_str(), &info) != 0) continue;
    if ((info.st_mode & 07777) != 0600) {
      return {Health::failed, "tokens",
              fmt::format("{} has mode {}: the daemon does not accept it, as others may have read "
                          "it",
                          file.path().string(), mode_text(info)),
              "remove it, make a new one with gavel token new, or restart gavel up"};
    }
    if (const auto token = read_token(file.path()); !token) {
      return {Health::failed, "tokens", token.error().message, "remove it and make a new one"};
    }
    ++count;
  }
  if (count == 0) {
    return {Health::warning, "tokens", "there are none in " + directory.string(),
            "gavel up makes the operator's and the agent's"};
  }
  return {Health::ok, "tokens", count_text(count, "token") + ", all of mode 0600", {}};
}

Finding check_disk(const fs::path& state) {
  std::error_code error;
  fs::path at = state;
  while (!at.empty() && !fs::exists(at, error) && at != at.parent_path()) at = at.parent_path();
  const auto space = fs::space(at, error);
  if (error) {
    return {Health::warning, "disk", fmt::format("cannot tell: {}", error.message()), {}};
  }
  const auto text = fmt::format("{} free at {}", bytes_text(space.available), at.string());
  if (space.available < kDiskFailed) {
    return {Health::failed, "disk", text, "free some space: a full disk stops all appends"};
  }
  if (space.available < kDiskWarning) {
    return {Health::warning, "disk", text, "free some space soon: a full disk stops all appends"};
  }
  return {Health::ok, "disk", text, {}};
}

Finding check_clock(Timestamp now) {
  if (now < kClockSane) {
    return {Health::failed, "clock", "the system's clock is far in the past",
            "set it (timedatectl): delays and expiries depend on it"};
  }
  return {Health::ok, "clock", "plausible", {}};
}

Finding check_daemon_record(const fs::path& state) {
  const auto record = read_daemon_record(state);
  if (!record) return {Health::failed, "daemon.json", record.error().message, {}};
  if (!*record) return {Health::ok, "daemon.json", "none, so no daemon runs here", {}};
  const int pid = (*record)->pid;
  if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH) {
    return {Health::warning, "daemon.json",
            fmt::format("names process {}, which is gone: the daemon died", pid),
            "start it again with gavel up; nothing is lost"};
  }
  return {Health::ok, "daemon.json", fmt::format("{}, pid {}", (*record)->url, pid), {}};
}

Finding check_version(const json::value& health, std::string_view own) {
  const auto version = string_or(health, "version");
  const auto text = fmt::format("daemon {}, this program {}", for_display(version, 40), own);
  if (version != own) {
    return {Health::warning, "version", text, "restart the daemon to run one version"};
  }
  return {Health::ok, "version", text, {}};
}

// What a file's policy is to the daemon; `in_force` is the version that it runs, empty where it is
// not known.
Finding of_policy_file(const Policy& policy, const fs::path& file, bool given,
                       std::string_view in_force) {
  Finding finding{
      Health::ok,
      "policy",
      fmt::format("{}: {}, {}", file.string(), count_text(policy.servers().size(), "server"),
                  count_text(policy.rules().size(), "rule")),
      {}};
  if (in_force.empty()) return finding;
  if (policy.version() == in_force) {
    finding.text += "; the daemon runs it";
    return finding;
  }
  finding.health = Health::warning;
  finding.text +=
      fmt::format("; the daemon runs another, version {}", for_display(in_force, 64).substr(0, 12));
  finding.advice = given ? fmt::format(
                               "to run this one: gavel up --config {}; what runs: gavel "
                               "policy show",
                               file.string())
                         : "a change counts from the next start of gavel up; if that was given "
                           "another file, say so here too: --config FILE";
  return finding;
}

Finding without_policy_file(const fs::path& file, std::string_view in_force) {
  if (in_force.empty() || in_force == default_policy()->version()) {
    return {Health::ok,
            "policy",
            fmt::format("no {}: without --config, the safe defaults hold", file.string()),
            {}};
  }
  return {Health::ok, "policy",
          fmt::format("the daemon runs version {}, of a file that it was given",
                      for_display(in_force, 64).substr(0, 12)),
          "gavel policy show prints it; check its file with gavel doctor --config FILE"};
}

// The file that gavel up would use.
void check_policy_file(const Context& context, const fs::path& state, const std::string& given,
                       std::string_view in_force, std::vector<Finding>& out) {
  fs::path file = state / "gavel.yaml";
  if (!given.empty()) {
    file = fs::path(given).is_absolute() ? fs::path(given)
                                         : fs::path(context.world().directory) / given;
  }
  const auto text = read_text_file(file, kPolicyBytesMax + 1);
  if (!text && text.error().code == ErrorCode::not_found && given.empty()) {
    out.push_back(without_policy_file(file, in_force));
    return;
  }
  if (!text) {
    out.push_back({Health::failed, "policy", text.error().message,
                   "name a file that can be read, or make one with gavel init"});
    return;
  }
  const auto check = check_policy(*text, file.string());
  for (const auto& problem : check.problems) {
    const bool error = problem.severity == PolicyProblem::Severity::error;
    out.push_back({error ? Health::failed : Health::warning, "policy",
                   to_text(problem, file.string()),
                   error ? "correct it, then: gavel policy check " + file.string() : ""});
  }
  if (check.policy) out.push_back(of_policy_file(*check.policy, file, !given.empty(), in_force));
}

void check_upstreams(const Client& client, std::vector<Finding>& out) {
  const auto answer = client.get("/v1/upstreams");
  if (!answer) {
    out.push_back({Health::warning, "servers", answer.error().message, {}});
    return;
  }
  const auto* upstreams = find_array(*answer, "upstreams");
  if (upstreams == nullptr || upstreams->empty()) {
    out.push_back({Health::warning, "servers", "none are configured",
                   "write a gavel.yaml with gavel init, or wrap one: gavel mcp -- SERVER"});
    return;
  }
  for (const auto& upstream : *upstreams) {
    const auto name = "server " + for_display(string_or(upstream, "name"), 60);
    const auto health = for_display(string_or(upstream, "health"), 40);
    const auto error = for_display(string_or(upstream, "last_error"), 300);
    // One that nobody needed yet, or that is on its way, is well.
    if (health == "ready" || health == "idle" || health == "starting") {
      out.push_back({Health::ok, name, health, {}});
    } else {
      out.push_back({Health::failed, name, error.empty() ? health : health + ": " + error,
                     health == "needs_login"
                         ? "gavel login " + for_display(string_or(upstream, "name"), 60)
                         : std::string("see gavel upstreams --stderr")});
    }
  }
}

// Tools that wait for a person, or look suspicious.
void check_tools(const Client& client, std::vector<Finding>& out) {
  const auto answer = client.get("/v1/tools");
  const auto* tools = answer ? find_array(*answer, "tools") : nullptr;
  if (tools == nullptr) return;
  std::size_t well = 0;
  for (const auto& tool : *tools) {
    const auto marks = marks_text(tool);
    if (marks.empty()) {
      ++well;
      continue;
    }
    const auto name = for_display(reveal_hidden(string_or(tool, "name")), 200);
    out.push_back({Health::warning, "tool " + name, marks, "look: gavel tools diff " + name});
  }
  out.push_back({Health::ok, "tools", count_text(well, "tool") + " as accepted", {}});
}

void check_halts(const Client& client, std::vector<Finding>& out) {
  const auto answer = client.get("/v1/halts");
  const auto* halts = answer ? find_array(*answer, "halts") : nullptr;
  if (halts == nullptr) return;
  for (const auto& halt : *halts) {
    const auto scope = for_display(string_or(halt, "scope"), 100);
    out.push_back(
        {Health::warning, "halts",
         fmt::format("{} is under a {} by {}", scope, for_display(string_or(halt, "mode"), 20),
                     for_display(string_or(halt, "by"), 60)),
         "lift it with gavel resume " + scope});
  }
}

// Whether the daemon answers, and its store's health; false where there is nothing more to ask.
bool check_health(const Context& context, const Client& client, std::vector<Finding>& out) {
  const auto health = client.get("/v1/health");
  if (health) {
    out.push_back({Health::ok,
                   "daemon",
                   fmt::format("ok at {}, up for {}", client.url(),
                               span_text(Duration{int_or(*health, "uptime_ms", 0)})),
                   {}});
    out.push_back({Health::ok, "store", "ok", {}});
    out.push_back(check_version(*health, context.hooks().version));
    return true;
  }
  const auto& error = health.error();
  switch (error.code) {
    case ErrorCode::storage_failed:
    case ErrorCode::corrupted:
      out.push_back({Health::ok, "daemon", "answers at " + client.url(), {}});
      out.push_back({Health::failed, "store", "has stopped: " + error.message,
                     "nothing is accepted until it is mended: make room or mend the disk, stop "
                     "gavel up, run gavel verify, start it again; what was acknowledged is kept"});
      return true;
    case ErrorCode::unauthenticated:
    case ErrorCode::permission_denied:
      out.push_back({Health::failed, "daemon", error.message, "see gavel token list"});
      return false;
    case ErrorCode::unavailable:
      out.push_back({Health::warning, "daemon", error.message, {}});
      return false;
    default:
      out.push_back({Health::failed, "daemon", error.message, "see the daemon's log"});
      return false;
  }
}

void check_daemon(const Context& context, const Result<Client>& client, std::vector<Finding>& out) {
  if (!client) {
    const bool down = client.error().code == ErrorCode::unavailable;
    out.push_back({down ? Health::warning : Health::failed, "daemon", client.error().message,
                   down ? "" : "see gavel token list"});
    return;
  }
  if (check_health(context, *client, out)) {
    check_upstreams(*client, out);
    check_tools(*client, out);
    check_halts(*client, out);
    check_mcp(context, *client, out);
  }
  check_hooks(context, *client, out);
}

std::string version_in_force(const Result<Client>& client) {
  const auto answer = client ? client->get("/v1/policy") : json::value(nullptr);
  return answer ? std::string(string_or(*answer, "version")) : std::string{};
}

}  // namespace

std::vector<Finding> examine(const Context& context, const std::string& config_path) {
  std::vector<Finding> out;
  const auto state = context.state();
  if (!state) {
    out.push_back({Health::failed, "state directory", state.error().message, {}});
    return out;
  }
  out.push_back(check_state_directory(*state));
  out.push_back(check_tokens(*state));
  out.push_back(check_disk(*state));
  out.push_back(check_clock(context.now()));
  const auto client = context.client(Identity::operator_only);
  check_policy_file(context, *state, config_path, version_in_force(client), out);
  out.push_back(check_daemon_record(*state));
  check_daemon(context, client, out);
  return out;
}

}  // namespace gavel
