// gavel policy: checks a policy file, explains what it says to a call, prints its schema.

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/discovery.hpp"
#include "cli/explanation_text.hpp"
#include "core/provenance.hpp"
#include "policy/options.hpp"
#include "policy/parse.hpp"

namespace gavel {
namespace {

struct CheckOptions {
  std::string file;
};

struct ExplainOptions {
  std::string tool;
  std::string arguments;
  std::string principal = "agent";
  std::string session;
  std::string file;
};

json::value problem_json(const PolicyProblem& problem) {
  const bool error = problem.severity == PolicyProblem::Severity::error;
  return json::object{{"severity", error ? "error" : "warning"},
                      {"line", problem.line},
                      {"column", problem.column},
                      {"path", problem.path},
                      {"message", problem.message}};
}

Result<int> run_check(Context& context, const CheckOptions& options) {
  std::filesystem::path file = options.file;
  if (options.file.empty()) {
    ASSIGN_OR_RETURN(const auto state, context.state());
    file = state / "gavel.yaml";
  }
  ASSIGN_OR_RETURN(const auto text, read_text_file(file, kPolicyBytesMax + 1));
  const auto check = check_policy(text, options.file.empty() ? file.string() : options.file);
  const int code = check.policy ? kExitOk : mapping(ErrorCode::invalid_argument).exit_code;
  if (context.json()) {
    json::array problems;
    for (const auto& problem : check.problems) problems.push_back(problem_json(problem));
    json::object answer{{"ok", check.policy != nullptr}, {"problems", std::move(problems)}};
    if (check.policy) answer["version"] = check.policy->version();
    context.print_json(answer);
    return code;
  }
  const auto style = context.style();
  for (const auto& problem : check.problems) {
    const bool error = problem.severity == PolicyProblem::Severity::error;
    context.print(fmt::format(
        "{} {}\n", style.paint(error ? Tone::bad : Tone::warning, error ? "error  " : "warning"),
        for_display(to_text(problem, check.file_name), 2000)));
  }
  if (check.policy) {
    context.print(fmt::format("{} is a policy: {} servers, {} rules, version {}\n",
                              for_display(check.file_name, 400), check.policy->servers().size(),
                              check.policy->rules().size(), check.policy->version().substr(0, 12)));
  }
  return code;
}

// What the file alone knows of a wrong call.
json::array problems_offline(const Policy& policy, const ExplainOptions& options,
                             const json::value& arguments) {
  json::array problems;
  const auto server = split_tool_name(options.tool).first;
  std::vector<std::string_view> names;
  bool known = server == kOwnToolset;
  for (const auto& spec : policy.servers()) {
    names.emplace_back(spec.name);
    known = known || spec.name == server;
  }
  if (!known) {
    const auto near = nearest(server, names);
    problems.emplace_back(
        fmt::format("the file has no server \"{}\"{}", for_display(server, 100),
                    near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
  }
  if (const auto valid = check_catalogue(policy, options.tool, arguments); !valid) {
    problems.emplace_back("its arguments break the catalogue's schema: " + valid.error().message);
  }
  return problems;
}

Result<json::value> explain_offline(Context& context, const ExplainOptions& options,
                                    const json::value& arguments) {
  ASSIGN_OR_RETURN(const auto text, read_text_file(options.file, kPolicyBytesMax + 1));
  ASSIGN_OR_RETURN(const auto policy, parse_policy(text, options.file));
  Call call;
  call.principal = Principal{options.principal};
  call.session = LogId{options.session};
  call.tool = options.tool;
  call.arguments = &arguments;
  call.now = context.now();
  // As in a session that has seen nothing yet.
  call.trace = [&arguments](const auto& is_trusted) {
    return Provenance().trace(arguments, {}, is_trusted);
  };
  auto explained = explained_json(policy->explain(call));
  explained["problems"] = problems_offline(*policy, options, arguments);
  return json::value(std::move(explained));
}

Result<int> run_explain(Context& context, const ExplainOptions& options) {
  const auto arguments = parse_json(options.arguments.empty() ? "{}" : options.arguments);
  if (!arguments || !arguments->is_object()) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("the arguments must be one JSON object, as in '{{\"sql\":\"SELECT 1\"}}'"
                    "{}",
                    arguments ? "" : ": " + arguments.error().message));
  }
  json::value explanation;
  if (options.file.empty()) {
    ASSIGN_OR_RETURN(const auto client, context.client());
    ASSIGN_OR_RETURN(explanation, client.post("/v1/policy/explain",
                                              json::object{{"principal", options.principal},
                                                           {"session", options.session},
                                                           {"tool", options.tool},
                                                           {"arguments", *arguments}}));
  } else {
    ASSIGN_OR_RETURN(explanation, explain_offline(context, options, *arguments));
  }
  if (context.json()) {
    context.print_json(explanation);
  } else {
    context.print(explanation_text(explanation, context.style(), context.columns()));
  }
  return kExitOk;
}

Result<int> run_schema(Context& context) {
  context.print(policy_json_schema());
  return kExitOk;
}

Result<int> run_show(Context& context) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  ASSIGN_OR_RETURN(const auto answer, client.get("/v1/policy"));
  if (context.json()) {
    context.print_json(answer);
  } else {
    context.print(string_or(answer, "source"));
  }
  return kExitOk;
}

std::string change_text(const json::value& change, const Style& style) {
  const auto version = [&](std::string_view key) {
    return for_display(string_or(change, key).substr(0, 12), 40);
  };
  if (string_or(change, "before") == string_or(change, "after")) {
    return fmt::format("policy {} stays in force: the file is the same\n", version("after"));
  }
  std::string text =
      fmt::format("policy {} is in force; before it was {}\n", version("after"), version("before"));
  const auto* servers = find_object(change, "servers");
  const auto add = [&](const json::array* names, std::string_view prefix, std::string_view what) {
    for (const auto& name : names == nullptr ? json::array{} : *names) {
      if (!name.is_string()) continue;
      text += fmt::format("  {}{} {}\n", prefix, for_display(name.get_string(), 200),
                          style.paint(Tone::warning, std::string(what)));
    }
  };
  if (servers != nullptr) {
    add(find_array(*servers, "added"), "server ", "added");
    add(find_array(*servers, "changed"), "server ", "changed");
    add(find_array(*servers, "removed"), "server ", "removed");
  }
  add(find_array(change, "takes_restart"), "", "takes a restart");
  return text;
}

Result<int> run_reload(Context& context) {
  ASSIGN_OR_RETURN(const auto client, context.client());
  ASSIGN_OR_RETURN(const auto change, client.post("/v1/policy/reload", json::object{}));
  if (context.json()) {
    context.print_json(change);
  } else {
    context.print(change_text(change, context.style()));
  }
  return kExitOk;
}

}  // namespace

Command policy_command() {
  Command command("policy", "check a policy, explain what it says, put it in force");

  auto check_options = std::make_shared<CheckOptions>();
  Command check("check", "say what is wrong with a policy file, with line and column");
  check.argument("FILE", check_options->file, "the file (STATE/gavel.yaml)", Values::file,
                 Presence::optional);
  check.run = [check_options](Context& context) { return run_check(context, *check_options); };

  auto explain_options = std::make_shared<ExplainOptions>();
  Command explain("explain", "say which rule decides a call, and why");
  explain.description =
      "Asks the daemon what its policy says; with --file, no daemon is needed. Nothing is called.";
  explain.argument("TOOL", explain_options->tool, "as gavel tools lists it: pg__query",
                   Values::tool);
  explain.argument("JSON", explain_options->arguments, "the call's arguments ({})", Values::any,
                   Presence::optional);
  explain.option("--principal", "NAME", explain_options->principal, "who calls (agent)");
  explain.option("--session", "S", explain_options->session, "in which session", Values::session);
  explain.option("-f,--file", "FILE", explain_options->file, "by this policy file", Values::file);
  explain.run = [explain_options](Context& context) {
    return run_explain(context, *explain_options);
  };

  Command schema("schema", "print the JSON Schema of policy files, for editors");
  schema.run = run_schema;
  Command show("show", "print the policy that the daemon uses");
  show.run = run_show;
  Command reload("reload", "put what the policy file says now in force");
  reload.description =
      "The daemon reads its file anew. A file with a problem changes nothing. Calls at work end "
      "where they are; servers that changed or left are closed after them.";
  reload.run = run_reload;
  command.subcommands = {std::move(check), std::move(explain), std::move(show), std::move(reload),
                         std::move(schema)};
  return command;
}

}  // namespace gavel
