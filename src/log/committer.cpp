#include "log/committer.hpp"

#include <chrono>

namespace gavel {
namespace {

using Clock = std::chrono::steady_clock;

// How long to look for work before sleeping, and how recent the last work must be to look at all.
constexpr auto kSpin = std::chrono::microseconds(50);
constexpr auto kRecently = std::chrono::microseconds(500);

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

Committer::Committer(std::function<bool()> work)
    : work_(std::move(work)), thread_([this] { run(); }) {}

Committer::~Committer() {
  stop();
}

void Committer::wake() {
  signal_.fetch_add(1, std::memory_order_release);
  signal_.notify_one();
}

void Committer::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake();
  thread_.join();
}

void Committer::run() {
  bool busy = false;
  for (;;) {
    const auto seen = signal_.load(std::memory_order_acquire);
    const auto stopping = stopping_.load();
    if (work_()) continue;
    if (stopping) return;
    const auto idle_since = Clock::now();
    await(seen, busy);
    busy = Clock::now() - idle_since < kRecently;
  }
}

void Committer::await(std::uint32_t seen, bool busy) {
  if (busy) {
    const auto until = Clock::now() + kSpin;
    do {
      for (int i = 0; i < 16; ++i) {
        if (signal_.load(std::memory_order_acquire) != seen) return;
        relax();
      }
    } while (Clock::now() < until);
  }
  signal_.wait(seen, std::memory_order_acquire);
}

}  // namespace gavel
