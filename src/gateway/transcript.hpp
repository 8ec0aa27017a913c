#pragma once
// A session's transcript: what was asked and what came of it, in order, for the brain that takes a
// session over. A pure fold of entries, of its own and not of core's state, because it keeps what
// is finished.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/entry.hpp"

namespace gavel {

struct TranscriptItem {
  IntentId intent;
  std::string tool;
  Payload arguments;
  Effect effect = Effect::irreversible;
  std::string key;
  Timestamp proposed_at;
  std::string phase;   // "proposed", "held", "in_flight", "unknown", "ok", "failed", "aborted"
  std::string reason;  // of what went wrong or is waited for
  Payload result;      // empty where there is none
  std::uint64_t replays = 0;
};

class Transcript {
public:
  void add(const Entry& entry);
  // In the order of the intents.
  std::vector<TranscriptItem> items() const;
  Epoch epoch() const { return epoch_; }

private:
  struct Record {
    TranscriptItem item;
    bool decided = false;
  };
  TranscriptItem* find(IntentId intent);

  std::map<IntentId, Record> records_;
  Epoch epoch_;
};

}  // namespace gavel
