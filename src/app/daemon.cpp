#include "app/daemon.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>

#include "app/file_lookups.hpp"
#include "app/machine.hpp"
#include "app/oauth_files.hpp"
#include "app/run_loop.hpp"
#include "app/state_directory.hpp"
#include "base/text.hpp"
#include "cli/links.hpp"
#include "core/codec.hpp"
#include "gateway/auth.hpp"
#include "gateway/gateway.hpp"
#include "log/rocks_log.hpp"
#include "policy/parse.hpp"
#include "runtime/local_harness.hpp"
#include "runtime/upstream_factory.hpp"

namespace gavel {
namespace {

namespace fs = std::filesystem;

int complain(const Error& error) {
  fmt::print(stderr, "gavel: {}\n", error.message);
  return mapping(error.code).exit_code;
}

// One line on stderr: time, what. What it says comes from outside too, so it cannot move the
// cursor.
class StderrLog {
public:
  explicit StderrLog(const Clock& clock) : clock_(clock) {}
  void operator()(std::string_view line) const {
    // fmt::print throws where nothing can be written: on a full disk the daemon would die of its
    // log.
    const auto text = fmt::format("{} {}\n", to_iso8601(clock_.now()), for_display(line, 4096));
    std::fwrite(text.data(), 1, text.size(), stderr);
  }

private:
  const Clock& clock_;
};

// Connections, children and RocksDB's files all take descriptors; the usual soft limit of 1,024 is
// a trap.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Result<std::shared_ptr<const Policy>> load_policy(const UpOptions& options) {
  fs::path path = options.config_path;
  if (path.empty()) {
    const fs::path usual = fs::path(options.state_directory) / "gavel.yaml";
    std::error_code ignored;
    if (!fs::exists(usual, ignored)) return default_policy();
    path = usual;
  }
  ASSIGN_OR_RETURN(const auto text, read_file(path));
  return parse_policy(text, path.string());
}

// Where this machine's programs find a daemon that listens on `endpoint`.
std::string reachable(std::string_view endpoint) {
  for (const auto& [every, loopback] :
       {std::pair<std::string_view, std::string_view>{"0.0.0.0:", "127.0.0.1:"},
        std::pair<std::string_view, std::string_view>{"[::]:", "[::1]:"}}) {
    if (endpoint.starts_with(every)) {
      return std::string(loopback).append(endpoint.substr(every.size()));
    }
  }
  return std::string(endpoint);
}

// The daemon's parts, made in this order and destroyed in the reverse.
class Daemon {
public:
  explicit Daemon(const UpOptions& options)
      : options_(options),
        say_(clock_),
        logins_(fs::path(options.state_directory) / "oauth"),
        io_(1),
        signals_(io_) {}

  int run() {
    if (const auto ready = open(); !ready) return complain(ready.error());
    signals_.add(SIGINT);
    signals_.add(SIGTERM);
    signals_.add(SIGHUP);
    await_signal();
    run_loop(io_, clock_, std::chrono::microseconds(options_.poll_micros));
    return exit_code_;
  }

private:
  // A failure ends the daemon.
  void spawn(asio::awaitable<void> task) {
    asio::co_spawn(io_, std::move(task), [](const std::exception_ptr& failed) {
      if (failed) std::rethrow_exception(failed);
    });
  }

  void await_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      if (signal != SIGHUP) return stop();
      spawn(reload());
      await_signal();
    });
  }

  // As POST /v1/policy/reload, for whoever may send this process a signal.
  asio::awaitable<void> reload() {
    auto policy = load_policy(options_);
    if (!policy) {
      say_(fmt::format("the policy stays as it was: {}", policy.error().message));
      co_return;
    }
    const auto change =
        co_await harness_->adopt(std::move(*policy), {Principal{"gavel"}, {Role::admin}});
    if (!change) say_(fmt::format("the policy stays as it was: {}", change.error().message));
    if (!change || change->takes_restart.empty()) co_return;
    say_(fmt::format("these options take a restart: {}", fmt::join(change->takes_restart, ", ")));
  }

  Status open() {
    state_ = options_.state_directory;
    TRY(prepare_state_directory(state_));
    TRY(create_default_tokens(state_));
    ASSIGN_OR_RETURN(policy_, load_policy(options_));

    RocksOptions store;
    store.directory = (state_ / "store").string();
    store.on_failure = [this](const Error& error) {
      asio::post(io_, [this, error] {
        say_(fmt::format("THE STORE HAS FAILED, nothing more is accepted: {}", error.message));
        exit_code_ = mapping(error.code).exit_code;
      });
    };
    ASSIGN_OR_RETURN(log_, open_rocks_log(store));

    LocalHarnessOptions harness;
    harness.executor = io_.get_executor();
    harness.log = log_.get();
    harness.clock = &clock_;
    harness.random = &random_;
    harness.policy = policy_;
    harness.make_upstream = [this](const ServerSpec& spec, UpstreamEvents events) {
      return make_machine_upstream(spec, std::move(events));
    };
    harness.log_line = [this](std::string_view line) { say_(line); };
    harness_ = std::make_unique<LocalHarness>(std::move(harness));
    TRY(harness_->start());

    GatewayOptions gateway;
    gateway.tokens_directory = state_ / "tokens";
    const auto& daemon = policy_->daemon();
    gateway.http.listen = {options_.listen.empty() ? daemon.listen : options_.listen};
    gateway.hosts = daemon.hosts;
    if (daemon.tls) gateway.http.tls = TlsFiles{daemon.tls->certificate, daemon.tls->key};
    gateway.api.version = kVersion;
    gateway.api.load_policy = [this] { return load_policy(options_); };
    gateway.api.follow_links = [this](json::object arguments) {
      return lookups_.look_up(std::move(arguments));
    };
    gateway.mcp.version = kVersion;
    gateway.mcp.patience = daemon.hold_patience;
    gateway.mcp.patience_with_progress = daemon.hold_patience_with_progress;
    gateway.mcp.session_idle = daemon.session_idle;
    if (options_.log_level == "debug") {
      gateway.http.on_request = [this](const RequestLog& request) {
        say_(fmt::format("{} {} {} {} us", request.method, request.path, request.status,
                         request.took.count()));
      };
    }
    ASSIGN_OR_RETURN(gateway_, Gateway::start(io_.get_executor(), *harness_, std::move(gateway)));
    return announce();
  }

  Status announce() {
    const auto& tls = policy_->daemon().tls;
    const auto& endpoint = gateway_->endpoints().front();
    const std::string scheme = tls ? "https://" : "http://";
    ASSIGN_OR_RETURN(auto file, DaemonFile::write(state_, {scheme + reachable(endpoint),
                                                           tls ? tls->certificate : ""}));
    file_.emplace(std::move(file));
    say_(fmt::format("gavel {} listens on {}{} (state in {}, policy {})", kVersion, scheme,
                     endpoint, state_.string(), policy_->version().substr(0, 12)));
    return {};
  }

  std::unique_ptr<Upstream> make_machine_upstream(const ServerSpec& spec, UpstreamEvents events) {
    UpstreamOptions upstream;
    upstream.clock = &clock_;
    upstream.random = &random_;
    upstream.client = {"gavel", std::string(kVersion)};
    upstream.logins = &logins_;
    upstream.log_line = [this](std::string_view line) { say_(line); };
    upstream.on_tools_changed = std::move(events.on_tools_changed);
    upstream.on_notification = std::move(events.on_notification);
    return make_upstream(io_.get_executor(), spec, std::move(upstream));
  }

  void stop() {
    file_.reset();
    spawn(shut_down());
  }

  asio::awaitable<void> shut_down() {
    co_await gateway_->stop();
    co_await harness_->close();
    io_.stop();
  }

  const UpOptions& options_;
  fs::path state_;
  MachineClock clock_;
  MachineRandom random_;
  StderrLog say_;
  OAuthFiles logins_;
  asio::io_context io_;
  FileLookups lookups_{io_.get_executor(), resolve_links};
  asio::signal_set signals_;
  std::shared_ptr<const Policy> policy_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<LocalHarness> harness_;
  std::unique_ptr<Gateway> gateway_;
  std::optional<DaemonFile> file_;
  int exit_code_ = 0;
};

}  // namespace

int run_daemon(const UpOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  // A limit on a file's size is to the store what a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
  raise_descriptor_limit();
  Daemon daemon(options);
  return daemon.run();
}

}  // namespace gavel
