// MCP through Gavel, and the same server asked directly, turn by turn in one run.
//
//   gavel_bench_mcp GAVEL FAST_SERVER
//
// mcp_WAY_added_p50, _p99  what Gavel adds to a tools/call of a read, with one caller and with 16
//                          and 64 (_c16, _c64); floor: the direct call, as another hop costs that
// mcp_WAY_throughput_cN    such calls per second with N callers; floor: directly
// mcp_http_read_durable_*  the same where each answer waits until it is on disk
// mcp_list_1000_tools      tools/list over 50 servers with 20 tools each, known already; floor: one
//                          server with 1,000 tools
// mcp_start_50_upstreams   from nothing to that list; floor: the 50 servers alone, started together
//
// WAY: what the server speaks: http and stdio of 2026-07-28, http_2025 and stdio_2025 of
// 2025-11-25. Gavel is called over HTTP in the same era. wrapped: `gavel mcp -- server`, whose
// calls are no reads, as nobody vouched for them: each waits for the disk twice.

#include <fmt/format.h>
#include <signal.h>

#include <filesystem>
#include <memory>
#include <stdexcept>

#include "base/json.hpp"
#include "daemon.hpp"
#include "loop_client.hpp"
#include "report.hpp"

namespace gavel::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kRounds = 5;
constexpr std::size_t kServers = 50;
constexpr std::size_t kToolsPerServer = 20;
constexpr std::string_view kModern = "2026-07-28";
constexpr std::string_view kLegacy = "2025-11-25";
constexpr std::string_view kMeta =
    R"(,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
    R"("io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},)"
    R"("io.modelcontextprotocol/clientCapabilities":{}})";

constexpr std::string_view kSessionHeader = "Mcp-Session-Id: ";

enum class Transport { http, stdio };

// Whether a read waits for the disk before it is answered.
enum class Answered { durable, at_once };

struct Way {
  std::string name;  // in the figures
  std::string server;
  Transport transport;
  std::string_view era;
};

// Of one set of calls.
struct Sample {
  double p50 = 0;
  double p99 = 0;
  double per_second = 0;
};

Sample sample_of(LoopResult result) {
  if (result.failures > 0) {
    throw std::runtime_error(fmt::format("{} calls failed", result.failures));
  }
  return {quantile(result.micros, 0.5), quantile(result.micros, 0.99),
          static_cast<double>(result.micros.size()) / result.seconds};
}

double median(std::vector<double> values) {
  return quantile(values, 0.5);
}

std::string request(std::string_view method, std::string_view params, std::string_view era,
                    std::size_t id) {
  // `params` are members; the metadata goes behind them.
  std::string inside(params);
  if (era == kModern) inside += kMeta;
  if (inside.starts_with(',')) inside.erase(0, 1);
  return fmt::format(R"({{"jsonrpc":"2.0","id":{},"method":"{}","params":{{{}}}}})", id, method,
                     inside);
}

std::string read_call(std::string_view era, std::size_t n) {
  return request("tools/call", fmt::format(R"("name":"echo","arguments":{{"text":"call {}"}})", n),
                 era, n);
}

std::string headers(std::string_view era, std::string_view method, std::string_view name = {}) {
  auto lines = fmt::format("MCP-Protocol-Version: {}\r\n", era);
  if (era == kLegacy) return lines;
  lines += fmt::format("Mcp-Method: {}\r\n", method);
  if (!name.empty()) lines += fmt::format("Mcp-Name: {}\r\n", name);
  return lines;
}

bool is_result(std::string_view answer) {
  return answer.find("\"result\"") != std::string_view::npos &&
         answer.find("\"isError\":true") == std::string_view::npos;
}

std::string initialize(std::size_t id) {
  return request("initialize",
                 R"("protocolVersion":"2025-11-25","capabilities":{},)"
                 R"("clientInfo":{"name":"bench","version":"1"})",
                 kLegacy, id);
}

// A fast server over HTTP.
class WebServer {
public:
  WebServer(const std::string& program, std::vector<std::string> options)
      : piped_(command(program, std::move(options))), port_(std::stoi(piped_.line())) {}

  int port() const { return port_; }
  std::string post(std::string_view extra, std::string_view body) const {
    return fmt::format(
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\n{}Content-Length: {}\r\n\r\n{}",
        port_, extra, body.size(), body);
  }

private:
  static std::vector<std::string> command(const std::string& program,
                                          std::vector<std::string> options) {
    options.insert(options.begin(), {program, "http"});
    return options;
  }
  Piped piped_;
  int port_;
};

// --- calls ---

// One way to call, directly or through Gavel.
class Path {
public:
  virtual ~Path() = default;
  virtual LoopResult run(LoopOptions options) = 0;
};

class DirectHttp : public Path {
public:
  DirectHttp(const WebServer& server, std::string_view era) : server_(server), era_(era) {}
  LoopResult run(LoopOptions options) override {
    options.port = server_.port();
    options.request = [this](std::size_t, std::size_t n) {
      return server_.post(headers(era_, "tools/call", "echo"), read_call(era_, n));
    };
    return run_loop(options);
  }

private:
  const WebServer& server_;
  std::string_view era_;
};

class GavelHttp : public Path {
public:
  GavelHttp(const Daemon& daemon, std::string server, std::string_view era)
      : daemon_(daemon), server_(std::move(server)), era_(era) {}
  LoopResult run(LoopOptions options) override {
    while (era_ == kLegacy && sessions_.size() < options.connections) open_session();
    options.port = daemon_.port();
    options.request = [this](std::size_t c, std::size_t n) {
      auto lines = headers(era_, "tools/call", "echo");
      if (era_ == kLegacy) lines += fmt::format("{}{}\r\n", kSessionHeader, sessions_.at(c));
      // Numbers run on, so that no call is one that was made before.
      return daemon_.post(fmt::format("/mcp?server={}&session={}-{}", server_, server_, c), lines,
                          read_call(era_, calls_ + n));
    };
    const LoopResult result = run_loop(options);
    calls_ += options.requests + options.warmup;
    return result;
  }

private:
  void open_session() {
    LoopOptions options;
    options.port = daemon_.port();
    options.requests = 1;
    options.warmup = 0;
    options.request = [this](std::size_t, std::size_t) {
      return daemon_.post(fmt::format("/mcp?server={}", server_), "", initialize(0));
    };
    options.accept = [this](std::string_view answer) {
      const auto at = answer.find(kSessionHeader);
      if (at == std::string_view::npos) return false;
      const auto begin = at + kSessionHeader.size();
      sessions_.emplace_back(answer.substr(begin, answer.find('\r', begin) - begin));
      return true;
    };
    if (run_loop(options).failures > 0) throw std::runtime_error("initialize was refused");
  }

  const Daemon& daemon_;
  std::string server_;
  std::string_view era_;
  std::vector<std::string> sessions_;
  std::size_t calls_ = 0;
};

class Stdio : public Path {
public:
  Stdio(const std::vector<std::string>& command, std::string_view era)
      : program_(command), era_(era) {
    if (era_ != kLegacy) return;
    program_.send(initialize(0));
    program_.line();
    program_.send(R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
  }
  LoopResult run(LoopOptions options) override {
    options.request = [this](std::size_t, std::size_t n) {
      // The id is what the loop counts by; the text is another each time.
      return request("tools/call",
                     fmt::format(R"("name":"echo","arguments":{{"text":"call {}"}})", calls_++),
                     era_, n);
    };
    return run_pipe_loop(program_, options);
  }

private:
  Piped program_;
  std::string_view era_;
  std::size_t calls_ = 0;
};

struct Callers {
  std::size_t count;
  std::size_t requests;
  std::string suffix;  // of the figure's name
};

Sample measure(Path& path, const Callers& callers) {
  LoopOptions options;
  options.connections = callers.count;
  options.requests = callers.requests;
  options.warmup = callers.count * 10;
  options.accept = is_result;
  return sample_of(path.run(std::move(options)));
}

void compare(const std::string& name, Path& direct, Path& through, const Callers& callers,
             Report& report) {
  std::vector<double> p50;
  std::vector<double> p99;
  std::vector<double> per_second;
  std::vector<double> floor_p50;
  std::vector<double> floor_p99;
  std::vector<double> floor_per_second;
  for (int round = 0; round < kRounds; ++round) {
    const Sample floor = measure(direct, callers);
    const Sample gavel = measure(through, callers);
    p50.push_back(gavel.p50 - floor.p50);
    p99.push_back(gavel.p99 - floor.p99);
    per_second.push_back(gavel.per_second);
    floor_p50.push_back(floor.p50);
    floor_p99.push_back(floor.p99);
    floor_per_second.push_back(floor.per_second);
  }
  report.add(fmt::format("mcp_{}_added_p50{}", name, callers.suffix), median(p50), "us",
             median(floor_p50));
  report.add(fmt::format("mcp_{}_added_p99{}", name, callers.suffix), median(p99), "us",
             median(floor_p99));
  report.add(fmt::format("mcp_{}_throughput_c{}", name, callers.count), median(per_second),
             "calls/s", median(floor_per_second));
}

// --- what is measured ---

std::string server_entry(const std::string& name, const std::string& where, Answered answered) {
  return fmt::format(
      "  {}:\n    {}\n    concurrency: 256\n    queue: 4096\n"
      "    tools: {{echo: {{effect: read, answer_before_recorded: {}}}}}\n",
      name, where, answered == Answered::at_once);
}

void calls(const std::string& gavel, const std::string& server, const fs::path& directory,
           Report& report) {
  const WebServer modern(server, {});
  const WebServer legacy(server, {"legacy"});
  const std::vector<Way> ways{{"http", "http", Transport::http, kModern},
                              {"http_2025", "http-2025", Transport::http, kLegacy},
                              {"stdio", "stdio", Transport::stdio, kModern},
                              {"stdio_2025", "stdio-2025", Transport::stdio, kLegacy}};
  const std::vector<Callers> callers{{1, 500, ""}, {16, 3000, "_c16"}, {64, 6000, "_c64"}};
  const auto of_era = [&](std::string_view era) -> const WebServer& {
    return era == kModern ? modern : legacy;
  };
  const auto program = [&](std::string_view era) {
    std::vector<std::string> command{server};
    if (era == kLegacy) command.emplace_back("legacy");
    return command;
  };
  const auto policy = [&](Answered answered) {
    std::string made =
        "defaults: {read: allow}\n"
        "rules: [{name: wrapped, tools: [\"wrapped__*\"], verdict: allow, reason: measured}]\n"
        "servers:\n";
    for (const auto& way : ways) {
      const std::string where =
          way.transport == Transport::http
              ? fmt::format("url: http://127.0.0.1:{}/mcp", of_era(way.era).port())
              : fmt::format("command: [\"{}\"{}]", server, way.era == kModern ? "" : ", legacy");
      made += server_entry(way.server, where, answered);
    }
    return made;
  };
  const auto compare_all = [&](const Daemon& daemon, const Way& way, const std::string& figure) {
    std::unique_ptr<Path> direct;
    std::unique_ptr<Path> through;
    if (way.transport == Transport::http) {
      direct = std::make_unique<DirectHttp>(of_era(way.era), way.era);
      through = std::make_unique<GavelHttp>(daemon, way.server, way.era);
    } else {
      direct = std::make_unique<Stdio>(program(way.era), way.era);
      through = std::make_unique<GavelHttp>(daemon, way.server, way.era);
    }
    for (const auto& each : callers) compare(figure, *direct, *through, each, report);
  };
  const Daemon durable(gavel, directory / "durable", policy(Answered::durable));
  compare_all(durable, ways.front(), "http_read_durable");
  const Daemon at_once(gavel, directory / "at-once", policy(Answered::at_once));
  for (const auto& way : ways) compare_all(at_once, way, way.name);
  Stdio direct({server}, kModern);
  Stdio wrapped({gavel, "mcp", "--state", at_once.state(), "--name", "wrapped", "--", server},
                kModern);
  for (const auto& each : callers) compare("wrapped", direct, wrapped, each, report);
}

// Asks for tools/list until the answer has so many tools; the micros of each of `times` answers.
std::vector<double> lists(const LoopOptions& base, std::size_t times) {
  LoopOptions options = base;
  options.requests = times;
  options.warmup = 0;
  options.accept = [](std::string_view answer) {
    std::size_t tools = 0;
    constexpr std::string_view kTool = "\"inputSchema\"";
    for (auto at = answer.find(kTool); at != std::string_view::npos;
         at = answer.find(kTool, at + 1)) {
      ++tools;
    }
    return tools == kServers * kToolsPerServer;
  };
  LoopResult result = run_loop(options);
  if (result.failures > 0) throw std::runtime_error("a list lacks tools");
  return result.micros;
}

double start_alone(const std::string& server) {
  const auto start = SteadyClock::now();
  std::vector<std::unique_ptr<Piped>> all;
  for (std::size_t i = 0; i < kServers; ++i) {
    all.push_back(std::make_unique<Piped>(
        std::vector<std::string>{server, fmt::format("tools={}", kToolsPerServer)}));
    all.back()->send(request("tools/list", "", kModern, 1));
  }
  for (const auto& each : all) each->line();
  return micros_since(start) / 1000;
}

void listing(const std::string& gavel, const std::string& server, const fs::path& directory,
             Report& report) {
  std::string policy = "servers:\n";
  for (std::size_t i = 0; i < kServers; ++i) {
    policy += fmt::format("  server-{}:\n    command: [\"{}\", \"tools={}\"]\n", i, server,
                          kToolsPerServer);
  }
  const WebServer whole(server, {fmt::format("tools={}", kServers * kToolsPerServer)});
  const std::string body = request("tools/list", "", kModern, 1);
  const std::string lines = headers(kModern, "tools/list");
  LoopOptions direct;
  direct.port = whole.port();
  direct.request = [&](std::size_t, std::size_t) { return whole.post(lines, body); };
  std::vector<double> started;
  std::vector<double> alone;
  std::vector<double> listed;
  std::vector<double> floor;
  for (int round = 0; round < kRounds; ++round) {
    alone.push_back(start_alone(server));
    const auto start = SteadyClock::now();
    const Daemon daemon(gavel, directory / fmt::format("list-{}", round), policy);
    LoopOptions through;
    through.port = daemon.port();
    through.request = [&](std::size_t, std::size_t) { return daemon.post("/mcp", lines, body); };
    lists(through, 1);
    started.push_back(micros_since(start) / 1000);
    auto warm = lists(through, 40);
    listed.push_back(quantile(warm, 0.5) / 1000);
    auto plain = lists(direct, 40);
    floor.push_back(quantile(plain, 0.5) / 1000);
  }
  report.add("mcp_list_1000_tools", median(listed), "ms", median(floor));
  report.add("mcp_start_50_upstreams", median(started), "ms", median(alone));
}

int run(const std::string& gavel, const std::string& server) {
  const char* temporary = std::getenv("TMPDIR");
  std::string pattern =
      fmt::format("{}/gavel-bench-XXXXXX", temporary == nullptr ? "/tmp" : temporary);
  const fs::path directory = mkdtemp(pattern.data());
  Report report;
  calls(gavel, server, directory, report);
  listing(gavel, server, directory, report);
  fs::remove_all(directory);
  report.print();
  return 0;
}

}  // namespace
}  // namespace gavel::bench

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: gavel_bench_mcp GAVEL FAST_SERVER\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  try {
    return gavel::bench::run(argv[1], argv[2]);
  } catch (const std::exception& e) {
    fmt::print(stderr, "gavel_bench_mcp: {}\n", e.what());
    return 1;
  }
}
