#include "cli/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/text.hpp"

namespace gavel {
namespace {

// What a wrapper passes on. The terminal sends its own signals to the whole group already, so those
// that come from the kernel are not forwarded.
constexpr std::array kForwarded = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

sigset_t awaited_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  for (const int signal : kForwarded) sigaddset(&set, signal);
  return set;
}

// Blocks the awaited signals while it lives.
class SignalBlock {
public:
  SignalBlock() {
    const auto set = awaited_signals();
    ::pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  ~SignalBlock() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalBlock(const SignalBlock&) = delete;
  SignalBlock& operator=(const SignalBlock&) = delete;
  const sigset_t& before() const { return before_; }

private:
  sigset_t before_{};
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

std::unexpected<Error> cannot_start(const std::string& program, int error) {
  const auto name = for_display(program, 200);
  if (error == ENOENT) {
    return fail(ErrorCode::not_found,
                fmt::format("cannot start \"{}\": no such program in PATH", name));
  }
  const auto code = error == EACCES ? ErrorCode::permission_denied : ErrorCode::unavailable;
  return fail(code, fmt::format("cannot start \"{}\": {}", name, std::strerror(error)));
}

int code_of(int status) {
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  return 128 + WTERMSIG(status);
}

int wait_forwarding(pid_t child) {
  const auto set = awaited_signals();
  for (;;) {
    siginfo_t info{};
    const int signal = ::sigwaitinfo(&set, &info);
    if (signal < 0) continue;
    if (signal == SIGCHLD) {
      int status = 0;
      if (::waitpid(child, &status, WNOHANG) == child) return code_of(status);
    } else if (info.si_code != SI_KERNEL) {
      ::kill(child, signal);
    }
  }
}

}  // namespace

Result<int> run_child(const std::vector<std::string>& command, const Environment& environment) {
  std::vector<std::string> words = command;
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);

  const SignalBlock block;
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  ::posix_spawnattr_setsigmask(&attributes, &block.before());
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, words.front().c_str(), nullptr, &attributes,
                                   pointers(words).data(), pointers(variables).data());
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return cannot_start(words.front(), error);
  return wait_forwarding(child);
}

namespace {

constexpr std::size_t kErrBytesMax = 64u << 10;

// A file in memory.
class Scratch {
public:
  Scratch() : fd_(::memfd_create("gavel", MFD_CLOEXEC)) {}
  ~Scratch() {
    if (fd_ >= 0) ::close(fd_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  int fd() const { return fd_; }

  bool fill(std::string_view text) const {
    while (!text.empty()) {
      const auto written = ::write(fd_, text.data(), text.size());
      if (written <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    return ::lseek(fd_, 0, SEEK_SET) == 0;
  }
  std::string text() const {
    std::string out(kErrBytesMax, '\0');
    const auto got = ::pread(fd_, out.data(), out.size(), 0);
    out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return out;
  }

private:
  int fd_;
};

// Whether the child ended in time; it is waited for afterwards in any case.
bool ends_within(pid_t child, std::chrono::milliseconds patience) {
  // The header of Debian 12 declares pidfd_open for C alone.
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  pollfd watched{.fd = handle, .events = POLLIN, .revents = 0};
  const bool ended = handle >= 0 && ::poll(&watched, 1, static_cast<int>(patience.count())) == 1;
  if (handle >= 0) ::close(handle);
  if (!ended) ::kill(-child, SIGKILL);
  return ended;
}

}  // namespace

Result<Ended> run_with_input(const std::vector<std::string>& command,
                             const Environment& environment, std::string_view input,
                             std::chrono::milliseconds patience) {
  const Scratch in;
  const Scratch err;
  if (in.fd() < 0 || err.fd() < 0 || !in.fill(input)) {
    return fail(ErrorCode::unavailable, "there is no memory for another program's input");
  }
  std::vector<std::string> words = command;
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, in.fd(), STDIN_FILENO);
  ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, err.fd(), STDERR_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, words.front().c_str(), &files, &attributes,
                                   pointers(words).data(), pointers(variables).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) return cannot_start(words.front(), error);
  const bool ended = ends_within(child, patience);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (!ended) {
    return fail(ErrorCode::timeout,
                fmt::format("no answer within {} ms: {}", patience.count(), err.text()));
  }
  return Ended{code_of(status), err.text()};
}

Result<pid_t> start_detached(const std::vector<std::string>& command,
                             const std::filesystem::path& log) {
  std::vector<std::string> words = command;
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  pid_t child = 0;
  const int error = ::posix_spawn(&child, words.front().c_str(), &files, &attributes,
                                  pointers(words).data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) return cannot_start(words.front(), error);
  return child;
}

std::optional<int> exit_code_of(pid_t child) {
  int status = 0;
  if (::waitpid(child, &status, WNOHANG) != child) return std::nullopt;
  return code_of(status);
}

}  // namespace gavel
