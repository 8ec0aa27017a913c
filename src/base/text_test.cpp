#include "base/text.hpp"

#include <gtest/gtest.h>

#include <array>

#include "base/digest.hpp"
#include "base/result.hpp"

namespace gavel {
namespace {

TEST(Text, NearestSuggestsOnlyWhatIsNear) {
  const std::array<std::string_view, 3> words = {"servers", "rules", "defaults"};
  EXPECT_EQ(nearest("server", words), "servers");
  EXPECT_EQ(nearest("rulse", words), "rules");
  EXPECT_EQ(nearest("zebra", words), "");
}

TEST(Text, GlobMatches) {
  EXPECT_TRUE(glob_match("pg__*", "pg__query"));
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("a*b*c", "a1b2b3c"));
  EXPECT_TRUE(glob_match("?x", "ax"));
  EXPECT_FALSE(glob_match("pg__*", "fs__query"));
  EXPECT_FALSE(glob_match("a*b", "ac"));
}

TEST(Text, Utf8) {
  EXPECT_TRUE(is_valid_utf8("aé€😀"));
  EXPECT_FALSE(is_valid_utf8("\xC0\x80"));
  EXPECT_FALSE(is_valid_utf8("\xED\xA0\x80"));
  EXPECT_FALSE(is_valid_utf8("\xF4\x90\x80\x80"));
  EXPECT_FALSE(is_valid_utf8("\xE2\x82"));
}

TEST(Text, PercentEncodingKeepsTheUnreserved) {
  EXPECT_EQ(percent_encode("control/agent/zo\xC3\xAB & co?"),
            "control%2Fagent%2Fzo%C3%AB%20%26%20co%3F");
  EXPECT_EQ(percent_encode("refund-42_x.y~"), "refund-42_x.y~");
}

TEST(Text, DisplayCannotMoveTheCursor) {
  EXPECT_EQ(for_display("a\x1b[2Jb\n", 100), "a [2Jb ");
  EXPECT_EQ(for_display("\xC2\x9B"
                        "31m",
                        100),
            " 31m");
  EXPECT_EQ(for_display("éé", 3), "é…");
}

TEST(Utf8Problem, NamesTheByteAndWhatToDo) {
  EXPECT_EQ(utf8_problem("aé€😀"), "");
  EXPECT_EQ(utf8_problem("é\xffx"), "byte 2 (0xff) is not UTF-8; send the text encoded as UTF-8");
  EXPECT_TRUE(utf8_problem("ab\xc3").starts_with("byte 2 (0xc3)"));
}

TEST(Digest, RoundTrips) {
  const auto digest = sha256("abc");
  EXPECT_EQ(digest.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256({"a", "bc"}), digest);
  EXPECT_EQ(digest_from_hex(digest.hex()).value(), digest);
  EXPECT_EQ(digest_from_bytes(digest.view()).value(), digest);
  EXPECT_FALSE(digest_from_hex("zz"));
  EXPECT_FALSE(digest_from_hex("abc"));
  for (const std::string_view text : {"", "a", "ab", "abc", "abcd"}) {
    EXPECT_EQ(from_base64(to_base64(text)).value(), text);
  }
  EXPECT_FALSE(from_base64("a==="));
  EXPECT_FALSE(from_base64("a"));
  EXPECT_TRUE(equal_constant_time("ab", "ab"));
  EXPECT_FALSE(equal_constant_time("ab", "ac"));
}

TEST(Result, EveryCodeHasAMapping) {
  EXPECT_EQ(to_string(ErrorCode::stale_epoch), "stale_epoch");
  EXPECT_EQ(error_code_from("stale_epoch"), ErrorCode::stale_epoch);
  EXPECT_EQ(error_code_from("no such"), ErrorCode::internal);
  EXPECT_EQ(mapping(ErrorCode::internal).http_status, 500);
}

}  // namespace
}  // namespace gavel
