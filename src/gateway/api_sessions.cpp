// Sessions: listing, reading, waking, proposing.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "core/codec.hpp"
#include "gateway/api.hpp"
#include "gateway/api_query.hpp"
#include "gateway/waiting_call.hpp"

namespace gavel {
namespace {

constexpr std::uint64_t kSessionsPerPage = 1000;
constexpr std::uint64_t kEntriesPerPage = 1000;
constexpr std::size_t kTranscriptPage = 512;
constexpr std::uint64_t kTranscriptEntriesMax = 1'000'000;
constexpr std::size_t kStoryEntriesMax = 10'000;
constexpr std::int64_t kWaitDefault = 30'000;
constexpr std::int64_t kWaitMax = 240'000;

// The intent that the entry begins or is about, 0 for none.
IntentId intent_of(const Entry& entry) {
  return std::visit(
      [&]<typename T>(const T& body) {
        if constexpr (std::is_same_v<T, IntentProposed>) {
          return entry.position;
        } else if constexpr (requires { body.intent; }) {
          return body.intent;
        } else {
          return IntentId{};
        }
      },
      entry.body);
}

// A key of another type, taken for none, would make a repetition a new action.
Status check_texts(const json::value& body, std::initializer_list<std::string_view> names) {
  for (const auto name : names) {
    const auto* value = find(body, name);
    if (value == nullptr || value->is_string()) continue;
    return fail(ErrorCode::invalid_argument, fmt::format("\"{}\" must be a text", name));
  }
  return {};
}

// The driver's, where the request names it.
Result<std::optional<Epoch>> epoch_of(const json::value& body) {
  if (find(body, "epoch") == nullptr) return std::nullopt;
  const auto epoch = int_or(body, "epoch", 0);
  if (epoch < 1) return fail(ErrorCode::invalid_argument, "\"epoch\" must be 1 or more");
  return Epoch{static_cast<std::uint64_t>(epoch)};
}

}  // namespace

asio::awaitable<Api::Answer> Api::health(Request&) {
  if (const auto store = harness_.health(); !store) co_return std::unexpected(store.error());
  const auto policy = harness_.policy();
  const auto uptime = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - started_);
  co_return write_json(json::object{{"status", "ok"},
                                    {"version", options_.version},
                                    {"pid", ::getpid()},
                                    {"uptime_ms", uptime.count()},
                                    {"store", "ok"},
                                    {"policy_version", policy ? policy->version() : ""}});
}

asio::awaitable<Api::Answer> Api::sessions(Request& request) {
  const auto limit =
      query_number(request.exchange.request().query, "limit", 100, 1, kSessionsPerPage);
  if (!limit) co_return std::unexpected(limit.error());
  const auto count = static_cast<std::size_t>(*limit);
  auto found = co_await harness_.sessions(request.query("prefix").value_or(""),
                                          LogId{request.query("after").value_or("")}, count);
  if (!found) co_return std::unexpected(found.error());
  json::array list;
  for (const auto& view : *found) list.push_back(session_json(view));
  json::value next = nullptr;
  if (found->size() == count) next = json::value(found->back().session.value);
  co_return write_json(json::object{{"sessions", std::move(list)}, {"next", std::move(next)}});
}

asio::awaitable<Api::Answer> Api::session_answer(LogId session) {
  auto view = co_await harness_.session(std::move(session));
  if (!view) co_return std::unexpected(view.error());
  co_return write_json(session_json(*view));
}

asio::awaitable<Api::Answer> Api::session(Request& request) {
  co_return co_await session_answer(LogId{request.parameters[0]});
}

asio::awaitable<Api::Answer> Api::entries(Request& request) {
  const auto query = request.exchange.request().query;
  const auto from = query_number(query, "from", 1, 1, UINT64_MAX);
  if (!from) co_return std::unexpected(from.error());
  const auto limit = query_number(query, "limit", 100, 1, kEntriesPerPage);
  if (!limit) co_return std::unexpected(limit.error());
  const LogId log{request.parameters[0]};
  auto found = co_await harness_.entries(log, Position{*from}, static_cast<std::size_t>(*limit));
  if (!found) co_return std::unexpected(found.error());
  const auto tail = co_await harness_.wait_for(log, Position{0}, SteadyTime::min());
  if (!tail) co_return std::unexpected(tail.error());
  if (tail->value == 0) {
    co_return fail(ErrorCode::not_found,
                   fmt::format("no log \"{}\"; list them with gavel sessions", log.value));
  }
  json::array list;
  for (const auto& entry : *found) list.push_back(to_json(entry));
  co_return write_json(json::object{{"entries", std::move(list)}, {"tail", tail->value}});
}

asio::awaitable<Api::Answer> Api::transcript(Request& request) {
  const LogId session{request.parameters[0]};
  const auto view = co_await harness_.session(session);
  if (!view) co_return std::unexpected(view.error());
  Transcript transcript;
  Position from{1};
  while (from <= view->tail && from.value <= kTranscriptEntriesMax) {
    const auto page = co_await harness_.entries(session, from, kTranscriptPage);
    if (!page) co_return std::unexpected(page.error());
    if (page->empty()) break;
    for (const auto& entry : *page) transcript.add(entry);
    from = page->back().position.next();
  }
  json::array intents;
  for (const auto& item : transcript.items()) {
    intents.push_back(transcript_item_json(item, payload_reader()));
  }
  co_return write_json(json::object{{"session", session.value},
                                    {"epoch", transcript.epoch().value},
                                    {"intents", std::move(intents)}});
}

asio::awaitable<Api::Answer> Api::intent(Request& request) {
  const LogId session{request.parameters[0]};
  const auto wanted = parse_intent(request.parameters[1]);
  if (!wanted) co_return std::unexpected(wanted.error());
  const auto view = co_await harness_.session(session);
  if (!view) co_return std::unexpected(view.error());
  json::array story;
  for (Position from = *wanted; from <= view->tail;) {
    const auto page = co_await harness_.entries(session, from, kTranscriptPage);
    if (!page) co_return std::unexpected(page.error());
    if (page->empty()) break;
    for (const auto& entry : *page) {
      if (intent_of(entry) != *wanted) continue;
      const auto read = payload_reader();
      story.push_back(to_json(entry, &read));
      if (story.size() == kStoryEntriesMax) break;
    }
    const bool is_intent = !story.empty() && string_or(story.front(), "kind") == "intent";
    if (!is_intent || story.size() == kStoryEntriesMax) break;
    from = page->back().position.next();
  }
  if (story.empty() || string_or(story.front(), "kind") != "intent") {
    co_return fail(ErrorCode::not_found,
                   fmt::format("position {} of {} is no intent; see gavel show {}", wanted->value,
                               for_display(session.value, 200), for_display(session.value, 200)));
  }
  co_return write_json(json::object{
      {"session", session.value}, {"intent", wanted->value}, {"entries", std::move(story)}});
}

asio::awaitable<Api::Answer> Api::wake(Request& request) {
  const LogId session{request.parameters[0]};
  if (const auto valid = check_log_name(session); !valid) {
    co_return std::unexpected(valid.error());
  }
  const auto epoch = co_await harness_.wake(session, request.caller,
                                            std::string(string_or(*request.body, "client")),
                                            std::string(string_or(*request.body, "reason")));
  if (!epoch) co_return std::unexpected(epoch.error());
  const auto& http = request.exchange.request();
  const auto host = http.header("Host").value_or("127.0.0.1");
  co_return write_json(
      json::object{{"session", session.value},
                   {"epoch", epoch->value},
                   {"mcp_url", fmt::format("{}://{}/mcp?session={}&epoch={}", http.scheme, host,
                                           percent_encode(session.value), epoch->value)}});
}

asio::awaitable<Api::Answer> Api::propose(Request& request) {
  co_return co_await ask(request, Performer::gavel);
}

asio::awaitable<Api::Answer> Api::permit(Request& request) {
  co_return co_await ask(request, Performer::client);
}

asio::awaitable<Api::Answer> Api::ask(Request& request, Performer performer) {
  const auto& body = *request.body;
  if (const auto valid = check_texts(body, {"tool", "key", "call_id", "client"}); !valid) {
    co_return std::unexpected(valid.error());
  }
  CallRequest call;
  call.performer = performer;
  if (performer == Performer::client) call.call_id = std::string(string_or(body, "call_id"));
  call.session = LogId{request.parameters[0]};
  call.caller = request.caller;
  call.client = std::string(string_or(body, "client", "api"));
  call.tool = std::string(string_or(body, "tool"));
  call.key = std::string(string_or(body, "key"));
  if (const auto valid = check_log_name(call.session); !valid) {
    co_return std::unexpected(valid.error());
  }
  if (call.tool.empty()) {
    co_return fail(ErrorCode::invalid_argument,
                   "\"tool\" is missing: name one of GET /v1/tools, such as \"pg__query\"");
  }
  const auto arguments = json_slice(request.exchange.request().body, {"arguments"});
  call.arguments = arguments.empty() ? "{}" : std::string(arguments);
  const auto epoch = epoch_of(body);
  if (!epoch) co_return std::unexpected(epoch.error());
  call.epoch = *epoch;
  const auto wait = int_or(body, "wait_ms", kWaitDefault);
  if (wait < 0 || wait > kWaitMax) {
    co_return fail(ErrorCode::invalid_argument,
                   fmt::format("\"wait_ms\" must be 0 to {}; ask again with the same call to wait "
                               "longer",
                               kWaitMax));
  }
  call.patience = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait);
  const auto answer = co_await call_harness(request, std::move(call));
  if (!answer) co_return std::unexpected(answer.error());
  co_return answer_json(*answer);
}

asio::awaitable<Result<CallAnswer>> Api::call_harness(Request& request, CallRequest call) {
  const auto session = call.session;
  request.exchange.cancel_when_ended();
  const auto running = WaitingCall::start(executor_, harness_, std::move(call));
  const CallGuard guard(running);
  while (!running->finished() && !request.exchange.ended()) {
    co_await running->wait_until(SteadyTime::max());
    running->take_held();
  }
  if (!running->finished()) {
    co_return fail(ErrorCode::unavailable,
                   "gavel is stopping; the action goes on or waits, and the same call collects its "
                   "outcome later");
  }
  auto answer = running->take_answer();
  if (!answer) co_return answer;
  const bool final = answer->kind == AnswerKind::result || answer->kind == AnswerKind::refused;
  if (final && answer->intent.value > 0) {
    request.delivered.emplace(session, answer->intent);
  }
  co_return answer;
}

asio::awaitable<Api::Answer> Api::report(Request& request) {
  const auto& body = *request.body;
  const auto valid_texts = check_texts(body, {"tool", "call_id", "kind", "reason"});
  if (!valid_texts) co_return std::unexpected(valid_texts.error());
  ReportRequest report;
  report.session = LogId{request.parameters[0]};
  report.caller = request.caller;
  if (const auto valid = check_log_name(report.session); !valid) {
    co_return std::unexpected(valid.error());
  }
  report.intent =
      IntentId{static_cast<std::uint64_t>(std::max<std::int64_t>(0, int_or(body, "intent", 0)))};
  report.call_id = std::string(string_or(body, "call_id"));
  report.tool = std::string(string_or(body, "tool"));
  report.arguments = std::string(json_slice(request.exchange.request().body, {"arguments"}));
  report.result = std::string(json_slice(request.exchange.request().body, {"result"}));
  report.reason = std::string(string_or(body, "reason"));
  const auto kind = string_or(body, "kind");
  if (kind == "ok") {
    report.kind = OutcomeKind::ok;
  } else if (kind == "failed") {
    report.kind = OutcomeKind::failed;
  } else if (kind == "unknown") {
    report.kind = OutcomeKind::unknown;
  } else {
    co_return fail(ErrorCode::invalid_argument, "\"kind\" must be ok, failed or unknown");
  }
  if (report.result == "null") report.result.clear();
  if (!report.result.empty() && !report.result.starts_with('{')) {
    co_return fail(ErrorCode::invalid_argument, "\"result\" must be a CallToolResult");
  }
  const auto intent = co_await harness_.report(std::move(report));
  if (!intent) co_return std::unexpected(intent.error());
  co_return write_json(json::object{{"intent", intent->value}});
}

asio::awaitable<Api::Answer> Api::tell(Request& request) {
  const auto& body = *request.body;
  if (const auto valid = check_texts(body, {"text", "client"}); !valid) {
    co_return std::unexpected(valid.error());
  }
  PromptRequest prompt;
  prompt.session = LogId{request.parameters[0]};
  prompt.caller = request.caller;
  prompt.client = std::string(string_or(body, "client", "api"));
  prompt.text = std::string(string_or(body, "text"));
  if (const auto valid = check_log_name(prompt.session); !valid) {
    co_return std::unexpected(valid.error());
  }
  if (prompt.text.empty()) {
    co_return fail(ErrorCode::invalid_argument, "\"text\" is missing: what the person said");
  }
  const auto epoch = epoch_of(body);
  if (!epoch) co_return std::unexpected(epoch.error());
  prompt.epoch = *epoch;
  const auto session = prompt.session;
  if (const auto told = co_await harness_.tell(std::move(prompt)); !told) {
    co_return std::unexpected(told.error());
  }
  co_return co_await session_answer(session);
}

}  // namespace gavel
