// Any bytes as keys and values of the store: what a decoder accepts is exactly what its encoder
// writes, so nothing can hide in a store, and the cut of a record is never a record.
#include <vector>

#include "base/assert.hpp"
#include "bytes.hpp"
#include "log/records.hpp"

namespace {

using namespace gavel;

void try_record(std::string_view bytes) {
  auto record = RecordView::parse(bytes);
  if (!record) return;
  std::vector<std::string> entries;
  while (const auto entry = record->next()) entries.emplace_back(*entry);
  ASSERT(entries.size() == record->header().count);
  std::string again;
  encode_record(record->header(), entries, again);
  ASSERT(again == bytes);
  ASSERT(!RecordView::parse(bytes.substr(0, bytes.size() - 1)));
  ASSERT(!RecordView::parse(again + '\0'));
}

void try_head(std::string_view bytes) {
  const auto head = decode_head(bytes);
  if (!head) return;
  std::string again;
  encode_head(*head, again);
  ASSERT(again == bytes);
}

void try_commit(std::string_view bytes) {
  const auto parts = decode_commit(bytes);
  if (!parts) return;
  std::string again;
  for (const auto& part : *parts) encode_committed(part.log, part.first, part.tail, again);
  ASSERT(again == bytes);
}

void try_keys(std::string_view bytes) {
  if (const auto key = parse_entry_key(bytes)) {
    ASSERT(entry_key(key->log, key->first) == bytes);
    ASSERT(bytes < entry_key_end(key->log));
  }
  if (const auto key = parse_timer_key(bytes)) ASSERT(timer_key(key->due, key->log) == bytes);
  if (const auto number = parse_be64(bytes)) ASSERT(be64_bytes(*number) == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = gavel::fuzz::text_of(data, size);
  try_record(bytes);
  try_head(bytes);
  try_commit(bytes);
  try_keys(bytes);
  return 0;
}
