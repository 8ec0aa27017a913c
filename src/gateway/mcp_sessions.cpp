#include "gateway/mcp_sessions.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <vector>

#include "base/assert.hpp"
#include "base/digest.hpp"

namespace gavel {
namespace {

constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kPartMax = 64;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

}  // namespace

void McpSession::cancel(const std::string& request_id) {
  const auto found = running.find(request_id);
  if (found == running.end()) return;
  const auto request = found->second.lock();
  if (!request) return;
  request->cancelled = true;
  if (request->wake) request->wake();
}

void McpSession::cancel_all() {
  std::vector<std::string> ids;
  for (const auto& [request_id, request] : running) ids.push_back(request_id);
  for (const auto& request_id : ids) cancel(request_id);
}

void McpSession::wake_all() {
  for (const auto& [request_id, weak] : running) {
    const auto request = weak.lock();
    if (request && request->wake) request->wake();
  }
}

McpRegistration::McpRegistration(std::shared_ptr<McpSession> peer, std::string_view id,
                                 std::function<void()> wake)
    : peer_(std::move(peer)), id_(id), running_(std::make_shared<McpRunning>()) {
  running_->wake = std::move(wake);
  if (peer_) peer_->running[id_] = running_;
}

McpRegistration::~McpRegistration() {
  if (!peer_) return;
  // A client that uses an id twice at once replaced this registration.
  const auto found = peer_->running.find(id_);
  if (found != peer_->running.end() && found->second.lock() == running_)
    peer_->running.erase(found);
}

bool McpSessions::is_forgotten(const McpSession& session) const {
  return session.running.empty() && session.used_at < std::chrono::steady_clock::now() - idle_;
}

std::shared_ptr<McpSession> McpSessions::create(Principal principal) {
  std::erase_if(sessions_, [this](const auto& entry) { return is_forgotten(*entry.second); });
  if (sessions_.size() >= max_) {
    const auto oldest = std::ranges::min_element(
        sessions_, {}, [](const auto& entry) { return entry.second->used_at; });
    sessions_.erase(oldest);
  }
  auto session = std::make_shared<McpSession>();
  session->id = random_id(kIdBytes);
  session->principal = std::move(principal);
  session->used_at = std::chrono::steady_clock::now();
  sessions_.emplace(session->id, session);
  return session;
}

std::shared_ptr<McpSession> McpSessions::find(std::string_view id, const Principal& principal) {
  const auto found = sessions_.find(std::string(id));
  if (found == sessions_.end() || found->second->principal != principal) return nullptr;
  if (is_forgotten(*found->second)) {
    sessions_.erase(found);
    return nullptr;
  }
  found->second->used_at = std::chrono::steady_clock::now();
  return found->second;
}

bool McpSessions::remove(std::string_view id, const Principal& principal) {
  return find(id, principal) != nullptr && sessions_.erase(std::string(id)) > 0;
}

std::string random_id(std::size_t bytes) {
  std::string random(bytes, '\0');
  const int filled = ::RAND_bytes(reinterpret_cast<unsigned char*>(random.data()),
                                  static_cast<int>(random.size()));
  ASSERT(filled == 1);
  return to_hex(random);
}

std::string log_name_of(std::initializer_list<std::string_view> parts) {
  std::string name;
  for (const auto part : parts) {
    if (!name.empty()) name += '-';
    for (const char c : part.substr(0, kPartMax)) name += is_name_character(c) ? c : '-';
  }
  return name;
}

}  // namespace gavel
