// Logs written by earlier builds, kept for ever in tests/golden: each must decode to the entries,
// and fold to the state, that it did when it was written. A file is never edited; a new format
// version adds its own. GAVEL_WRITE_GOLDEN=1 writes what is missing.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/test_entries.hpp"
#include "core/test_session.hpp"

namespace gavel {
namespace {

namespace fs = std::filesystem;

// A line each: "entry POSITION HEX", "json TEXT" of the entry before it, and "snapshot HEX" of the
// state at the end.
struct Golden {
  std::vector<std::pair<Position, std::string>> entries;
  std::vector<std::string> json;
  std::string snapshot;
};

fs::path file_of(std::string_view name) {
  return fs::path(__FILE__).parent_path() / "../../tests/golden" / name;
}

Golden read_golden(std::string_view name) {
  Golden golden;
  std::ifstream in(file_of(name));
  for (std::string word; in >> word;) {
    if (word == "entry") {
      std::uint64_t position = 0;
      std::string hex;
      in >> position >> hex;
      golden.entries.emplace_back(Position{position}, from_hex(hex).value());
    } else if (word == "json") {
      in.ignore(1);
      std::getline(in, golden.json.emplace_back());
    } else if (word == "snapshot") {
      std::string hex;
      in >> hex;
      golden.snapshot = from_hex(hex).value();
    } else {
      ADD_FAILURE() << name << " has a line of kind " << word;
    }
  }
  return golden;
}

State folded(const std::vector<Entry>& log) {
  State state;
  for (const auto& entry : log) fold(state, entry);
  return state;
}

void write_if_missing(std::string_view name, const std::vector<Entry>& log) {
  if (std::getenv("GAVEL_WRITE_GOLDEN") == nullptr || fs::exists(file_of(name))) return;
  fs::create_directories(file_of(name).parent_path());
  std::ofstream out(file_of(name));
  for (const auto& entry : log) {
    out << "entry " << entry.position.value << " " << to_hex(encode(entry)) << "\n";
    out << "json " << write_json(to_json(entry)) << "\n";
  }
  out << "snapshot " << to_hex(encode_snapshot(folded(log))) << "\n";
}

std::vector<Entry> check(std::string_view name) {
  const Golden golden = read_golden(name);
  EXPECT_FALSE(golden.entries.empty()) << name;
  EXPECT_EQ(golden.entries.size(), golden.json.size());
  std::vector<Entry> log;
  for (std::size_t i = 0; i < golden.entries.size(); ++i) {
    const auto& [position, bytes] = golden.entries[i];
    const auto entry = decode(position, bytes);
    if (!entry) {
      ADD_FAILURE() << name << " " << position.value << ": " << entry.error().message;
      return log;
    }
    // A later build may say more of an entry, but not something else.
    const json::object said = to_json(*entry);
    const auto kept = parse_json(golden.json[i]);
    if (!kept || !kept->is_object()) {
      ADD_FAILURE() << name << " holds no JSON: " << golden.json[i];
      return log;
    }
    for (const auto& member : kept->get_object()) {
      const auto* value = said.if_contains(member.key());
      EXPECT_EQ(value == nullptr ? "" : write_json(*value), write_json(member.value()))
          << golden.json[i];
    }
    log.push_back(*entry);
  }
  const auto snapshot = decode_snapshot(golden.snapshot);
  EXPECT_TRUE(snapshot) << name;
  if (snapshot) EXPECT_EQ(folded(log), *snapshot) << name;
  return log;
}

TEST(Golden, EveryKindOfVersionOne) {
  std::vector<Entry> written;
  for (auto& body : sample_bodies()) {
    written.push_back(sample_entry(std::move(body)));
    written.back().position = Position{written.size()};
  }
  // A later file has the kinds that came since, and the others once more.
  write_if_missing("kinds-4.txt", written);
  std::set<std::string> kinds;
  for (const auto* file : {"kinds-1.txt", "kinds-2.txt", "kinds-3.txt", "kinds-4.txt"}) {
    for (const auto& entry : check(file)) kinds.insert(name_of(entry.body));
  }
  // UnknownEntry among them.
  EXPECT_EQ(kinds.size(), std::variant_size_v<Body>);
}

TEST(Golden, ASessionOfVersionOne) {
  RandomSession session(7);
  for (int step = 0; step < 400; ++step) session.step();
  write_if_missing("session-1.txt", session.world.log);
  const auto log = check("session-1.txt");
  EXPECT_GT(log.size(), 150u);
  EXPECT_EQ(folded(log).counters.skipped, 0u);
}

}  // namespace
}  // namespace gavel
