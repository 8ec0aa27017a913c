// The whole gateway: the real daemon in front of a real stdio MCP server, on the disk that TMPDIR
// is on.
//
//   gavel_bench_gateway GAVEL FAST_SERVER
//
// gated_call_added_p50/p99  what a durable, mutating tools/call costs beyond the same call to the
// same server over its own pipe;
//                           floor: two syncs of a preallocated file, measured here
// gated_call_throughput_c64 calls per second with 64 sessions, client, gateway and server on the
// same cores idle_10k_sessions         resident memory that 10,000 idle sessions add

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "daemon.hpp"
#include "loop_client.hpp"
#include "report.hpp"

namespace gavel::bench {
namespace {

namespace fs = std::filesystem;

// With many sessions the figures are medians of so many rounds one after another: a neighbour who
// takes the machine for a second spoils a round, not the figure.
constexpr int kRounds = 7;

constexpr std::string_view kMeta =
    R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
    R"("io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},)"
    R"("io.modelcontextprotocol/clientCapabilities":{}})";

std::string policy(const std::string& server) {
  return fmt::format(
      "servers:\n  fast:\n    command: [\"{}\"]\n    concurrency: 256\n    queue: 4096\n"
      "    tools:\n      echo: {{effect: read}}\n      write: {{effect: write}}\n"
      "defaults: {{read: allow, write: allow}}\n",
      server);
}

std::string call(const Daemon& daemon, std::string_view session, std::string_view tool,
                 std::size_t n) {
  const std::string body = fmt::format(
      R"({{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"fast__{}","arguments":{{"text":"call {}"}},{}}}}})",
      n, tool, n, kMeta);
  const std::string headers = fmt::format(
      "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: fast__{}\r\n", tool);
  return daemon.post(fmt::format("/mcp?session={}", session), headers, body);
}

bool is_result(std::string_view answer) {
  return answer.starts_with("HTTP/1.1 200") &&
         answer.find("\"result\"") != std::string_view::npos &&
         answer.find("\"isError\":true") == std::string_view::npos;
}

LoopResult gated(const Daemon& daemon, std::string_view tool, std::size_t sessions,
                 std::size_t requests, std::string_view run) {
  LoopOptions options;
  options.port = daemon.port();
  options.connections = sessions;
  options.requests = requests;
  options.warmup = sessions * 20;
  options.request = [&](std::size_t c, std::size_t n) {
    return call(daemon, fmt::format("bench-{}-{}", run, c), tool, n);
  };
  options.accept = is_result;
  LoopResult result = run_loop(options);
  if (result.failures > 0)
    throw std::runtime_error(fmt::format("{} calls failed", result.failures));
  return result;
}

// The same tool over the server's own pipe, one call at a time.
std::vector<double> direct(const std::string& server, std::size_t requests) {
  LoopOptions options;
  options.requests = requests;
  options.request = [](std::size_t, std::size_t n) {
    return fmt::format(
        R"({{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"write","arguments":{{"text":"call {}"}},{}}}}})",
        n, n, kMeta);
  };
  options.accept = [](std::string_view) { return true; };
  Piped program({server});
  return run_pipe_loop(program, options).micros;
}

// One write and fdatasync of 1 KiB into a zero-filled file, as the log's committer does at best.
double sync_p50(const fs::path& directory) {
  const auto path = directory / "floor";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT, 0600);
  const std::string zeros(8u << 20, '\0');
  if (write(fd, zeros.data(), zeros.size()) < 0 || fdatasync(fd) != 0)
    throw std::runtime_error("disk");
  const std::string record(1024, 'x');
  std::vector<double> micros;
  for (int i = 0; i < 2000; ++i) {
    const auto start = SteadyClock::now();
    if (pwrite(fd, record.data(), record.size(), i * 1024) < 0 || fdatasync(fd) != 0) {
      throw std::runtime_error("disk");
    }
    micros.push_back(micros_since(start));
  }
  close(fd);
  fs::remove(path);
  return quantile(micros, 0.5);
}

void idle_sessions(const Daemon& daemon, Report& report) {
  constexpr std::size_t kSessions = 10'000;
  const double before = daemon.rss_kb();
  LoopOptions options;
  options.port = daemon.port();
  options.connections = 16;
  options.requests = kSessions;
  options.warmup = 0;
  options.request = [&](std::size_t, std::size_t n) {
    return daemon.post(fmt::format("/v1/sessions/idle-{}/wake", n), "",
                       R"({"client":"bench","reason":"idle"})");
  };
  options.accept = [](std::string_view answer) { return answer.starts_with("HTTP/1.1 200"); };
  const LoopResult result = run_loop(options);
  if (result.failures > 0) throw std::runtime_error("a session could not be opened");
  report.add("idle_10k_sessions", (daemon.rss_kb() - before) / 1024, "MB");
}

int run(const std::string& gavel, const std::string& server) {
  const char* temporary = std::getenv("TMPDIR");
  std::string pattern =
      fmt::format("{}/gavel-bench-XXXXXX", temporary == nullptr ? "/tmp" : temporary);
  const fs::path directory = mkdtemp(pattern.data());
  Report report;
  {
    const double sync = sync_p50(directory);
    report.add("sync_p50", sync, "us");
    auto direct_micros = direct(server, 5000);
    const double direct_p50 = quantile(direct_micros, 0.5);
    const double direct_p99 = quantile(direct_micros, 0.99);
    report.add("direct_call_p50", direct_p50, "us");
    const Daemon daemon(gavel, directory, policy(server));
    idle_sessions(daemon, report);
    auto one = gated(daemon, "write", 1, 5000, "c1");
    report.add("gated_call_added_p50", quantile(one.micros, 0.5) - direct_p50, "us", 2 * sync);
    auto read = gated(daemon, "echo", 1, 5000, "r1");
    report.add("gated_read_added_p50", quantile(read.micros, 0.5) - direct_p50, "us", sync);
    std::vector<double> p50;
    std::vector<double> p99;
    for (int round = 0; round < kRounds; ++round) {
      auto sixteen = gated(daemon, "write", 16, 6'000, "c16");
      p50.push_back(quantile(sixteen.micros, 0.5));
      p99.push_back(quantile(sixteen.micros, 0.99));
    }
    report.add("gated_call_added_p50_c16", quantile(p50, 0.5) - direct_p50, "us", 2 * sync);
    report.add("gated_call_added_p99", quantile(p99, 0.5) - direct_p99, "us", 2 * sync);
    std::vector<double> per_second;
    for (int round = 0; round < kRounds; ++round) {
      const auto many = gated(daemon, "write", 64, 10'000, "c64");
      per_second.push_back(static_cast<double>(many.micros.size()) / many.seconds);
    }
    report.add("gated_call_throughput_c64", quantile(per_second, 0.5), "calls/s");
  }
  fs::remove_all(directory);
  report.print();
  return 0;
}

}  // namespace
}  // namespace gavel::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: gavel_bench_gateway GAVEL FAST_SERVER\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  try {
    return gavel::bench::run(argv[1], argv[2]);
  } catch (const std::exception& e) {
    fmt::print(stderr, "gavel_bench_gateway: {}\n", e.what());
    return 1;
  }
}
