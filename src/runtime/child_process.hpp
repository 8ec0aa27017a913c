#pragma once
// A child process with pipes for its standard streams. It is started in a process group of its own,
// with nothing but the environment that it is given, and it never outlives its owner: it is killed
// with its whole group when this object is destroyed, and by the kernel (PR_SET_PDEATHSIG) when the
// process that started it dies, however that happens. The last 64 KiB of its stderr are kept.
//
//   spawn ─► running ─► exited (group killed, then reaped)
//              └ close(): stdin closed ─ wait ─ SIGTERM ─ wait ─ SIGKILL
//
// Thread rule: one executor; the thread that spawns must live as long as the children, because
// that is whose death the kernel watches.

#include <sys/types.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "runtime/clock.hpp"
#include "runtime/event.hpp"
#include "runtime/task_group.hpp"

namespace gavel {

struct ChildCommand {
  std::vector<std::string> words;                  // program and arguments
  std::map<std::string, std::string> environment;  // the whole of it
  std::string directory;                           // empty: this process's
};

// How long each step of close() waits for the child to go by itself.
struct ClosePatience {
  std::chrono::milliseconds after_end_of_input{2'000};
  std::chrono::milliseconds after_terminate{2'000};
  std::chrono::milliseconds after_kill{2'000};
};

class ChildProcess {
public:
  // Errors: not_found (no such program), unavailable (it cannot be started), with the reason.
  static Result<std::unique_ptr<ChildProcess>> spawn(asio::any_io_executor executor,
                                                     const ChildCommand& command);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const;
  // Both non-blocking. The input may be closed by its user at any time.
  asio::posix::stream_descriptor& input();
  asio::posix::stream_descriptor& output();

  bool has_exited() const;
  // "exit code 3", "killed by signal 9 (Killed)"; empty while it runs.
  std::string exit_reason() const;
  // The last of what it wrote to stderr, as it came.
  const std::string& stderr_tail() const;

  // Waits until it has exited, and then shortly until its last words are read; false at the
  // deadline.
  asio::awaitable<bool> wait_exit(SteadyTime deadline);
  // Kills the whole group.
  void kill();
  asio::awaitable<void> close(const Clock& clock, ClosePatience patience);

private:
  struct State;
  explicit ChildProcess(std::shared_ptr<State> state);
  static asio::awaitable<bool> wait_exit(std::shared_ptr<State> state, SteadyTime deadline);
  static asio::awaitable<void> close(std::shared_ptr<State> state, const Clock& clock,
                                     ClosePatience patience);
  static asio::awaitable<void> read_stderr(std::shared_ptr<State> state);
  static asio::awaitable<void> watch_exit(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
  TaskGroup tasks_;
};

// PATH, HOME, LANG and TZ of this process, where they are set, and `configured` over them.
std::map<std::string, std::string> child_environment(
    const std::map<std::string, std::string>& configured);

inline constexpr std::size_t kStderrKeptBytes = 64u << 10;

}  // namespace gavel
