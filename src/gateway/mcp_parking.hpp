#pragma once
// Calls of modern clients whose legacy server asked something. Such a server waits for its answer
// in the middle of the call, while a modern client is answered with the question and sends the call
// again: meanwhile the call is parked here, and the client holds the ticket, its requestState.
//
// A ticket is authenticated with a key of this process, is bound to the principal and the request
// (its method and what it asks for), and is good for one use and for kParkedFor: whoever has
// another's ticket, another request, a used one or an old one, has nothing. After a restart none of
// those from before is good.
//
// Thread rule: one executor.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "core/entry.hpp"
#include "gateway/waiting_call.hpp"

namespace gavel {

struct McpParked {
  Principal principal;
  Digest request;  // of its method and what it asks for, without what a further round brings
  // What makes two calls the same beside that (session, keys); empty where none are the same.
  std::string identity;
  std::shared_ptr<WaitingCall> call;
  std::map<std::string, UpstreamQuestion> questions;  // by the key that the client answers under
};

class McpParking {
public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  explicit McpParking(Clock clock = &std::chrono::steady_clock::now);
  // Nobody will come back: every question is left unanswered.
  void close();

  // The ticket. busy where too many are parked.
  Result<std::string> park(McpParked parked);
  // invalid_argument for what is no good ticket of this principal and request.
  Result<McpParked> take(std::string_view ticket, const Principal& principal,
                         const Digest& request);
  // That call again, from a client that lost its ticket; without a call where none is parked.
  McpParked take_same(const Principal& principal, const Digest& request, std::string_view identity);
  // Whether this process made it for this principal and request, however long ago.
  bool is_own(std::string_view ticket, const Principal& principal, const Digest& request) const;
  bool empty() const { return places_.empty(); }
  // The state of a call that a legacy server refused until something was opened: nothing is parked,
  // and the call is made anew with it.
  std::string ticket_to_begin_anew(const Principal& principal, const Digest& request) const;
  bool begins_anew(std::string_view ticket, const Principal& principal,
                   const Digest& request) const;
  // Uses such a ticket for the round that brings `answers`. That same round again is good as long
  // as the ticket is: a client whose stream broke has to send it again, and it acts once, as its
  // digest is the same. invalid_argument for other answers, and when it has expired.
  Status begin_anew(std::string_view ticket, const Digest& answers);
  static bool looks_like_ticket(std::string_view state);

private:
  using Time = std::chrono::steady_clock::time_point;
  struct Place {
    McpParked parked;
    Time until;
  };
  struct Use {
    Digest answers;
    Time until;
  };
  std::string sign(std::string_view id, const Principal& principal, const Digest& request) const;
  void drop_expired();

  Clock clock_;
  std::string key_;
  std::map<std::string, Place, std::less<>> places_;
  std::map<std::string, Use, std::less<>> uses_;  // of tickets to begin anew, until they expire
};

// Answers what nobody will answer, so that the server can go on.
void leave_unanswered(McpParked& parked);

inline constexpr std::size_t kParkedMax = 256;
inline constexpr std::size_t kUsesMax = 4096;
inline constexpr std::chrono::minutes kParkedFor{10};

}  // namespace gavel
