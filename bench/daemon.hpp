#pragma once
// What the benchmarks measure: a daemon over a directory of its own, and programs over pipes.

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "loop_client.hpp"

namespace gavel::bench {

class Daemon {
public:
  // Starts `gavel up` with this policy file; throws std::runtime_error with its log where it does
  // not get ready within 10 s.
  Daemon(const std::string& gavel, std::filesystem::path directory, std::string_view policy);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  int port() const { return port_; }
  std::string state() const { return (directory_ / "state").string(); }
  // Resident kilobytes.
  double rss_kb() const;
  // A whole POST request with the agent's token; `extra` are header lines.
  std::string post(std::string_view target, std::string_view extra, std::string_view body) const;

private:
  std::filesystem::path directory_;
  pid_t pid_ = 0;
  int port_ = 0;
  std::string token_;
};

// A program whose standard input and output are pipes; it is ended with this object.
class Piped {
public:
  explicit Piped(const std::vector<std::string>& command);
  ~Piped();
  Piped(const Piped&) = delete;
  Piped& operator=(const Piped&) = delete;

  void send(std::string_view line) const;
  // The next line without its end; throws std::runtime_error where there is none.
  std::string line();

private:
  pid_t pid_ = 0;
  int to_ = -1;
  int from_ = -1;
  std::string in_;
};

// The same closed loop as run_loop over one pipe: `connections` requests are in flight at a time.
// Request n is a line that has the id n.
LoopResult run_pipe_loop(Piped& program, const LoopOptions& options);

}  // namespace gavel::bench
