#include <fmt/format.h>
#include "world.hpp"
#include "plan.hpp"
#include <cstdlib>
using namespace gavel::simulation;
int main(int argc, char** argv) {
  std::uint64_t from = std::strtoull(argv[1], nullptr, 0);
  std::uint64_t n = argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 1;
  Coverage all;
  for (std::uint64_t s = from; s < from + n; ++s) {
    World world(make_plan(s), n == 1 ? Trace::Keep::lines : Trace::Keep::digest);
    RunResult r = world.run();
    for (auto& l : r.trace) fmt::print("{}\n", l);
    for (auto& [k, v] : r.coverage) all[k] += v;
    if (r.complaint || n == 1) fmt::print("seed {} {} steps {} crashes {} entries {} effects {} handlers {} {}\n", s, r.digest, r.steps, r.crashes, r.entries, r.effects, r.handlers, r.complaint ? r.complaint->oracle + ": " + r.complaint->text : "clean");
  }
  if (n > 1) for (auto& [k, v] : all) fmt::print("{:50} {}\n", k, v);
}
