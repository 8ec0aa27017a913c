#pragma once
// The byte form shared by entries and snapshots: fields as (number << 3 | type, value), so that a
// reader skips what it does not know. Type 0 is a varint (enums and bools as they are, times and
// spans zigzag), type 2 a length and that many bytes (strings, digests, nested structs); a repeated
// field stands several times. Empty strings, digests, payloads and lists and zero times are left
// out; numbers, enums and bools never, as their defaults need not be zero.
// Specified in docs/formats/entries.md. Private to core.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/entry.hpp"
#include "core/state.hpp"

namespace gavel::wire {

inline constexpr std::uint64_t kVarint = 0;
inline constexpr std::uint64_t kBytes = 2;
inline constexpr bool is_time(std::int64_t ms) {
  return -kTimeMaxMs <= ms && ms <= kTimeMaxMs;
}

inline void put_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}
inline std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
inline std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}
inline void put_bytes(std::string& out, std::string_view bytes) {
  put_varint(out, bytes.size());
  out += bytes;
}

// Reads from bytes that are not trusted; after a failure every get gives nothing.
class Reader {
public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool ok() const { return ok_; }
  bool done() const { return rest_.empty() || !ok_; }
  std::string_view rest() const { return rest_; }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      if (shift == 63 && byte > 1) break;
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    ok_ = false;
    return 0;
  }
  std::string_view bytes() {
    const std::uint64_t length = varint();
    if (!ok_ || length > rest_.size()) {
      ok_ = false;
      return {};
    }
    const auto taken = rest_.substr(0, static_cast<std::size_t>(length));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::uint8_t byte() {
    if (rest_.empty()) {
      ok_ = false;
      return 0;
    }
    const auto taken = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return taken;
  }
  void fail() { ok_ = false; }

private:
  std::string_view rest_;
  bool ok_ = true;
};

// --- writing: one visitor over a struct's fields() ---
class Writer {
public:
  explicit Writer(std::string& out) : out_(out) {}
  template <typename T>
  void operator()(std::uint64_t number, std::string_view, const T& value);

private:
  void key(std::uint64_t number, std::uint64_t type) { put_varint(out_, number << 3 | type); }
  // What `write` appends, behind its length: written in place, then moved where the length needs
  // more than one byte.
  template <typename Write>
  void nested(std::uint64_t number, const Write& write) {
    key(number, kBytes);
    out_.push_back('\0');
    const std::size_t start = out_.size();
    write();
    const std::size_t length = out_.size() - start;
    if (length < 0x80) {
      out_[start - 1] = static_cast<char>(length);
      return;
    }
    std::string prefix;
    put_varint(prefix, length);
    out_.replace(start - 1, 1, prefix);
  }
  std::string& out_;
};

// --- reading: the visitor asks each field for its number ---
struct Field {
  std::uint64_t number = 0;
  std::uint64_t type = 0;
  std::uint64_t varint = 0;
  std::string_view bytes;
};
// The next field; the reader has failed where it cannot be read.
Field next_field(Reader& reader);

enum class Parsed {
  ok,
  unreadable,  // whole fields, but a value that this build cannot take: a newer enum, another type
  cut_short,   // the bytes end inside a field, or are no fields at all
};

// Sets the member that `field` is of; an unknown number is skipped.
class FieldSetter {
public:
  explicit FieldSetter(const Field& field) : field_(field) {}
  template <typename T>
  void operator()(std::uint64_t number, std::string_view, T& value);
  Parsed result() const { return result_; }

private:
  // Whether the field is of this type, as its member wants it.
  bool expect(std::uint64_t type) { return check(field_.type == type); }
  bool check(bool readable) {
    if (!readable) result_ = Parsed::unreadable;
    return readable;
  }
  void set_time(std::int64_t& ms);
  void set_payload(Payload& value);

  const Field& field_;
  Parsed result_ = Parsed::ok;
};

// Hands every field of `bytes` to `set`, a callable of FieldSetter&. Stops at bytes that are no
// fields; what a value makes unreadable is reported after the rest was looked at, because damage
// matters more.
template <typename Set>
Parsed for_each_field(std::string_view bytes, const Set& set) {
  Reader reader(bytes);
  Parsed result = Parsed::ok;
  while (!reader.done()) {
    const Field field = next_field(reader);
    if (!reader.ok()) return Parsed::cut_short;
    FieldSetter setter(field);
    set(setter);
    if (setter.result() == Parsed::cut_short) return Parsed::cut_short;
    if (setter.result() != Parsed::ok) result = setter.result();
  }
  return result;
}
template <typename T>
Parsed read_fields(std::string_view bytes, T& value) {
  return for_each_field(bytes, [&value](FieldSetter& setter) { T::fields(setter, value); });
}

// The largest value of each enum that travels; more is malformed.
template <typename E>
inline constexpr std::uint64_t kEnumMax = 0;
template <>
inline constexpr std::uint64_t kEnumMax<Effect> = 3;
template <>
inline constexpr std::uint64_t kEnumMax<Role> = 6;
template <>
inline constexpr std::uint64_t kEnumMax<Verdict> = 3;
template <>
inline constexpr std::uint64_t kEnumMax<Ruling> = 1;
template <>
inline constexpr std::uint64_t kEnumMax<OutcomeKind> = 2;
template <>
inline constexpr std::uint64_t kEnumMax<OutcomeSource> = 3;
template <>
inline constexpr std::uint64_t kEnumMax<ProbeVerdict> = 2;
template <>
inline constexpr std::uint64_t kEnumMax<HoldReason> = 2;
template <>
inline constexpr std::uint64_t kEnumMax<HaltMode> = 1;
template <>
inline constexpr std::uint64_t kEnumMax<KeySource> = 2;
template <>
inline constexpr std::uint64_t kEnumMax<Origin> = 4;

template <>
inline constexpr std::uint64_t kEnumMax<Phase> = 4;
template <>
inline constexpr std::uint64_t kEnumMax<Final> = 2;

template <typename T>
inline constexpr bool kIsNumber = false;
template <typename Tag>
inline constexpr bool kIsNumber<Number<Tag>> = true;
template <typename T>
inline constexpr bool kIsName = false;
template <typename Tag>
inline constexpr bool kIsName<Name<Tag>> = true;
template <typename T>
inline constexpr bool kIsVector = false;
template <typename T>
inline constexpr bool kIsVector<std::vector<T>> = true;

template <typename T>
void Writer::operator()(std::uint64_t number, std::string_view name, const T& value) {
  if constexpr (kIsVector<T>) {
    for (const auto& element : value) {
      nested(number, [&] { element.fields(*this, element); });
    }
  } else if constexpr (kIsName<T>) {
    (*this)(number, name, value.value);
  } else if constexpr (kIsNumber<T>) {
    (*this)(number, name, value.value);
  } else if constexpr (std::is_same_v<T, Timestamp>) {
    if (value.ms == 0) return;
    key(number, kVarint);
    put_varint(out_, zigzag(value.ms));
  } else if constexpr (std::is_same_v<T, Duration>) {
    if (value.count() == 0) return;
    key(number, kVarint);
    put_varint(out_, zigzag(value.count()));
  } else if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) {
    key(number, kVarint);
    put_varint(out_, static_cast<std::uint64_t>(value));
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (value.empty()) return;
    key(number, kBytes);
    put_bytes(out_, value);
  } else if constexpr (std::is_same_v<T, Digest>) {
    if (value.is_zero()) return;
    key(number, kBytes);
    put_bytes(out_, value.view());
  } else if constexpr (std::is_same_v<T, Payload>) {
    if (value == Payload{}) return;
    nested(number, [&] {
      (*this)(1, "digest", value.digest);
      (*this)(2, "size", value.size);
      (*this)(3, "bytes", value.bytes);
    });
  } else {
    nested(number, [&] { T::fields(*this, value); });
  }
}

inline void FieldSetter::set_time(std::int64_t& ms) {
  if (!expect(kVarint) || !check(is_time(unzigzag(field_.varint)))) return;
  ms = unzigzag(field_.varint);
}

template <typename T>
void FieldSetter::operator()(std::uint64_t number, std::string_view name, T& value) {
  if (field_.number != number) return;
  if constexpr (kIsVector<T>) {
    if (expect(kBytes)) result_ = read_fields(field_.bytes, value.emplace_back());
  } else if constexpr (kIsName<T> || kIsNumber<T>) {
    (*this)(number, name, value.value);
  } else if constexpr (std::is_same_v<T, Timestamp>) {
    set_time(value.ms);
  } else if constexpr (std::is_same_v<T, Duration>) {
    std::int64_t ms = value.count();
    set_time(ms);
    value = Duration{ms};
  } else if constexpr (std::is_enum_v<T>) {
    if (expect(kVarint) && check(field_.varint <= kEnumMax<T>)) {
      value = static_cast<T>(field_.varint);
    }
  } else if constexpr (std::is_same_v<T, bool>) {
    if (expect(kVarint) && check(field_.varint <= 1)) value = field_.varint == 1;
  } else if constexpr (std::is_integral_v<T>) {
    if (expect(kVarint)) value = field_.varint;
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (expect(kBytes)) value = field_.bytes;
  } else if constexpr (std::is_same_v<T, Digest>) {
    if (!expect(kBytes) || !check(field_.bytes.size() == value.bytes.size())) return;
    std::copy(field_.bytes.begin(), field_.bytes.end(), value.bytes.begin());
  } else if constexpr (std::is_same_v<T, Payload>) {
    if (expect(kBytes)) set_payload(value);
  } else {
    if (expect(kBytes)) result_ = read_fields(field_.bytes, value);
  }
}

inline void FieldSetter::set_payload(Payload& value) {
  result_ = for_each_field(field_.bytes, [&value](FieldSetter& setter) {
    setter(1, "digest", value.digest);
    setter(2, "size", value.size);
    setter(3, "bytes", value.bytes);
  });
  // Inline bytes are all of the payload or none of it.
  if (result_ == Parsed::ok) check(value.bytes.empty() || value.is_inline());
}

}  // namespace gavel::wire
