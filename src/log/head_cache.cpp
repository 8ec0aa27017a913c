#include "log/head_cache.hpp"

namespace gavel {

CachedHead* HeadCache::find(const LogId& log) {
  const auto found = heads_.find(log);
  if (found == heads_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, found->second.place);
  return &found->second;
}

CachedHead& HeadCache::insert(CachedHead head) {
  evict();
  const LogId log = head.head.log;
  CachedHead& cached = heads_.insert_or_assign(log, std::move(head)).first->second;
  by_use_.push_front(&cached);
  cached.place = by_use_.begin();
  return cached;
}

void HeadCache::evict() {
  auto candidate = by_use_.end();
  while (heads_.size() >= capacity_ && candidate != by_use_.begin()) {
    --candidate;
    if ((*candidate)->pins > 0) continue;
    const LogId log = (*candidate)->head.log;
    candidate = by_use_.erase(candidate);
    heads_.erase(log);
  }
}

}  // namespace gavel
