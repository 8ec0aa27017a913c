#pragma once
// Strong types for ids, positions and times. Two different ids never convert into each other, and a
// time is either a wall-clock instant that entries carry (Timestamp) or a span (Duration); nothing
// here reads a clock.

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace gavel {

// A 64-bit number of one kind: Number<struct PositionTag>.
template <typename Tag>
struct Number {
  std::uint64_t value = 0;
  constexpr auto operator<=>(const Number&) const = default;
  constexpr Number next() const { return Number{value + 1}; }
  constexpr Number plus(std::uint64_t n) const { return Number{value + n}; }
};

// A name of one kind: Name<struct SessionTag>.
template <typename Tag>
struct Name {
  std::string value;
  auto operator<=>(const Name&) const = default;
  bool empty() const { return value.empty(); }
};

// Where an entry stands in its log. The first entry is at 1; 0 means "before the first", so an
// empty log's tail is Position{0}.
using Position = Number<struct PositionTag>;
// Which driver incarnation may write to a session. The first is 1; 0 means none was elected yet.
using Epoch = Number<struct EpochTag>;
// An intent is named by the position of its intent entry.
using IntentId = Position;

// A log's name: a session ("refund-42") or a control log ("control/everything").
using LogId = Name<struct LogTag>;
// A person, agent or service that acts: the owner of a token.
using Principal = Name<struct PrincipalTag>;

// Milliseconds since the Unix epoch, as stamped into entries.
struct Timestamp {
  std::int64_t ms = 0;
  constexpr auto operator<=>(const Timestamp&) const = default;
};
using Duration = std::chrono::milliseconds;
constexpr Timestamp operator+(Timestamp t, Duration d) {
  return Timestamp{t.ms + d.count()};
}
constexpr Duration operator-(Timestamp a, Timestamp b) {
  return Duration{a.ms - b.ms};
}

}  // namespace gavel

template <typename Tag>
struct std::hash<gavel::Number<Tag>> {
  std::size_t operator()(const gavel::Number<Tag>& n) const noexcept {
    return std::hash<std::uint64_t>{}(n.value);
  }
};
template <typename Tag>
struct std::hash<gavel::Name<Tag>> {
  std::size_t operator()(const gavel::Name<Tag>& n) const noexcept {
    return std::hash<std::string>{}(n.value);
  }
};
