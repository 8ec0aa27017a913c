#pragma once
// The Model Context Protocol as data: its revisions and the two eras they fall into, its methods,
// the keys of _meta, the opening of a conversation in either era and for either role, and the
// translation of results between the eras.
//
//   legacy  (2025-11-25 and older)  initialize, then a session
//   modern  (2026-07-28)            every request carries its version and capabilities in _meta
//
// https://modelcontextprotocol.io/specification/2026-07-28

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "protocol/jsonrpc.hpp"

namespace gavel {

// --- revisions ---

enum class Era { legacy, modern };

inline constexpr std::string_view kMcpModern = "2026-07-28";
inline constexpr std::string_view kMcpLegacy = "2025-11-25";
// What a legacy client over HTTP speaks that sends no MCP-Protocol-Version.
inline constexpr std::string_view kMcpWithoutHeader = "2025-03-26";

// Every revision that Gavel speaks, newest first.
std::span<const std::string_view> mcp_versions();
// Nothing for a revision that Gavel does not speak.
std::optional<Era> era_of(std::string_view version);
// What a server answers to initialize: the client's revision if it is a known legacy one, else the
// newest legacy one.
std::string_view negotiate_legacy(std::string_view requested);
bool allows_batches(std::string_view version);

// --- methods ---

enum class Sender { client, server, either };
// Which member of params the header Mcp-Name mirrors.
enum class NameParam { none, name, uri, task_id };

struct McpMethod {
  std::string_view name;
  Sender sender = Sender::client;
  RpcKind kind = RpcKind::request;
  bool legacy = true;
  bool modern = true;
  NameParam name_param = NameParam::none;
  bool cacheable = false;       // its modern result carries ttlMs and cacheScope
  std::string_view capability;  // the peer's capability that it needs; may be empty
};
// Null for a method that no revision knows.
const McpMethod* find_mcp_method(std::string_view name);
std::span<const McpMethod> mcp_methods();
// The member of params that Mcp-Name mirrors: "name", "uri", "taskId"; empty for none.
std::string_view name_param_key(NameParam param);

// --- _meta ---

namespace meta {
inline constexpr std::string_view kProtocolVersion = "io.modelcontextprotocol/protocolVersion";
inline constexpr std::string_view kClientInfo = "io.modelcontextprotocol/clientInfo";
inline constexpr std::string_view kClientCapabilities =
    "io.modelcontextprotocol/clientCapabilities";
inline constexpr std::string_view kServerInfo = "io.modelcontextprotocol/serverInfo";
inline constexpr std::string_view kLogLevel = "io.modelcontextprotocol/logLevel";
inline constexpr std::string_view kSubscriptionId = "io.modelcontextprotocol/subscriptionId";
// Keys that only the two ends of one connection set; they are never passed on.
inline constexpr std::string_view kReservedPrefix = "io.modelcontextprotocol/";
inline constexpr std::string_view kGavelPrefix = "com.gavel/";
inline constexpr std::string_view kRelatedTask = "io.modelcontextprotocol/related-task";
inline constexpr std::string_view kTasksExtension = "io.modelcontextprotocol/tasks";
inline constexpr std::string_view kProgressToken = "progressToken";
// Gavel's own.
inline constexpr std::string_view kIdempotencyKey = "com.gavel/idempotencyKey";
inline constexpr std::string_view kFencingToken = "com.gavel/fencingToken";
inline constexpr std::string_view kIntent = "com.gavel/intent";
inline constexpr std::string_view kProbeFor = "com.gavel/probeFor";
inline constexpr std::string_view kReplayed = "com.gavel/replayed";
// Not of _meta: the member of recorded arguments that holds what a further round brought.
inline constexpr std::string_view kInput = "com.gavel/input";
// Of a recorded result that is shorter than what the agent saw.
inline constexpr std::string_view kCut = "com.gavel/cut";
// Under which known clients send their own id of a call.
inline constexpr std::string_view kClaudeToolUseId = "claudecode/toolUseId";
inline constexpr std::string_view kCodexCallId = "callId";
}  // namespace meta

struct Implementation {
  std::string name;
  std::string version;
  bool operator==(const Implementation&) const = default;
};

// What a request's params._meta says. Everything is optional here; require_modern checks.
struct RequestMeta {
  std::optional<std::string> protocol_version;
  std::optional<Implementation> client;
  std::optional<json::object> client_capabilities;
  std::string progress_token;   // JSON token, string or number; empty where there is none
  std::string log_level;        // may be empty
  std::string idempotency_key;  // Gavel's; may be empty
  std::string call_id;          // the client's own id of the call; may be empty
  json::object rest;            // what may be passed on: neither progressToken nor reserved keys

  bool is_modern() const { return protocol_version.has_value(); }
};
// `document`: of a message from parse_rpc.
RequestMeta read_request_meta(const json::value& document);

// Of a client's capabilities those that say what a server may ask of it in the middle of a request:
// elicitation, sampling, roots. Nothing else of them can be passed on.
json::object only_questions(const json::object& capabilities);
// The capability that a client needs to be asked `method`; empty where it is no such question.
std::string_view question_capability(std::string_view method);
// Every such capability, as Gavel declares them where any client of its may come to be asked.
json::object every_question();
// What a client that declared `capabilities` would have to declare beside it to be asked this, as
// data.requiredCapabilities says it ({"elicitation":{"url":{}}}); empty where it can be asked.
// `params`: JSON object text, may be empty.
json::object lacking_capability(const json::object& capabilities, std::string_view method,
                                std::string_view params);
// What is wrong with an input_required for a client with these capabilities, in the words that
// follow "asks for input"; empty where it can be passed on.
std::string wrong_questions(std::string_view result, const json::object& capabilities);
// The error object for a server that asks what its client did not declare.
std::string cannot_be_asked(const json::object& capabilities, std::string_view method);
// A question in the words of the other era: one of URL mode has an elicitationId in the older
// alone, `made_up` where it has none yet.
std::string to_modern_question(std::string_view method, std::string_view params);
std::string to_legacy_question(std::string_view method, std::string_view params,
                               std::string_view made_up);
// Of a legacy server: what it asks to be opened before it acts (-32042), as the inputRequests of a
// modern result; empty where the error says no such thing.
json::object urls_required(std::string_view error);

// How severe a log level of MCP is, from 0 (debug) to 7 (emergency); nothing for any other word.
std::optional<int> log_severity(std::string_view level);

// Whether a modern request says everything that it must: -32602 names the missing key, -32022 a
// revision that Gavel does not speak in this era.
RpcResult<void> require_modern(const RpcMessage& message, const RequestMeta& meta);
RpcFault unsupported_version(std::string_view id, std::string_view requested);
RpcFault method_not_found(std::string_view id, std::string_view method);

// `meta` with the keys that a modern client puts on every request.
void add_modern_meta(json::object& meta, const Implementation& client,
                     const json::object& capabilities);
// `params` (JSON object text; may be empty) with `meta` as its _meta; unchanged where meta is
// empty.
std::string params_with_meta(std::string_view params, const json::object& meta);
// Without what a modern round brings, which a legacy server does not know.
std::string without_round(std::string_view params);

// --- opening, as a client ---

// What a server said of itself, in either era.
struct ServerGreeting {
  std::string version;  // the revision to speak from now on
  Implementation server;
  json::object capabilities;
  std::string instructions;  // may be empty
};
std::string initialize_params(std::string_view version, const Implementation& client,
                              const json::object& capabilities);
// Errors: unsupported (a revision that Gavel does not speak), invalid_argument.
Result<ServerGreeting> read_initialize_result(std::string_view result);
// unsupported where the server lists no revision that Gavel speaks. `version` may be legacy: the
// client then initializes.
Result<ServerGreeting> read_discover_result(std::string_view result);
// What an error of a server/discover probe says: whether its server is modern, and which revision
// to speak (empty where none fits).
struct ProbeError {
  bool modern = false;
  std::string version;
};
ProbeError read_probe_error(std::string_view error);

// --- opening, as a server ---

struct InitializeRequest {
  std::string version;  // as requested
  Implementation client;
  json::object capabilities;
};
RpcResult<InitializeRequest> read_initialize(const RpcMessage& message);
std::string initialize_result(std::string_view version, const Implementation& server,
                              const json::object& capabilities, std::string_view instructions);
std::string discover_result(const Implementation& server, const json::object& capabilities,
                            std::string_view instructions, std::int64_t ttl_ms);

// --- results ---

enum class ResultType { complete, input_required, task, unknown };
// Absent means complete.
ResultType result_type(std::string_view result);

// Who may cache a result, and for how long.
struct Caching {
  std::int64_t ttl_ms = 0;
  bool is_public = false;
};
// The result in the words of the era: what it lacks is added (resultType, ttlMs and cacheScope of
// cacheable methods, the server's name), what the other era alone knows is taken out. Everything
// else keeps its bytes. `result` is valid JSON.
std::string to_modern_result(std::string_view method, std::string_view result,
                             const Implementation& server, Caching caching = {});
std::string to_legacy_result(std::string_view result);

// A CallToolResult of one text.
enum class ToolOutcome { ok, error };
std::string text_result(std::string_view text, ToolOutcome outcome, const json::object& meta = {});

// 1 to 128 of [A-Za-z0-9_.-].
bool is_valid_tool_name(std::string_view name);
inline constexpr std::size_t kToolNameBytesMax = 128;

}  // namespace gavel
