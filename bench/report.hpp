#pragma once
// Figures of a benchmark: each with the floor that was measured beside it in the same run.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace gavel::bench {

struct Figure {
  std::string name;
  double value = 0;
  std::string unit;
  double floor = 0;  // 0: it has none
  double ratio = 0;  // value / floor
};

class Report {
public:
  void add(std::string name, double value, std::string unit, double floor = 0) {
    figures_.push_back(
        {std::move(name), value, std::move(unit), floor, floor > 0 ? value / floor : 0});
  }
  // An array of {name, value, unit, floor, ratio} on standard output.
  void print() const {
    std::string out = "[";
    for (const auto& figure : figures_) {
      out += fmt::format(
          "{}\n  "
          "{{\"name\":\"{}\",\"value\":{:.3f},\"unit\":\"{}\",\"floor\":{:.3f},\"ratio\":{:.3f}}}",
          out.size() > 1 ? "," : "", figure.name, figure.value, figure.unit, figure.floor,
          figure.ratio);
    }
    std::puts((out + "\n]").c_str());
  }

private:
  std::vector<Figure> figures_;
};

using SteadyClock = std::chrono::steady_clock;

inline double micros_since(SteadyClock::time_point start) {
  return std::chrono::duration<double, std::micro>(SteadyClock::now() - start).count();
}

// The q-quantile of the samples, which it sorts.
inline double quantile(std::vector<double>& samples, double q) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  const auto rank = static_cast<std::size_t>(q * static_cast<double>(samples.size() - 1));
  return samples[rank];
}

}  // namespace gavel::bench
