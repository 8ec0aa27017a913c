#pragma once
// What the MCP server remembers of clients of the legacy era between requests: which version they
// agreed on, and which of their requests are still being answered, so that they can be cancelled.
// A connection of the stdio transport has one, too.
//
// What was agreed stands in the Mcp-Session-Id itself, so that a session outlives this process and
// its place here: some programs never initialize a second time, whatever they are told. An id says
// nothing that its client could not say in initialize, so it is not signed.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "core/entry.hpp"
#include "gateway/mcp_changes.hpp"

namespace gavel {

// A request that is being answered, as somebody who may cancel it sees it.
struct McpRunning {
  bool cancelled = false;
  std::function<void()> wake;  // cuts the wait; may be empty
};

struct McpSession {
  std::string id;  // Mcp-Session-Id; empty of stdio
  Principal principal;
  std::string version;        // agreed by initialize; empty before
  std::string client;         // "opencode 1.18.33"
  json::object capabilities;  // what a server may ask of it
  // Requests that it was sent and has not answered, by their id's JSON text.
  std::map<std::string, std::function<void(std::string result, std::string error)>> asked;
  std::uint64_t last_question = 0;
  std::shared_ptr<McpListener> listener = std::make_shared<McpListener>();
  std::string log_level = "info";  // from which on it is sent log messages (logging/setLevel)
  LogId log;  // the session that its calls belong to where the request names none
  std::chrono::steady_clock::time_point used_at;
  std::map<std::string, std::weak_ptr<McpRunning>> running;  // by the request id's JSON text

  // Nothing where no such request runs.
  void cancel(const std::string& request_id);
  void cancel_all();
  // Cuts every wait without cancelling.
  void wake_all();
};

// Lets notifications/cancelled find a request while it is answered.
class McpRegistration {
public:
  // `peer` may be null: then nothing can be cancelled. `wake` may outlive what it wakes.
  McpRegistration(std::shared_ptr<McpSession> peer, std::string_view id,
                  std::function<void()> wake);
  ~McpRegistration();
  McpRegistration(const McpRegistration&) = delete;
  McpRegistration& operator=(const McpRegistration&) = delete;
  bool cancelled() const { return running_->cancelled; }

private:
  std::shared_ptr<McpSession> peer_;
  std::string id_;
  std::shared_ptr<McpRunning> running_;
};

class McpSessions {
public:
  // A session without a request for `idle`, and none that is being answered, is forgotten.
  McpSessions(std::size_t max, std::chrono::milliseconds idle) : max_(max), idle_(idle) {}

  // Mints the id: 128 random bits and what was agreed. Drops the session that was used least lately
  // when full.
  std::shared_ptr<McpSession> add(McpSession agreed);
  // Made anew of its id where it is not here any more; `on_revived` is told. Null where it was
  // removed, is somebody else's, or the id is none of Gavel's.
  std::shared_ptr<McpSession> find(std::string_view id, const Principal& principal);
  std::function<void(McpSession&)> on_revived;
  bool remove(std::string_view id, const Principal& principal);
  std::size_t size() const { return sessions_.size(); }

private:
  bool is_forgotten(const McpSession& session) const;
  std::shared_ptr<McpSession> put(McpSession session);

  std::size_t max_;
  std::chrono::milliseconds idle_;
  std::unordered_map<std::string, std::shared_ptr<McpSession>> sessions_;
  std::unordered_set<std::string> removed_;  // ids; those of this process, at most max_
};

// Lower-case hexadecimal, from the system's source of randomness.
std::string random_id(std::size_t bytes);

// `parts`, joined by '-', as a log name: other characters become '-', long parts are cut.
std::string log_name_of(std::initializer_list<std::string_view> parts);

}  // namespace gavel
