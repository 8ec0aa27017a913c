// Hooks of agent programs that are HTTP requests (docs/hooks.md): the body is the program's event,
// and the answer has the program's own form. What is asked of the harness is the same as for
// `gavel hook`, which reads the event by itself and uses /permits, /outcomes and /prompts.
#include <fmt/format.h>

#include "base/text.hpp"
#include "gateway/api.hpp"
#include "gateway/api_query.hpp"
#include "protocol/hooks.hpp"

namespace gavel {
namespace {

// The program fills the headers from its environment; of a variable that is not set they are empty.
std::string header_or_empty(const HttpRequest& http, std::string_view name) {
  return std::string(http.header(name).value_or(""));
}

Result<HookEvent> read_event(const HttpRequest& http, AgentProgram program) {
  HookSettings settings;
  // Encoded, because a program may drop from a header what is not ASCII: another directory.
  const auto project = percent_decode(header_or_empty(http, "Gavel-Project"));
  if (!project) {
    return fail(ErrorCode::invalid_argument,
                "Gavel-Project must be a percent-encoded directory, as gavel run has it in "
                "GAVEL_PROJECT");
  }
  settings.project = *project;
  settings.server = query_value(http.query, "server").value_or("gavel");
  return read_hook(program, http.body, settings);
}

// The session and the epoch that it is driven in.
Result<std::pair<LogId, std::optional<Epoch>>> read_driver(const HttpRequest& http,
                                                           const HookEvent& event) {
  std::pair<LogId, std::optional<Epoch>> driver;
  driver.first.value = header_or_empty(http, "Gavel-Session");
  if (driver.first.value.empty()) driver.first.value = event.session;
  TRY(check_log_name(driver.first));
  if (const auto text = header_or_empty(http, "Gavel-Epoch"); !text.empty()) {
    ASSIGN_OR_RETURN(const auto epoch, parse_number("Gavel-Epoch", text, 1, UINT64_MAX));
    driver.second = Epoch{epoch};
  }
  return driver;
}

ReportRequest report_of(HookEvent event) {
  ReportRequest report;
  report.call_id = std::move(event.call_id);
  report.tool = std::move(event.tool);
  report.arguments = write_json(event.arguments);
  report.kind = event.failed ? OutcomeKind::failed : OutcomeKind::ok;
  report.result = std::move(event.result);
  report.reason = std::move(event.reason);
  return report;
}

}  // namespace

asio::awaitable<Api::Answer> Api::hook(Request& request) {
  const auto& http = request.exchange.request();
  const auto program = agent_program_from(request.parameters[0]);
  if (!program || !has_http_hooks(*program)) {
    co_return fail(ErrorCode::not_found,
                   fmt::format("\"{}\" has no hooks over HTTP; gavel setup knows what it has",
                               for_display(request.parameters[0], 60)));
  }
  const auto wait = query_number(http.query, "wait", kHookWaitSeconds, 0, kHookWaitSecondsMax);
  if (!wait) co_return std::unexpected(wait.error());
  auto event = read_event(http, *program);
  if (!event) co_return std::unexpected(event.error());
  if (event->through_gavel) co_return allowing_answer();
  const auto moment = event->moment;
  const auto done = co_await answer_hook(request, std::move(*event), std::chrono::seconds(*wait));
  co_return done ? allowing_answer() : blocking_answer(moment, done.error().message);
}

asio::awaitable<Status> Api::answer_hook(Request& request, HookEvent event,
                                         std::chrono::seconds wait) {
  const auto driver = read_driver(request.exchange.request(), event);
  if (!driver) co_return std::unexpected(driver.error());
  const auto& [session, epoch] = *driver;
  const auto& client = request.parameters[0];
  if (options_.follow_links && event.moment != HookMoment::prompt) {
    auto followed = co_await options_.follow_links(std::move(event.arguments));
    if (!followed) co_return std::unexpected(followed.error());
    event.arguments = std::move(*followed);
  }
  switch (event.moment) {
    case HookMoment::before: {
      CallRequest call;
      call.performer = Performer::client;
      call.session = session;
      call.epoch = epoch;
      call.caller = request.caller;
      call.client = client;
      call.tool = std::move(event.tool);
      call.arguments = write_json(event.arguments);
      call.call_id = std::move(event.call_id);
      call.patience = std::chrono::steady_clock::now() + wait;
      const auto answer = co_await call_harness(request, std::move(call));
      if (!answer) co_return std::unexpected(answer.error());
      if (answer->kind == AnswerKind::granted) co_return Status{};
      co_return fail(ErrorCode::denied, answer->text.empty() ? "no leave was given" : answer->text);
    }
    case HookMoment::after: {
      auto report = report_of(std::move(event));
      report.session = session;
      report.caller = request.caller;
      const auto intent = co_await harness_.report(std::move(report));
      if (!intent) co_return std::unexpected(intent.error());
      co_return Status{};
    }
    case HookMoment::prompt:
      co_return co_await harness_.tell(
          {session, epoch, request.caller, client, std::move(event.prompt)});
  }
  co_return fail(ErrorCode::internal, "a moment that nobody knows");
}

}  // namespace gavel
