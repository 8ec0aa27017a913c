#include "door.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/json.hpp"
#include "protocol/jsonrpc.hpp"
#include "web.hpp"

namespace gavel::simulation {
namespace {

constexpr std::string_view kModern = "2026-07-28";
constexpr std::string_view kLegacy = "2025-06-18";

SteadyTime steady_of(Instant at) {
  return SteadyTime(std::chrono::duration_cast<SteadyTime::duration>(at));
}

Instant instant_of(SteadyTime at) {
  return std::chrono::duration_cast<Instant>(at.time_since_epoch());
}

// In the order of AnswerKind.
constexpr std::array<std::string_view, 4> kKinds = {"result", "pending", "refused", "granted"};

std::string quoted(const std::string& text) {
  return write_json(json::value(text));
}

// Which of the two an agent speaks never changes.
Speaks speech_of(const std::string& agent) {
  return !agent.empty() && agent.back() % 2 == 0 ? Speaks::modern : Speaks::legacy;
}

std::unexpected<Error> nobody_knows() {
  return fail(ErrorCode::unavailable, "the connection broke");
}

Error error_of(const json::value& document) {
  const auto* error = find(document, "error");
  if (error == nullptr) return {ErrorCode::internal, "no error in it"};
  return {error_code_from(string_or(*error, "code")), std::string(string_or(*error, "message"))};
}

// A JSON-RPC error in the words of the harness.
Error rpc_error_of(const json::value& error) {
  const auto code = int_or(error, "code", 0);
  const ErrorCode known = code == rpc::kInvalidParams      ? ErrorCode::invalid_argument
                          : code == rpc::kGavelBusy        ? ErrorCode::busy
                          : code == rpc::kGavelUnavailable ? ErrorCode::unavailable
                                                           : ErrorCode::internal;
  return {known, std::string(string_or(error, "message"))};
}

std::string first_text(const json::value& result) {
  const auto* content = find(result, "content");
  if (content == nullptr || !content->is_array() || content->get_array().empty()) return {};
  return std::string(string_or(content->get_array().front(), "text"));
}

// A tool's result as Gavel gives it, in the words of the harness.
Result<CallAnswer> read_result(const json::value& result) {
  CallAnswer answer;
  answer.kind = AnswerKind::result;
  answer.result = write_json(result);
  const auto* meta = find(result, "_meta");
  if (meta == nullptr) return answer;
  const std::string intent(string_or(*meta, "com.gavel/intent"));
  if (const auto mark = intent.rfind('#'); mark != std::string::npos) {
    answer.intent = IntentId{std::stoull(intent.substr(mark + 1))};
  }
  answer.replayed = find(*meta, "com.gavel/replayed") != nullptr;
  const std::string code(string_or(*meta, "com.gavel/code"));
  if (find(*meta, "com.gavel/pending") != nullptr) {
    answer.kind = AnswerKind::pending;
  } else if (!code.empty()) {
    answer.code = error_code_from(code);
    if (answer.intent.value == 0) return fail(answer.code, first_text(result));
    answer.kind = AnswerKind::refused;
  }
  answer.text = first_text(result);
  return answer;
}

std::string mcp_call(const CallRequest& request, Speaks speaks, std::uint64_t id) {
  std::string meta;
  const auto add = [&](std::string_view key, std::string_view value) {
    meta += fmt::format("{}\"{}\":{}", meta.empty() ? "" : ",", key, value);
  };
  if (speaks == Speaks::modern) {
    add("io.modelcontextprotocol/protocolVersion", fmt::format("\"{}\"", kModern));
    add("io.modelcontextprotocol/clientInfo", R"({"name":"simulated","version":"1"})");
    add("io.modelcontextprotocol/clientCapabilities", "{}");
  }
  if (!request.call_id.empty()) add("claudecode/toolUseId", quoted(request.call_id));
  if (!request.key.empty()) add("com.gavel/idempotencyKey", quoted(request.key));
  return fmt::format(
      R"({{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"{}","arguments":{},)"
      R"("_meta":{{{}}}}}}})",
      id, request.tool, request.arguments, meta);
}

}  // namespace

// --- direct ---

asio::awaitable<Result<CallAnswer>> DirectDoor::call(CallRequest request) {
  return harness_.call(std::move(request));
}

asio::awaitable<void> DirectDoor::report(ReportRequest request) {
  // Whether it is recorded shows in the log.
  (void)co_await harness_.report(std::move(request));
}

asio::awaitable<Result<Epoch>> DirectDoor::wake(LogId session, Caller caller, std::string client,
                                                std::string reason) {
  return harness_.wake(std::move(session), std::move(caller), std::move(client), std::move(reason));
}

asio::awaitable<Result<std::vector<PendingView>>> DirectDoor::pending(Caller /*caller*/) {
  return harness_.pending();
}

asio::awaitable<Status> DirectDoor::vote(LogId session, CastVote vote, Caller caller) {
  return harness_.vote(std::move(session), std::move(vote), std::move(caller));
}

asio::awaitable<Status> DirectDoor::resolve(LogId session, Resolve resolve, Caller caller) {
  return harness_.resolve(std::move(session), std::move(resolve), std::move(caller));
}

asio::awaitable<Status> DirectDoor::halt(std::string scope, std::optional<HaltMode> mode,
                                         std::string reason, Caller caller) {
  if (mode) return harness_.halt(std::move(scope), *mode, std::move(reason), std::move(caller));
  return harness_.resume(std::move(scope), std::move(reason), std::move(caller));
}

// --- over the network ---

std::string token_of(const Caller& caller) {
  std::string token = "gavel_" + caller.principal.value;
  for (const auto role : caller.roles) token += fmt::format("_{}", to_string(role));
  token.resize(std::max<std::size_t>(token.size(), 48), 'x');
  return token;
}

HttpDoor::HttpDoor(SimNet& net, Schedule& schedule, asio::any_io_executor executor,
                   std::uint16_t port, McpSessionIds& sessions, Coverage& coverage,
                   std::uint64_t dice)
    : net_(net),
      schedule_(schedule),
      executor_(std::move(executor)),
      port_(port),
      sessions_(sessions),
      coverage_(coverage),
      rng_(dice) {}

namespace {

// One connection of a client's that carries one request.
struct Waiting {
  explicit Waiting(const asio::any_io_executor& executor, SteadyTime until)
      : wake(executor, until) {}
  asio::steady_timer wake;
  WebReader reader{WebReader::Kind::reply};
  std::optional<WebMessage> reply;
  bool ended = false;
};

}  // namespace

asio::awaitable<std::optional<WebReply>> HttpDoor::exchange(Sending sending) {
  const auto waiting =
      std::make_shared<Waiting>(executor_, steady_of(machine::now() + sending.patience));
  SimNet::Peer peer;
  peer.on_bytes = [weak = std::weak_ptr(waiting)](std::string_view bytes) {
    const auto waits = weak.lock();
    if (!waits || waits->ended) return;
    waits->reader.feed(bytes);
    waits->reply = waits->reader.next();
    if (!waits->reply && !waits->reader.broken()) return;
    waits->ended = true;
    waits->wake.cancel();
  };
  peer.on_end = [weak = std::weak_ptr(waiting)] {
    const auto waits = weak.lock();
    if (!waits) return;
    waits->ended = true;
    waits->wake.cancel();
  };
  if (take_duplicate(sending.link)) {
    ++coverage_[fmt::format("network: delivers twice ({})", to_string(sending.link))];
    // Something on the way sends it again, and nobody hears the answer.
    schedule_.after(Instant(rng_.between(0, rng_.one_in(2) ? 20'000 : 9'000'000)),
                    [net = &net_, link = sending.link, port = port_, bytes = sending.bytes] {
                      net->send(net->connect(link, port, {}), bytes);
                    });
  }
  const auto id = net_.connect(sending.link, port_, std::move(peer));
  net_.send(id, sending.bytes);
  co_await waiting->wake.async_wait(asio::as_tuple(asio::use_awaitable));
  net_.close(id);
  if (!waiting->reply) {
    ++coverage_[waiting->ended ? "client: its connection broke" : "client: waits no longer"];
    co_return std::nullopt;
  }
  co_return WebReply{waiting->reply->status, std::move(waiting->reply->headers),
                     std::move(waiting->reply->body)};
}

asio::awaitable<Result<json::value>> HttpDoor::api(Link link, const Caller& caller,
                                                   std::string_view method, std::string target,
                                                   json::value body) {
  const std::string text = method == "GET" ? "" : write_json(body);
  const auto reply = co_await exchange(
      {link, web_request(method, target, token_of(caller), {}, text), Instant(60'000'000)});
  if (!reply) co_return nobody_knows();
  auto document = parse_json(reply->body);
  if (!document) co_return fail(ErrorCode::internal, "the API answers with no JSON");
  if (reply->status != 200) co_return std::unexpected(error_of(*document));
  co_return std::move(*document);
}

asio::awaitable<void> HttpDoor::report(ReportRequest request) {
  json::object body{{"tool", request.tool},
                    {"call_id", request.call_id},
                    {"kind", to_string(request.kind)},
                    {"reason", request.reason},
                    {"intent", request.intent.value}};
  if (auto arguments = parse_json(request.arguments)) body["arguments"] = *arguments;
  (void)co_await api(Link::agents, request.caller, "POST",
                     fmt::format("/v1/sessions/{}/outcomes", request.session.value),
                     std::move(body));
}

asio::awaitable<Result<Epoch>> HttpDoor::wake(LogId session, Caller caller, std::string client,
                                              std::string reason) {
  const auto woken =
      co_await api(Link::agents, caller, "POST", fmt::format("/v1/sessions/{}/wake", session.value),
                   json::object{{"client", client}, {"reason", reason}});
  if (!woken) co_return std::unexpected(woken.error());
  co_return Epoch{static_cast<std::uint64_t>(int_or(*woken, "epoch", 0))};
}

asio::awaitable<Result<std::vector<PendingView>>> HttpDoor::pending(Caller caller) {
  const auto shown = co_await api(Link::people, caller, "GET", "/v1/pending", {});
  if (!shown) co_return std::unexpected(shown.error());
  std::vector<PendingView> out;
  const auto* list = find(*shown, "pending");
  if (list == nullptr || !list->is_array()) co_return fail(ErrorCode::internal, "no list");
  for (const auto& item : list->get_array()) {
    PendingView view;
    view.session.value = string_or(item, "session");
    view.intent.id = IntentId{static_cast<std::uint64_t>(int_or(item, "intent", 0))};
    for (const auto phase :
         {Phase::proposed, Phase::held, Phase::committed, Phase::in_flight, Phase::unknown}) {
      if (to_string(phase) == string_or(item, "phase")) view.intent.phase = phase;
    }
    view.intent.proposal.requester.value = string_or(item, "requester");
    if (const auto digest = digest_from_hex(string_or(item, "digest"))) {
      view.intent.proposal.digest = *digest;
    }
    out.push_back(std::move(view));
  }
  co_return out;
}

asio::awaitable<Status> HttpDoor::vote(LogId session, CastVote vote, Caller caller) {
  const auto voted =
      co_await api(Link::people, caller, "POST",
                   fmt::format("/v1/sessions/{}/intents/{}/vote", session.value, vote.intent.value),
                   json::object{{"verdict", to_string(vote.verdict)},
                                {"digest", vote.digest.hex()},
                                {"reason", vote.reason}});
  if (!voted) co_return std::unexpected(voted.error());
  co_return Status{};
}

asio::awaitable<Status> HttpDoor::resolve(LogId session, Resolve resolve, Caller caller) {
  const auto resolved = co_await api(
      Link::people, caller, "POST",
      fmt::format("/v1/sessions/{}/intents/{}/resolve", session.value, resolve.intent.value),
      json::object{{"kind", to_string(resolve.kind)}, {"reason", resolve.reason}});
  if (!resolved) co_return std::unexpected(resolved.error());
  co_return Status{};
}

asio::awaitable<Status> HttpDoor::halt(std::string scope, std::optional<HaltMode> mode,
                                       std::string reason, Caller caller) {
  json::object body{{"scope", scope}, {"reason", reason}};
  if (mode) body["mode"] = to_string(*mode);
  const auto done = co_await api(Link::people, caller, "POST", mode ? "/v1/halts" : "/v1/resume",
                                 std::move(body));
  if (!done) co_return std::unexpected(done.error());
  co_return Status{};
}

// The session's id of a legacy agent, which initializes where it has none.
asio::awaitable<Result<std::string>> HttpDoor::initialize(const CallRequest& request) {
  const std::string agent = request.caller.principal.value;
  const std::string known = sessions_[agent];
  if (!known.empty()) co_return known;
  const auto opened = co_await exchange(
      {Link::agents,
       web_request("POST", "/mcp", token_of(request.caller), {},
                   fmt::format(R"({{"jsonrpc":"2.0","id":{},"method":"initialize","params":)"
                               R"({{"protocolVersion":"{}","capabilities":{{}},)"
                               R"("clientInfo":{{"name":"simulated","version":"1"}}}}}})",
                               ++ids_, kLegacy)),
       Instant(20'000'000)});
  if (!opened) co_return nobody_knows();
  const auto id = opened->headers.find("mcp-session-id");
  if (opened->status != 200 || id == opened->headers.end()) {
    co_return fail(ErrorCode::unavailable, "initialize was not answered as it should be");
  }
  ++coverage_["client: initializes"];
  sessions_[agent] = id->second;
  const std::string session = id->second;
  opened_here_.insert(session);
  (void)co_await exchange(
      {Link::agents,
       web_request("POST", "/mcp", token_of(request.caller),
                   {{"Mcp-Session-Id", session}, {"MCP-Protocol-Version", std::string(kLegacy)}},
                   R"({"jsonrpc":"2.0","method":"notifications/initialized"})"),
       Instant(20'000'000)});
  co_return session;
}

// Of a legacy agent, whose next call learns of it.
asio::awaitable<void> HttpDoor::end_session(const CallRequest& request, std::string session) {
  ++coverage_["client: its session is ended"];
  (void)co_await exchange({Link::agents,
                           web_request("DELETE", "/mcp", token_of(request.caller),
                                       {{"Mcp-Session-Id", std::move(session)}}, ""),
                           Instant(20'000'000)});
}

asio::awaitable<Result<CallAnswer>> HttpDoor::call(CallRequest request) {
  if (request.performer == Performer::client) {
    json::object body{{"tool", request.tool}};
    if (!request.call_id.empty()) body["call_id"] = request.call_id;
    if (auto arguments = parse_json(request.arguments)) body["arguments"] = *arguments;
    if (request.epoch) body["epoch"] = request.epoch->value;
    if (!request.key.empty()) body["key"] = request.key;
    const std::string session = request.session.value;
    const auto asked =
        co_await api(Link::agents, request.caller, "POST",
                     fmt::format("/v1/sessions/{}/permits", session), std::move(body));
    if (!asked) co_return std::unexpected(asked.error());
    CallAnswer answer;
    answer.intent = IntentId{static_cast<std::uint64_t>(int_or(*asked, "intent", 0))};
    answer.text = string_or(*asked, "text");
    answer.replayed = bool_or(*asked, "replayed", false);
    for (const auto kind :
         {AnswerKind::result, AnswerKind::pending, AnswerKind::refused, AnswerKind::granted}) {
      if (kKinds[static_cast<std::size_t>(kind)] == string_or(*asked, "kind")) answer.kind = kind;
    }
    if (answer.kind == AnswerKind::refused) {
      answer.code = error_code_from(string_or(*asked, "code"));
    }
    if (const auto* result = find(*asked, "result"); result != nullptr && !result->is_null()) {
      answer.result = write_json(*result);
    }
    co_return answer;
  }
  const Speaks speaks = speech_of(request.caller.principal.value);
  std::string session;
  if (speaks == Speaks::legacy) {
    auto opened = co_await initialize(request);
    if (!opened) co_return std::unexpected(opened.error());
    session = std::move(*opened);
    if (rng_.one_in(40)) co_await end_session(request, session);
  }
  co_return co_await answer_of(std::move(request), speaks, std::move(session));
}

asio::awaitable<Result<CallAnswer>> HttpDoor::answer_of(CallRequest request, Speaks speaks,
                                                        std::string session) {
  WebHeaders headers{{"Gavel-Session", request.session.value},
                     {"Accept", "application/json, text/event-stream"}};
  if (request.epoch) headers.emplace_back("Gavel-Epoch", fmt::format("{}", request.epoch->value));
  if (speaks == Speaks::modern) {
    headers.emplace_back("MCP-Protocol-Version", kModern);
    headers.emplace_back("Mcp-Method", "tools/call");
    headers.emplace_back("Mcp-Name", request.tool);
  } else {
    headers.emplace_back("MCP-Protocol-Version", kLegacy);
    headers.emplace_back("Mcp-Session-Id", session);
  }
  ++coverage_[speaks == Speaks::modern ? "client: calls (modern)" : "client: calls (legacy)"];
  if (duplicate_[static_cast<std::size_t>(Link::agents)] && on_duplicate) on_duplicate(request);
  const Instant patience = std::max(instant_of(request.patience) - machine::now(), Instant(1'000));
  const auto reply = co_await exchange({Link::agents,
                                        web_request("POST", "/mcp", token_of(request.caller),
                                                    headers, mcp_call(request, speaks, ++ids_)),
                                        patience + Instant(rng_.one_in(3) ? 0 : 60'000'000)});
  if (!reply) co_return nobody_knows();
  const bool stream = reply->headers.contains("content-type") &&
                      reply->headers.at("content-type") == "text/event-stream";
  if (stream) ++coverage_["client: is answered with a stream"];
  const auto document = parse_json(stream ? last_event(reply->body) : reply->body);
  if (!document) co_return nobody_knows();
  if (const auto* error = find(*document, "error")) {
    if (reply->status == 404 && speaks == Speaks::legacy) {
      ++coverage_["client: its session is gone"];
      sessions_.erase(request.caller.principal.value);
      co_return nobody_knows();
    }
    co_return std::unexpected(rpc_error_of(*error));
  }
  if (speaks == Speaks::legacy && !opened_here_.contains(session)) {
    ++coverage_["client: its session outlives the daemon"];
  }
  const auto* result = find(*document, "result");
  if (result == nullptr) co_return fail(ErrorCode::internal, "neither a result nor an error");
  co_return read_result(*result);
}

}  // namespace gavel::simulation
