#include "gateway/transcript.hpp"

#include <string_view>

namespace gavel {
namespace {

bool is_final(std::string_view phase) {
  return phase == "ok" || phase == "failed" || phase == "aborted";
}

}  // namespace

TranscriptItem* Transcript::find(IntentId intent) {
  const auto found = records_.find(intent);
  if (found == records_.end() || is_final(found->second.item.phase)) return nullptr;
  return &found->second.item;
}

void Transcript::add(const Entry& entry) {
  if (const auto* elected = std::get_if<EpochElected>(&entry.body)) {
    epoch_ = elected->epoch;
  } else if (const auto* intent = std::get_if<IntentProposed>(&entry.body)) {
    TranscriptItem item;
    item.intent = entry.position;
    item.tool = intent->tool;
    item.arguments = intent->arguments;
    item.effect = intent->effect;
    item.key = intent->key;
    item.proposed_at = entry.at;
    item.phase = "proposed";
    records_.emplace(entry.position, Record{std::move(item), false});
  } else if (const auto* held = std::get_if<Held>(&entry.body)) {
    if (auto* item = find(held->intent)) {
      item->phase = "held";
      item->reason = to_string(held->reason);
    }
  } else if (const auto* decision = std::get_if<Decision>(&entry.body)) {
    const auto record = records_.find(decision->intent);
    if (record == records_.end() || record->second.decided) return;
    record->second.decided = true;
    auto& item = record->second.item;
    item.reason = decision->reason;
    item.phase = decision->ruling == Ruling::abort ? "aborted" : "committed";
  } else if (const auto* attempt = std::get_if<Attempt>(&entry.body)) {
    if (auto* item = find(attempt->intent)) {
      item->phase = "in_flight";
      item->reason.clear();
    }
  } else if (const auto* outcome = std::get_if<Outcome>(&entry.body)) {
    if (auto* item = find(outcome->intent)) {
      item->phase = to_string(outcome->kind);
      item->reason = outcome->reason;
      item->result = outcome->result;
    }
  } else if (const auto* replayed = std::get_if<Replayed>(&entry.body)) {
    const auto record = records_.find(replayed->intent);
    if (record != records_.end()) ++record->second.item.replays;
  }
}

std::vector<TranscriptItem> Transcript::items() const {
  std::vector<TranscriptItem> items;
  items.reserve(records_.size());
  for (const auto& [intent, record] : records_) items.push_back(record.item);
  return items;
}

}  // namespace gavel
