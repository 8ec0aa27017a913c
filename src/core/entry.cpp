#include "core/entry.hpp"

#include <fmt/format.h>

namespace gavel {
namespace {

// Of a body's fields.
template <typename P>
struct PayloadFinder {
  P* found = nullptr;
  void operator()(std::uint64_t, std::string_view, P& payload) { found = &payload; }
  void operator()(std::uint64_t, std::string_view, const auto&) {}
};

template <typename P>
P* find_payload(auto& body) {
  PayloadFinder<P> finder;
  std::visit(
      [&](auto& b) {
        using T = std::remove_cvref_t<decltype(b)>;
        if constexpr (!std::is_same_v<T, UnknownEntry>) T::fields(finder, b);
      },
      body);
  return finder.found;
}

}  // namespace

std::string_view to_string(Effect effect) {
  switch (effect) {
    case Effect::read:
      return "read";
    case Effect::write:
      return "write";
    case Effect::destructive:
      return "destructive";
    case Effect::irreversible:
      return "irreversible";
  }
  return "irreversible";
}

std::string_view to_string(Role role) {
  switch (role) {
    case Role::driver:
      return "driver";
    case Role::voter:
      return "voter";
    case Role::decider:
      return "decider";
    case Role::executor:
      return "executor";
    case Role::observer:
      return "observer";
    case Role::approver:
      return "approver";
    case Role::admin:
      return "admin";
  }
  return "driver";
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::allow:
      return "allow";
    case Verdict::ask:
      return "ask";
    case Verdict::two_step:
      return "two_step";
    case Verdict::deny:
      return "deny";
  }
  return "deny";
}

std::string_view to_string(Ruling ruling) {
  return ruling == Ruling::commit ? "commit" : "abort";
}

std::string_view to_string(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::ok:
      return "ok";
    case OutcomeKind::failed:
      return "failed";
    case OutcomeKind::unknown:
      return "unknown";
  }
  return "unknown";
}

std::string_view to_string(OutcomeSource source) {
  switch (source) {
    case OutcomeSource::call:
      return "call";
    case OutcomeSource::probe:
      return "probe";
    case OutcomeSource::person:
      return "person";
    case OutcomeSource::recovery:
      return "recovery";
  }
  return "recovery";
}

std::string_view to_string(ProbeVerdict verdict) {
  switch (verdict) {
    case ProbeVerdict::happened:
      return "happened";
    case ProbeVerdict::absent:
      return "absent";
    case ProbeVerdict::unclear:
      return "unclear";
  }
  return "unclear";
}

std::string_view to_string(HoldReason reason) {
  switch (reason) {
    case HoldReason::ask:
      return "ask";
    case HoldReason::two_step:
      return "two_step";
    case HoldReason::settling:
      return "settling";
  }
  return "ask";
}

std::string_view to_string(HaltMode mode) {
  return mode == HaltMode::halt ? "halt" : "freeze";
}

std::string_view to_string(KeySource source) {
  switch (source) {
    case KeySource::client:
      return "client";
    case KeySource::call_id:
      return "call_id";
    case KeySource::derived:
      return "derived";
  }
  return "derived";
}

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::person:
      return "person";
    case Origin::trusted:
      return "trusted";
    case Origin::model:
      return "model";
    case Origin::lost:
      return "lost";
    case Origin::untrusted:
      return "untrusted";
  }
  return "lost";
}

std::optional<Origin> origin_from(std::string_view word) {
  for (const Origin origin :
       {Origin::person, Origin::trusted, Origin::model, Origin::lost, Origin::untrusted}) {
    if (word == to_string(origin)) return origin;
  }
  return std::nullopt;
}

Payload Payload::of(std::string text) {
  Payload payload;
  if (text.empty()) return payload;
  payload.digest = sha256(text);
  payload.size = text.size();
  payload.bytes = std::move(text);
  return payload;
}

std::uint16_t kind_of(const Body& body) {
  return std::visit(
      []<typename T>(const T& b) -> std::uint16_t {
        if constexpr (std::is_same_v<T, UnknownEntry>) {
          return b.kind;
        } else {
          return T::kKind;
        }
      },
      body);
}

std::string name_of(const Body& body) {
  return std::visit(
      []<typename T>(const T& b) -> std::string {
        if constexpr (std::is_same_v<T, UnknownEntry>) {
          return fmt::format("unknown({})", b.kind);
        } else {
          return std::string(T::kName);
        }
      },
      body);
}

const Payload* payload_of(const Body& body) {
  return find_payload<const Payload>(body);
}

Payload* payload_of(Body& body) {
  return find_payload<Payload>(body);
}

}  // namespace gavel
