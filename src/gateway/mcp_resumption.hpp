#pragma once
// What the event ids on the streams of legacy sessions say, so that a client whose stream broke
// gets the rest of it by GET with Last-Event-ID (docs/mcp.md):
//
//   call.NAME.N     of the stream of a call, whose answer is still to come
//   call.NAME.end   of its last event: nothing follows
//   (anything else)  of the session's own stream: see McpOutbox
//
// NAME says which action of which log is waited for, and under which id of JSON-RPC: enough for a
// daemon that was started since. It gives no right: who may have the answer is asked of the log.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/entry.hpp"

namespace gavel {

// A call that is answered on a stream.
struct McpStreamedCall {
  LogId session;
  IntentId intent;
  std::string request_id;  // JSON token: a string or a number
};

// NAME of it; empty where it would be too long for a header.
std::string stream_name(const McpStreamedCall& call);

struct McpStreamPlace {
  McpStreamedCall call;
  std::string name;
  std::uint64_t event = 0;  // the last one that the client has
  bool ended = false;
};
// Nothing where it is no id of a call's stream.
std::optional<McpStreamPlace> read_event_id(std::string_view id);
std::string event_id(std::string_view name, std::uint64_t event);
std::string last_event_id(std::string_view name);

// An event that gives the client an id to come back with, and nothing to read. Clients older than
// 2025-11-25 take one without data for a message: they get the id alone.
std::string priming_event(std::string_view id, std::string_view version);

}  // namespace gavel
