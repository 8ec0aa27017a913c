#include "log/checkpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "log/log_testing.hpp"
#include "log/memory_log.hpp"

namespace gavel::testing {
namespace {

using ::testing::HasSubstr;

class CheckpointTest : public ::testing::Test {
protected:
  CheckpointKey key() {
    auto made = CheckpointKey::load_or_create(path_);
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return std::move(*made);
  }
  std::string text() {
    const auto log = make_memory_log();
    EXPECT_TRUE(put(*log, part("a", 0, {"x", "y"})).has_value());
    EXPECT_TRUE(put(*log, part("b", 0, {"z"})).has_value());
    return write_checkpoint(*make_checkpoint(*log, key(), Timestamp{1234}));
  }
  static std::string replaced(std::string text, const std::string& what, const std::string& with) {
    const auto at = text.find(what);
    EXPECT_NE(at, std::string::npos);
    return text.replace(at, what.size(), with);
  }

  TempDirectory directory_;
  const std::string path_ = directory_.sub("checkpoint.key");
};

TEST_F(CheckpointTest, SaysHowFarEveryLogIs) {
  const auto log = make_memory_log();
  ASSERT_TRUE(put(*log, part("a", 0, {"x", "y"})).has_value());
  const auto checkpoint = read_checkpoint(text(), std::nullopt);
  ASSERT_TRUE(checkpoint.has_value()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->created_at.ms, 1234);
  ASSERT_EQ(checkpoint->heads.size(), 2u);
  EXPECT_EQ(checkpoint->heads[0].log.value, "a");
  EXPECT_EQ(checkpoint->heads[0].tail.value, 2u);
  EXPECT_EQ(checkpoint->heads[0].chain, log->head(LogId{"a"})->chain);
  EXPECT_EQ(checkpoint->heads[1].log.value, "b");
}

TEST_F(CheckpointTest, KeyIsMadeOnceAndForItsOwnerOnly) {
  const auto first = key().public_key();
  EXPECT_EQ(first.size(), 64u);
  EXPECT_EQ(key().public_key(), first);
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
}

TEST_F(CheckpointTest, KeyThatOthersMayReadIsRefused) {
  key();
  ASSERT_EQ(::chmod(path_.c_str(), 0644), 0);
  const auto refused = CheckpointKey::load_or_create(path_);
  ASSERT_EQ(code_of(refused), ErrorCode::permission_denied);
  EXPECT_THAT(refused.error().message, HasSubstr("chmod 600 " + path_));
}

TEST_F(CheckpointTest, FileThatIsNoKeyIsRefused) {
  std::ofstream(path_) << "-----BEGIN NONSENSE-----";
  ASSERT_EQ(::chmod(path_.c_str(), 0600), 0);
  EXPECT_EQ(code_of(CheckpointKey::load_or_create(path_)), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(CheckpointKey::load_or_create(directory_.sub("no/such/directory"))),
            ErrorCode::storage_failed);
}

TEST_F(CheckpointTest, ChangeOfAnyFieldBreaksTheSignature) {
  const auto sound = text();
  ASSERT_TRUE(read_checkpoint(sound, std::nullopt).has_value());
  for (const auto& [what, with] : std::vector<std::pair<std::string, std::string>>{
           {"1234", "1235"},
           {"\"tail\":2", "\"tail\":1"},
           {"\"log\":\"b\"", "\"log\":\"c\""},
           {"\"signature\":\"", "\"signature\":\"00"},
           {"\"public_key\":\"", "\"public_key\":\"00"}}) {
    EXPECT_EQ(code_of(read_checkpoint(replaced(sound, what, with), std::nullopt)),
              ErrorCode::corrupted);
  }
}

TEST_F(CheckpointTest, SignatureOfSomebodyElseIsRefused) {
  const auto sound = text();
  EXPECT_TRUE(read_checkpoint(sound, key().public_key()).has_value());
  const auto other = CheckpointKey::load_or_create(directory_.sub("other.key"));
  EXPECT_EQ(code_of(read_checkpoint(sound, other->public_key())), ErrorCode::permission_denied);
}

TEST_F(CheckpointTest, TextThatIsNoCheckpointIsRefused) {
  EXPECT_EQ(code_of(read_checkpoint("", std::nullopt)), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(read_checkpoint("{}", std::nullopt)), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(read_checkpoint(replaced(text(), "checkpoint-1", "checkpoint-2"), {})),
            ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(read_checkpoint(replaced(text(), "\"chain\":\"", "\"chain\":\"zz"), {})),
            ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace gavel::testing
