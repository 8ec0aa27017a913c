#include "policy/parse.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/text.hpp"
#include "policy/compiled_policy.hpp"
#include "policy/own_tools.hpp"
#include "policy/probe.hpp"
#include "policy/settings.hpp"

namespace gavel {
namespace {

constexpr std::string_view kDefaultSource = R"(# No policy file: the defaults hold.
# Reads are allowed, writes ask, what destroys data takes two steps.
defaults: {read: allow, write: ask, destructive: two_step, irreversible: two_step}
)";

Effect effect_from(std::string_view word) {
  for (const Effect effect : {Effect::read, Effect::write, Effect::destructive}) {
    if (word == to_string(effect)) return effect;
  }
  return Effect::irreversible;
}

Verdict verdict_from(std::string_view word) {
  for (const Verdict verdict : {Verdict::allow, Verdict::ask, Verdict::two_step}) {
    if (word == to_string(verdict)) return verdict;
  }
  return Verdict::deny;
}

Duration duration_of(const json::value& settings, std::string_view key) {
  return Duration{int_or(settings, key, 0)};
}

std::uint64_t count_of(const json::value& settings, std::string_view key) {
  return static_cast<std::uint64_t>(int_or(settings, key, 0));
}

std::string text_of(const json::value& settings, std::string_view key) {
  return std::string(string_or(settings, key));
}

std::vector<std::string> texts_of(const json::value& settings, std::string_view key) {
  std::vector<std::string> texts;
  if (const auto* list = find_array(settings, key)) {
    for (const auto& item : *list) texts.emplace_back(view(item.get_string()));
  }
  return texts;
}

std::map<std::string, std::string> map_of(const json::value& settings, std::string_view key) {
  std::map<std::string, std::string> map;
  if (const auto* object = find_object(settings, key)) {
    for (const auto& member : *object) {
      map.emplace(std::string(member.key()), std::string(view(member.value().get_string())));
    }
  }
  return map;
}

std::optional<json::value> schema_of(const json::value& settings, std::string_view key) {
  const auto* schema = find(settings, key);
  return schema == nullptr ? std::nullopt : std::optional<json::value>(*schema);
}

Pins pins_of(std::string_view text) {
  if (text == "off") return Pins::off;
  if (text == "ask") return Pins::ask;
  return text == "first_list" ? Pins::first_list : Pins::first_use;
}

FlagMode flag_mode_of(std::string_view text) {
  if (text == "off") return FlagMode::off;
  return text == "warn" ? FlagMode::warn : FlagMode::hold;
}

// Turns checked settings into a policy's content, and finds what one option alone does not show.
class PolicyBuilder {
public:
  PolicyBuilder(const YamlNode& root, std::vector<PolicyProblem>& problems)
      : root_(root), problems_(problems) {}

  PolicyContent build(const json::value& settings) {
    PolicyContent content;
    if (const auto* defaults = find(settings, "defaults")) build_defaults(*defaults, content);
    if (const auto* servers = find_object(settings, "servers")) {
      for (const auto& member : *servers) {
        content.servers.push_back(build_server(std::string(member.key()), member.value()));
      }
    }
    if (const auto* rules = find_array(settings, "rules")) {
      for (std::size_t i = 0; i < rules->size(); ++i) {
        content.rules.push_back(build_rule((*rules)[i], i, content));
      }
    }
    if (const auto* budgets = find_array(settings, "budgets")) {
      for (std::size_t i = 0; i < budgets->size(); ++i) {
        content.budgets.push_back(build_budget((*budgets)[i], i, content));
      }
    }
    if (const auto* daemon = find(settings, "daemon")) build_daemon(*daemon, content.daemon);
    check_probes(content);
    return content;
  }

private:
  using Path = std::vector<std::string>;

  // The node at `path`, or the nearest one above it; numbers are places in lists.
  const YamlNode& locate(const Path& path) const {
    const YamlNode* node = &root_;
    for (const std::string& step : path) {
      const YamlNode* next = nullptr;
      if (node->kind == YamlNode::Kind::mapping) {
        next = node->find(step);
      } else if (node->kind == YamlNode::Kind::list) {
        const auto index = static_cast<std::size_t>(std::stoul(step));
        if (index < node->items.size()) next = &node->items[index];
      }
      if (next == nullptr) break;
      node = next;
    }
    return *node;
  }

  void report(PolicyProblem::Severity severity, const Path& path, std::string message) {
    PolicyProblem problem;
    problem.severity = severity;
    const YamlNode& node = locate(path);
    problem.line = node.line;
    problem.column = node.column;
    for (const std::string& step : path) {
      const bool index = !step.empty() &&
                         step.find_first_not_of("0123456789") == std::string::npos &&
                         (problem.path == "rules" || problem.path == "budgets");
      if (index) {
        problem.path += "[" + step + "]";
      } else {
        problem.path += (problem.path.empty() ? "" : ".") + for_display(step, 60);
      }
    }
    problem.message = std::move(message);
    problems_.push_back(std::move(problem));
  }
  void error(const Path& path, std::string message) {
    report(PolicyProblem::Severity::error, path, std::move(message));
  }
  void warning(const Path& path, std::string message) {
    report(PolicyProblem::Severity::warning, path, std::move(message));
  }

  void build_defaults(const json::value& settings, PolicyContent& content) {
    Defaults& defaults = content.defaults;
    defaults.read = verdict_from(string_or(settings, "read"));
    defaults.write = verdict_from(string_or(settings, "write"));
    defaults.destructive = verdict_from(string_or(settings, "destructive"));
    defaults.irreversible = verdict_from(string_or(settings, "irreversible"));
    defaults.two_step_delay = duration_of(settings, "two_step_delay");
    defaults.hold_for = duration_of(settings, "hold_for");
    for (const auto& [less, more] : {std::pair{Effect::read, Effect::write},
                                     {Effect::write, Effect::destructive},
                                     {Effect::destructive, Effect::irreversible}}) {
      if (defaults.of(more) < defaults.of(less)) {
        warning({"defaults", std::string(to_string(more))},
                fmt::format("{} is treated more leniently ({}) than {} ({})", to_string(more),
                            to_string(defaults.of(more)), to_string(less),
                            to_string(defaults.of(less))));
      }
    }
  }

  ServerSpec build_server(const std::string& name, const json::value& settings) {
    ServerSpec server;
    server.name = name;
    server.command = texts_of(settings, "command");
    server.url = text_of(settings, "url");
    server.environment = map_of(settings, "environment");
    server.environment_files = map_of(settings, "environment_files");
    server.headers = map_of(settings, "headers");
    server.header_files = map_of(settings, "header_files");
    if (const auto* oauth = find(settings, "oauth")) server.oauth = build_oauth(*oauth);
    server.directory = text_of(settings, "directory");
    server.concurrency_max = count_of(settings, "concurrency");
    server.queue_max = count_of(settings, "queue");
    server.timeout = duration_of(settings, "timeout");
    server.pins = pins_of(text_of(settings, "pins"));
    server.flags = flag_mode_of(text_of(settings, "flags"));
    server.result_limit = count_of(settings, "result_limit");
    server.trusted = bool_or(settings, "trusted", false);
    if (name == kOwnToolset && !find_option(name, "timeout")) server.timeout = own_tools().timeout;
    if (const auto* rate = find(settings, "rate")) {
      const auto* per_second = find(*rate, "per_second");
      if (per_second != nullptr) server.rate.per_second = per_second->to_number<double>();
      server.rate.burst = count_of(*rate, "burst");
    }
    check_server(server);
    if (const auto* tools = find_object(settings, "tools")) {
      for (const auto& member : *tools) {
        const std::string tool{member.key()};
        server.tools.emplace(tool, build_tool(name, tool, member.value()));
      }
    }
    return server;
  }

  static OAuthSpec build_oauth(const json::value& settings) {
    OAuthSpec oauth;
    if (text_of(settings, "grant") == "client_credentials") {
      oauth.grant = OAuthGrant::client_credentials;
    }
    oauth.client_id = text_of(settings, "client_id");
    oauth.client_secret_file = text_of(settings, "client_secret_file");
    oauth.private_key_file = text_of(settings, "private_key_file");
    oauth.client_metadata_url = text_of(settings, "client_metadata_url");
    oauth.scopes = texts_of(settings, "scopes");
    oauth.issuer = text_of(settings, "issuer");
    oauth.redirect_port = count_of(settings, "redirect_port");
    return oauth;
  }

  void check_oauth(const ServerSpec& server, const Path& path) {
    const OAuthSpec& oauth = server.oauth;
    const auto option = [&](std::string name) {
      Path below = path;
      below.push_back(std::move(name));
      return below;
    };
    for (const auto* headers : {&server.headers, &server.header_files}) {
      for (const auto& [name, value] : *headers) {
        static const re2::RE2 kAuthorization("(?i)authorization");
        if (re2::RE2::FullMatch(name, kAuthorization)) {
          error(path, "the server has a header Authorization, too; keep one of them");
        }
      }
    }
    if (!oauth.client_secret_file.empty() && !oauth.private_key_file.empty()) {
      error(path, "has both `client_secret_file` and `private_key_file`; a client has one of them");
    }
    for (const auto& [name, file] : {std::pair{"client_secret_file", &oauth.client_secret_file},
                                     std::pair{"private_key_file", &oauth.private_key_file}}) {
      if (!file->empty() && !file->starts_with('/')) {
        error(option(name),
              fmt::format("\"{}\" must be an absolute path", for_display(*file, 200)));
      }
      if (!file->empty() && oauth.client_id.empty()) {
        error(option(name), "belongs to a client that is registered: give its `client_id`");
      }
    }
    if (oauth.grant == OAuthGrant::client_credentials && oauth.client_secret_file.empty() &&
        oauth.private_key_file.empty()) {
      error(path,
            "`grant: client_credentials` needs `client_id` with `client_secret_file` or "
            "`private_key_file`");
    }
    if (!oauth.client_metadata_url.empty() && !oauth.client_metadata_url.starts_with("https://")) {
      error(option("client_metadata_url"), "must start with https://");
    }
    static const re2::RE2 kScope("[!#-\\[\\]-~]{1,256}");
    for (const auto& scope : oauth.scopes) {
      if (!re2::RE2::FullMatch(scope, kScope)) {
        error(option("scopes"), fmt::format("\"{}\" is no scope", for_display(scope, 60)));
      }
    }
  }

  void check_server(const ServerSpec& server) {
    const Path path{"servers", server.name};
    const auto at = [&](const std::string& option) { return Path{"servers", server.name, option}; };
    if (server.name == kOwnToolset) {
      for (const auto& option : {"command", "url", "environment", "headers", "oauth"}) {
        if (find_option(server.name, option)) {
          error(at(option), "`own` is what agents do by themselves: there is nothing to reach");
        }
      }
      return;
    }
    if (server.command.empty() == server.url.empty()) {
      error(path, server.url.empty()
                      ? "says neither `command` (a program to start) nor `url` (where it listens)"
                      : "says both `command` and `url`; a server has one of them");
    }
    if (!server.command.empty() && server.command.front().empty()) {
      error(at("command"), "the program's name is empty");
    }
    if (!server.url.empty() && !server.url.starts_with("http://") &&
        !server.url.starts_with("https://")) {
      error(at("url"), "must start with http:// or https://");
    }
    static const re2::RE2 kVariable("[A-Za-z_][A-Za-z0-9_]*");
    static const re2::RE2 kHeader("[A-Za-z0-9!#$%&'*+.^_`|~-]+");
    check_names(server.environment, kVariable, at("environment"), "environment variable");
    check_names(server.environment_files, kVariable, at("environment_files"),
                "environment variable");
    check_names(server.headers, kHeader, at("headers"), "header");
    check_names(server.header_files, kHeader, at("header_files"), "header");
    check_twice(server.environment, server.environment_files, at("environment_files"));
    check_twice(server.headers, server.header_files, at("header_files"));
    for (const auto& option : {"environment", "environment_files", "directory"}) {
      if (!server.url.empty() && find_option(server.name, option)) {
        error(at(option), "is for servers with a `command`");
      }
    }
    for (const auto& option : {"headers", "header_files", "oauth"}) {
      if (!server.command.empty() && find_option(server.name, option)) {
        error(at(option), "is for servers with a `url`");
      }
    }
    if (find_option(server.name, "oauth")) check_oauth(server, at("oauth"));
    for (const auto& [name, value] : server.headers) {
      if (value.find_first_of("\r\n") != std::string::npos) {
        error(at("headers"), fmt::format("{} holds a line break", name));
      }
    }
  }

  bool find_option(const std::string& server, const std::string& option) const {
    const YamlNode& node = locate({"servers", server});
    return node.kind == YamlNode::Kind::mapping && node.find(option) != nullptr;
  }

  void check_names(const std::map<std::string, std::string>& map, const re2::RE2& pattern,
                   const Path& path, std::string_view what) {
    for (const auto& [name, value] : map) {
      if (!re2::RE2::FullMatch(name, pattern)) {
        error(path, fmt::format("\"{}\" is no name of a{} {}", for_display(name, 60),
                                what.starts_with('e') ? "n" : "", what));
      }
    }
  }
  void check_twice(const std::map<std::string, std::string>& plain,
                   const std::map<std::string, std::string>& files, const Path& path) {
    for (const auto& [name, file] : files) {
      if (plain.contains(name)) {
        error(path, fmt::format("{} has a value and a file; keep one", for_display(name, 60)));
      }
      if (!file.starts_with('/')) {
        error(path, fmt::format("{}: \"{}\" must be an absolute path", for_display(name, 60),
                                for_display(file, 200)));
      }
    }
  }

  ToolSpec build_tool(const std::string& server, const std::string& name,
                      const json::value& settings) {
    ToolSpec tool;
    tool.name = name;
    if (find(settings, "effect") != nullptr) {
      tool.effect = effect_from(string_or(settings, "effect"));
    }
    tool.idempotent = bool_or(settings, "idempotent", false);
    if (find(settings, "timeout") != nullptr) tool.timeout = duration_of(settings, "timeout");
    tool.attempts_max = count_of(settings, "retries") + 1;
    tool.sql_argument = text_of(settings, "sql");
    tool.shell_argument = text_of(settings, "shell");
    tool.path_argument = text_of(settings, "path");
    const int classed = (tool.sql_argument.empty() ? 0 : 1) +
                        (tool.shell_argument.empty() ? 0 : 1) +
                        (tool.path_argument.empty() ? 0 : 1);
    if (classed > 1) {
      error({"servers", server, "tools", name},
            "has more than one of `sql`, `shell` and `path`; a tool is classed by one of them");
    }
    tool.input_schema = schema_of(settings, "input_schema");
    tool.output_schema = schema_of(settings, "output_schema");
    if (find(settings, "result_limit") != nullptr) {
      tool.result_limit = count_of(settings, "result_limit");
    }
    if (find(settings, "trusted") != nullptr) tool.trusted = bool_or(settings, "trusted", false);
    if (tool.attempts_max > 1 && tool.effect != Effect::read && tool.idempotent != true) {
      error({"servers", server, "tools", name, "retries"},
            "a call that may act twice cannot be retried; declare `idempotent: true` if the same "
            "call twice leaves what one leaves, or leave retries out");
    }
    tool.answer_before_recorded = bool_or(settings, "answer_before_recorded", false);
    if (tool.answer_before_recorded && tool.effect != Effect::read) {
      error({"servers", server, "tools", name, "answer_before_recorded"},
            "only a read may be answered before it is recorded; declare `effect: read` if the tool "
            "changes nothing, or leave this out");
    }
    if (!tool.effect) {
      warning({"servers", server, "tools", name},
              "states no `effect`, so it counts as destructive");
    }
    if (const auto* probe = find(settings, "probe")) {
      ProbeSpec spec;
      spec.tool = text_of(*probe, "tool");
      if (const auto* arguments = find_object(*probe, "arguments")) spec.arguments = *arguments;
      spec.happened = schema_of(*probe, "happened").value_or(false);
      spec.absent = schema_of(*probe, "absent");
      tool.probe = std::move(spec);
    }
    return tool;
  }

  // A probe must be a read that is in the catalogue: it is asked without a decision of its own.
  void check_probes(PolicyContent& content) {
    for (ServerSpec& server : content.servers) {
      for (auto& [name, tool] : server.tools) {
        if (!tool.probe) continue;
        if (server.name == kOwnToolset) {
          error({"servers", server.name, "tools", name, "probe"},
                "nobody but the agent's program could run a probe of its own tools");
          continue;
        }
        const Path path{"servers", server.name, "tools", name, "probe"};
        if (tool.effect == Effect::read && tool.sql_argument.empty()) {
          warning(path, "a read needs no probe");
        }
        const ToolSpec* asked = find_probe_tool(content, tool.probe->tool, path);
        if (asked == nullptr) continue;
        tool.probe->sql_argument = asked->sql_argument;
        if (const auto fine = check_probe_arguments(*tool.probe); !fine) {
          Path arguments = path;
          arguments.emplace_back("arguments");
          error(arguments, fine.error().message);
        }
      }
    }
  }

  const ToolSpec* find_probe_tool(const PolicyContent& content, const std::string& name,
                                  Path path) {
    if (name.empty()) return nullptr;  // reported as missing
    path.emplace_back("tool");
    std::vector<std::string> known;
    for (const ServerSpec& server : content.servers) {
      for (const auto& [other, tool] : server.tools) {
        known.push_back(tool_name(server.name, other));
        if (known.back() != name) continue;
        if (server.name == kOwnToolset || !tool.shell_argument.empty() ||
            !tool.path_argument.empty()) {
          error(path, fmt::format("{} cannot be a probe: it is an agent's own tool, or classed by "
                                  "its arguments",
                                  name));
          return nullptr;
        }
        if (tool.effect == Effect::read) return &tool;
        error(path, fmt::format("{} must be declared with `effect: read` to be a probe", name));
        return nullptr;
      }
    }
    const std::vector<std::string_view> names(known.begin(), known.end());
    const auto meant = nearest(name, names);
    error(path, fmt::format("{} is not in the catalogue{}; list it under its server with "
                            "`effect: read`",
                            for_display(name, 100),
                            meant.empty() ? "" : fmt::format(" (did you mean {}?)", meant)));
    return nullptr;
  }

  Rule build_rule(const json::value& settings, std::size_t index, const PolicyContent& content) {
    const std::string place = std::to_string(index);
    Rule rule;
    rule.name = text_of(settings, "name");
    rule.tools = texts_of(settings, "tools");
    rule.principals = texts_of(settings, "principals");
    rule.sessions = texts_of(settings, "sessions");
    for (const auto& effect : texts_of(settings, "effects")) {
      rule.effects.push_back(effect_from(effect));
    }
    rule.arguments = schema_of(settings, "arguments");
    for (const auto& origin : texts_of(settings, "arguments_from")) {
      rule.origins.push_back(origin_from(origin).value_or(Origin::untrusted));
    }
    rule.traced = texts_of(settings, "traced");
    if (const auto* window = find_array(settings, "utc_time")) {
      rule.utc_minutes = {static_cast<int>((*window)[0].get_int64()),
                          static_cast<int>((*window)[1].get_int64())};
    }
    rule.verdict = verdict_from(string_or(settings, "verdict"));
    rule.reason = text_of(settings, "reason");
    rule.line = locate({"rules", place}).line;
    if (const auto [first, added] = rule_lines_.try_emplace(rule.name, rule.line);
        !added && !rule.name.empty()) {
      error({"rules", place, "name"}, fmt::format("\"{}\" is the name of the rule in line {} too",
                                                  for_display(rule.name, 100), first->second));
    }
    check_tool_globs(rule.tools, {"rules", place, "tools"}, content);
    check_origins(rule, place);
    if (rule.verdict == Verdict::allow && rule.arguments) {
      check_allowing_condition(*rule.arguments, {"rules", place, "arguments"});
    }
    return rule;
  }

  void check_origins(const Rule& rule, const std::string& place) {
    if (rule.verdict == Verdict::allow && !rule.origins.empty()) {
      error({"rules", place, "arguments_from"},
            "a rule that allows cannot rest on it: where words first appeared is no proof of who "
            "meant them; let another rule ask or deny what comes from elsewhere");
    }
    if (rule.origins.empty() && !rule.traced.empty()) {
      error({"rules", place, "traced"}, "says nothing without `arguments_from`");
    }
  }

  // Globs that can match nothing are typing errors more often than not.
  void check_tool_globs(const std::vector<std::string>& globs, const Path& path,
                        const PolicyContent& content) {
    for (const std::string& glob : globs) {
      const std::string prefix = glob.substr(0, glob.find_first_of("*?"));
      const auto split = prefix.find("__");
      if (split == std::string::npos) {
        if (prefix == glob) {
          warning(path, fmt::format("\"{}\" matches nothing: names are SERVER__TOOL",
                                    for_display(glob, 100)));
        }
        continue;
      }
      const std::string server = prefix.substr(0, split);
      if (content.servers.empty() || server == kOwnToolset ||
          std::any_of(content.servers.begin(), content.servers.end(),
                      [&](const ServerSpec& other) { return other.name == server; })) {
        continue;
      }
      std::vector<std::string_view> names;
      for (const ServerSpec& other : content.servers) names.push_back(other.name);
      const auto meant = nearest(server, names);
      warning(path, fmt::format("\"{}\": no server is called {}{}", for_display(glob, 100),
                                for_display(server, 60),
                                meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
    }
  }

  // A schema says nothing of absent members: an allowing rule is then wider than it looks.
  void check_allowing_condition(const json::value& schema, const Path& path) {
    const auto* properties = find_object(schema, "properties");
    if (properties == nullptr) return;
    const auto* required = find_array(schema, "required");
    for (const auto& member : *properties) {
      const bool is_required =
          required != nullptr && std::find(required->begin(), required->end(),
                                           json::value(member.key())) != required->end();
      if (!is_required) {
        warning(path, fmt::format("this also allows calls without `{}`; add `required: [{}]`",
                                  for_display(member.key(), 60), for_display(member.key(), 60)));
      }
    }
  }

  BudgetSpec build_budget(const json::value& settings, std::size_t index,
                          const PolicyContent& content) {
    const std::string place = std::to_string(index);
    BudgetSpec budget;
    budget.name = text_of(settings, "name");
    budget.scope = text_of(settings, "scope");
    budget.tools = texts_of(settings, "tools");
    budget.calls = count_of(settings, "calls");
    budget.wall_clock = duration_of(settings, "wall_clock");
    static const re2::RE2 kName("[A-Za-z0-9._-]*");
    if (!re2::RE2::FullMatch(budget.name, kName)) {
      error({"budgets", place, "name"}, "use letters, digits, `.`, `_` and `-`");
    }
    if (!budget.name.empty() &&
        std::any_of(content.budgets.begin(), content.budgets.end(),
                    [&](const BudgetSpec& other) { return other.name == budget.name; })) {
      error({"budgets", place, "name"}, fmt::format("\"{}\" stands twice", budget.name));
    }
    if (budget.calls == 0 && budget.wall_clock.count() == 0) {
      error({"budgets", place}, "limits nothing; set `calls` or `wall_clock`");
    }
    check_tool_globs(budget.tools, {"budgets", place, "tools"}, content);
    return budget;
  }

  void build_daemon(const json::value& settings, DaemonSpec& daemon) {
    daemon.listen = text_of(settings, "listen");
    daemon.hold_patience = duration_of(settings, "hold_patience");
    daemon.hold_patience_with_progress = duration_of(settings, "hold_patience_with_progress");
    daemon.session_idle = duration_of(settings, "session_idle");
    daemon.hosts = texts_of(settings, "hosts");
    if (const auto* tls = find_object(settings, "tls")) {
      daemon.tls = TlsSpec{text_of(*tls, "certificate"), text_of(*tls, "key")};
    }
    check_listen(daemon);
    check_tls_file(daemon, "certificate", &TlsSpec::certificate);
    check_tls_file(daemon, "key", &TlsSpec::key);
    check_hosts(daemon);
  }

  void check_listen(const DaemonSpec& daemon) {
    static const re2::RE2 kListen(
        "(localhost|\\d{1,3}(?:\\.\\d{1,3}){3}|\\[[0-9A-Fa-f:.]+\\]):(\\d{1,5})");
    static const re2::RE2 kLoopback("localhost|127\\..*|\\[::1\\]");
    static const re2::RE2 kAll("0\\.0\\.0\\.0|\\[::\\]");
    std::string host;
    int port = 0;
    if (!re2::RE2::FullMatch(daemon.listen, kListen, &host, &port) || port > 65535) {
      error({"daemon", "listen"},
            fmt::format("expected HOST:PORT with an address, like 127.0.0.1:7420; got \"{}\"",
                        for_display(daemon.listen, 100)));
      return;
    }
    if (re2::RE2::FullMatch(host, kLoopback)) return;
    if (!daemon.tls) {
      error({"daemon", "listen"},
            fmt::format("{} is not on loopback, and so needs TLS: set `tls` to a certificate and "
                        "its key, or listen on 127.0.0.1",
                        host));
    } else if (daemon.hosts.empty() && re2::RE2::FullMatch(host, kAll)) {
      error({"daemon", "listen"},
            fmt::format("{} is every address, and so says no name that clients may use: set "
                        "`hosts` to those names",
                        host));
    }
  }

  void check_tls_file(const DaemonSpec& daemon, const std::string& option,
                      std::string TlsSpec::* file) {
    if (!daemon.tls || (*daemon.tls.*file).empty() || (*daemon.tls.*file).starts_with('/')) return;
    error({"daemon", "tls", option},
          fmt::format("\"{}\" must be an absolute path", for_display(*daemon.tls.*file, 200)));
  }

  void check_hosts(const DaemonSpec& daemon) {
    static const re2::RE2 kHost("[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\]");
    for (const auto& host : daemon.hosts) {
      if (re2::RE2::FullMatch(host, kHost)) continue;
      error({"daemon", "hosts"},
            fmt::format("\"{}\" is no host: write a name or an address as it stands in a URL, "
                        "without scheme and port, like gavel.example.com or [fd00::1]",
                        for_display(host, 100)));
    }
  }

  const YamlNode& root_;
  std::vector<PolicyProblem>& problems_;
  std::map<std::string, int> rule_lines_;
};

}  // namespace

std::string to_text(const PolicyProblem& problem, std::string_view file_name) {
  std::string text(file_name);
  if (problem.line > 0) text += fmt::format(":{}", problem.line);
  if (problem.line > 0 && problem.column > 0) text += fmt::format(":{}", problem.column);
  if (!problem.path.empty()) text += ": " + problem.path;
  return text + ": " + problem.message;
}

std::string PolicyCheck::text() const {
  std::string text;
  for (const auto& problem : problems) text += to_text(problem, file_name) + "\n";
  return text;
}

PolicyCheck check_policy(std::string_view yaml, std::string file_name) {
  PolicyCheck check;
  check.file_name = std::move(file_name);
  const YamlNode root = read_yaml(yaml, check.problems);
  // What is no YAML document has no options.
  if (check.problems.empty() || root.kind == YamlNode::Kind::mapping) {
    const json::value settings = SettingsReader(check.problems).read(root, policy_options(), "");
    PolicyContent content = PolicyBuilder(root, check.problems).build(settings);
    content.version = sha256(yaml).hex();
    content.source = yaml;
    const bool fine = std::none_of(
        check.problems.begin(), check.problems.end(),
        [](const auto& problem) { return problem.severity == PolicyProblem::Severity::error; });
    if (fine) check.policy = std::make_shared<CompiledPolicy>(std::move(content));
  }
  std::sort(check.problems.begin(), check.problems.end(), [](const auto& a, const auto& b) {
    return std::tie(a.line, a.column, a.path, a.message) <
           std::tie(b.line, b.column, b.path, b.message);
  });
  return check;
}

Result<std::shared_ptr<const Policy>> parse_policy(std::string_view yaml, std::string file_name) {
  PolicyCheck check = check_policy(yaml, std::move(file_name));
  if (check.policy) return check.policy;
  std::string text;
  for (const auto& problem : check.problems) {
    if (problem.severity == PolicyProblem::Severity::warning) continue;
    text += (text.empty() ? "" : "\n") + to_text(problem, check.file_name);
  }
  return fail(ErrorCode::invalid_argument, std::move(text));
}

std::shared_ptr<const Policy> default_policy() {
  return check_policy(kDefaultSource, "defaults").policy;
}

}  // namespace gavel
