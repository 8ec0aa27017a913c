#include "policy/options.hpp"

#include <array>

namespace gavel {
namespace {

using enum OptionKind;

constexpr double kSecond = 1'000;
constexpr double kHour = 3'600 * kSecond;
constexpr double kDay = 24 * kHour;

constexpr std::array<std::string_view, 4> kEffects = {"read", "write", "destructive",
                                                      "irreversible"};
constexpr std::array<std::string_view, 4> kVerdicts = {"allow", "ask", "two_step", "deny"};
constexpr std::array<std::string_view, 4> kOrigins = {"person", "trusted", "model", "untrusted"};
constexpr std::array<std::string_view, 4> kScopes = {"session", "agent", "toolset", "everything"};

constexpr std::array<std::string_view, 4> kPins = {"off", "first_use", "first_list", "ask"};
constexpr std::array<std::string_view, 3> kFlagModes = {"off", "warn", "hold"};

constexpr std::array<std::string_view, 2> kGrants = {"authorization_code", "client_credentials"};

constexpr double kResultMin = 1u << 10;
constexpr double kResultMax = 16u << 20;

constexpr Option kRateOptions[] = {
    {.name = "per_second",
     .kind = number,
     .doc = "Calls per second that may start. 0: no limit.",
     .preset = "0",
     .max = 1e6},
    {.name = "burst",
     .kind = count,
     .doc = "Calls that may start at once after a pause.",
     .preset = "1",
     .min = 1,
     .max = 1e6},
};
constexpr OptionGroup kRate = {"rate", "How often calls may start; more wait in the queue.",
                               kRateOptions};

constexpr Option kProbeOptions[] = {
    {.name = "tool",
     .doc =
         "The tool to ask, by Gavel's name, `SERVER__TOOL`. It must be listed with `effect: read`.",
     .required = true,
     .min = 1,
     .max = 256},
    {.name = "arguments",
     .kind = json_object,
     .doc =
         "Its arguments. `${args.NAME}` stands for the call's argument NAME, `${key}` for its "
         "idempotency key: alone in a text it keeps the argument's type, inside a longer one it is "
         "inserted as text. `$${` is a plain `${`."},
    {.name = "happened",
     .kind = json_schema,
     .doc = "JSON Schema. Where the probe's CallToolResult satisfies it, the effect happened.",
     .required = true},
    {.name = "absent",
     .kind = json_schema,
     .doc = "JSON Schema. Where the result satisfies it, the effect did not happen. Without it, "
            "whatever is not `happened` is absent."},
};
constexpr OptionGroup kProbe = {
    "probe", "A read that tells whether a call whose outcome is unknown took effect.",
    kProbeOptions};

constexpr Option kToolOptions[] = {
    {.name = "effect",
     .kind = choice,
     .doc =
         "What a call could do at worst, not what it is meant for. Without it the tool counts as "
         "destructive.",
     .choices = kEffects},
    {.name = "idempotent",
     .kind = flag,
     .doc = "Whether the same call twice leaves what one leaves. Unknown outcomes may then be "
            "retried.",
     .preset = "false"},
    {.name = "timeout",
     .kind = duration,
     .doc = "How long a call may take; the server's `timeout` where unset.",
     .min = 1,
     .max = 24 * kHour},
    {.name = "retries",
     .kind = count,
     .doc = "How often a failed attempt is repeated. Only for tools with `effect: read` or "
            "`idempotent: true`.",
     .preset = "0",
     .max = 10},
    {.name = "probe",
     .kind = group,
     .doc = "How to find out whether a call took effect when its answer was lost.",
     .group = &kProbe},
    {.name = "sql",
     .doc = "The argument that holds SQL. Each call is then classed by what its statements do; "
            "with `effect: read` they alone decide, any other effect is the least that is assumed.",
     .min = 1,
     .max = 128},
    {.name = "shell",
     .doc = "The argument that holds a shell command. Each call is then classed by what its "
            "commands do; with `effect: read` they alone decide, any other effect is the least "
            "that is assumed.",
     .min = 1,
     .max = 128},
    {.name = "path",
     .doc = "The argument that holds a file's path, or a list of them. A write inside the call's "
            "`project` keeps the tool's effect, one outside is destructive, and so is to touch a "
            "secret.",
     .min = 1,
     .max = 128},
    {.name = "input_schema",
     .kind = json_schema,
     .doc = "JSON Schema of the arguments, checked beside the server's own."},
    {.name = "output_schema",
     .kind = json_schema,
     .doc = "JSON Schema of `structuredContent`, checked instead of the server's own."},
    {.name = "result_limit",
     .kind = count,
     .doc = "How many bytes of JSON a result may have; the server's `result_limit` where unset.",
     .min = kResultMin,
     .max = kResultMax},
    {.name = "answer_before_recorded",
     .kind = flag,
     .doc = "Answers a read as soon as its server has, without waiting for the disk: its record "
            "follows within a tenth of a second, and a crash in between leaves no trace of it. "
            "Only with `effect: read`; a call that is classed as more waits all the same.",
     .preset = "false"},
    {.name = "trusted",
     .kind = flag,
     .doc = "Whether arguments may come from its results: nobody outside can put text into them. "
            "The server's `trusted` where unset."},
};
constexpr OptionGroup kTool = {"tool", "One tool of a server, by the server's own name.",
                               kToolOptions};

constexpr Option kOAuthOptions[] = {
    {.name = "grant",
     .kind = choice,
     .doc = "Who asks for tokens: a person by `gavel login` (`authorization_code`), or Gavel alone "
            "with its own credentials.",
     .preset = "authorization_code",
     .choices = kGrants},
    {.name = "client_id",
     .doc = "Gavel's name at the authorization server, where it was registered by hand. Unset: "
            "Gavel registers itself.",
     .min = 1,
     .max = 2048},
    {.name = "client_secret_file",
     .doc = "The file with that client's secret, one line.",
     .min = 1,
     .max = 4096},
    {.name = "private_key_file",
     .doc = "Instead of a secret: the file with its private key (PEM, P-256 or RSA), with which "
            "Gavel signs who it is (`private_key_jwt`).",
     .min = 1,
     .max = 4096},
    {.name = "client_metadata_url",
     .doc = "The https address of a Client ID Metadata Document that describes this Gavel, for "
            "servers that take one; used where there is no `client_id`.",
     .min = 1,
     .max = 2048},
    {.name = "scopes",
     .kind = texts,
     .doc = "Exactly these scopes are asked for, never more. Unset: those that the server names.",
     .min = 1,
     .max = 100},
    {.name = "issuer",
     .doc = "The authorization server that must be used, as it names itself. Unset: the first that "
            "the server names.",
     .min = 1,
     .max = 2048},
    {.name = "redirect_port",
     .kind = count,
     .doc = "The port on loopback that `gavel login` waits on. 0: any that is free.",
     .preset = "0",
     .max = 65535},
};
constexpr OptionGroup kOAuth = {
    "oauth", "How Gavel logs in at a server over HTTP that asks for it.", kOAuthOptions};

constexpr Option kServerOptions[] = {
    {.name = "command",
     .kind = scalars,
     .doc = "The program and its arguments, for a server over stdio. Either this or `url`.",
     .min = 1,
     .max = 256},
    {.name = "url", .doc = "The endpoint of a server over HTTP.", .min = 1, .max = 2048},
    {.name = "environment",
     .kind = scalar_map,
     .doc = "Variables of the program, beside PATH, HOME, LANG and TZ. Nothing else of Gavel's own "
            "environment is passed on."},
    {.name = "environment_files",
     .kind = text_map,
     .doc = "Variables whose value is read from a file: for secrets."},
    {.name = "directory",
     .doc = "The program's working directory; Gavel's own where unset.",
     .min = 1,
     .max = 4096},
    {.name = "headers", .kind = scalar_map, .doc = "Headers sent to `url`."},
    {.name = "header_files",
     .kind = text_map,
     .doc = "Headers whose value is read from a file: for secrets."},
    {.name = "oauth",
     .kind = group,
     .doc = "How Gavel logs in at `url` where that asks for it: see docs/oauth.md.",
     .group = &kOAuth},
    {.name = "concurrency",
     .kind = count,
     .doc = "Calls in flight at once.",
     .preset = "16",
     .min = 1,
     .max = 1024},
    {.name = "queue",
     .kind = count,
     .doc = "Calls that may wait for their turn; more are refused as busy.",
     .preset = "256",
     .max = 65536},
    {.name = "rate", .kind = group, .doc = "How often calls may start.", .group = &kRate},
    {.name = "timeout",
     .kind = duration,
     .doc = "How long a call may take.",
     .preset = "60s",
     .min = 1,
     .max = 24 * kHour},
    {.name = "pins",
     .kind = choice,
     .doc = "Which tools are accepted unseen: each at `first_use`, those of the `first_list`, or "
            "none (`ask`). A changed tool always waits for a person, but with `off`.",
     .preset = "first_use",
     .choices = kPins},
    {.name = "flags",
     .kind = choice,
     .doc = "What hidden characters and instructions in a tool's definition do: `hold` it until a "
            "person accepts it, `warn`, or nothing.",
     .preset = "hold",
     .choices = kFlagModes},
    {.name = "result_limit",
     .kind = count,
     .doc = "How many bytes of JSON a result may have. A larger one is recorded and not passed on.",
     .preset = "1048576",
     .min = kResultMin,
     .max = kResultMax},
    {.name = "trusted",
     .kind = flag,
     .doc = "Whether the results of its tools are trusted, for rules with `arguments_from`.",
     .preset = "false"},
    {.name = "tools",
     .kind = groups_by_name,
     .doc = "What is known of its tools. A tool that is not listed counts as destructive.",
     .group = &kTool,
     .name_pattern = "[A-Za-z0-9_./-]{1,128}"},
};
constexpr OptionGroup kServer = {"server", "An upstream MCP server.", kServerOptions};

constexpr Option kDefaultsOptions[] = {
    {.name = "read",
     .kind = choice,
     .doc = "Verdict on reads.",
     .preset = "allow",
     .choices = kVerdicts},
    {.name = "write",
     .kind = choice,
     .doc = "Verdict on writes.",
     .preset = "ask",
     .choices = kVerdicts},
    {.name = "destructive",
     .kind = choice,
     .doc = "Verdict on what destroys data.",
     .preset = "two_step",
     .choices = kVerdicts},
    {.name = "irreversible",
     .kind = choice,
     .doc = "Verdict on what nothing brings back.",
     .preset = "two_step",
     .choices = kVerdicts},
    {.name = "two_step_delay",
     .kind = duration,
     .doc = "How long a two-step operation waits between request and execution.",
     .preset = "30s",
     .max = 7 * kDay},
    {.name = "hold_for",
     .kind = duration,
     .doc = "How long a held call waits for people before it is refused.",
     .preset = "1h",
     .min = kSecond,
     .max = 30 * kDay},
};
constexpr OptionGroup kDefaults = {"defaults", "What holds where no rule matches.",
                                   kDefaultsOptions};

constexpr Option kRuleOptions[] = {
    {.name = "name",
     .doc = "What the rule is called in logs, refusals and explanations.",
     .required = true,
     .min = 1,
     .max = 100},
    {.name = "tools",
     .kind = texts,
     .doc = "Globs over Gavel's tool names, `SERVER__TOOL`. Empty: any.",
     .max = 256},
    {.name = "principals",
     .kind = texts,
     .doc = "Globs over who calls. Empty: anybody.",
     .max = 256},
    {.name = "sessions", .kind = texts, .doc = "Globs over session names. Empty: any.", .max = 256},
    {.name = "effects",
     .kind = choices,
     .doc = "Effects of the call, as classed. Empty: any.",
     .max = 4,
     .choices = kEffects},
    {.name = "arguments",
     .kind = json_schema,
     .doc =
         "JSON Schema; the rule matches calls whose arguments satisfy it. Name what must be there "
         "under `required`: a schema says nothing of members that are absent."},
    {.name = "arguments_from",
     .kind = choices,
     .doc = "Where a part of an argument first appeared: what the `person` said, a `trusted` or an "
            "`untrusted` result, nowhere before (`model`). Not for rules that allow. Empty: "
            "wherever.",
     .max = 4,
     .choices = kOrigins},
    {.name = "traced",
     .kind = texts,
     .doc = "Which arguments `arguments_from` is about, by name. Empty: all.",
     .max = 64},
    {.name = "utc_time",
     .kind = utc_window,
     .doc = "Time of day in UTC, from and up to, `22:00-06:00`."},
    {.name = "verdict",
     .kind = choice,
     .doc = "What happens to calls that match.",
     .required = true,
     .choices = kVerdicts},
    {.name = "reason",
     .doc = "Why, and what would be allowed instead: the agent reads it.",
     .max = 2000},
};
constexpr OptionGroup kRule = {
    "rule", "All conditions must hold. Of rules that match, the worst verdict counts.",
    kRuleOptions};

constexpr Option kBudgetOptions[] = {
    {.name = "name",
     .doc = "Letters, digits, `.`, `_` and `-`.",
     .required = true,
     .min = 1,
     .max = 64},
    {.name = "scope",
     .kind = choice,
     .doc = "Who shares it: one session, all sessions of one agent, all users of one server, "
            "everybody.",
     .preset = "session",
     .choices = kScopes},
    {.name = "tools",
     .kind = texts,
     .doc = "Globs over Gavel's tool names. Empty: any.",
     .max = 256},
    {.name = "calls",
     .kind = count,
     .doc = "How many calls may be made. 0: no limit.",
     .preset = "0",
     .max = 1e12},
    {.name = "wall_clock",
     .kind = duration,
     .doc = "How long calls may take together. 0s: no limit.",
     .preset = "0s",
     .max = 366 * kDay},
};
constexpr OptionGroup kBudget = {
    "budget", "A limit that is reserved before a call and settled after it.", kBudgetOptions};

constexpr Option kTlsOptions[] = {
    {.name = "certificate",
     .doc = "A PEM file, by its absolute path: the daemon's certificate, then those that vouch "
            "for it.",
     .required = true,
     .min = 1,
     .max = 4096},
    {.name = "key",
     .doc = "A PEM file, by its absolute path: the certificate's key, without a passphrase. "
            "Nobody but its owner may read it.",
     .required = true,
     .min = 1,
     .max = 4096},
};
constexpr OptionGroup kTls = {
    "tls", "How the daemon serves TLS. Its files are read when it starts.", kTlsOptions};

constexpr Option kDaemonOptions[] = {
    {.name = "listen",
     .doc = "`HOST:PORT`: 127.0.0.1, [::1] or localhost, or with `tls` any address of this machine "
            "or all of them (0.0.0.0, [::]). Port 0 takes any free one.",
     .preset = "127.0.0.1:7420",
     .min = 1,
     .max = 256},
    {.name = "tls",
     .kind = group,
     .doc = "Serves TLS and no plain HTTP. Required beyond loopback.",
     .group = &kTls},
    {.name = "hosts",
     .kind = texts,
     .doc = "Names and addresses, without port, that clients may reach the daemon by, beside "
            "loopback's and the address of `listen`. A request whose Host is none of them is "
            "refused, and so is one whose Origin is neither loopback nor https on one of them.",
     .max = 64},
    {.name = "hold_patience",
     .kind = duration,
     .doc = "How long a held call keeps its caller waiting before it answers \"pending\".",
     .preset = "50s",
     .min = kSecond,
     .max = 24 * kHour},
    {.name = "hold_patience_with_progress",
     .kind = duration,
     .doc = "The same for clients that asked for progress, and so wait longer.",
     .preset = "4m",
     .min = kSecond,
     .max = 24 * kHour},
    {.name = "session_idle",
     .kind = duration,
     .doc =
         "After how long without a request an MCP session gives its place away; a later one takes "
         "it up again. Its log stays.",
     .preset = "30m",
     .min = kSecond,
     .max = 30 * kDay},
};
constexpr OptionGroup kDaemon = {"daemon", "The daemon's own settings. A change takes a restart.",
                                 kDaemonOptions};

constexpr Option kRootOptions[] = {
    {.name = "servers",
     .kind = groups_by_name,
     .doc = "Upstream MCP servers by name: small letters, digits and `-`. `own` is none: under it "
            "stand the tools of agent programs themselves (docs/hooks.md).",
     .group = &kServer,
     .name_pattern = "[a-z0-9][a-z0-9-]{0,31}"},
    {.name = "defaults", .kind = group, .doc = "Verdicts by effect.", .group = &kDefaults},
    {.name = "rules",
     .kind = groups,
     .doc = "Exceptions from the defaults.",
     .max = 10'000,
     .group = &kRule},
    {.name = "budgets", .kind = groups, .doc = "Limits.", .max = 1'000, .group = &kBudget},
    {.name = "daemon", .kind = group, .doc = "The daemon's own settings.", .group = &kDaemon},
};
constexpr OptionGroup kRoot = {
    "policy file", "Gavel's policy: servers, what their tools can do, and who may do it.",
    kRootOptions};

}  // namespace

const OptionGroup& policy_options() {
  return kRoot;
}

std::string_view kind_name(OptionKind kind) {
  switch (kind) {
    case text:
      return "text";
    case scalar:
      return "text or number";
    case flag:
      return "true or false";
    case count:
      return "whole number";
    case number:
      return "number";
    case duration:
      return "duration";
    case choice:
      return "one of";
    case choices:
      return "list of";
    case texts:
      return "list of texts";
    case scalars:
      return "list of texts";
    case scalar_map:
      return "mapping of names to texts";
    case text_map:
      return "mapping of names to texts";
    case json_object:
      return "mapping";
    case json_schema:
      return "JSON Schema";
    case utc_window:
      return "HH:MM-HH:MM";
    case group:
      return "mapping";
    case groups:
      return "list of mappings";
    case groups_by_name:
      return "mapping of names to mappings";
  }
  return "";
}

}  // namespace gavel
