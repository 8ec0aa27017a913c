#include "core/codec.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "core/wire.hpp"

namespace gavel {
namespace {

using wire::Reader;

// --- JSON ---
// JSON must be UTF-8; what is not is shown as hex rather than dropped.
json::string text(std::string_view bytes) {
  if (is_valid_utf8(bytes)) return json::string(bytes.data(), bytes.size());
  return json::string(to_hex(bytes));
}

class JsonWriter {
public:
  // `read` may be null: a payload that is elsewhere is then named by its digest.
  JsonWriter(json::object& out, const PayloadReader* read) : out_(out), read_(read) {}
  template <typename T>
  void operator()(std::uint64_t, std::string_view name, const T& value) {
    out_[json::string_view(name.data(), name.size())] = convert(value);
  }

private:
  template <typename T>
  json::value convert(const T& value) const {
    if constexpr (wire::kIsVector<T>) {
      json::array out;
      for (const auto& element : value) out.push_back(convert(element));
      return out;
    } else if constexpr (wire::kIsName<T> || wire::kIsNumber<T>) {
      return convert(value.value);
    } else if constexpr (std::is_same_v<T, Timestamp>) {
      return value.ms == 0 ? json::value(nullptr) : json::value(to_iso8601(value));
    } else if constexpr (std::is_same_v<T, Duration>) {
      return json::value(value.count());
    } else if constexpr (std::is_enum_v<T>) {
      const std::string_view name = to_string(value);
      return json::value(json::string(name.data(), name.size()));
    } else if constexpr (std::is_same_v<T, Digest>) {
      return json::value(value.is_zero() ? std::string() : value.hex());
    } else if constexpr (std::is_same_v<T, Payload>) {
      if (read_ != nullptr) return to_json(value, *read_);
      if (!value.is_inline()) {
        return json::object{{"digest", value.digest.hex()}, {"size", value.size}};
      }
      return to_json(value, [](const Payload& p) -> Result<std::string> { return p.bytes; });
    } else if constexpr (std::is_same_v<T, std::string>) {
      return text(value);
    } else if constexpr (std::is_integral_v<T>) {
      return json::value(value);
    } else {
      json::object out;
      JsonWriter nested(out, read_);
      T::fields(nested, value);
      return out;
    }
  }
  json::object& out_;
  const PayloadReader* read_;
};

// Reads the body of `kind`; unreadable where this build does not know the kind.
template <std::size_t I = 0>
wire::Parsed read_body(std::uint16_t kind, std::string_view bytes, Body& body) {
  if constexpr (I + 1 < std::variant_size_v<Body>) {
    using T = std::variant_alternative_t<I, Body>;
    if (T::kKind != kind) return read_body<I + 1>(kind, bytes, body);
    return wire::read_fields(bytes, body.emplace<T>());
  } else {
    return wire::Parsed::unreadable;
  }
}

}  // namespace

namespace wire {

Field next_field(Reader& reader) {
  Field field;
  const std::uint64_t key = reader.varint();
  field.number = key >> 3;
  field.type = key & 7;
  if (field.type == kVarint) {
    field.varint = reader.varint();
  } else if (field.type == kBytes) {
    field.bytes = reader.bytes();
  } else {
    reader.fail();
  }
  return field;
}

}  // namespace wire

std::string encode(const Entry& entry) {
  std::string out;
  out.reserve(256);
  out.push_back(static_cast<char>(kEntryVersion));
  wire::put_varint(out, kind_of(entry.body));
  wire::put_varint(out, entry.epoch.value);
  wire::put_varint(out, wire::zigzag(entry.at.ms));
  const auto* unknown = std::get_if<UnknownEntry>(&entry.body);
  out.push_back(static_cast<char>(unknown == nullptr ? static_cast<std::uint8_t>(entry.role)
                                                     : unknown->role));
  wire::put_bytes(out, entry.author.value);
  std::visit(
      [&]<typename T>(const T& body) {
        if constexpr (std::is_same_v<T, UnknownEntry>) {
          out += body.bytes;
        } else {
          wire::Writer writer(out);
          T::fields(writer, body);
        }
      },
      entry.body);
  return out;
}

Result<Entry> decode(Position position, std::string_view bytes) {
  const auto broken = [&](std::string_view what) {
    return fail(ErrorCode::corrupted,
                fmt::format("entry {} {}; run gavel verify", position.value, what));
  };
  Reader reader(bytes);
  const std::uint8_t version = reader.byte();
  if (!reader.ok()) return broken("is empty");
  if (version > kEntryVersion) {
    return fail(
        ErrorCode::unsupported,
        fmt::format("entry {} has format {}, and this build reads up to {}; use a newer gavel",
                    position.value, version, kEntryVersion));
  }
  Entry entry;
  entry.position = position;
  const std::uint64_t kind = reader.varint();
  entry.epoch = Epoch{reader.varint()};
  entry.at = Timestamp{wire::unzigzag(reader.varint())};
  const std::uint8_t role = reader.byte();
  entry.author = Principal{std::string(reader.bytes())};
  const bool garbled = version == 0 || kind > 0xFFFF || !wire::is_time(entry.at.ms);
  if (!reader.ok() || garbled) return broken("is cut short or garbled");
  const bool known_role = role <= wire::kEnumMax<Role>;
  if (known_role) entry.role = static_cast<Role>(role);
  const auto parsed = known_role
                          ? read_body(static_cast<std::uint16_t>(kind), reader.rest(), entry.body)
                          : wire::Parsed::unreadable;
  // What is damaged must not pass for something newer: a halt that is skipped would stop nothing.
  if (parsed == wire::Parsed::cut_short) return broken("is cut short or garbled");
  if (parsed == wire::Parsed::unreadable) {
    entry.body = UnknownEntry{static_cast<std::uint16_t>(kind), std::string(reader.rest()), role};
  }
  return entry;
}

json::value to_json(const Payload& payload, const PayloadReader& read) {
  if (payload.size == 0) return nullptr;
  const auto bytes = read(payload);
  if (!bytes) {
    return json::object{{"missing", payload.digest.hex()}, {"why", bytes.error().message}};
  }
  auto parsed = parse_json(*bytes);
  return parsed ? std::move(*parsed) : json::value(text(*bytes));
}

json::object to_json(const Entry& entry, const PayloadReader* read) {
  json::object out;
  out["position"] = entry.position.value;
  out["kind"] = name_of(entry.body);
  out["epoch"] = entry.epoch.value;
  out["at"] = to_iso8601(entry.at);
  out["author"] = text(entry.author.value);
  const auto* unknown = std::get_if<UnknownEntry>(&entry.body);
  if (unknown != nullptr && unknown->role > wire::kEnumMax<Role>) {
    out["role"] = fmt::format("unknown({})", unknown->role);
  } else {
    const std::string_view role = to_string(entry.role);
    out["role"] = json::string(role.data(), role.size());
  }
  std::visit(
      [&]<typename T>(const T& body) {
        if constexpr (std::is_same_v<T, UnknownEntry>) {
          out["bytes"] = to_hex(body.bytes);
        } else {
          // No field's name is one of the header's, but "epoch" of an election, which is the same.
          JsonWriter writer(out, read);
          T::fields(writer, body);
        }
      },
      entry.body);
  return out;
}

json::array to_json(const std::vector<ArgumentOrigin>& origins) {
  json::array out;
  for (const auto& origin : origins) {
    json::object part;
    JsonWriter writer(part, nullptr);
    ArgumentOrigin::fields(writer, origin);
    out.push_back(std::move(part));
  }
  return out;
}

std::string to_iso8601(Timestamp at) {
  std::int64_t seconds = at.ms / 1000;
  std::int64_t millis = at.ms % 1000;
  if (millis < 0) {
    millis += 1000;
    --seconds;
  }
  // Days to a civil date: Howard Hinnant's algorithm, valid for every int64 day count that fits a
  // year.
  std::int64_t days = seconds / 86400;
  std::int64_t rest = seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    --days;
  }
  const std::int64_t z = days + 719468;
  const std::int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  const std::int64_t doe = z - era * 146097;
  const std::int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const std::int64_t mp = (5 * doy + 2) / 153;
  const std::int64_t day = doy - (153 * mp + 2) / 5 + 1;
  const std::int64_t month = mp < 10 ? mp + 3 : mp - 9;
  const std::int64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", year, month, day, rest / 3600,
                     rest / 60 % 60, rest % 60, millis);
}

}  // namespace gavel
