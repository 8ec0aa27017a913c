#include "sim_server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/json.hpp"

namespace gavel::simulation {
namespace {

UpstreamReply answered(std::string result) {
  UpstreamReply reply;
  reply.delivery = Delivery::answered;
  reply.result = std::move(result);
  return reply;
}

UpstreamReply no_answer(Delivery delivery, ErrorCode code, std::string why) {
  UpstreamReply reply;
  reply.delivery = delivery;
  reply.error = {code, std::move(why)};
  return reply;
}

std::string text_result(std::string_view text) {
  return fmt::format(R"({{"content":[{{"type":"text","text":"{}"}}]}})", text);
}

// What the executor says of a call in its _meta.
Sent sent_of(const std::string& server, const UpstreamRequest& request) {
  Sent sent;
  const json::value meta = parse_json(write_json(request.meta)).value();
  const std::string intent(string_or(meta, "com.gavel/intent"));
  const auto mark = intent.rfind('#');
  if (mark != std::string::npos) {
    sent.session = LogId{intent.substr(0, mark)};
    sent.intent = IntentId{std::stoull(intent.substr(mark + 1))};
  }
  sent.key = string_or(meta, "com.gavel/idempotencyKey");
  sent.token = static_cast<std::uint64_t>(int_or(meta, "com.gavel/fencingToken", 0));
  const auto params = parse_json(request.params);
  if (params) {
    sent.tool = fmt::format("{}__{}", server, string_or(*params, "name"));
    if (const auto* arguments = find(*params, "arguments")) sent.arguments = write_json(*arguments);
  }
  return sent;
}

std::string ref_of(const std::string& arguments) {
  const auto parsed = parse_json(arguments);
  return parsed ? std::string(string_or(*parsed, "ref")) : std::string();
}

}  // namespace

SimServer::SimServer(std::string name, Schedule& schedule, Auditor& auditor, Coverage& coverage,
                     std::uint64_t dice)
    : name_(std::move(name)),
      schedule_(schedule),
      auditor_(auditor),
      coverage_(coverage),
      rng_(dice) {}

void SimServer::arm(ServerFault fault, std::uint64_t dice) {
  Rng rng(dice);
  switch (fault) {
    case ServerFault::lists_nothing:
      failing_lists_ += 2;
      break;
    case ServerFault::probe_fails:
      failing_probes_ += static_cast<int>(rng.between(1, 9));
      break;
    case ServerFault::unreachable:
      unreachable_until_ = machine::now() + Instant(rng.between(10'000, 20'000'000));
      ++coverage_["server: unreachable"];
      break;
    default:
      armed_.push_back({fault, dice});
  }
}

void SimServer::heal() {
  armed_.clear();
  failing_lists_ = failing_probes_ = 0;
  unreachable_until_ = Instant(0);
}

void SimServer::announce(const UpstreamRequest& request) {
  const Sent sent = sent_of(name_, request);
  if (sent.intent.value > 0) auditor_.sending(sent);
}

SimServer::Call SimServer::make_call(const UpstreamRequest& request, Instant deadline,
                                     OnReply on_reply) {
  Call call;
  call.sent = sent_of(name_, request);
  call.deadline = deadline;
  call.life = life_;
  call.on_reply = std::move(on_reply);
  call.number = ++calls_;
  waiting_[call.number] = call.on_reply;
  const ToolFacts* facts = find_tool(call.sent.tool);
  call.read = facts != nullptr && facts->effect == Effect::read;
  return call;
}

void SimServer::receive(const UpstreamRequest& request, Instant deadline, OnReply on_reply) {
  arrive(make_call(request, deadline, std::move(on_reply)), request.method);
}

void SimServer::send(const UpstreamRequest& request, Instant deadline, OnReply on_reply) {
  announce(request);
  Call call = make_call(request, deadline, std::move(on_reply));
  schedule_.after(network(), [this, call = std::move(call), method = request.method]() mutable {
    if (call.life == life_) arrive(std::move(call), std::move(method));
  });
}

void SimServer::reply(const Call& call, UpstreamReply answer, Instant after) {
  schedule_.after(after, [this, number = call.number, life = call.life, on_reply = call.on_reply,
                          answer = std::move(answer)] {
    if (life != life_) return;
    waiting_.erase(number);
    on_reply(answer);
  });
}

void SimServer::die(Rng& rng) {
  ++life_;
  unreachable_until_ = machine::now() + Instant(rng.between(100'000, 8'000'000));
  auto broken = std::move(waiting_);
  waiting_.clear();
  for (const auto& [number, on_reply] : broken) {
    on_reply(no_answer(Delivery::lost, ErrorCode::unavailable, "the server died"));
  }
}

void SimServer::arrive(Call call, std::string method) {
  if (method == "tools/list") return list(call);
  if (call.sent.tool == "bank__booked") return probe(call);
  if (call.read) {
    const Instant work(rng_.one_in(12) ? rng_.between(1'000, 7'000'000) : rng_.between(0, 9'000));
    if (rng_.one_in(15)) {
      ++coverage_["server: a read gets no answer"];
      return;
    }
    return reply(call, answered(text_result(fmt::format("{}", rng_.below(1000)))),
                 work + network());
  }
  act(call);
}

void SimServer::list(const Call& call) {
  if (failing_lists_ > 0) {
    --failing_lists_;
    ++coverage_["server: lists_nothing"];
    return reply(call, no_answer(Delivery::lost, ErrorCode::unavailable, "no list"), network());
  }
  json::array listed;
  for (const auto& tool : tools()) {
    const std::string prefix = name_ + "__";
    if (!tool.name.starts_with(prefix)) continue;
    listed.push_back(json::object{{"name", tool.name.substr(prefix.size())},
                                  {"inputSchema", json::object{{"type", "object"}}}});
  }
  reply(call, answered(write_json(json::object{{"tools", std::move(listed)}})), network());
}

// Sees what was booked a moment ago: its replica lags behind.
void SimServer::probe(const Call& call) {
  if (failing_probes_ > 0) {
    --failing_probes_;
    ++coverage_["server: probe_fails"];
    if (rng_.one_in(2))
      return reply(call, answered("{\"isError\":true,\"content\":[]}"), network());
    return reply(call, no_answer(Delivery::lost, ErrorCode::unavailable, "no answer"), network());
  }
  const auto found = booked_.find(ref_of(call.sent.arguments));
  const bool seen = found != booked_.end() && found->second <= machine::now();
  if (found != booked_.end() && !seen) ++coverage_["server: a probe lags behind"];
  reply(call, answered(text_result(seen ? "yes" : "no")), network());
}

std::string SimServer::result_of(const Call& call) {
  std::string text = fmt::format("done {} {}", ref_of(call.sent.arguments), rng_.below(1'000'000));
  if (rng_.one_in(name_ == "mail" ? 6 : 25)) {
    text += std::string(kInlinePayload + 1, 'x');
    ++coverage_["payload: a large result"];
  }
  return text_result(text);
}

void SimServer::take_effect(const Call& call) {
  auditor_.effect(call.sent);
  booked_.try_emplace(ref_of(call.sent.arguments),
                      machine::now() + Instant(rng_.one_in(4) ? rng_.between(0, 300'000) : 0));
}

void SimServer::act(const Call& call) {
  // A server that is idempotent does not deny what it did.
  if (!armed_.empty() && !by_key_.contains(call.sent.key)) {
    const Armed armed = armed_.front();
    armed_.pop_front();
    ++coverage_[fmt::format("server: {}", to_string(armed.fault))];
    return act_with(armed.fault, call);
  }
  const ToolFacts* facts = find_tool(call.sent.tool);
  const bool slow = rng_.one_in(10);
  const Instant work(slow ? rng_.between(300'000, 4'000'000) : rng_.between(0, 30'000));
  if (facts != nullptr && facts->idempotent) {
    const auto [place, fresh] = by_key_.try_emplace(call.sent.key);
    if (fresh) {
      place->second = result_of(call);
      take_effect(call);
    } else {
      ++coverage_["server: an idempotent call again"];
    }
    return reply(call, answered(place->second), work + network());
  }
  // What a probe can be asked about happens when it arrives.
  if ((facts != nullptr && facts->has_probe) || rng_.one_in(2)) {
    take_effect(call);
    return reply(call, answered(result_of(call)), work + network());
  }
  schedule_.after(work, [this, call] {
    if (call.life != life_) return;
    take_effect(call);
    reply(call, answered(result_of(call)), network());
  });
}

void SimServer::act_with(ServerFault fault, const Call& call) {
  const ToolFacts* facts = find_tool(call.sent.tool);
  const bool probed = facts != nullptr && facts->has_probe;
  const auto once = [&] {
    if (facts == nullptr || !facts->idempotent ||
        by_key_.try_emplace(call.sent.key, text_result("done")).second) {
      take_effect(call);
    }
  };
  switch (fault) {
    case ServerFault::answer_lost:
      return once();
    case ServerFault::request_lost:
      return;
    case ServerFault::late: {
      if (probed || (facts != nullptr && facts->idempotent)) return once();
      const Instant at = std::max(call.deadline - machine::now(), Instant(0)) +
                         Instant(rng_.between(1'000, 2'000'000));
      schedule_.after(at, [this, call] {
        if (call.life != life_) return;
        take_effect(call);
        reply(call, answered(result_of(call)), network());
      });
      return;
    }
    case ServerFault::dies_before: {
      Rng rng(rng_.next());
      return die(rng);
    }
    case ServerFault::dies_after: {
      once();
      Rng rng(rng_.next());
      return die(rng);
    }
    case ServerFault::garbage:
      once();
      return reply(call, no_answer(Delivery::lost, ErrorCode::unavailable, "garbage came back"),
                   network());
    case ServerFault::unreadable:
      once();
      return reply(call, answered(R"({"resultType":"riddle","content":[]})"), network());
    case ServerFault::answers_twice: {
      once();
      const auto result = answered(result_of(call));
      reply(call, result, network());
      return reply(call, answered(text_result("again")), network());
    }
    case ServerFault::says_failed:
      return reply(call,
                   answered(R"({"isError":true,"content":[{"type":"text","text":"no money"}]})"),
                   network());
    case ServerFault::says_error: {
      UpstreamReply error;
      error.delivery = Delivery::answered;
      error.rpc_error = R"({"code":-32602,"message":"not like this"})";
      return reply(call, error, network());
    }
    case ServerFault::asks:
      return reply(call,
                   answered(R"({"resultType":"input_required","inputRequests":{"a":)"
                            R"({"method":"elicitation/create"}}})"),
                   network());
    case ServerFault::busy: {
      UpstreamReply busy = no_answer(Delivery::not_sent, ErrorCode::busy, "too many requests");
      busy.retry_after = std::chrono::milliseconds(500);
      return reply(call, busy, network());
    }
    case ServerFault::busy_after:
      once();
      return reply(call, no_answer(Delivery::lost, ErrorCode::unavailable, "503"), network());
    case ServerFault::unreachable:
    case ServerFault::lists_nothing:
    case ServerFault::probe_fails:
      return;
  }
}

// --- the daemon's end ---

namespace {

struct Exchange {
  explicit Exchange(const asio::any_io_executor& executor, SteadyTime deadline)
      : wake(executor, deadline) {}
  asio::steady_timer wake;
  std::optional<UpstreamReply> reply;
};

SteadyTime steady_of(Instant at) {
  return SteadyTime(std::chrono::duration_cast<SteadyTime::duration>(at));
}

Instant instant_of(SteadyTime at) {
  return std::chrono::duration_cast<Instant>(at.time_since_epoch());
}

}  // namespace

asio::awaitable<UpstreamReply> SimUpstream::request(UpstreamRequest request) {
  Rng rng(server_.roll());
  // For a slot, a start, a connection.
  const Instant wait(rng.one_in(5) ? rng.between(0, 1'500'000) : rng.between(0, 2'000));
  asio::steady_timer queue(executor_, std::min(steady_of(machine::now() + wait), request.deadline));
  co_await queue.async_wait(asio::as_tuple(asio::use_awaitable));
  if (steady_of(machine::now()) >= request.deadline) {
    co_return no_answer(Delivery::not_sent, ErrorCode::busy, "no slot fell free in time");
  }
  if (!server_.reachable()) {
    co_return no_answer(Delivery::not_sent, ErrorCode::unavailable, "no connection");
  }
  if (request.may_send) {
    if (const auto may = request.may_send(); !may) {
      co_return no_answer(Delivery::not_sent, may.error().code, may.error().message);
    }
  }
  const auto exchange = std::make_shared<Exchange>(executor_, request.deadline);
  server_.send(request, instant_of(request.deadline),
               [weak = std::weak_ptr<Exchange>(exchange)](UpstreamReply reply) {
                 const auto waits = weak.lock();
                 if (!waits || waits->reply) return;
                 waits->reply = std::move(reply);
                 waits->wake.cancel();
               });
  co_await exchange->wake.async_wait(asio::as_tuple(asio::use_awaitable));
  if (exchange->reply) co_return std::move(*exchange->reply);
  co_return no_answer(Delivery::lost, ErrorCode::timeout, "no answer came before the deadline");
}

asio::awaitable<Result<json::object>> SimUpstream::capabilities(SteadyTime /*deadline*/) {
  co_return json::object{};
}

asio::awaitable<void> SimUpstream::close() {
  co_return;
}

}  // namespace gavel::simulation
