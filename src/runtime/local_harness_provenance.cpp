// What the person said, and where the arguments of a call come from.
#include <fmt/format.h>

#include <algorithm>

#include "core/codec.hpp"
#include "protocol/mcp.hpp"
#include "runtime/local_harness.hpp"

namespace gavel {

static_assert(kCutMark == meta::kCut);

asio::awaitable<Status> LocalHarness::tell(PromptRequest request) {
  if (closing_) co_return fail(ErrorCode::unavailable, "gavel is stopping; tell it again");
  if (!request.caller.has(Role::driver)) {
    co_return fail(ErrorCode::permission_denied,
                   fmt::format("{} may not tell what the person said: it takes the role driver",
                               request.caller.principal.value));
  }
  TellPrompt told;
  told.teller = request.caller.principal;
  told.epoch = request.epoch.value_or(Epoch{1});
  told.text = Payload::of(write_json(json::value(request.text)));
  co_return co_await commit_and_wait(request.session, [&](Session& session) -> Result<Plan> {
    TRY(open_if_new(session, told.teller, request.client, "first prompt"));
    told.now = clock_.now();
    return decide(session.state, told);
  });
}

TraceArguments LocalHarness::tracer(const LogId& id, const std::string& tool,
                                    const json::value& arguments) {
  return [this, &id, &tool, &arguments](const auto& is_trusted) {
    const auto constants = constants_of_tool(id, tool);
    if (id.empty()) return Provenance().trace(arguments, constants, is_trusted);
    const auto known = provenance_of(id);
    if (known) return (*known)->trace(arguments, constants, is_trusted);
    say(fmt::format("{}: where the arguments of {} come from cannot be told: {}", id.value, tool,
                    known.error().message));
    std::vector<ArgumentOrigin> lost;
    for (const auto& member : arguments.get_object()) {
      lost.push_back({std::string(member.key()), Origin::lost, {}, "", ""});
    }
    return lost;
  };
}

Result<const Provenance*> LocalHarness::provenance_of(const LogId& id) {
  auto loaded = sessions_.get(id);
  if (!loaded) return std::unexpected(loaded.error());
  Session& session = *loaded;
  // What was told before it was recorded has its place in the log only then.
  sessions_.flush(session);
  if (!session.deferred.empty()) return fail(ErrorCode::busy, "the store does not take entries");
  if (!traced_.contains(id) && traced_.size() >= kTracedSessions) {
    traced_.erase(std::ranges::min_element(
        traced_, {}, [](const auto& element) { return element.second.used; }));
  }
  TracedSession& traced = traced_[id];
  traced.used = ++traces_;
  Provenance& known = traced.known;
  const PayloadReader read = [&](const Payload& payload) {
    return sessions_.payload(session, payload);
  };
  while (known.tail() < session.durable) {
    ASSIGN_OR_RETURN(const auto stored, log_.read(id, known.tail().next()));
    if (stored.empty()) return fail(ErrorCode::corrupted, "its log ends early; run gavel verify");
    for (const auto& record : stored) {
      ASSIGN_OR_RETURN(const auto entry, decode(record.position, record.bytes));
      known.add(entry, read);
    }
  }
  for (const Batch& batch : session.in_flight) {
    for (const Entry& entry : *batch) {
      if (entry.position == known.tail().next()) known.add(entry, read);
    }
  }
  return &known;
}

std::set<std::string> LocalHarness::constants_of_tool(const LogId& session,
                                                      const std::string& tool) const {
  const std::shared_ptr<Upstream> server = server_of(session, tool);
  const auto listing = server ? directory_.known(server->name()) : nullptr;
  if (!listing) return {};
  const auto found = listing->find(tool);
  const auto* schema =
      found == listing->end() ? nullptr : find(found->second.definition, "inputSchema");
  return schema == nullptr ? std::set<std::string>{} : constants_of(*schema);
}

}  // namespace gavel
