#pragma once
// A closed loop over many keep-alive HTTP connections on one thread: each sends its next request
// when it has the whole answer to the last. Enough of HTTP/1.1 for a server that answers with
// Content-Length or chunks.

#include <functional>
#include <string>
#include <vector>

namespace gavel::bench {

struct LoopResult {
  std::vector<double> micros;  // one per request
  double seconds = 0;
  std::size_t failures = 0;  // answers that `accept` refused
};

struct LoopOptions {
  std::string host = "127.0.0.1";
  int port = 0;
  std::size_t connections = 1;
  std::size_t requests = 1000;  // in all
  std::size_t warmup = 100;     // sent first, not counted
  // The bytes of request `n` on connection `c`.
  std::function<std::string(std::size_t c, std::size_t n)> request;
  // Whether the whole answer (head and body) is right.
  std::function<bool(std::string_view answer)> accept;
};

// Throws std::runtime_error where the server cannot be reached or hangs for 10 s.
LoopResult run_loop(const LoopOptions& options);

}  // namespace gavel::bench
