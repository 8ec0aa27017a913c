#pragma once
// The appends that go to the disk with one sync: the write batch, whose turn it is to be told, and
// which heads they changed. The engine fills one group while its committer writes the other.

#include <rocksdb/write_batch.h>

#include <vector>

#include "log/head_cache.hpp"

namespace gavel {

struct CommitGroup {
  struct Part {
    CachedHead* head;
    AppendId id;
    Position first;
    Position tail;
    Digest chain;  // at tail
  };

  std::uint64_t number = 0;  // of the commit
  rocksdb::WriteBatch batch;
  std::vector<Part> parts;
  std::vector<OnDurable> waiting;
  std::vector<CachedHead*> dirty;  // pinned once each
  std::size_t bytes = 0;

  bool empty() const { return waiting.empty(); }
  bool writes() const { return !dirty.empty(); }
  // The capacity stays: a group in steady state allocates nothing.
  void clear() {
    batch.Clear();
    parts.clear();
    waiting.clear();
    dirty.clear();
    bytes = 0;
  }
  const Part* find(const LogId& log, Position first) const {
    for (const auto& part : parts) {
      if (part.first == first && part.head->head.log == log) return &part;
    }
    return nullptr;
  }
};

}  // namespace gavel
