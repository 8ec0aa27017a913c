#include "runtime/append.hpp"

#include <cstring>

namespace gavel {

AppendId random_append_id(Random& random) {
  AppendId id;
  const std::uint64_t words[2] = {random.next(), random.next()};
  std::memcpy(id.bytes.data(), words, sizeof words);
  return id;
}

void externalize(Entry& entry, std::vector<Blob>& blobs) {
  Payload* payload = payload_of(entry.body);
  if (payload == nullptr || payload->bytes.size() <= kInlinePayload) return;
  blobs.push_back({payload->digest, std::move(payload->bytes)});
  payload->bytes.clear();
}

}  // namespace gavel
