#include "daemon.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "base/json.hpp"
#include "report.hpp"

namespace gavel::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPoll{5};
constexpr int kPollsMax = 2000;

std::string read_file(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

[[noreturn]] void execute(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  execv(words[0], words.data());
  _exit(127);
}

}  // namespace

Daemon::Daemon(const std::string& gavel, fs::path directory, std::string_view policy)
    : directory_(std::move(directory)) {
  fs::create_directories(directory_);
  const fs::path file = directory_ / "gavel.yaml";
  const fs::path log_file = directory_ / "daemon.log";
  std::ofstream(file) << policy;
  pid_ = fork();
  if (pid_ == 0) {
    const int log = open(log_file.c_str(), O_WRONLY | O_CREAT, 0600);
    dup2(log, 1);
    dup2(log, 2);
    execute({gavel, "up", "--config", file, "--state", state(), "--listen", "127.0.0.1:0"});
  }
  for (int i = 0; i < kPollsMax && port_ == 0; ++i) {
    std::this_thread::sleep_for(kPoll);
    const auto about = parse_json(read_file(directory_ / "state" / "daemon.json"));
    if (!about) continue;
    const std::string url(string_or(*about, "url"));
    port_ = std::stoi(url.substr(url.rfind(':') + 1));
  }
  if (port_ == 0) throw std::runtime_error("the daemon did not start:\n" + read_file(log_file));
  const auto token = parse_json(read_file(directory_ / "state" / "tokens" / "agent.json"));
  token_ = string_or(token.value(), "token");
}

Daemon::~Daemon() {
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

double Daemon::rss_kb() const {
  std::ifstream in(fmt::format("/proc/{}/status", pid_));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6));
  }
  return 0;
}

std::string Daemon::post(std::string_view target, std::string_view extra,
                         std::string_view body) const {
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}\r\nContent-Type: "
      "application/json\r\n"
      "Accept: application/json, text/event-stream\r\n{}Content-Length: {}\r\n\r\n{}",
      target, port_, token_, extra, body.size(), body);
}

Piped::Piped(const std::vector<std::string>& command) {
  std::array<int, 2> to{};
  std::array<int, 2> from{};
  if (pipe2(to.data(), O_CLOEXEC) != 0 || pipe2(from.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error("pipe");
  }
  pid_ = fork();
  if (pid_ == 0) {
    dup2(to[0], 0);
    dup2(from[1], 1);
    execute(command);
  }
  close(to[0]);
  close(from[1]);
  to_ = to[1];
  from_ = from[0];
}

Piped::~Piped() {
  close(to_);
  close(from_);
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

void Piped::send(std::string_view line) const {
  std::string bytes(line);
  bytes += '\n';
  for (std::string_view left = bytes; !left.empty();) {
    const ssize_t n = write(to_, left.data(), left.size());
    if (n <= 0) throw std::runtime_error("the program died");
    left.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string Piped::line() {
  std::array<char, 65536> buffer{};
  std::size_t end = in_.find('\n');
  while (end == std::string::npos) {
    const ssize_t got = read(from_, buffer.data(), buffer.size());
    if (got <= 0) throw std::runtime_error("the program died");
    const std::size_t before = in_.size();
    in_.append(buffer.data(), static_cast<std::size_t>(got));
    end = in_.find('\n', before);
  }
  std::string found = in_.substr(0, end);
  in_.erase(0, end + 1);
  return found;
}

LoopResult run_pipe_loop(Piped& program, const LoopOptions& options) {
  const std::size_t total = options.requests + options.warmup;
  std::vector<SteadyClock::time_point> sent(total);
  LoopResult result;
  result.micros.reserve(options.requests);
  std::size_t next = 0;
  const auto send_next = [&] {
    if (next >= total) return;
    const std::string bytes = options.request(0, next);
    sent[next++] = SteadyClock::now();
    program.send(bytes);
  };
  for (std::size_t c = 0; c < options.connections; ++c) send_next();
  SteadyClock::time_point start = SteadyClock::now();
  for (std::size_t done = 0; done < total;) {
    const std::string answer = program.line();
    const auto id = json_slice(answer, {"id"});
    std::size_t n = total;
    std::from_chars(id.data(), id.data() + id.size(), n);
    if (n >= total) continue;
    if (n >= options.warmup) result.micros.push_back(micros_since(sent[n]));
    if (!options.accept(answer)) ++result.failures;
    if (++done == options.warmup) start = SteadyClock::now();
    send_next();
  }
  result.seconds = micros_since(start) / 1e6;
  return result;
}

}  // namespace gavel::bench
