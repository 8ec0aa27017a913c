#include "runtime/append.hpp"

#include <cstring>

namespace gavel {
namespace {

void externalize_payload(Payload& payload, std::vector<Blob>& blobs) {
  if (payload.bytes.size() <= kInlinePayload) return;
  blobs.push_back({payload.digest, std::move(payload.bytes)});
  payload.bytes.clear();
}

}  // namespace

AppendId random_append_id(Random& random) {
  AppendId id;
  const std::uint64_t words[2] = {random.next(), random.next()};
  std::memcpy(id.bytes.data(), words, sizeof words);
  return id;
}

void externalize(Entry& entry, std::vector<Blob>& blobs) {
  if (auto* intent = std::get_if<IntentProposed>(&entry.body)) {
    externalize_payload(intent->arguments, blobs);
  } else if (auto* outcome = std::get_if<Outcome>(&entry.body)) {
    externalize_payload(outcome->result, blobs);
  } else if (auto* probed = std::get_if<Probed>(&entry.body)) {
    externalize_payload(probed->evidence, blobs);
  } else if (auto* prompt = std::get_if<Prompted>(&entry.body)) {
    externalize_payload(prompt->text, blobs);
  } else if (auto* policy = std::get_if<PolicyActivated>(&entry.body)) {
    externalize_payload(policy->source, blobs);
  } else if (auto* pinned = std::get_if<ToolPinned>(&entry.body)) {
    externalize_payload(pinned->definition, blobs);
  }
}

}  // namespace gavel
