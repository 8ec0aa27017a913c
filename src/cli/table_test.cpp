#include "cli/table.hpp"

#include <gtest/gtest.h>

namespace gavel {
namespace {

const Style kPlain(false);

TEST(DisplayWidth, CountsCellsNotBytes) {
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("grüß"), 4u);
  EXPECT_EQ(display_width("日本"), 4u);
  EXPECT_EQ(display_width("e\u0301"), 1u);
  EXPECT_EQ(display_width("🚀"), 2u);
  EXPECT_EQ(display_width("\xFF\xFE"), 2u);
}

TEST(Truncate, NeverCutsInsideACharacter) {
  EXPECT_EQ(truncate("abcdef", 6), "abcdef");
  EXPECT_EQ(truncate("abcdef", 4), "abc…");
  EXPECT_EQ(truncate("日本語", 4), "日…");
  EXPECT_EQ(truncate("abc", 0), "");
}

TEST(Wrap, BreaksAtSpacesAndIndentsEachLine) {
  EXPECT_EQ(wrap("one two three", 8, "> "), "> one two\n> three");
}

TEST(Style, LeavesTextAloneWithoutColor) {
  EXPECT_EQ(Style(false).paint(Tone::bad, "x"), "x");
  EXPECT_EQ(Style(true).paint(Tone::bad, "x"), "\x1b[31mx\x1b[0m");
  EXPECT_EQ(Style(true).paint(Tone::plain, "x"), "x");
}

TEST(UseColor, HonoursTheOptionThenNoColorThenTheTerminal) {
  EXPECT_TRUE(use_color(ColorMode::automatic, false, "xterm", true));
  EXPECT_FALSE(use_color(ColorMode::automatic, true, "xterm", true));
  EXPECT_FALSE(use_color(ColorMode::automatic, false, "dumb", true));
  EXPECT_FALSE(use_color(ColorMode::automatic, false, "xterm", false));
  EXPECT_TRUE(use_color(ColorMode::always, true, "dumb", false));
  EXPECT_FALSE(use_color(ColorMode::never, false, "xterm", true));
}

TEST(Table, AlignsColumnsByDisplayWidth) {
  Table table({{.title = "NAME"}, {.title = "N", .align = Align::right}});
  table.add({"日本", "7"});
  table.add({"abcdef", "123"});
  EXPECT_EQ(table.render(kPlain, 0),
            "NAME      N\n"
            "日本      7\n"
            "abcdef  123\n");
}

TEST(Table, CutsTheWidestShrinkableColumnToFit) {
  Table table({{.title = "ID"}, {.title = "TEXT", .shrink = Shrink::may}});
  table.add({"12345", "a rather long text that will not fit"});
  EXPECT_EQ(table.render(kPlain, 20),
            "ID     TEXT\n"
            "12345  a rather lon…\n");
}

TEST(Table, NeverShrinksWhatMustBeReadWhole) {
  Table table({{.title = "ID"}, {.title = "TEXT", .shrink = Shrink::may}});
  table.add({"1234567890", "0123456789"});
  const auto text = table.render(kPlain, 5);
  EXPECT_NE(text.find("1234567890"), std::string::npos);
  EXPECT_NE(text.find("0123456…"), std::string::npos);
}

TEST(Table, MakesHostileTextHarmless) {
  Table table({{.title = "TEXT"}});
  table.add({"a\x1b[2Jb\nc\u009bd"});
  const auto text = table.render(kPlain, 0);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find("\u009b"), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

}  // namespace
}  // namespace gavel
