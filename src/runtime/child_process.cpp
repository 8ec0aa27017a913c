#include "runtime/child_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace gavel {
namespace {

// After its exit a child's last words may still be in the pipe.
constexpr std::chrono::milliseconds kLastWords{200};

class OwnedFd {
public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~OwnedFd() { reset(-1); }

  int get() const { return fd_; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

private:
  void reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  int fd_ = -1;
};

struct Pipe {
  OwnedFd read;
  OwnedFd write;
};

Result<Pipe> make_pipe() {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return fail(ErrorCode::unavailable,
                fmt::format("no pipe for a child: {}; raise the limit on open files",
                            std::strerror(errno)));
  }
  Pipe pipe{OwnedFd(ends[0]), OwnedFd(ends[1])};
  // Above the standard streams, where dup2 in the child cannot overwrite them.
  for (OwnedFd* end : {&pipe.read, &pipe.write}) {
    if (end->get() <= STDERR_FILENO) {
      *end = OwnedFd(::fcntl(end->get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    }
  }
  return pipe;
}

bool is_program(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

// The program's path, searched for as a shell would with the child's own PATH.
Result<std::string> find_program(const ChildCommand& command) {
  if (command.words.empty() || command.words.front().empty()) {
    return fail(ErrorCode::invalid_argument, "the command to start is empty");
  }
  const std::string& word = command.words.front();
  const auto absolute = [&](const std::string& path) {
    return std::filesystem::absolute(std::filesystem::path(command.directory) / path).string();
  };
  if (word.find('/') != std::string::npos) {
    if (is_program(absolute(word))) return absolute(word);
    return fail(ErrorCode::not_found, fmt::format("{} is no program that can be run", word));
  }
  const auto found = command.environment.find("PATH");
  std::string_view path = "/usr/bin:/bin";
  if (found != command.environment.end()) path = found->second;
  while (!path.empty()) {
    const std::size_t end = path.find(':');
    const std::string candidate = absolute(fmt::format("{}/{}", path.substr(0, end), word));
    if (is_program(candidate)) return candidate;
    path = end == std::string_view::npos ? std::string_view{} : path.substr(end + 1);
  }
  return fail(
      ErrorCode::not_found,
      fmt::format("there is no program \"{}\" in PATH; install it or give its full path", word));
}

// Everything that the child needs between fork and exec, made before: between the two nothing may
// allocate.
struct Launch {
  std::string program;
  std::vector<char*> words;
  std::vector<char*> environment;
  const char* directory = nullptr;
  std::array<int, 3> streams{};
  int report = -1;
  pid_t parent = 0;
};

// What the child says through the report pipe where it cannot run the program.
struct LaunchFailure {
  int step = 0;
  int error = 0;
};
enum Step { kStepOwner = 1, kStepStreams, kStepDirectory, kStepExec };

[[noreturn]] void become_program(const Launch& launch) {
  const auto give_up = [&](Step step) {
    const LaunchFailure failure{step, errno};
    const ssize_t written = ::write(launch.report, &failure, sizeof failure);
    ::_exit(written > 0 ? 127 : 126);
  };
  ::setpgid(0, 0);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up(kStepOwner);
  // The owner may have died before the line above took effect.
  if (::getppid() != launch.parent) give_up(kStepOwner);
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(launch.streams[static_cast<std::size_t>(fd)], fd) < 0) give_up(kStepStreams);
  }
  // Nothing else of ours is for the child, however it was opened.
  ::syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);
  struct sigaction by_default{};
  by_default.sa_handler = SIG_DFL;
  for (const int signal : {SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGQUIT}) {
    ::sigaction(signal, &by_default, nullptr);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (launch.directory != nullptr && ::chdir(launch.directory) != 0) give_up(kStepDirectory);
  ::execve(launch.program.c_str(), launch.words.data(), launch.environment.data());
  give_up(kStepExec);
  ::_exit(127);
}

std::string describe(const LaunchFailure& failure, const ChildCommand& command) {
  const char* why = std::strerror(failure.error);
  switch (failure.step) {
    case kStepDirectory:
      return fmt::format("cannot enter its directory {}: {}", command.directory, why);
    case kStepExec:
      return fmt::format("cannot run {}: {}", command.words.front(), why);
    default:
      return fmt::format("cannot prepare the child {}: {}", command.words.front(), why);
  }
}

// A write to a child that is gone must be an error of that write, never the end of this process.
void ignore_sigpipe() {
  struct sigaction now{};
  if (::sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) {
    now.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &now, nullptr);
  }
}

// glibc 2.36 has the call, older headers do not.
int open_pidfd(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

}  // namespace

struct ChildProcess::State {
  State(const asio::any_io_executor& executor, pid_t child)
      : pid(child),
        input(executor),
        output(executor),
        errors(executor),
        exit_fd(executor),
        changed(executor) {}
  ~State() {
    if (exited) return;
    ::kill(-pid, SIGKILL);
    reap(0);
  }

  // True once the child is reaped. `options` may be WNOHANG.
  bool reap(int options) {
    if (exited) return true;
    siginfo_t info{};
    // Looked at first, so that its id stays taken while the group is killed.
    int looked = 0;
    do {
      looked = ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT | options);
    } while (looked != 0 && errno == EINTR);
    if (looked == 0 && info.si_pid == 0) return false;
    ::kill(-pid, SIGKILL);
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG);
    exited = true;
    exit_reason =
        info.si_code == CLD_EXITED
            ? fmt::format("exit code {}", info.si_status)
            : fmt::format("killed by signal {} ({})", info.si_status, ::strsignal(info.si_status));
    return true;
  }

  pid_t pid;
  asio::posix::stream_descriptor input;
  asio::posix::stream_descriptor output;
  asio::posix::stream_descriptor errors;
  asio::posix::stream_descriptor exit_fd;
  Event changed;
  bool exited = false;
  bool errors_ended = false;
  std::string exit_reason;
  std::string stderr_tail;
};

Result<std::unique_ptr<ChildProcess>> ChildProcess::spawn(asio::any_io_executor executor,
                                                          const ChildCommand& command) {
  ignore_sigpipe();
  Launch launch;
  ASSIGN_OR_RETURN(launch.program, find_program(command));
  ASSIGN_OR_RETURN(Pipe in, make_pipe());
  ASSIGN_OR_RETURN(Pipe out, make_pipe());
  ASSIGN_OR_RETURN(Pipe err, make_pipe());
  ASSIGN_OR_RETURN(Pipe report, make_pipe());
  std::vector<std::string> words = command.words;
  std::vector<std::string> environment;
  for (const auto& [name, value] : command.environment) environment.push_back(name + "=" + value);
  for (auto& word : words) launch.words.push_back(word.data());
  for (auto& pair : environment) launch.environment.push_back(pair.data());
  launch.words.push_back(nullptr);
  launch.environment.push_back(nullptr);
  if (!command.directory.empty()) launch.directory = command.directory.c_str();
  launch.streams = {in.read.get(), out.write.get(), err.write.get()};
  launch.report = report.write.get();
  launch.parent = ::getpid();

  const pid_t pid = ::fork();
  if (pid < 0) {
    return fail(ErrorCode::unavailable,
                fmt::format("cannot start {}: {}", command.words.front(), std::strerror(errno)));
  }
  if (pid == 0) become_program(launch);
  ::setpgid(pid, pid);  // whoever of both comes first
  auto state = std::make_shared<State>(executor, pid);
  report.write = OwnedFd();
  // Ends without a byte when exec succeeds, which takes about a millisecond.
  LaunchFailure failure;
  ssize_t got = 0;
  do {
    got = ::read(report.read.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof failure)) {
    return fail(ErrorCode::unavailable, describe(failure, command));
  }
  OwnedFd exit_fd(open_pidfd(pid));
  if (exit_fd.get() < 0) {
    return fail(ErrorCode::unavailable,
                fmt::format("pidfd_open failed ({}): Gavel needs Linux 5.3", std::strerror(errno)));
  }
  state->input.assign(in.write.release());
  state->output.assign(out.read.release());
  state->errors.assign(err.read.release());
  state->exit_fd.assign(exit_fd.release());
  state->input.non_blocking(true);
  state->output.non_blocking(true);
  return std::unique_ptr<ChildProcess>(new ChildProcess(std::move(state)));
}

ChildProcess::ChildProcess(std::shared_ptr<State> state)
    : state_(std::move(state)), tasks_(state_->exit_fd.get_executor(), {}) {
  tasks_.spawn("stderr of a child", read_stderr(state_));
  tasks_.spawn("exit of a child", watch_exit(state_));
}

ChildProcess::~ChildProcess() {
  kill();
  state_->reap(0);
}

pid_t ChildProcess::pid() const {
  return state_->pid;
}
asio::posix::stream_descriptor& ChildProcess::input() {
  return state_->input;
}
asio::posix::stream_descriptor& ChildProcess::output() {
  return state_->output;
}
bool ChildProcess::has_exited() const {
  return state_->exited;
}
std::string ChildProcess::exit_reason() const {
  return state_->exit_reason;
}
const std::string& ChildProcess::stderr_tail() const {
  return state_->stderr_tail;
}

void ChildProcess::kill() {
  if (!state_->exited) ::kill(-state_->pid, SIGKILL);
}

asio::awaitable<void> ChildProcess::read_stderr(std::shared_ptr<State> state) {
  std::array<char, 8192> buffer{};
  for (;;) {
    const auto [error, size] = co_await state->errors.async_read_some(
        asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
    if (error) break;
    state->stderr_tail.append(buffer.data(), size);
    if (state->stderr_tail.size() > 2 * kStderrKeptBytes) {
      state->stderr_tail.erase(0, state->stderr_tail.size() - kStderrKeptBytes);
    }
  }
  state->errors_ended = true;
  state->changed.notify();
}

asio::awaitable<void> ChildProcess::watch_exit(std::shared_ptr<State> state) {
  for (;;) {
    const auto [error] = co_await state->exit_fd.async_wait(asio::posix::descriptor_base::wait_read,
                                                            asio::as_tuple(asio::use_awaitable));
    if (error) co_return;
    if (state->reap(WNOHANG)) break;
  }
  state->changed.notify();
}

asio::awaitable<bool> ChildProcess::wait_exit(SteadyTime deadline) {
  return wait_exit(state_, deadline);
}

asio::awaitable<bool> ChildProcess::wait_exit(std::shared_ptr<State> state, SteadyTime deadline) {
  while (!state->exited) {
    if (co_await state->changed.wait_until(deadline) != Woken::notified) co_return state->exited;
  }
  asio::steady_timer last_words(state->exit_fd.get_executor());
  last_words.expires_after(kLastWords);
  const SteadyTime until = last_words.expiry();
  while (!state->errors_ended) {
    if (co_await state->changed.wait_until(until) != Woken::notified) break;
  }
  co_return true;
}

asio::awaitable<void> ChildProcess::close(const Clock& clock, ClosePatience patience) {
  return close(state_, clock, patience);
}

asio::awaitable<void> ChildProcess::close(std::shared_ptr<State> state, const Clock& clock,
                                          ClosePatience patience) {
  boost::system::error_code ignored;  // it may be closed already
  state->input.close(ignored);
  if (co_await wait_exit(state, clock.steady() + patience.after_end_of_input)) co_return;
  ::kill(-state->pid, SIGTERM);
  if (co_await wait_exit(state, clock.steady() + patience.after_terminate)) co_return;
  ::kill(-state->pid, SIGKILL);
  co_await wait_exit(state, clock.steady() + patience.after_kill);
}

std::map<std::string, std::string> child_environment(
    const std::map<std::string, std::string>& configured) {
  std::map<std::string, std::string> environment;
  for (const char* name : {"PATH", "HOME", "LANG", "TZ"}) {
    if (const char* value = std::getenv(name)) environment[name] = value;
  }
  for (const auto& [name, value] : configured) environment[name] = value;
  return environment;
}

}  // namespace gavel
