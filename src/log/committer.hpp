#pragma once
// The one thread that commits. It sleeps until it is woken, does all work that there is, and before
// it sleeps again it looks for more for a few microseconds if work came quickly of late: a client
// that appends one entry after another then never pays for waking a thread.

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

namespace gavel {

class Committer {
public:
  // `work` does what there is and returns false where there was nothing. It runs on this thread
  // only, and once more after stop().
  explicit Committer(std::function<bool()> work);
  // Ends as stop() does.
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // There may be work. Any thread.
  void wake();
  // Returns when all work is done and the thread has ended.
  void stop();
  bool is_this_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

private:
  void run();
  // Waits until the signal is no longer `seen`.
  void await(std::uint32_t seen, bool busy);

  std::function<bool()> work_;
  std::atomic<std::uint32_t> signal_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace gavel
