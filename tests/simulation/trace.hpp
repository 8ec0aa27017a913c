#pragma once
// What happened, line by line, with a digest over all of it: two runs of one seed have the same.
// Beside it the counters of what a run reached, so that a run which never reached something is
// known for it.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "machine.hpp"

namespace gavel::simulation {

class Trace {
public:
  enum class Keep { digest, lines };
  explicit Trace(Keep keep) : keep_(keep) {}

  void line(std::string_view text);
  // Bytes that count for the digest and say nothing to people.
  void bytes(std::string_view data) { mix(data); }
  std::string digest() const;
  const std::vector<std::string>& lines() const { return lines_; }

private:
  void mix(std::string_view data);

  Keep keep_;
  std::vector<std::string> lines_;
  // FNV-1a, 64 bits: nobody attacks it.
  std::uint64_t hash_ = 0xcbf29ce484222325u;
};

using Coverage = std::map<std::string, std::uint64_t>;

}  // namespace gavel::simulation
