#include "policy/parse.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/options.hpp"

namespace gavel {
namespace {

using testing::HasSubstr;

constexpr std::string_view kServer = "servers:\n  pg:\n    command: [npx, pg]\n";

std::string problems_of(std::string_view yaml) {
  return check_policy(yaml, "gavel.yaml").text();
}

TEST(ParsePolicy, ReadsEveryOption) {
  const auto policy = parse_policy(R"(
servers:
  pg:
    command: [npx, some-mcp-server, 5432]
    environment: {PGHOST: localhost, PGPORT: 5432, DEBUG: true}
    environment_files: {PGPASSWORD: /etc/gavel/pgpassword}
    directory: /srv
    concurrency: 4
    queue: 8
    rate: {per_second: 2.5, burst: 40}
    timeout: 10s
    pins: first_list
    flags: warn
    result_limit: 2048
    trusted: true
    tools:
      query: {effect: read, sql: sql, retries: 2, result_limit: 4096, trusted: false}
      refund:
        effect: write
        idempotent: true
        timeout: 250ms
        retries: 3
        input_schema: {type: object, required: [amount]}
        output_schema: {type: object}
        probe:
          tool: pg__query
          arguments: {sql: "select 1 from refunds where key = '${key}'", params: "${args.params}"}
          happened: {properties: {content: {minItems: 1}}}
          absent: false
  web:
    url: https://example.com/mcp
    headers: {X-Team: a}
    header_files: {Authorization: /etc/gavel/token}
defaults:
  {read: ask, write: deny, destructive: deny, irreversible: deny, two_step_delay: 5m, hold_for: 2d}
rules:
  - name: nightly
    tools: ["pg__*"]
    principals: ["agent*", bob]
    sessions: ["night-*"]
    effects: [write, destructive]
    arguments: {type: object, required: [amount], properties: {amount: {maximum: 10}}}
    arguments_from: [model, untrusted]
    traced: [amount]
    utc_time: "22:00-06:00"
    verdict: two_step
    reason: at night, slowly
budgets:
  - {name: per-session, scope: session, calls: 100, wall_clock: 10m, tools: ["*"]}
daemon: {listen: "[::1]:0", hold_patience: 5s, hold_patience_with_progress: 6s, session_idle: 1h}
)",
                                   "gavel.yaml");
  ASSERT_TRUE(policy) << policy.error().message;
  ASSERT_EQ((*policy)->servers().size(), 2u);
  const ServerSpec& pg = (*policy)->servers()[0];
  EXPECT_THAT(pg.command, testing::ElementsAre("npx", "some-mcp-server", "5432"));
  EXPECT_EQ(pg.environment.at("PGPORT"), "5432");
  EXPECT_EQ(pg.environment.at("DEBUG"), "true");
  EXPECT_EQ(pg.environment_files.at("PGPASSWORD"), "/etc/gavel/pgpassword");
  EXPECT_EQ(pg.directory, "/srv");
  EXPECT_EQ(pg.concurrency_max, 4u);
  EXPECT_EQ(pg.queue_max, 8u);
  EXPECT_EQ(pg.rate.per_second, 2.5);
  EXPECT_EQ(pg.rate.burst, 40u);
  EXPECT_EQ(pg.timeout, Duration{10'000});
  EXPECT_EQ(pg.pins, Pins::first_list);
  EXPECT_EQ(pg.flags, FlagMode::warn);
  EXPECT_EQ(pg.result_limit, 2048u);
  EXPECT_EQ((*policy)->tool("pg__query")->result_limit, 4096u);
  EXPECT_TRUE(pg.trusted);
  EXPECT_FALSE((*policy)->trusts_results("pg__query"));
  EXPECT_TRUE((*policy)->trusts_results("pg__refund"));
  EXPECT_TRUE((*policy)->trusts_results("pg__unlisted"));
  EXPECT_FALSE((*policy)->trusts_results("web__fetch"));
  EXPECT_FALSE((*policy)->trusts_results("own__read"));
  EXPECT_FALSE((*policy)->trusts_results("plain"));
  const ToolSpec* refund = (*policy)->tool("pg__refund");
  ASSERT_NE(refund, nullptr);
  EXPECT_EQ(refund->effect, Effect::write);
  EXPECT_EQ(refund->idempotent, true);
  EXPECT_EQ(refund->timeout, Duration{250});
  EXPECT_EQ(refund->attempts_max, 4u);
  ASSERT_TRUE(refund->input_schema && refund->output_schema && refund->probe);
  EXPECT_EQ(refund->probe->tool, "pg__query");
  EXPECT_EQ(refund->probe->sql_argument, "sql");
  EXPECT_EQ(refund->probe->absent, json::value(false));
  EXPECT_EQ((*policy)->tool("pg__query")->sql_argument, "sql");
  const ServerSpec& web = (*policy)->servers()[1];
  EXPECT_EQ(web.url, "https://example.com/mcp");
  EXPECT_EQ(web.headers.at("X-Team"), "a");
  EXPECT_EQ(web.header_files.at("Authorization"), "/etc/gavel/token");
  EXPECT_EQ((*policy)->defaults().read, Verdict::ask);
  EXPECT_EQ((*policy)->defaults().two_step_delay, Duration{300'000});
  EXPECT_EQ((*policy)->defaults().hold_for, Duration{172'800'000});
  ASSERT_EQ((*policy)->rules().size(), 1u);
  const Rule& rule = (*policy)->rules()[0];
  EXPECT_EQ(rule.name, "nightly");
  EXPECT_EQ(rule.verdict, Verdict::two_step);
  EXPECT_EQ(rule.utc_minutes, std::pair(22 * 60, 6 * 60));
  EXPECT_THAT(rule.effects, testing::ElementsAre(Effect::write, Effect::destructive));
  EXPECT_THAT(rule.origins, testing::ElementsAre(Origin::model, Origin::untrusted));
  EXPECT_THAT(rule.traced, testing::ElementsAre("amount"));
  EXPECT_EQ(rule.line, 37);
  ASSERT_EQ((*policy)->budgets().size(), 1u);
  EXPECT_EQ((*policy)->budgets()[0].calls, 100u);
  EXPECT_EQ((*policy)->budgets()[0].wall_clock, Duration{600'000});
  EXPECT_EQ((*policy)->daemon().listen, "[::1]:0");
  EXPECT_EQ((*policy)->daemon().session_idle, Duration{3'600'000});
}

TEST(ParsePolicy, ListensBeyondLoopbackWithTls) {
  const auto policy = parse_policy(R"(
daemon:
  listen: "0.0.0.0:7420"
  tls: {certificate: /etc/gavel/tls.pem, key: /etc/gavel/tls.key}
  hosts: [gavel.example.com, 10.0.0.5, "[fd00::1]"]
)",
                                   "gavel.yaml");
  ASSERT_TRUE(policy) << policy.error().message;
  const DaemonSpec& daemon = (*policy)->daemon();
  ASSERT_TRUE(daemon.tls);
  EXPECT_EQ(daemon.tls->certificate, "/etc/gavel/tls.pem");
  EXPECT_EQ(daemon.tls->key, "/etc/gavel/tls.key");
  EXPECT_THAT(daemon.hosts, testing::ElementsAre("gavel.example.com", "10.0.0.5", "[fd00::1]"));
  for (const std::string listen : {"10.0.0.5:0", "[fd00::1]:7420", "localhost:1"}) {
    EXPECT_TRUE(parse_policy(
        "daemon: {listen: \"" + listen + "\", tls: {certificate: /c, key: /k}}\n", "gavel.yaml"))
        << listen;
  }
}

TEST(ParsePolicy, DefaultsOfTheTableAreThoseOfTheStructs) {
  const auto policy = parse_policy(kServer, "gavel.yaml");
  ASSERT_TRUE(policy) << policy.error().message;
  const ServerSpec& read = (*policy)->servers()[0];
  const ServerSpec plain;
  EXPECT_EQ(read.concurrency_max, plain.concurrency_max);
  EXPECT_EQ(read.queue_max, plain.queue_max);
  EXPECT_EQ(read.timeout, plain.timeout);
  EXPECT_EQ(read.pins, plain.pins);
  EXPECT_EQ(read.flags, plain.flags);
  EXPECT_EQ(read.result_limit, plain.result_limit);
  EXPECT_EQ(read.rate.per_second, plain.rate.per_second);
  EXPECT_EQ(read.rate.burst, plain.rate.burst);
  const Defaults& defaults = (*policy)->defaults();
  const Defaults none;
  for (const Effect effect :
       {Effect::read, Effect::write, Effect::destructive, Effect::irreversible}) {
    EXPECT_EQ(defaults.of(effect), none.of(effect));
  }
  EXPECT_EQ(defaults.two_step_delay, none.two_step_delay);
  EXPECT_EQ(defaults.hold_for, none.hold_for);
  const DaemonSpec& daemon = (*policy)->daemon();
  const DaemonSpec bare;
  EXPECT_EQ(daemon.listen, bare.listen);
  EXPECT_FALSE(daemon.tls);
  EXPECT_TRUE(daemon.hosts.empty());
  EXPECT_EQ(daemon.hold_patience, bare.hold_patience);
  EXPECT_EQ(daemon.hold_patience_with_progress, bare.hold_patience_with_progress);
  EXPECT_EQ(daemon.session_idle, bare.session_idle);
}

TEST(ParsePolicy, TheDefaultPolicyAllowsReadsOnly) {
  const auto policy = default_policy();
  ASSERT_NE(policy, nullptr);
  EXPECT_EQ(policy->defaults().of(Effect::read), Verdict::allow);
  EXPECT_EQ(policy->defaults().of(Effect::write), Verdict::ask);
  EXPECT_EQ(policy->defaults().of(Effect::destructive), Verdict::two_step);
  EXPECT_EQ(policy->defaults().of(Effect::irreversible), Verdict::two_step);
  EXPECT_EQ(policy->version().size(), 64u);
  EXPECT_TRUE(policy->servers().empty());
}

TEST(ParsePolicy, AnEmptyFileIsTheDefaultPolicy) {
  for (const auto* yaml : {"", "# only a comment\n", "servers:\nrules:\n"}) {
    const auto policy = parse_policy(yaml, "gavel.yaml");
    ASSERT_TRUE(policy) << policy.error().message;
    EXPECT_EQ((*policy)->defaults().write, Verdict::ask);
  }
}

TEST(ParsePolicy, TheVersionIsTheDigestOfTheText) {
  const auto one = parse_policy("rules: []\n", "a");
  const auto same = parse_policy("rules: []\n", "b");
  const auto other = parse_policy("rules: []  # other\n", "a");
  EXPECT_EQ((*one)->version(), sha256("rules: []\n").hex());
  EXPECT_EQ((*one)->version(), (*same)->version());
  EXPECT_NE((*one)->version(), (*other)->version());
  EXPECT_EQ((*one)->source(), "rules: []\n");
}

struct BadFile {
  const char* name;
  std::string yaml;
  const char* problem;  // a part of the text
};
void PrintTo(const BadFile& bad, std::ostream* out) {
  *out << bad.name;
}

class BadPolicy : public testing::TestWithParam<BadFile> {};

TEST_P(BadPolicy, IsToldWithItsPlace) {
  const PolicyCheck check = check_policy(GetParam().yaml, "gavel.yaml");
  EXPECT_EQ(check.policy, nullptr);
  EXPECT_THAT(check.text(), HasSubstr(GetParam().problem));
  const auto parsed = parse_policy(GetParam().yaml, "gavel.yaml");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(parsed.error().message, HasSubstr(GetParam().problem));
}

std::string server_with(const std::string& lines) {
  return std::string(kServer) + lines;
}

std::string tool_with(const std::string& tool) {
  return server_with("    tools:\n      query: {effect: read, sql: sql}\n      act: " + tool +
                     "\n");
}

std::string rule_with(const std::string& rule) {
  return "rules:\n  - {name: a, verdict: deny, " + rule + "}\n";
}

INSTANTIATE_TEST_SUITE_P(
    Keys, BadPolicy,
    testing::Values(
        BadFile{"typo", server_with("    tolls: {}\n"),
                "gavel.yaml:4:5: servers.pg.tolls: unknown key; did you mean `tools`?"},
        BadFile{"far_from_any", "xyzzy: 1\n",
                "gavel.yaml:1:1: xyzzy: unknown key; known are servers, defaults, rules"},
        BadFile{"twice", "rules: []\nrules: []\n",
                "gavel.yaml:2:1: `rules` stands twice; the first one is in line 1"},
        BadFile{"server_name", "servers: {Pg_1: {command: [a]}}\n",
                "gavel.yaml:1:11: servers.Pg_1: not a name"},
        BadFile{"missing", "rules:\n  - {name: a}\n", "rules[0]: `verdict` is missing"},
        BadFile{"traced_alone", rule_with("traced: [sql]"),
                "rules[0].traced: says nothing without `arguments_from`"},
        BadFile{"allow_by_origin", "rules: [{name: a, verdict: allow, arguments_from: [person]}]\n",
                "rules[0].arguments_from: a rule that allows cannot rest on it"},
        BadFile{"no_origin", rule_with("arguments_from: [lost]"), "lost"},
        BadFile{"merge_key", "a: &a {b: 1}\n<<: *a\n", "<<: unknown key"}));

INSTANTIATE_TEST_SUITE_P(
    Values, BadPolicy,
    testing::Values(
        BadFile{"duration", server_with("    timeout: 30\n"),
                "gavel.yaml:4:14: servers.pg.timeout: expected a duration"},
        BadFile{"negative", server_with("    timeout: -5s\n"), "expected a duration"},
        BadFile{"too_long", server_with("    timeout: 2d\n"), "2d is out of range: 1ms to 1d"},
        BadFile{"overflow", server_with("    timeout: 99999999999999999d\n"),
                "expected a duration"},
        BadFile{"count", server_with("    concurrency: many\n"),
                "expected a whole number; got \"many\""},
        BadFile{"fraction", server_with("    concurrency: 1.5\n"), "expected a whole number"},
        BadFile{"range", server_with("    concurrency: 0\n"), "0 is out of range: 1 to 1024"},
        BadFile{"effect", tool_with("{effect: destruktive}"),
                "gavel.yaml:6:21: servers.pg.tools.act.effect: expected one of read, write, "
                "destructive, irreversible; got \"destruktive\"; did you mean `destructive`?"},
        BadFile{"flag", tool_with("{effect: read, idempotent: yes}"), "expected true or false"},
        BadFile{"list", server_with("    command: npx\n"), "stands twice"},
        BadFile{"scalar_for_list", "servers: {a: {command: npx}}\n",
                "expected a list, like [a, b]; got \"npx\""},
        BadFile{"mapping", "servers: [a]\n", "expected a mapping; got a list"},
        BadFile{"text", rule_with("reason: 12"), "expected a text; write \"12\" in quotes"},
        BadFile{"empty_name", "rules:\n  - {name: \"\", verdict: deny}\n",
                "rules[0].name: is empty"},
        BadFile{"window", rule_with("utc_time: \"25:00-06:00\""), "expected a window"},
        BadFile{"empty_window", rule_with("utc_time: \"06:00-06:00\""), "expected a window"},
        BadFile{"schema", rule_with("arguments: {type: strin}"), "`type` \"strin\" is not one of"},
        BadFile{"schema_typo", rule_with("arguments: {minumum: 1}"),
                "`minumum` is no keyword of JSON Schema; did you mean `minimum`?"},
        BadFile{"schema_place", rule_with("arguments: {properties: {a: {pattern: \"(?=x)\"}}}"),
                "rules[0].arguments: /properties/a: `pattern` (?=x)"}));

INSTANTIATE_TEST_SUITE_P(
    Sense, BadPolicy,
    testing::Values(
        BadFile{"neither", "servers: {a: {}}\n", "neither `command`"},
        BadFile{"both", server_with("    url: http://x\n"), "both `command` and `url`"},
        BadFile{"url", "servers: {a: {url: \"ftp://x\"}}\n", "must start with http://"},
        BadFile{"url_environment", "servers: {a: {url: \"http://x\", environment: {A: b}}}\n",
                "is for servers with a `command`"},
        BadFile{"command_headers", server_with("    headers: {A: b}\n"),
                "is for servers with a `url`"},
        BadFile{"header_line", "servers: {a: {url: \"http://x\", headers: {A: \"b\\r\\nC: d\"}}}\n",
                "A holds a line break"},
        BadFile{"variable", server_with("    environment: {A-B: c}\n"),
                "\"A-B\" is no name of an environment variable"},
        BadFile{"value_and_file",
                server_with("    environment: {A: b}\n    environment_files: {A: /b}\n"),
                "A has a value and a file"},
        BadFile{"relative_file", server_with("    environment_files: {A: b}\n"),
                "must be an absolute path"},
        BadFile{"answer_before_recorded",
                tool_with("{effect: write, answer_before_recorded: true}"),
                "gavel.yaml:6:52: servers.pg.tools.act.answer_before_recorded: only a read may"},
        BadFile{"retries", tool_with("{effect: write, retries: 2}"),
                "gavel.yaml:6:37: servers.pg.tools.act.retries: a call that may act twice"},
        BadFile{"probe_unknown",
                tool_with("{effect: write, probe: {tool: pg__qery, happened: true}}"),
                "pg__qery is not in the catalogue (did you mean pg__query?)"},
        BadFile{"probe_writes",
                tool_with("{effect: write, probe: {tool: pg__act, happened: true}}"),
                "pg__act must be declared with `effect: read`"},
        BadFile{"probe_template",
                tool_with("{effect: write, probe: {tool: pg__query, happened: true, arguments: {a: "
                          "\"${arg.x}\"}}}"),
                "${arg.x} is unknown"},
        BadFile{"probe_sql",
                tool_with("{effect: write, probe: {tool: pg__query, happened: true, arguments: "
                          "{sql: \"DELETE FROM t\"}}}"),
                "the probe's SQL does not only read: DELETE without WHERE"},
        BadFile{"rule_names", "rules: [{name: a, verdict: deny}, {name: a, verdict: ask}]\n",
                "rules[1].name: \"a\" is the name of the rule in line 1 too"},
        BadFile{"budget_nothing", "budgets: [{name: a}]\n", "limits nothing"},
        BadFile{"budget_name", "budgets: [{name: a b, calls: 1}]\n", "use letters"},
        BadFile{"budget_twice", "budgets: [{name: a, calls: 1}, {name: a, calls: 2}]\n",
                "\"a\" stands twice"},
        BadFile{"listen", "daemon:\n  listen: \"0.0.0.0:80\"\n",
                "gavel.yaml:2:11: daemon.listen: 0.0.0.0 is not on loopback, and so needs TLS: set "
                "`tls`"},
        BadFile{"listen_v6", "daemon: {listen: \"[fd00::1]:80\"}\n", "needs TLS"},
        BadFile{"port", "daemon: {listen: \"127.0.0.1:70000\"}\n", "expected HOST:PORT"},
        BadFile{"listen_name", "daemon: {listen: \"example.com:80\"}\n", "expected HOST:PORT"},
        BadFile{"tls_half", "daemon:\n  tls: {certificate: /c.pem}\n",
                "gavel.yaml:2:8: daemon.tls: `key` is missing"},
        BadFile{"tls_other_half", "daemon:\n  tls: {key: /k.pem}\n", "`certificate` is missing"},
        BadFile{"tls_relative", "daemon:\n  tls:\n    certificate: /c.pem\n    key: k.pem\n",
                "gavel.yaml:4:10: daemon.tls.key: \"k.pem\" must be an absolute path"},
        BadFile{"tls_typo", "daemon:\n  tls: {cert: /c, key: /k}\n", "unknown key"},
        BadFile{"no_hosts", "daemon: {listen: \"[::]:80\", tls: {certificate: /c, key: /k}}\n",
                "[::] is every address, and so says no name that clients may use: set `hosts`"},
        BadFile{"host_with_port", "daemon: {hosts: [\"a.example:80\"]}\n",
                "daemon.hosts: \"a.example:80\" is no host"},
        BadFile{"host_url", "daemon: {hosts: [\"https://a.example\"]}\n", "is no host"},
        BadFile{"host_glob", "daemon: {hosts: [\"*\"]}\n", "is no host"}));

std::string nested(std::size_t levels) {
  return "rules: " + std::string(levels, '[') + std::string(levels, ']') + "\n";
}

std::string bomb() {
  std::string yaml = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string before(1, static_cast<char>(c - 1));
    yaml += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) yaml += "*" + before + ", ";
    yaml += "]\n";
  }
  return yaml;
}

INSTANTIATE_TEST_SUITE_P(
    Text, BadPolicy,
    testing::Values(BadFile{"tab", "servers:\n\tpg: {}\n",
                            "gavel.yaml:2:1: a tab in the indentation"},
                    BadFile{"utf8", "a: \xFF\n", "gavel.yaml:1: this line is not valid UTF-8"},
                    BadFile{"control", std::string("a: \x01\n"), "a control character (0x01)"},
                    BadFile{"nul", std::string("a: \0\n", 5), "a control character (0x00)"},
                    BadFile{"syntax", "rules: [\n", "not YAML"},
                    BadFile{"scalar", "hello\n", "a policy file is a mapping"},
                    BadFile{"list", "- a\n", "a policy file is a mapping"},
                    BadFile{"documents", "rules: []\n---\nrules: []\n", "one YAML document"},
                    BadFile{"tag", "rules: !!python/object []\n", "is not supported; leave it out"},
                    BadFile{"deep", nested(100), "nested deeper than 64 levels"},
                    BadFile{"very_deep", nested(100'000), "nested deeper than 64 levels"},
                    BadFile{"large", std::string(kPolicyBytesMax + 1, '#'), "the limit is 1048576"},
                    BadFile{"bomb", bomb(), "more than 200000 nodes, aliases expanded"},
                    BadFile{"self_alias", "rules: &a [*a]\n", "an alias of itself"},
                    BadFile{"unknown_alias", "rules: *a\n", "not YAML"},
                    BadFile{"list_key", "? [a, b]\n: c\n", "a key must be a plain text"}));

std::string oauth_with(const std::string& options, const std::string& more = "") {
  return "servers:\n  web:\n    url: https://web.example/mcp\n" + more + "    oauth: {" + options +
         "}\n";
}

TEST(ParsePolicy, ReadsHowGavelLogsIn) {
  const auto policy = parse_policy(
      oauth_with("grant: client_credentials, client_id: me, client_secret_file: /etc/secret, "
                 "scopes: [a, b], issuer: \"https://auth.example\", redirect_port: 8400, "
                 "client_metadata_url: \"https://me.example/c.json\""),
      "gavel.yaml");
  ASSERT_TRUE(policy) << policy.error().message;
  const OAuthSpec& oauth = (*policy)->servers()[0].oauth;
  EXPECT_EQ(oauth.grant, OAuthGrant::client_credentials);
  EXPECT_EQ(oauth.client_id, "me");
  EXPECT_EQ(oauth.client_secret_file, "/etc/secret");
  EXPECT_EQ(oauth.issuer, "https://auth.example");
  EXPECT_EQ(oauth.redirect_port, 8400u);
  EXPECT_EQ(oauth.client_metadata_url, "https://me.example/c.json");
  EXPECT_THAT(oauth.scopes, testing::ElementsAre("a", "b"));
  const auto bare = parse_policy(oauth_with(""), "gavel.yaml");
  ASSERT_TRUE(bare) << bare.error().message;
  EXPECT_EQ((*bare)->servers()[0].oauth.grant, OAuthGrant::authorization_code);
}

INSTANTIATE_TEST_SUITE_P(
    Logins, BadPolicy,
    testing::Values(
        BadFile{"of_a_program", server_with("    oauth: {}\n"), "is for servers with a `url`"},
        BadFile{"beside_a_header", oauth_with("", "    headers: {authorization: x}\n"),
                "the server has a header Authorization, too"},
        BadFile{"both_proofs",
                oauth_with("client_id: a, client_secret_file: /a, private_key_file: /b"),
                "a client has one of them"},
        BadFile{"relative_file", oauth_with("client_id: a, client_secret_file: a"),
                "must be an absolute path"},
        BadFile{"secret_of_nobody", oauth_with("client_secret_file: /a"), "give its `client_id`"},
        BadFile{"alone_without_proof", oauth_with("grant: client_credentials, client_id: a"),
                "`grant: client_credentials` needs"},
        BadFile{"plain_document", oauth_with("client_metadata_url: \"http://a.example/\""),
                "must start with https://"},
        BadFile{"no_scope", oauth_with("scopes: [\"a b\"]"), "\"a b\" is no scope"},
        BadFile{"grant", oauth_with("grant: password"), "grant"}));

TEST(ParsePolicy, TellsAllProblemsAtOnceInTheOrderOfTheFile) {
  EXPECT_EQ(
      problems_of("servers:\n"
                  "  pg:\n"
                  "    comand: [npx]\n"
                  "    timeout: soon\n"
                  "rules:\n"
                  "  - name: a\n"
                  "    verdict: maybe\n"),
      "gavel.yaml:3:5: servers.pg: says neither `command` (a program to start) nor `url` "
      "(where it listens)\n"
      "gavel.yaml:3:5: servers.pg.comand: unknown key; did you mean `command`?\n"
      "gavel.yaml:4:14: servers.pg.timeout: expected a duration: a whole number and ms, s, m, "
      "h or d, like 30s; got \"soon\"\n"
      "gavel.yaml:7:14: rules[0].verdict: expected one of allow, ask, two_step, deny; got "
      "\"maybe\"\n");
}

TEST(ParsePolicy, AliasesAreExpanded) {
  const auto policy = parse_policy(
      "rules:\n"
      "  - {name: a, verdict: deny, tools: &tools [\"pg__*\"]}\n"
      "  - {name: b, verdict: ask, tools: *tools}\n",
      "gavel.yaml");
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ((*policy)->rules()[1].tools, (*policy)->rules()[0].tools);
}

struct Suspicious {
  const char* name;
  std::string yaml;
  const char* warning;
};
void PrintTo(const Suspicious& file, std::ostream* out) {
  *out << file.name;
}
class SuspiciousPolicy : public testing::TestWithParam<Suspicious> {};

TEST_P(SuspiciousPolicy, IsAcceptedWithAWarning) {
  const PolicyCheck check = check_policy(GetParam().yaml, "gavel.yaml");
  EXPECT_NE(check.policy, nullptr);
  ASSERT_FALSE(check.problems.empty());
  EXPECT_EQ(check.problems[0].severity, PolicyProblem::Severity::warning);
  EXPECT_THAT(check.text(), HasSubstr(GetParam().warning));
  EXPECT_TRUE(parse_policy(GetParam().yaml, "gavel.yaml"));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, SuspiciousPolicy,
    testing::Values(
        Suspicious{"lenient", "defaults: {write: deny, destructive: allow}\n",
                   "gavel.yaml:1:38: defaults.destructive: destructive is treated more "
                   "leniently (allow) than write (deny)"},
        Suspicious{"no_effect", tool_with("{}"), "states no `effect`, so it counts as destructive"},
        Suspicious{"plain_name", rule_with("tools: [query]"),
                   "\"query\" matches nothing: names are SERVER__TOOL"},
        Suspicious{"unknown_server", std::string(kServer) + rule_with("tools: [\"pf__*\"]"),
                   "no server is called pf; did you mean pg?"},
        Suspicious{"not_required",
                   "rules:\n  - {name: a, verdict: allow, arguments: {properties: {amount: "
                   "{maximum: 5}}}}\n",
                   "this also allows calls without `amount`; add `required: [amount]`"},
        Suspicious{"probe_of_read",
                   server_with("    tools:\n      query: {effect: read, probe: {tool: pg__query, "
                               "happened: true}}\n"),
                   "a read needs no probe"}));

}  // namespace
}  // namespace gavel
