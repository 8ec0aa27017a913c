#include "gateway/mcp_resumption.hpp"

#include <fmt/format.h>

#include <chrono>

#include "base/digest.hpp"
#include "base/json.hpp"
#include "gateway/api_query.hpp"
#include "protocol/mcp.hpp"
#include "protocol/sse.hpp"

namespace gavel {
namespace {

constexpr std::string_view kOfCall = "call.";
constexpr std::string_view kEnd = "end";
constexpr std::size_t kNameBytesMax = 2048;
// Long enough for a daemon to start again: some clients try but twice.
constexpr std::chrono::milliseconds kComeBackAfter{3'000};

}  // namespace

std::string stream_name(const McpStreamedCall& call) {
  const auto said = write_json(json::object{
      {"log", call.session.value}, {"intent", call.intent.value}, {"request", call.request_id}});
  return said.size() > kNameBytesMax ? std::string() : to_base64(said);
}

std::optional<McpStreamPlace> read_event_id(std::string_view id) {
  if (!id.starts_with(kOfCall) || id.size() > 2 * kNameBytesMax) return std::nullopt;
  id.remove_prefix(kOfCall.size());
  const auto dot = id.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  McpStreamPlace place;
  place.name = id.substr(0, dot);
  place.ended = id.substr(dot + 1) == kEnd;
  if (!place.ended) {
    const auto event = parse_number("event", id.substr(dot + 1), 0, UINT32_MAX);
    if (!event) return std::nullopt;
    place.event = *event;
  }
  const auto said = from_base64(place.name);
  const auto call = said ? parse_json(*said) : std::unexpected(said.error());
  if (!call) return std::nullopt;
  const auto* intent = find(*call, "intent");
  place.call.session = LogId{std::string(string_or(*call, "log"))};
  place.call.request_id = string_or(*call, "request");
  const auto request = parse_json(place.call.request_id);
  const bool is_request = request && (request->is_string() || request->is_number());
  if (intent == nullptr || !intent->is_number() || !is_request) return std::nullopt;
  boost::system::error_code wrong;
  place.call.intent = IntentId{intent->to_number<std::uint64_t>(wrong)};
  if (wrong) return std::nullopt;
  return place;
}

std::string event_id(std::string_view name, std::uint64_t event) {
  return fmt::format("{}{}.{}", kOfCall, name, event);
}

std::string last_event_id(std::string_view name) {
  return fmt::format("{}{}.{}", kOfCall, name, kEnd);
}

std::string priming_event(std::string_view id, std::string_view version) {
  const auto data = version == kMcpLegacy ? sse_event({}) : std::string("\n");
  return fmt::format("retry: {}\nid: {}\n{}", kComeBackAfter.count(), id, data);
}

}  // namespace gavel
