#include "core/codec.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/test_entries.hpp"
#include "core/wire.hpp"

namespace gavel {
namespace {

TEST(Codec, EveryKindSurvivesItsBytes) {
  const auto bodies = sample_bodies();
  ASSERT_EQ(bodies.size(), std::variant_size_v<Body>);
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    ASSERT_EQ(bodies[i].index(), i);
    const Entry entry = sample_entry(bodies[i]);
    const auto decoded = decode(entry.position, encode(entry));
    ASSERT_TRUE(decoded) << name_of(entry.body) << ": " << decoded.error().message;
    EXPECT_EQ(*decoded, entry) << name_of(entry.body);
  }
}

TEST(Codec, EveryCutOfEveryKindIsRefusedOrWhole) {
  for (const auto& body : sample_bodies()) {
    const Entry entry = sample_entry(body);
    const std::string bytes = encode(entry);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      const auto decoded = decode(entry.position, bytes.substr(0, length));
      // Cut between two fields it reads as an entry with fewer of them; the log's framing and
      // chain tell that apart.
      if (decoded) {
        EXPECT_EQ(encode(*decoded).substr(0, 10), bytes.substr(0, 10)) << name_of(entry.body);
      } else {
        EXPECT_EQ(decoded.error().code, ErrorCode::corrupted);
      }
    }
  }
}

TEST(Codec, GoldenBytesOfVersionOne) {
  // docs/formats/entries.md shows this entry byte by byte.
  Entry entry;
  entry.epoch = Epoch{1};
  entry.at = Timestamp{1'000};
  entry.author = Principal{"gavel"};
  entry.role = Role::executor;
  entry.body = Attempt{IntentId{3}, 1, Timestamp{61'000}, 1};
  EXPECT_EQ(to_hex(encode(entry)),
            "010701d00f0305676176656c0803100118"
            "90b9072001");
}

TEST(Codec, KeepsKindsAndRolesItDoesNotKnow) {
  const Entry entry = [] {
    Entry made = sample_entry(UnknownEntry{4242,
                                           std::string("\x0a\x03"
                                                       "abc",
                                                       5),
                                           33});
    made.role = Role::driver;
    return made;
  }();
  const auto decoded = decode(entry.position, encode(entry));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, entry);
  EXPECT_EQ(encode(*decoded), encode(entry));
  EXPECT_EQ(name_of(decoded->body), "unknown(4242)");
  const auto shown = to_json(*decoded);
  EXPECT_EQ(shown.at("kind").as_string(), "unknown(4242)");
  EXPECT_EQ(shown.at("role").as_string(), "unknown(33)");
  EXPECT_EQ(shown.at("bytes").as_string(), "0a03616263");
}

// A body of `kind` in raw bytes behind a sound header.
std::string raw(std::uint16_t kind, std::string_view body) {
  return encode(sample_entry(UnknownEntry{kind, std::string(body), 0}));
}
std::string field(std::uint64_t number, std::uint64_t value) {
  std::string out;
  wire::put_varint(out, number << 3 | wire::kVarint);
  wire::put_varint(out, value);
  return out;
}
std::string field(std::uint64_t number, std::string_view value) {
  std::string out;
  wire::put_varint(out, number << 3 | wire::kBytes);
  wire::put_bytes(out, value);
  return out;
}

TEST(Codec, SkipsFieldsItDoesNotKnow) {
  const auto decoded =
      decode(Position{1}, raw(Delivered::kKind, field(900, 1) + field(1, 3) + field(901, "new")));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->body, Body(Delivered{IntentId{3}}));
}

TEST(Codec, WhatANewerBuildMayMeanIsKeptUnread) {
  const std::uint64_t too_late = wire::zigzag(kTimeMaxMs + 1);
  const std::pair<std::uint16_t, std::string> table[] = {
      {Vote::kKind, field(3, 4)},             // an enum value that is new
      {Delivered::kKind, field(1, "three")},  // another type
      {SessionOpened::kKind, field(1, 7)},
      {Held::kKind, field(3, too_late)},  // times that could not be added
      {Attempt::kKind, field(3, "soon")},
      {Outcome::kKind, field(7, wire::zigzag(-kTimeMaxMs - 1))},
      {Outcome::kKind, field(7, "long")},
      {IntentProposed::kKind, field(6, 2)},  // a bool that is neither
      {IntentProposed::kKind, field(6, "yes")},
      {IntentProposed::kKind, field(5, "write")},
      {IntentProposed::kKind, field(4, "short digest")},
      {IntentProposed::kKind, field(4, 1)},
      {IntentProposed::kKind, field(3, 1)},
      {IntentProposed::kKind,
       field(3, field(2, 9) + field(3, "8 bytes!"))},  // size and bytes differ
      {Decision::kKind, field(6, 1)},
      {Decision::kKind, field(6, field(1, 1))},
  };
  for (const auto& [kind, body] : table) {
    const auto bytes = raw(kind, body);
    const auto decoded = decode(Position{1}, bytes);
    ASSERT_TRUE(decoded) << kind << " " << to_hex(body);
    const auto* unknown = std::get_if<UnknownEntry>(&decoded->body);
    ASSERT_NE(unknown, nullptr) << kind << " " << to_hex(body);
    EXPECT_EQ(unknown->kind, kind);
    EXPECT_EQ(unknown->bytes, body);
    EXPECT_EQ(encode(*decoded), bytes);
  }
}

TEST(Codec, DamageDoesNotPassForSomethingNewer) {
  using namespace std::string_literals;
  const std::pair<std::uint16_t, std::string> table[] = {
      {HaltRaised::kKind, "\x08"s},  // a key without its value
      {HaltRaised::kKind,
       "\x12\x05"
       "abc"s},                          // a length beyond the end
      {HaltRaised::kKind, "\x0b\x01"s},  // no such wire type
      {HaltRaised::kKind, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s},  // over 64 bits
      {HaltRaised::kKind, field(1, 9) + "\x08"},  // damage behind something newer
      {Decision::kKind, field(6, "\x08")},        // inside a nested struct
      {IntentProposed::kKind, field(3, "\x08")},  // inside a payload
  };
  for (const auto& [kind, body] : table) {
    const auto decoded = decode(Position{5}, raw(kind, body));
    ASSERT_FALSE(decoded) << to_hex(body);
    EXPECT_EQ(decoded.error().code, ErrorCode::corrupted);
    EXPECT_EQ(decoded.error().message, "entry 5 is cut short or garbled; run gavel verify");
  }
}

TEST(Codec, RefusesHeadersItCannotTrust) {
  const std::string bytes = encode(sample_entry(HaltLifted{"x"}));
  EXPECT_EQ(decode(Position{1}, "").error().message, "entry 1 is empty; run gavel verify");
  EXPECT_EQ(decode(Position{1}, bytes.substr(0, 3)).error().code, ErrorCode::corrupted);
  std::string other = bytes;
  other[0] = 0;
  EXPECT_EQ(decode(Position{1}, other).error().code, ErrorCode::corrupted);
  other[0] = 2;
  EXPECT_EQ(decode(Position{1}, other).error().code, ErrorCode::unsupported);

  std::string large_kind(1, '\x01');
  wire::put_varint(large_kind, 0x10000);
  large_kind += std::string("\x01\x02\x00\x00", 4);
  EXPECT_EQ(decode(Position{1}, large_kind).error().code, ErrorCode::corrupted);

  Entry late = sample_entry(HaltLifted{"x"});
  late.at = Timestamp{std::numeric_limits<std::int64_t>::max()};
  EXPECT_EQ(decode(Position{1}, encode(late)).error().code, ErrorCode::corrupted);
}

TEST(Codec, NumbersAtTheirEnds) {
  for (const std::int64_t ms : {kTimeMaxMs, -kTimeMaxMs, std::int64_t{-1}, std::int64_t{0}}) {
    Entry entry = sample_entry(Held{IntentId{UINT64_MAX}, HoldReason::ask, Timestamp{ms}, {}});
    entry.at = Timestamp{ms};
    entry.epoch = Epoch{UINT64_MAX};
    EXPECT_EQ(decode(entry.position, encode(entry)), entry) << ms;
  }
}

TEST(Json, ShowsHeaderThenFields) {
  Entry entry = sample_entry(sample_bodies()[8 - 1]);
  EXPECT_EQ(write_json(to_json(entry)),
            R"({"position":17,"kind":"outcome","epoch":2,"at":"2025-11-21T04:43:00.123Z",)"
            R"("author":"somebody","role":"approver","intent":3,"attempt":2,"outcome":"failed",)"
            R"("source":"person","result":[1],"reason":"gone","took_ms":-5,)"
            R"("resolver":"operator","code":""})");
  entry.body = sample_bodies()[5];
  const auto decision = to_json(entry);
  EXPECT_EQ(write_json(decision.at("control")),
            R"([{"log":"control/everything","barrier":4},{"log":"control/agent/a","barrier":0}])");
  EXPECT_EQ(decision.at("ruling").as_string(), "commit");
  entry.body = sample_bodies()[4];
  EXPECT_EQ(to_json(entry).at("not_before").as_string(), "1970-01-01T00:00:00.005Z");
  entry.body = Held{};
  EXPECT_TRUE(to_json(entry).at("not_before").is_null());
}

TEST(Json, ShowsPayloadsAsWhatTheyAre) {
  const auto shown = [](Payload payload) {
    Outcome outcome;
    outcome.result = std::move(payload);
    return write_json(to_json(sample_entry(outcome)).at("result"));
  };
  EXPECT_EQ(shown({}), "null");
  EXPECT_EQ(shown(Payload::of(R"({"a":[1]})")), R"({"a":[1]})");
  EXPECT_EQ(shown(Payload::of("version: 1")), R"("version: 1")");
  EXPECT_EQ(shown(Payload::of("\xff")), R"("ff")") << "not UTF-8: as hex";
  Payload elsewhere;
  elsewhere.digest = digest_of("big");
  elsewhere.size = 1u << 20;
  EXPECT_EQ(shown(elsewhere),
            fmt::format(R"({{"digest":"{}","size":1048576}})", elsewhere.digest.hex()));
  const auto fetched = [&](const PayloadReader& read) {
    Outcome outcome;
    outcome.result = elsewhere;
    return write_json(to_json(sample_entry(outcome), &read).at("result"));
  };
  EXPECT_EQ(fetched([](const Payload&) { return Result<std::string>(R"({"a":1})"); }),
            R"({"a":1})");
  const auto lost = fetched([](const Payload&) { return fail(ErrorCode::corrupted, "gone"); });
  EXPECT_EQ(lost, fmt::format(R"({{"missing":"{}","why":"gone"}})", elsewhere.digest.hex()));
}

TEST(Json, DigestsAreHexAndTextIsUtf8) {
  Vote vote;
  vote.digest = digest_of("x");
  vote.reason = "\xc3\x28";
  Entry entry = sample_entry(vote);
  entry.author = Principal{"\xfe"};
  const auto shown = to_json(entry);
  EXPECT_EQ(shown.at("digest").as_string(), vote.digest.hex());
  EXPECT_EQ(shown.at("reason").as_string(), "c328");
  EXPECT_EQ(shown.at("author").as_string(), "fe");
  EXPECT_TRUE(parse_json(write_json(shown)));
  entry.body = Vote{};
  EXPECT_EQ(to_json(entry).at("digest").as_string(), "");
}

TEST(Json, EveryNameOfEveryEnum) {
  const auto names = []<typename E>(E) {
    std::string out;
    for (std::uint64_t i = 0; i <= wire::kEnumMax<E>; ++i) {
      out += fmt::format("{} ", to_string(static_cast<E>(i)));
    }
    return out;
  };
  EXPECT_EQ(names(Effect{}), "read write destructive irreversible ");
  EXPECT_EQ(names(Role{}), "driver voter decider executor observer approver admin ");
  EXPECT_EQ(names(Verdict{}), "allow ask two_step deny ");
  EXPECT_EQ(names(Ruling{}), "commit abort ");
  EXPECT_EQ(names(OutcomeKind{}), "ok failed unknown ");
  EXPECT_EQ(names(OutcomeSource{}), "call probe person recovery ");
  EXPECT_EQ(names(ProbeVerdict{}), "happened absent unclear ");
  EXPECT_EQ(names(HoldReason{}), "ask two_step settling ");
  EXPECT_EQ(names(HaltMode{}), "halt freeze ");
  EXPECT_EQ(names(KeySource{}), "client call_id derived ");
  EXPECT_EQ(names(Phase{}), "proposed held committed in_flight unknown ");
  EXPECT_EQ(names(Final{}), "ok failed aborted ");
}

TEST(Json, TimesAreIso8601) {
  const std::pair<std::int64_t, std::string_view> table[] = {
      {0, "1970-01-01T00:00:00.000Z"},
      {-1, "1969-12-31T23:59:59.999Z"},
      {951'782'400'000, "2000-02-29T00:00:00.000Z"},
      {1'763'700'180'123, "2025-11-21T04:43:00.123Z"},
      {-62'135'596'800'000, "0001-01-01T00:00:00.000Z"},
      {253'402'300'799'999, "9999-12-31T23:59:59.999Z"},
  };
  for (const auto& [ms, text] : table) EXPECT_EQ(to_iso8601(Timestamp{ms}), text);
}

}  // namespace
}  // namespace gavel
