#include "protocol/line_framer.hpp"

#include <gtest/gtest.h>

#include <string>

namespace gavel {
namespace {

std::vector<std::string> lines(LineFramer& framer) {
  std::vector<std::string> all;
  while (const auto line = framer.next()) all.emplace_back(*line);
  return all;
}

TEST(LineFramer, PutsLinesTogetherHoweverTheyArrive) {
  const std::string text = "one\ntwo\r\n\n\r\nthree\nfour";
  const std::vector<std::string> expected{"one", "two", "three"};
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    LineFramer framer(100);
    std::vector<std::string> all;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      framer.feed(std::string_view(text).substr(at, piece));
      for (auto& line : lines(framer)) all.push_back(std::move(line));
    }
    EXPECT_EQ(all, expected) << piece;
    EXPECT_EQ(framer.pending(), 4u);
    framer.feed("!\n");
    EXPECT_EQ(lines(framer), std::vector<std::string>{"four!"});
  }
}

TEST(LineFramer, DropsALineThatIsTooLongAndNothingElse) {
  LineFramer framer(8);
  framer.feed("12345678\n123456789\nok\n");
  EXPECT_EQ(lines(framer), (std::vector<std::string>{"12345678", "ok"}));
  EXPECT_EQ(framer.oversized(), 1u);
}

TEST(LineFramer, AFloodWithoutNewlineTakesNoMemory) {
  LineFramer framer(1000);
  const std::string flood(4096, 'x');
  for (int i = 0; i < 1000; ++i) {
    framer.feed(flood);
    EXPECT_FALSE(framer.next());
    ASSERT_LE(framer.pending(), 1000u);
  }
  EXPECT_EQ(framer.oversized(), 1u);
  framer.feed("\nback\n");
  EXPECT_EQ(lines(framer), std::vector<std::string>{"back"});
}

TEST(LineFramer, ReadsInPlace) {
  LineFramer framer(100);
  for (int i = 0; i < 10'000; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    const auto room = framer.prepare(64);
    ASSERT_GE(room.size(), 64u);
    std::copy(line.begin(), line.end(), room.begin());
    framer.commit(line.size());
    // Read every other time, so that a line is left over while the next one comes.
    if (i % 2 == 1) {
      EXPECT_EQ(lines(framer).size(), 2u);
    }
  }
}

TEST(LineFramer, GivesAHugeBufferBack) {
  LineFramer framer(10u << 20);
  framer.feed(std::string(4u << 20, 'x') + "\n");
  EXPECT_EQ(lines(framer).size(), 1u);
  framer.feed("small\n");
  EXPECT_EQ(lines(framer), std::vector<std::string>{"small"});
  EXPECT_LT(framer.prepare(1).size(), 1u << 20);
}

}  // namespace
}  // namespace gavel
