#include "cli/daemon.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/text.hpp"
#include "cli/child.hpp"
#include "cli/discovery.hpp"

namespace gavel {
namespace {

constexpr std::chrono::seconds kProbePatience{5};
constexpr std::chrono::seconds kStartPatience{30};
constexpr std::chrono::milliseconds kProbeEvery{50};

// Held by the one process that starts the daemon.
class StartLock {
public:
  static Result<StartLock> take(const std::filesystem::path& file) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
      return fail(ErrorCode::permission_denied,
                  fmt::format("cannot open {}: {}", file.string(), std::strerror(errno)));
    }
    StartLock lock(fd);
    const auto deadline = deadline_in(kStartPatience);
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (std::chrono::steady_clock::now() > deadline) {
        return fail(ErrorCode::timeout,
                    fmt::format("another process is starting a daemon and holds {}; try again",
                                file.string()));
      }
      std::this_thread::sleep_for(kProbeEvery);
    }
    return lock;
  }

  explicit StartLock(int fd) : fd_(fd) {}
  StartLock(StartLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  StartLock& operator=(StartLock&&) = delete;
  ~StartLock() {
    if (fd_ >= 0) ::close(fd_);
  }

private:
  int fd_;
};

std::string last_line(const std::filesystem::path& log) {
  const auto text = read_text_file(log);
  if (!text) return {};
  std::string_view rest = *text;
  while (rest.ends_with('\n')) rest.remove_suffix(1);
  const auto line = rest.rfind('\n');
  return for_display(line == std::string_view::npos ? rest : rest.substr(line + 1), 500);
}

// Whether something answers where daemon.json says.
bool is_running(const std::filesystem::path& state) {
  const auto record = read_daemon_record(state);
  return record && *record && answers(address_of(**record));
}

// Starts one and waits until it answers. already_exists where the port is taken. `listen` may be
// empty: what the policy says.
Result<pid_t> start_daemon(const Context& context, const std::filesystem::path& state,
                           const std::filesystem::path& log, std::string_view listen) {
  std::vector<std::string> command{context.world().program, "up", "--state", state.string()};
  if (!listen.empty()) command.insert(command.end(), {"--listen", std::string(listen)});
  ASSIGN_OR_RETURN(const auto child, start_detached(command, log));
  const auto deadline = deadline_in(kStartPatience);
  while (!is_running(state)) {
    if (const auto code = exit_code_of(child)) {
      const bool taken = *code == mapping(ErrorCode::already_exists).exit_code;
      return fail(taken ? ErrorCode::already_exists : ErrorCode::unavailable,
                  fmt::format("gavel up did not start: {} (all of it in {})", last_line(log),
                              log.string()));
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return fail(ErrorCode::timeout, fmt::format("gavel up was not ready after {} s; see {}",
                                                  kStartPatience.count(), log.string()));
    }
    std::this_thread::sleep_for(kProbeEvery);
  }
  return child;
}

}  // namespace

bool answers(const DaemonAddress& address) {
  auto endpoint = parse_endpoint(address.url);
  if (!endpoint) return false;
  endpoint->trust = address.trust;
  HttpSend request;
  request.target = "/v1/health";
  return HttpClient(*endpoint).send(request, deadline_in(kProbePatience)).has_value();
}

Status ensure_daemon(const Context& context) {
  ASSIGN_OR_RETURN(const auto state, context.state());
  // Where an address was given, that daemon is meant and no other.
  if (!context.globals().url.empty() || context.world().variable("GAVEL_URL")) {
    ASSIGN_OR_RETURN(const auto address, context.daemon_address());
    if (answers(address)) return {};
    return fail(ErrorCode::unavailable,
                fmt::format("no daemon at {}; start it with: gavel up", address.url));
  }
  if (is_running(state)) return {};
  std::error_code error;
  std::filesystem::create_directories(state, error);
  if (error) {
    return fail(ErrorCode::permission_denied, fmt::format("cannot make the state directory {}: {}",
                                                          state.string(), error.message()));
  }
  ::chmod(state.c_str(), 0700);
  ASSIGN_OR_RETURN(const auto lock, StartLock::take(state / "start.lock"));
  if (is_running(state)) return {};
  const auto log = state / "gavel.log";
  auto started = start_daemon(context, state, log, {});
  // Somebody else's daemon may have the usual port; daemon.json tells clients of any other.
  if (!started && started.error().code == ErrorCode::already_exists) {
    started = start_daemon(context, state, log, "127.0.0.1:0");
  }
  if (!started) return std::unexpected(started.error());
  context.note(fmt::format("gavel: no daemon ran, so gavel up was started: pid {}, log {}",
                           *started, log.string()));
  return {};
}

}  // namespace gavel
