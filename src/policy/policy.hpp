#pragma once
// Policy: the upstream servers, the catalogue of their tools and the rules, as one value made from
// one YAML file (policy/parse.hpp; docs/policy.md; schema/gavel.schema.json). Pure: assess says
// what a call means, and the same call against the same policy always gets the same answer.
//
// The worst wins, always: of the tool's declared effect, the server's hints (they may tighten,
// never loosen) and what the arguments do (SQL); and of all rules that match. An unlisted tool is
// destructive.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "core/decide.hpp"

namespace gavel {

// A read that tells whether an effect happened. In `arguments`, "${args.NAME}" stands for the
// call's argument and "${key}" for its idempotency key: alone in a string it keeps the argument's
// type, inside a longer one it is inserted as text.
struct ProbeSpec {
  std::string tool;          // Gavel's name: "pg__query"
  std::string sql_argument;  // of that tool, which the catalogue knows; may be empty
  json::object arguments;
  json::value happened;  // JSON Schema over the probe's CallToolResult
  std::optional<json::value>
      absent;  // JSON Schema; unset: a result that is not `happened` is absent
  bool operator==(const ProbeSpec&) const = default;
};

struct ToolSpec {
  std::string name;  // the server's own: "query"
  std::optional<Effect> effect;
  std::optional<bool> idempotent;
  std::optional<Duration> timeout;
  std::uint64_t attempts_max = 1;  // retries + 1; over 1 only for reads and idempotent tools
  std::optional<ProbeSpec> probe;
  // Arguments that are classed by what they say, each call anew; may be empty.
  std::string sql_argument;
  std::string shell_argument;                 // a shell command
  std::string path_argument;                  // a file, or a list of files
  bool path_deep = false;                     // what lies below it is read, too
  std::optional<json::value> input_schema;    // checked beside the server's own
  std::optional<json::value> output_schema;   // checked instead of the server's own
  std::optional<std::uint64_t> result_limit;  // bytes; the server's where unset
  // Invariant I5 is waived: what a read found is told before it is durable. Only with Effect::read.
  bool answer_before_recorded = false;
  std::optional<bool> trusted;  // whether its results are; the server's where unset
  bool operator==(const ToolSpec&) const = default;
};

// What happens to tools of a server that were never seen.
enum class Pins : std::uint8_t {
  off,         // nothing is pinned, and no change is noticed
  first_use,   // each is accepted when it is first seen
  first_list,  // those of the server's first list are; whatever comes later asks
  ask,         // a person accepts each
};
// What a flag that holds a tool (policy/tool_flags.hpp) does.
enum class FlagMode : std::uint8_t { off, warn, hold };
inline constexpr std::uint64_t kResultLimit = 1u << 20;

struct RateSpec {
  double per_second = 0;  // 0: unlimited
  std::uint64_t burst = 1;
  bool operator==(const RateSpec&) const = default;
};

// The toolset of what agent programs do by themselves, seen by their hooks: own__shell, own__edit.
// It has a catalogue of its own (policy/own_tools.hpp) and nothing to start or connect to.
inline constexpr std::string_view kOwnToolset = "own";

// Who asks an authorization server for tokens: a person, once, by gavel login; or Gavel alone.
enum class OAuthGrant : std::uint8_t { authorization_code, client_credentials };

// How Gavel logs in at a server over HTTP that asks for it (docs/oauth.md). All of it may be empty.
struct OAuthSpec {
  OAuthGrant grant = OAuthGrant::authorization_code;
  std::string client_id;
  std::string client_secret_file;
  std::string private_key_file;
  std::string client_metadata_url;
  std::vector<std::string> scopes;
  std::string issuer;
  std::uint64_t redirect_port = 0;  // 0: any that is free
  bool operator==(const OAuthSpec&) const = default;
};

struct ServerSpec {
  std::string name;  // of [a-z0-9-]: "pg"
  // stdio
  std::vector<std::string> command;
  std::map<std::string, std::string>
      environment;  // beside PATH, HOME, LANG, TZ; nothing else is passed on
  std::map<std::string, std::string> environment_files;  // NAME: path of a file with the secret
  std::string directory;
  // HTTP
  std::string url;
  std::map<std::string, std::string> headers;
  std::map<std::string, std::string> header_files;
  OAuthSpec oauth;

  std::uint64_t concurrency_max = 16;
  std::uint64_t queue_max = 256;
  RateSpec rate;
  Duration timeout{60'000};
  Pins pins = Pins::first_use;
  FlagMode flags = FlagMode::hold;
  std::uint64_t result_limit = kResultLimit;  // bytes
  bool trusted = false;                       // whether the results of its tools are
  std::map<std::string, ToolSpec> tools;
  bool operator==(const ServerSpec&) const = default;
};
// Whether a connection or child made for `a` serves `b` as well: they differ at most in what policy
// makes of their tools.
bool same_connection(const ServerSpec& a, const ServerSpec& b);

struct Rule {
  std::string name;
  std::vector<std::string> principals;   // globs; empty: any
  std::vector<std::string> tools;        // globs over Gavel's names; empty: any
  std::vector<std::string> sessions;     // globs; empty: any
  std::vector<Effect> effects;           // empty: any
  std::optional<json::value> arguments;  // JSON Schema; matches where the arguments satisfy it
  // Matches where a part of an argument comes from one of them; empty: wherever from. `lost` counts
  // as untrusted. Never in a rule that allows: a trace is no proof.
  std::vector<Origin> origins;
  std::vector<std::string> traced;  // the arguments that this is about; empty: all
  // Wall-clock window in minutes of the UTC day, [from, to); wraps at midnight.
  std::optional<std::pair<int, int>> utc_minutes;
  Verdict verdict = Verdict::deny;
  std::string reason;
  int line = 0;  // where it stands in the file
};

struct Defaults {
  Verdict read = Verdict::allow;
  Verdict write = Verdict::ask;
  Verdict destructive = Verdict::two_step;
  Verdict irreversible = Verdict::two_step;
  Duration two_step_delay{30'000};
  Duration hold_for{3'600'000};
  Verdict of(Effect effect) const;
};

struct BudgetSpec {
  std::string name;
  std::string scope;               // "session", "agent", "toolset", "everything"
  std::vector<std::string> tools;  // globs; empty: any
  std::uint64_t calls = 0;         // 0: no limit
  Duration wall_clock{0};
};

struct TlsSpec {
  std::string certificate;  // PEM files
  std::string key;
  bool operator==(const TlsSpec&) const = default;
};

// The daemon's own settings.
struct DaemonSpec {
  std::string listen = "127.0.0.1:7420";  // host:port; port 0: any free one
  std::optional<TlsSpec> tls = {};        // there where `listen` is beyond loopback
  std::vector<std::string> hosts = {};    // beside loopback and `listen`: what requests may name
  // How long a held call keeps its caller waiting before it answers "pending, ask again"; the
  // second one where the client shows progress.
  Duration hold_patience{50'000};
  Duration hold_patience_with_progress{240'000};
  Duration session_idle{1'800'000};  // an MCP session without a request for so long is forgotten
};
// The options of the file ("daemon.listen") in which they differ.
std::vector<std::string> differences(const DaemonSpec& a, const DaemonSpec& b);

// What a server says of its tool: hints, which may only tighten.
struct ToolHints {
  std::optional<bool> read_only;
  std::optional<bool> destructive;
  std::optional<bool> idempotent;
};

// Where the parts of a call's arguments come from, by what `is_trusted` says of tools.
using TraceArguments = std::function<std::vector<ArgumentOrigin>(
    const std::function<bool(const std::string& tool)>& is_trusted)>;

struct Call {
  Principal principal;
  LogId session;
  std::string tool;                        // Gavel's name
  const json::value* arguments = nullptr;  // borrowed for the call of assess
  ToolHints hints;
  Timestamp now;
  // Asked at most once, and only where a rule is about it. Empty: it cannot be told, and the rule
  // matches.
  TraceArguments trace;
};

// Why each rule did or did not decide, for `gavel policy explain`.
struct RuleTrace {
  std::string rule;
  int line = 0;
  bool matched = false;
  Verdict verdict = Verdict::deny;
  std::string why;  // "tool does not match pg__*"
};
struct Explanation {
  Assessment assessment;
  std::string effect_reason;  // "SQL: DELETE without WHERE", "unlisted tool", "declared"
  std::vector<RuleTrace> rules;
};

class Policy {
public:
  virtual ~Policy() = default;

  // 64 hex digits: the digest of the file.
  virtual const std::string& version() const = 0;
  virtual const std::string& source() const = 0;
  virtual const std::vector<ServerSpec>& servers() const = 0;
  virtual const std::vector<Rule>& rules() const = 0;
  virtual const Defaults& defaults() const = 0;
  virtual const std::vector<BudgetSpec>& budgets() const = 0;
  virtual const DaemonSpec& daemon() const = 0;

  virtual Assessment assess(const Call& call) const = 0;
  virtual Explanation explain(const Call& call) const = 0;
  // False where every call of this tool by this principal would be denied: it is then not listed.
  virtual bool may_ever_call(const Principal& principal, const std::string& tool) const = 0;
  // Whether what the tool answers is trusted not to steer: arguments from elsewhere are untrusted.
  virtual bool trusts_results(const std::string& tool) const = 0;
  // Null where the catalogue does not list the tool. Valid while the policy lives.
  virtual const ToolSpec* tool(const std::string& name) const = 0;
};

// invalid_argument where the catalogue has a schema for the tool's arguments that these break.
Status check_catalogue(const Policy& policy, const std::string& tool, const json::value& arguments);

// Gavel's name of a server's tool, as clients and logs see it: "pg" and "query" to "pg__query".
std::string tool_name(std::string_view server, std::string_view tool);
// Splits at the first "__": {"pg", "query"}; the first part is empty where there is none.
std::pair<std::string_view, std::string_view> split_tool_name(std::string_view name);

}  // namespace gavel
