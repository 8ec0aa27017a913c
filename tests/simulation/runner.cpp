#include "runner.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <sstream>

#include "base/assert.hpp"

namespace gavel::simulation {
namespace {

// A child and the lines that it writes. The parent reads them until the child has ended.
struct Child {
  pid_t pid = -1;
  int from = -1;
  std::string unread;
  std::uint64_t current = 0;  // what it is at
  bool open() const { return from >= 0; }
};

using Say = std::function<void(const std::string& line)>;
using Body = std::function<void(const Say& say)>;

Child start(const Body& body) {
  int ends[2];
  ASSERT(pipe(ends) == 0);
  Child child;
  fflush(nullptr);
  child.pid = fork();
  ASSERT(child.pid >= 0);
  if (child.pid == 0) {
    close(ends[0]);
    const auto say = [to = ends[1]](const std::string& line) {
      const std::string whole = line + "\n";
      for (std::size_t sent = 0; sent < whole.size();) {
        const auto wrote = write(to, whole.data() + sent, whole.size() - sent);
        if (wrote <= 0) _exit(1);
        sent += static_cast<std::size_t>(wrote);
      }
    };
    // What a sanitizer or an ASSERT says goes to the parent's standard error, as it should.
    body(say);
    _exit(0);
  }
  close(ends[1]);
  child.from = ends[0];
  return child;
}

// Reads lines of all children until all have ended; `on_line` and `on_end` (false: it aborted) may
// start others.
void follow(std::vector<Child>& children,
            const std::function<void(Child&, const std::string&)>& on_line,
            const std::function<void(Child&, bool)>& on_end) {
  for (;;) {
    std::vector<pollfd> waits;
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < children.size(); ++i) {
      if (!children[i].open()) continue;
      waits.push_back({children[i].from, POLLIN, 0});
      which.push_back(i);
    }
    if (waits.empty()) return;
    if (poll(waits.data(), waits.size(), -1) < 0) continue;
    for (std::size_t i = 0; i < waits.size(); ++i) {
      if (waits[i].revents == 0) continue;
      Child& child = children[which[i]];
      char buffer[65536];
      const auto got = read(child.from, buffer, sizeof buffer);
      if (got > 0) {
        child.unread.append(buffer, static_cast<std::size_t>(got));
        for (std::size_t end; (end = child.unread.find('\n')) != std::string::npos;) {
          const std::string line = child.unread.substr(0, end);
          child.unread.erase(0, end + 1);
          on_line(child, line);
        }
        continue;
      }
      close(child.from);
      child.from = -1;
      int status = 0;
      waitpid(child.pid, &status, 0);
      on_end(child, WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
  }
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string report_line(std::uint64_t seed, const RunResult& run) {
  return fmt::format("end {} {} {} {} {} {} {} {}", seed, run.digest, run.steps, run.handlers,
                     run.crashes, run.faults, run.entries, run.effects);
}

void say_complaint(const Say& say, const RunResult& run) {
  if (!run.complaint) return;
  say(fmt::format("broken {}\t{}", run.complaint->oracle, one_line(run.complaint->text)));
}

std::optional<Complaint> complaint_of(const std::string& line) {
  if (!line.starts_with("broken ")) return std::nullopt;
  const auto tab = line.find('\t');
  return Complaint{line.substr(7, tab - 7), line.substr(tab + 1)};
}

Complaint aborted() {
  return {std::string(kAborted), "the process ended; standard error says why"};
}

void add(Totals& totals, const std::string& line) {
  std::istringstream fields(line);
  std::string word;
  std::string digest;
  std::uint64_t seed = 0;
  Totals one;
  fields >> word >> seed >> digest >> one.steps >> one.handlers >> one.crashes >> one.faults >>
      one.entries >> one.effects;
  ++totals.seeds;
  totals.steps += one.steps;
  totals.handlers += one.handlers;
  totals.crashes += one.crashes;
  totals.faults += one.faults;
  totals.entries += one.entries;
  totals.effects += one.effects;
}

}  // namespace

BatchReport run_batch(const BatchOptions& options) {
  BatchReport report;
  std::vector<Child> children;
  std::uint64_t next = options.from;
  const std::uint64_t end = options.from + options.seeds;
  // A child takes so many seeds and then makes room for a fresh one.
  constexpr std::uint64_t kSeedsAtOnce = 25;
  const auto start_next = [&](Child* place) {
    if (next >= end || report.broken.size() >= options.failures_max) return;
    const std::uint64_t first = next;
    const std::uint64_t last = std::min(end, first + kSeedsAtOnce);
    next = last;
    Child child = start([first, last](const Say& say) {
      Coverage coverage;
      for (std::uint64_t seed = first; seed < last; ++seed) {
        say(fmt::format("begin {}", seed));
        World world(make_plan(seed), Trace::Keep::digest);
        const RunResult run = world.run();
        say_complaint(say, run);
        say(report_line(seed, run));
        for (const auto& [name, count] : run.coverage) coverage[name] += count;
      }
      for (const auto& [name, count] : coverage) say(fmt::format("cover {}\t{}", name, count));
    });
    if (place != nullptr) {
      *place = std::move(child);
    } else {
      children.push_back(std::move(child));
    }
  };
  for (std::size_t i = 0; i < options.jobs; ++i) start_next(nullptr);
  const auto on_line = [&](Child& child, const std::string& line) {
    if (line.starts_with("begin ")) child.current = std::stoull(line.substr(6));
    if (line.starts_with("end ")) add(report.totals, line);
    if (auto complaint = complaint_of(line)) {
      report.broken.push_back({child.current, "", std::move(complaint)});
    }
    if (line.starts_with("cover ")) {
      const auto tab = line.find('\t');
      report.coverage[line.substr(6, tab - 6)] += std::stoull(line.substr(tab + 1));
    }
  };
  follow(children, on_line, [&](Child& child, bool well) {
    if (!well) report.broken.push_back({child.current, "", aborted()});
    start_next(&child);
  });
  std::sort(report.broken.begin(), report.broken.end(),
            [](const SeedReport& a, const SeedReport& b) { return a.seed < b.seed; });
  return report;
}

SeedReport run_apart(const Plan& plan, std::optional<Mutation> mutation) {
  SeedReport report;
  report.seed = plan.seed;
  std::vector<Child> children;
  children.push_back(start([&](const Say& say) {
    // A run that aborts on purpose, again and again, has nothing new to say.
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) dup2(nowhere, STDERR_FILENO);
    set_mutation(mutation);
    World world(plan, Trace::Keep::digest);
    const RunResult run = world.run();
    say_complaint(say, run);
    say("digest " + run.digest);
  }));
  follow(
      children,
      [&](Child&, const std::string& line) {
        if (auto complaint = complaint_of(line)) report.complaint = std::move(complaint);
        if (line.starts_with("digest ")) report.digest = line.substr(7);
      },
      [&](Child&, bool well) {
        if (!well) report.complaint = aborted();
      });
  return report;
}

Plan minimise(const Plan& plan, const Complaint& complaint, std::optional<Mutation> mutation,
              std::size_t runs_max) {
  std::vector<std::size_t> kept;
  for (const auto& step : plan.steps) kept.push_back(step.number);
  std::size_t runs = 0;
  // Cuts ever smaller pieces out, for as long as what is left still fails the same way.
  for (std::size_t piece = std::max<std::size_t>(1, kept.size() / 2); piece >= 1;) {
    bool shorter = false;
    for (std::size_t at = 0; at < kept.size() && runs < runs_max;) {
      std::vector<std::size_t> without = kept;
      const auto begin = without.begin() + static_cast<std::ptrdiff_t>(at);
      without.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(piece, kept.size() - at)));
      ++runs;
      const auto run = run_apart(cut(plan, without), mutation);
      if (run.complaint && run.complaint->oracle == complaint.oracle) {
        kept = std::move(without);
        shorter = true;
      } else {
        at += piece;
      }
    }
    if (runs >= runs_max || (piece == 1 && !shorter)) break;
    if (piece > 1) piece = (piece + 1) / 2;
  }
  return cut(plan, kept);
}

std::vector<Caught> hunt(const std::vector<Mutation>& mutations, std::uint64_t seeds_max,
                         std::size_t jobs) {
  std::vector<Caught> out(mutations.size());
  std::size_t next = 0;
  std::vector<Child> children;
  const auto start_next = [&](Child* place) {
    if (next >= mutations.size()) return;
    const std::size_t index = next++;
    out[index].mutation = mutations[index];
    Child child = start([mutation = mutations[index], seeds_max](const Say& say) {
      for (std::uint64_t seed = 1; seed <= seeds_max; ++seed) {
        const auto run = run_apart(make_plan(seed), mutation);
        say(fmt::format("seed {}", seed));
        if (!run.complaint) continue;
        say(fmt::format("broken {}\t{}", run.complaint->oracle, run.complaint->text));
        return;
      }
    });
    child.current = index;
    if (place != nullptr) {
      *place = std::move(child);
    } else {
      children.push_back(std::move(child));
    }
  };
  for (std::size_t i = 0; i < jobs; ++i) start_next(nullptr);
  follow(
      children,
      [&](Child& child, const std::string& line) {
        Caught& caught = out[child.current];
        if (line.starts_with("seed ")) caught.seeds = std::stoull(line.substr(5));
        if (auto complaint = complaint_of(line)) caught.complaint = std::move(complaint);
      },
      [&](Child& child, bool) { start_next(&child); });
  return out;
}

}  // namespace gavel::simulation
