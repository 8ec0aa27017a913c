#pragma once
// The heads of the logs that were used last, so that an append is checked without a read. A head is
// pinned while an append of it is on its way to the disk; the others are dropped, the longest
// unused first, once there are more than the capacity. Not thread-safe: the engine's lock covers
// it.

#include <cstddef>
#include <list>
#include <unordered_map>

#include "log/log.hpp"

namespace gavel {

struct CachedHead {
  Head head;
  Position anchor;  // as in StoredHead
  Digest anchor_chain;
  Timestamp written_due;  // what the timer index holds
  std::size_t pins = 0;
  bool dirty = false;  // changed by the open group
  std::list<CachedHead*>::iterator place{};
};

class HeadCache {
public:
  explicit HeadCache(std::size_t capacity) : capacity_(capacity) {}

  // Null where the head is not cached. Pointers stay valid while pinned, and until the next insert.
  CachedHead* find(const LogId& log);
  CachedHead& insert(CachedHead head);
  std::size_t size() const { return heads_.size(); }

private:
  void evict();

  std::size_t capacity_;
  std::unordered_map<LogId, CachedHead> heads_;
  std::list<CachedHead*> by_use_;  // the last used first
};

}  // namespace gavel
