// Requests other than tools/call, passed to a server as they are: leave for them is taken as by a
// client that acts itself, and what came of them is recorded before it is told.
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include "base/text.hpp"
#include "protocol/jsonrpc.hpp"
#include "runtime/local_harness.hpp"

namespace gavel {
namespace {

constexpr std::size_t kReasonMax = 500;

UpstreamReply not_passed(Error why) {
  UpstreamReply reply;
  reply.error = std::move(why);
  return reply;
}

// What the log says of it.
void describe(const UpstreamReply& reply, ReportRequest& report) {
  if (!reply.result.empty()) {
    report.kind = OutcomeKind::ok;
    report.result = reply.result;
    return;
  }
  report.kind = OutcomeKind::failed;
  report.reason = for_display(
      reply.rpc_error.empty() ? reply.error.message : read_rpc_error(reply.rpc_error).message,
      kReasonMax);
}

}  // namespace

asio::awaitable<UpstreamReply> LocalHarness::pass(std::string upstream, CallRequest request) {
  const auto found = upstreams_.find(upstream);
  if (found == upstreams_.end()) {
    co_return not_passed({ErrorCode::not_found, "no server \"" + upstream + "\""});
  }
  const std::shared_ptr<Upstream> server = found->second;
  UpstreamRequest asked;
  asked.method = split_tool_name(request.tool).second;
  asked.params = request.arguments;
  asked.meta = request.meta;
  asked.caller = request.side;
  ReportRequest report;
  report.session = request.session;
  report.caller = request.caller;
  report.tool = request.tool;
  const Epoch epoch = request.epoch.value_or(Epoch{1});
  // The server has as long as leave may take.
  const auto span = request.patience - clock_.steady();

  request.performer = Performer::passer;
  const auto leave = co_await call(std::move(request));
  if (!leave) co_return not_passed(leave.error());
  if (leave->kind != AnswerKind::granted) {
    const bool held = leave->kind == AnswerKind::pending;
    co_return not_passed({held ? ErrorCode::busy : leave->code, leave->text});
  }
  report.intent = leave->intent;
  asked.deadline = clock_.steady() + span;
  asked.may_send = [this, session = report.session, intent = leave->intent, epoch] {
    return still_allowed(session, intent, 1, epoch);
  };
  UpstreamReply reply;
  try {
    reply = co_await server->request(std::move(asked));
  } catch (const boost::system::system_error& error) {
    if (error.code() != asio::error::operation_aborted) throw;
    reply.error = {ErrorCode::cancelled, "nobody waited for its answer any more"};
  }
  // What came of it is recorded all the same.
  co_await asio::this_coro::reset_cancellation_state();
  describe(reply, report);
  const auto recorded = co_await this->report(std::move(report));
  if (!recorded) co_return not_passed(recorded.error());
  co_return reply;
}

}  // namespace gavel
