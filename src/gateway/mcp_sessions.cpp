#include "gateway/mcp_sessions.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <vector>

#include "base/assert.hpp"
#include "base/digest.hpp"
#include "protocol/mcp.hpp"
#include "runtime/control_plane.hpp"

namespace gavel {
namespace {

constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kPartMax = 64;
// Of what was agreed. A client that says more gets an id that holds nothing.
constexpr std::size_t kAgreedBytesMax = 2048;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

// RANDOM or RANDOM.BASE64
std::string id_of(const McpSession& session) {
  const auto random = random_id(kIdBytes);
  const auto agreed = write_json(json::object{{"principal", session.principal.value},
                                              {"version", session.version},
                                              {"client", session.client},
                                              {"log", session.log.value},
                                              {"server", session.listener->server},
                                              {"capabilities", session.capabilities}});
  return agreed.size() > kAgreedBytesMax ? random : random + "." + to_base64(agreed);
}

// What an id says was agreed; nothing where it is none that id_of has made.
std::optional<McpSession> read_id(std::string_view id) {
  const auto dot = id.find('.');
  if (dot != 2 * kIdBytes || id.size() > 2 * kAgreedBytesMax) return std::nullopt;
  const auto bytes = from_base64(id.substr(dot + 1));
  const auto agreed = bytes ? parse_json(*bytes, {.max_bytes = kAgreedBytesMax, .max_depth = 32})
                            : std::unexpected(bytes.error());
  if (!agreed) return std::nullopt;
  const auto* capabilities = find_object(*agreed, "capabilities");
  McpSession session;
  session.id = id;
  session.principal = Principal{std::string(string_or(*agreed, "principal"))};
  session.version = string_or(*agreed, "version");
  session.client = string_or(*agreed, "client");
  session.log = LogId{std::string(string_or(*agreed, "log"))};
  if (capabilities == nullptr || era_of(session.version) != Era::legacy ||
      !check_session_name(session.log)) {
    return std::nullopt;
  }
  session.capabilities = only_questions(*capabilities);
  session.listener->server = string_or(*agreed, "server");
  return session;
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

std::shared_ptr<McpSession> McpSessions::put(McpSession session) {
  std::erase_if(sessions_, [this](const auto& entry) { return is_forgotten(*entry.second); });
  if (sessions_.size() >= max_) {
    const auto oldest = std::ranges::min_element(
        sessions_, {}, [](const auto& entry) { return entry.second->used_at; });
    sessions_.erase(oldest);
  }
  auto kept = std::make_shared<McpSession>(std::move(session));
  kept->used_at = std::chrono::steady_clock::now();
  sessions_.emplace(kept->id, kept);
  return kept;
}

std::shared_ptr<McpSession> McpSessions::add(McpSession agreed) {
  agreed.id = id_of(agreed);
  return put(std::move(agreed));
}

std::shared_ptr<McpSession> McpSessions::find(std::string_view id, const Principal& principal) {
  const auto found = sessions_.find(std::string(id));
  if (found != sessions_.end()) {
    if (found->second->principal != principal) return nullptr;
    found->second->used_at = std::chrono::steady_clock::now();
    return found->second;
  }
  auto agreed = read_id(id);
  if (!agreed || agreed->principal != principal || removed_.contains(agreed->id)) return nullptr;
  auto session = put(std::move(*agreed));
  if (on_revived) on_revived(*session);
  return session;
}

bool McpSessions::remove(std::string_view id, const Principal& principal) {
  const auto session = find(id, principal);
  if (!session) return false;
  if (removed_.size() >= max_) removed_.clear();
  removed_.insert(session->id);
  sessions_.erase(session->id);
  return true;
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
