#include "chain.hpp"

#include <fmt/format.h>

#include <map>

namespace gavel::simulation {
namespace {

constexpr std::size_t kFrameHead = 4 + 8;         // size, checksum
constexpr std::size_t kRecordHead = 2 + 16 + 16;  // version and flags, append id, commit and epoch
constexpr std::size_t kHash = 32;

// Bytes from the front, cut at the end: what is missing shows in a hash that does not fit.
class Bytes {
public:
  explicit Bytes(std::string_view all) : rest_(all) {}
  std::string_view take(std::size_t size) {
    const auto out = rest_.substr(0, size);
    rest_.remove_prefix(out.size());
    return out;
  }
  std::uint64_t number(std::size_t width) {
    std::uint64_t value = 0;
    for (const char c : take(width)) value = value * 256 + static_cast<unsigned char>(c);
    return value;
  }
  bool at_end() const { return rest_.empty(); }

private:
  std::string_view rest_;
};

struct Link {
  std::uint64_t position = 0;
  std::string hash = std::string(kHash, '\0');
};

std::string after(const Link& link, std::string_view entry) {
  std::string all = link.hash;
  for (int shift = 56; shift >= 0; shift -= 8) {
    all.push_back(static_cast<char>((link.position + 1) >> shift));
  }
  all += entry;
  return std::string(sha256(all).view());
}

std::optional<std::string> follow(std::string_view log, std::uint64_t first, Bytes record,
                                  Link& link) {
  const auto broken = [&](std::string_view what) {
    return fmt::format("{} #{}: {}", log, link.position + 1, what);
  };
  if (first != link.position + 1) return broken(fmt::format("#{} is there instead", first));
  record.take(kRecordHead);
  const auto previous = record.take(kHash);
  const auto last = record.take(kHash);
  if (previous != link.hash) return broken("it does not follow the entry before it");
  for (auto entries = record.number(4); entries > 0; --entries) {
    if (record.at_end()) return broken("its record is cut off");
    const std::size_t size = record.number(4);
    link.hash = after(link, record.take(size));
    ++link.position;
  }
  if (last != link.hash) return broken("a hash behind it is not that of what is written");
  return std::nullopt;
}

}  // namespace

std::optional<std::string> broken_chain(std::span<const std::string> frames,
                                        std::span<const Head> heads) {
  std::map<std::string, Link, std::less<>> links;
  for (const auto& frame : frames) {
    Bytes bytes(frame);
    bytes.take(kFrameHead);
    for (auto parts = bytes.number(4); parts > 0 && !bytes.at_end(); --parts) {
      const auto name = bytes.take(bytes.number(2));
      const std::uint64_t first = bytes.number(8);
      bytes.take(8);
      const Bytes record(bytes.take(bytes.number(4)));
      const auto broken = follow(name, first, record, links[std::string(name)]);
      if (broken) return broken;
    }
  }
  for (const auto& head : heads) {
    const Link& link = links[head.log.value];
    if (link.position != head.durable.value || link.hash != head.durable_chain.view()) {
      return fmt::format("{}: its head says #{} with another hash than its entries up to #{} give",
                         head.log.value, head.durable.value, link.position);
    }
  }
  return std::nullopt;
}

}  // namespace gavel::simulation
