#include "log/records.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/log_testing.hpp"

namespace gavel::testing {
namespace {

RecordHeader some_header() {
  RecordHeader header;
  header.id = id_of(0x1122334455667788);
  header.commit = 3;
  header.epoch = Epoch{2};
  header.elects = true;
  header.previous = sha256("previous");
  header.chain = sha256("chain");
  return header;
}

TEST(Records, RecordRoundTrips) {
  const std::vector<std::string> entries = {"one", "", std::string("\0\1", 2)};
  std::string value;
  encode_record(some_header(), entries, value);
  auto view = RecordView::parse(value);
  ASSERT_TRUE(view.has_value()) << view.error().message;
  EXPECT_EQ(view->header().id, some_header().id);
  EXPECT_EQ(view->header().commit, 3u);
  EXPECT_EQ(view->header().epoch, Epoch{2});
  EXPECT_TRUE(view->header().elects);
  EXPECT_FALSE(view->header().raises_barrier);
  EXPECT_EQ(view->header().previous, sha256("previous"));
  EXPECT_EQ(view->header().chain, sha256("chain"));
  EXPECT_EQ(view->header().count, 3u);
  for (const auto& entry : entries) EXPECT_EQ(view->next(), entry);
  EXPECT_EQ(view->next(), std::nullopt);
}

// The bytes on disk: changing them needs a new version (docs/formats/log.md).
TEST(Records, BytesAreTheSpecifiedOnes) {
  RecordHeader header;
  header.id.bytes.fill(0xaa);
  header.commit = 1;
  header.epoch = Epoch{2};
  header.raises_barrier = true;
  header.previous.bytes.fill(0xbb);
  header.chain.bytes.fill(0xcc);
  std::string record;
  encode_record(header, std::vector<std::string>{"hi"}, record);
  std::string id;
  std::string previous;
  std::string chain;
  for (int i = 0; i < 16; ++i) id += "aa";
  for (int i = 0; i < 32; ++i) previous += "bb", chain += "cc";
  EXPECT_EQ(to_hex(record), "0102" + id + "0000000000000001" + "0000000000000002" + previous +
                                chain + "00000001" + "00000002" + "6869");
  EXPECT_EQ(to_hex(entry_key(LogId{"ab"}, Position{258})),
            "6162"
            "00"
            "0000000000000102");
  EXPECT_EQ(to_hex(head_key(LogId{"ab"})),
            "68"
            "6162");
  EXPECT_EQ(to_hex(commit_key(5)),
            "63"
            "0000000000000005");
  EXPECT_EQ(to_hex(timer_key(Timestamp{6}, LogId{"ab"})),
            "74"
            "0000000000000006"
            "6162");
}

TEST(Records, EveryCutRecordIsNoticed) {
  std::string value;
  encode_record(some_header(), std::vector<std::string>{"one", "two"}, value);
  for (std::size_t size = 0; size < value.size(); ++size) {
    EXPECT_EQ(code_of(RecordView::parse(value.substr(0, size))), ErrorCode::corrupted) << size;
  }
  EXPECT_EQ(code_of(RecordView::parse(value + "x")), ErrorCode::corrupted);
}

TEST(Records, FlagsThatNobodyWritesAreNoticed) {
  std::string record;
  encode_record({}, std::vector<std::string>{"entry"}, record);
  std::string head;
  encode_head({}, head);
  std::string trimmed;
  StoredHead forgetful;
  forgetful.trimmed = Position{3};
  encode_head(forgetful, trimmed);
  for (std::string* bytes : {&record, &head, &trimmed}) {
    for (const unsigned bit : {2u, 7u}) {
      std::string changed = *bytes;
      changed[1] = static_cast<char>(static_cast<unsigned>(changed[1]) | (1u << bit));
      const bool refused =
          bytes == &record ? !RecordView::parse(changed) : !decode_head(changed).has_value();
      EXPECT_TRUE(refused) << bit;
    }
  }
  std::string nothing = trimmed;
  nothing.replace(head.size(), 8, 8, '\0');
  EXPECT_EQ(decode_head(nothing).error().code, ErrorCode::corrupted) << "trimmed up to nothing";
}

TEST(Records, NewerVersionsAreUnsupported) {
  std::string value;
  encode_record(some_header(), std::vector<std::string>{"one"}, value);
  value[0] = 2;
  EXPECT_EQ(code_of(RecordView::parse(value)), ErrorCode::unsupported);
  value[0] = 0;
  EXPECT_EQ(code_of(RecordView::parse(value)), ErrorCode::corrupted);
  std::string head;
  encode_head({}, head);
  head[0] = 9;
  EXPECT_EQ(code_of(decode_head(head)), ErrorCode::unsupported);
}

TEST(Records, EveryCutHeadIsNoticed) {
  for (const std::uint64_t trimmed : {0u, 4u}) {
    StoredHead head;
    head.tail = Position{7};
    head.epoch = Epoch{2};
    head.barrier = 1;
    head.chain = sha256("c");
    head.next_due = Timestamp{99};
    head.trimmed = Position{trimmed};
    head.anchor = Position{trimmed};
    std::string value;
    encode_head(head, value);
    const auto decoded = decode_head(value);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->tail, head.tail);
    EXPECT_EQ(decoded->next_due, head.next_due);
    EXPECT_EQ(decoded->anchor, head.anchor);
    for (std::size_t size = 0; size < value.size(); ++size) {
      EXPECT_FALSE(decode_head(value.substr(0, size)).has_value()) << size;
    }
  }
}

TEST(Records, EveryCutCommitIsNoticed) {
  std::string value;
  encode_committed(LogId{"s"}, Position{1}, Position{2}, value);
  const auto size_of_one = value.size();
  encode_committed(LogId{"session"}, Position{3}, Position{9}, value);
  const auto parts = decode_commit(value);
  ASSERT_TRUE(parts && parts->size() == 2);
  EXPECT_EQ((*parts)[1].log.value, "session");
  EXPECT_EQ((*parts)[1].tail.value, 9u);
  for (std::size_t size = 1; size < value.size(); ++size) {
    if (size == size_of_one) continue;
    EXPECT_EQ(code_of(decode_commit(value.substr(0, size))), ErrorCode::corrupted) << size;
  }
}

TEST(Records, MalformedKeysAreNoticed) {
  EXPECT_FALSE(parse_entry_key("no zero byte").has_value());
  EXPECT_FALSE(parse_entry_key(std::string("a\0short", 7)).has_value());
  EXPECT_FALSE(parse_timer_key("tshort").has_value());
  EXPECT_FALSE(parse_timer_key("h23456789 name").has_value());
  EXPECT_FALSE(parse_be64("1234567").has_value());
  const auto key = parse_timer_key(timer_key(Timestamp{12}, LogId{"s"}));
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(key->due.ms, 12);
  EXPECT_EQ(key->log.value, "s");
}

}  // namespace
}  // namespace gavel::testing
