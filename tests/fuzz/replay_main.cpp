// Runs a fuzz target over every file of a corpus folder, and then, where it is asked to, over files
// that are changed at random, until the time is over:
//
//   gavel_fuzz_x FILE-OR-DIRECTORY... [--mutate SECONDS] [--seed N] [--findings DIRECTORY]
//
// A cheap stand-in for libFuzzer in every build: it knows nothing of coverage, but a seed replays.
// An input that ends the process, or that takes over kInputSecondsMax, is kept as a file.
#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GAVEL_SANITIZED 1
extern "C" void __sanitizer_set_death_callback(void (*callback)());
#endif
#endif

namespace {

namespace fs = std::filesystem;

constexpr unsigned kInputSecondsMax = 20;
constexpr std::size_t kInputBytesMax = 16u << 10;

// What runs now, for those who are called when it ends the process. Plain data: they run in signal
// handlers.
struct Running {
  const char* data = nullptr;
  std::size_t size = 0;
  char name[1024] = {};  // NOLINT: written before, used in a handler
  bool is_file = true;   // has its name already
  bool kept = false;
};
Running running;

void say(const char* text) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text, std::strlen(text));
}

void keep_input() {
  if (running.kept || running.data == nullptr) return;
  running.kept = true;
  const int file =
      running.is_file ? -1 : ::open(running.name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file >= 0) {
    [[maybe_unused]] const auto written = ::write(file, running.data, running.size);
    ::close(file);
  }
  say("FINDING ");
  say(running.name);
  say("\n");
}

void on_abort(int) {
  keep_input();
}

// Of processor time: a machine that is busy with something else is no finding.
void limit_seconds(unsigned seconds) {
  const itimerval limit{.it_interval = {}, .it_value = {.tv_sec = seconds, .tv_usec = 0}};
  ::setitimer(ITIMER_PROF, &limit, nullptr);
}

void on_limit(int) {
  say("an input takes too long\n");
  keep_input();
  ::_exit(1);
}

void run(const std::string& input) {
  // A copy of its own size, so that reading behind its end is seen.
  const std::vector<std::uint8_t> bytes(input.begin(), input.end());
  running.data = input.data();
  running.size = input.size();
  limit_seconds(kInputSecondsMax);
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  limit_seconds(0);
  running.data = nullptr;
}

class Mutator {
public:
  Mutator(std::uint64_t seed, const std::vector<std::string>& corpus)
      : random_(seed), corpus_(corpus) {}

  std::string next() {
    std::string input = any();
    for (auto changes = 1 + pick(4); changes > 0; --changes) change(input);
    if (input.size() > kInputBytesMax) input.resize(kInputBytesMax);
    return input;
  }

private:
  std::size_t pick(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  const std::string& any() { return corpus_[pick(corpus_.size())]; }
  std::string part_of(const std::string& text) {
    if (text.empty()) return {};
    const auto from = pick(text.size());
    return text.substr(from, 1 + pick(std::min<std::size_t>(text.size() - from, 64)));
  }
  void change(std::string& input) {
    using namespace std::string_view_literals;
    constexpr std::string_view kTelling[] = {"\0"sv, "\xff",  "\"", "\\",      "{", "[",
                                             "-0",   "1e400", "/",  "#",       ":", ",",
                                             "\n",   "%",     "..", "\xed\xa0"};
    const auto at = pick(input.size() + 1);
    switch (pick(8)) {
      case 0:
      case 1:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << pick(8)));
        break;
      case 2:
        if (at < input.size()) input[at] = static_cast<char>(pick(256));
        break;
      case 3:
        input.insert(at, kTelling[pick(std::size(kTelling))]);
        break;
      case 4:
        input.insert(at, part_of(any()));
        break;
      case 5:
        input.insert(at, part_of(input));
        break;
      case 6:
        input.erase(at, 1 + pick(16));
        break;
      case 7:
        input = input.substr(0, at) + part_of(any()) + input.substr(at);
        break;
    }
  }
  std::mt19937_64 random_;
  const std::vector<std::string>& corpus_;
};

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Options {
  std::vector<std::string> inputs;
  double seconds = 0;
  std::uint64_t seed = 0;
  fs::path findings = ".";
};

bool read_options(int argc, char** argv, Options& options) {
  options.seed = std::random_device{}();
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (!word.starts_with("--")) {
      options.inputs.push_back(word);
    } else if (!has_value) {
      return false;
    } else if (word == "--mutate") {
      options.seconds = std::stod(argv[++i]);
    } else if (word == "--seed") {
      options.seed = std::stoull(argv[++i]);
    } else if (word == "--findings") {
      options.findings = argv[++i];
    } else {
      return false;
    }
  }
  return !options.inputs.empty();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!read_options(argc, argv, options)) return 2;
  std::signal(SIGABRT, on_abort);
  std::signal(SIGPROF, on_limit);
#ifdef GAVEL_SANITIZED
  __sanitizer_set_death_callback(keep_input);
#endif
  std::vector<fs::path> files;
  for (const auto& input : options.inputs) {
    if (!fs::is_directory(input)) {
      files.emplace_back(input);
      continue;
    }
    for (const auto& file : fs::directory_iterator(input)) files.push_back(file.path());
  }
  std::ranges::sort(files);
  std::vector<std::string> corpus;
  for (const auto& file : files) {
    std::snprintf(running.name, sizeof running.name, "%s", file.c_str());
    corpus.push_back(read_file(file));
    run(corpus.back());
  }
  std::printf("%zu inputs replayed\n", corpus.size());
  // An empty corpus proves nothing.
  if (corpus.empty()) return 1;
  if (options.seconds <= 0) return 0;

  fs::create_directories(options.findings);
  const auto kept_as = options.findings /
                       (fs::path(argv[0]).filename().string() + "-" + std::to_string(options.seed));
  std::snprintf(running.name, sizeof running.name, "%s", kept_as.c_str());
  running.is_file = false;
  std::printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
  std::fflush(stdout);
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + std::chrono::duration<double>(options.seconds);
  Mutator mutator(options.seed, corpus);
  std::size_t ran = 0;
  for (; Clock::now() < until; ++ran) run(mutator.next());
  std::printf("%zu inputs changed and run\n", ran);
  return 0;
}
