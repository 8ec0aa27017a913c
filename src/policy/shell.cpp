#include "policy/shell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/text.hpp"
#include "policy/shell_commands.hpp"
#include "policy/shell_parser.hpp"
#include "policy/shell_scripts.hpp"

namespace gavel {
namespace {

using Words = std::span<const ShellWord>;

constexpr std::size_t kDirectoriesMax = 8;
constexpr std::string_view kShells[] = {"sh", "bash", "dash", "zsh", "ksh", "ash"};
constexpr std::string_view kProgramFolders[] = {"/bin/", "/usr/bin/", "/usr/local/bin/", "/sbin/",
                                                "/usr/sbin/"};

bool is_option(const ShellWord& word) {
  return word.text.size() > 1 && word.text.front() == '-';
}

bool is_in(std::string_view word, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// GNU programs take any beginning of a long name.
bool is_bad_name(std::string_view option, std::string_view bad_names) {
  const auto name = option.substr(0, option.find('='));
  while (!bad_names.empty()) {
    const auto space = bad_names.find(' ');
    const auto bad = bad_names.substr(0, space);
    if (!name.empty() && (bad.starts_with(name) || name.starts_with(bad))) return true;
    bad_names = space == std::string_view::npos ? std::string_view() : bad_names.substr(space + 1);
  }
  return false;
}

class Classifier {
public:
  explicit Classifier(const PathContext& context) : context_(context) {}

  ShellClass classify(std::string_view text) {
    script(text, 0);
    if (worst_.reason.empty()) worst_ = {Effect::read, "only reads"};
    return worst_;
  }

private:
  void worsen(Effect effect, std::string reason) {
    if (worst_.reason.empty() || effect > worst_.effect) worst_ = {effect, std::move(reason)};
  }

  void script(std::string_view text, std::size_t depth) {
    const auto commands = parse_shell(text, depth);
    if (!commands)
      return worsen(Effect::irreversible, "not understood: " + commands.error().message);
    if (commands->empty()) return worsen(Effect::read, "does nothing");
    for (const auto& command : *commands) look_ahead(command);
    for (const auto& command : *commands) simple(command, depth);
  }

  // In a loop, what stands first may run after a later cd.
  void look_ahead(const ShellCommand& command) {
    if (!command.loops) return;
    const auto cd = std::find_if(command.words.begin(), command.words.end(),
                                 [](const ShellWord& word) { return word.text == "cd"; });
    if (cd != command.words.end()) lost_ = true;
  }

  void simple(const ShellCommand& command, std::size_t depth) {
    for (const auto& [name, value] : command.assignments) variable(name);
    for (const auto& redirect : command.redirects) {
      file(redirect.target, redirect.writes ? Access::write : Access::read);
    }
    if (!command.words.empty()) run(command.words, command.fed, depth);
  }

  void variable(std::string_view name) {
    if (!is_harmless_variable(name)) {
      worsen(Effect::destructive,
             fmt::format("sets {}, which may change what programs do", for_display(name, 60)));
    }
  }

  PathContext places() const {
    PathContext context = context_;
    if (lost_) context.directories.clear();
    return context;
  }
  PathClass file_class(const ShellWord& word, Access access) const {
    if (!word.known) {
      return {Effect::destructive, fmt::format("{} a file whose name is not known",
                                               access == Access::write ? "writes" : "reads")};
    }
    return classify_path(word.text, access, places());
  }
  void file(const ShellWord& word, Access access) {
    PathClass found = file_class(word, access);
    worsen(found.effect, std::move(found.reason));
  }
  // What is worse outside the project than `effect` is inside.
  void destroyed_file(const ShellWord& word, std::string_view name) {
    const PathClass found = file_class(word, Access::write);
    if (found.effect >= Effect::destructive) {
      worsen(Effect::irreversible, fmt::format("{}: {}", name, found.reason));
    }
  }

  void run(Words words, bool fed, std::size_t depth) {
    const ShellWord& first = words.front();
    if (++depth > kShellDepthMax) return worsen(Effect::irreversible, "is nested too deeply");
    if (!first.known || first.tilde || (first.glob && first.text != "[")) {
      return worsen(Effect::irreversible, "runs a command whose name is not known");
    }
    std::string_view name = first.text;
    for (const auto folder : kProgramFolders) {
      if (name.starts_with(folder)) name.remove_prefix(folder.size());
    }
    const std::string shown = for_display(name, 60);
    if (name.find('/') != std::string_view::npos || name.empty()) {
      return worsen(Effect::destructive,
                    fmt::format("runs {}, a program that is not known", shown));
    }
    if (std::find(std::begin(kShells), std::end(kShells), name) != std::end(kShells)) {
      return shell(words, fed, depth);
    }
    if (name == "eval") return evaluate(words.subspan(1), depth);
    if (is_in(name, {".", "source"})) return worsen(Effect::destructive, "runs a file's commands");
    if (name == "git") return git(words);
    if (name == "find") return find_files(words, depth);
    if (name == "gavel") return gavel(words);
    if (name == "curl") return curl(words);
    if (name == "sed") return sed(words);
    if (name == "awk") return awk(words);
    if (name.starts_with("mkfs.")) return worsen(Effect::irreversible, "makes a file system");
    if (const Wrapper* wrapper = find_wrapper(name)) return wrapped(*wrapper, words, fed, depth);
    if (const KnownCommand* command = find_command(name)) return known(*command, words);
    worsen(Effect::destructive, fmt::format("runs {}, a program that is not known", shown));
  }

  void shell(Words words, bool fed, std::size_t depth) {
    for (std::size_t i = 1; i < words.size(); ++i) {
      const ShellWord& word = words[i];
      if (!word.known) break;
      if (!is_option(word)) return worsen(Effect::destructive, "runs a file's commands");
      if (word.text.find_first_not_of("-celxuvi") != std::string::npos ||
          word.text.starts_with("--")) {
        break;
      }
      if (word.text.find('c') == std::string::npos) continue;
      if (i + 1 >= words.size() || !words[i + 1].known || words[i + 1].glob) break;
      return script(words[i + 1].text, depth);
    }
    worsen(Effect::irreversible,
           fed ? "runs the commands that it reads" : "runs commands that are not known");
  }

  void evaluate(Words words, std::size_t depth) {
    std::string text;
    for (const auto& word : words) {
      if (!word.known || word.glob) return worsen(Effect::irreversible, "eval of unknown text");
      text += (text.empty() ? "" : " ") + word.text;
    }
    script(text, depth);
  }

  void wrapped(const Wrapper& wrapper, Words words, bool fed, std::size_t depth) {
    const auto not_understood = [&] {
      worsen(Effect::destructive, fmt::format("options of {} that are not known", wrapper.name));
    };
    if (wrapper.least > Effect::read) {
      worsen(wrapper.least, fmt::format("{} acts as somebody else", wrapper.name));
    }
    std::string placeholder;
    std::size_t i = 1;
    for (; i < words.size(); ++i) {
      const ShellWord& word = words[i];
      if (wrapper.name == "env") {
        const auto equals = word.text.find('=');
        if (equals != std::string::npos && !is_option(word)) {
          variable(std::string_view(word.text).substr(0, equals));
          continue;
        }
      }
      if (!is_option(word)) break;
      if (!word.known) return not_understood();
      if (word.text == "--") {
        ++i;
        break;
      }
      if (wrapper.name == "command" && is_in(word.text, {"-v", "-V"})) {
        return worsen(Effect::read, "looks for a command");
      }
      for (std::size_t at = 1; at < word.text.size(); ++at) {
        const char letter = word.text[at];
        if (wrapper.flags.find(letter) != std::string_view::npos) continue;
        if (wrapper.letters.find(letter) == std::string_view::npos) return not_understood();
        std::string value = word.text.substr(at + 1);
        if (value.empty() && i + 1 < words.size()) {
          if (!words[++i].known) return not_understood();
          value = words[i].text;
        }
        if (wrapper.name == "xargs" && letter == 'I') placeholder = value;
        break;
      }
    }
    for (int skipped = 0; skipped < wrapper.skip && i < words.size(); ++skipped, ++i) {
      // It may be several words, and the last ones the command.
      if (!words[i].known) return worsen(Effect::irreversible, "runs a command that is not known");
    }
    if (i >= words.size()) {
      if (is_in(wrapper.name, {"exec", "xargs", "time", "command", "builtin"})) return;
      return worsen(Effect::destructive, fmt::format("{} without a command", wrapper.name));
    }
    std::vector<ShellWord> inner(words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
    if (wrapper.name == "xargs" && placeholder.empty()) {
      inner.push_back(ShellWord{.text = {}, .known = false});
    }
    for (auto& word : inner) {
      if (!placeholder.empty() && word.text.find(placeholder) != std::string::npos) {
        word.known = false;
      }
    }
    run(inner, fed, depth);
  }

  struct Sorted {
    std::vector<ShellWord> operands;
    bool deep = false;
    bool into = false;       // -t: the last operand is not the target
    bool patterned = false;  // -e: the first operand is no pattern
  };
  // Options looked at, the rest returned.
  Sorted sort_words(const KnownCommand& command, Words words) {
    Sorted sorted;
    bool options = true;
    const bool takes_files = command.operands != Operands::text;
    for (const ShellWord& word : words.subspan(1)) {
      const bool may_be_option = !word.known && (word.text.empty() || is_option(word));
      if (may_be_option && options &&
          (!command.bad_letters.empty() || !command.bad_names.empty())) {
        worsen(Effect::destructive,
               fmt::format("{} with a word that is not known and may be an option", command.name));
      }
      if (!options || !is_option(word)) {
        sorted.operands.push_back(word);
        continue;
      }
      const std::string_view text = word.text;
      if (text == "--") {
        options = false;
      } else if (text.starts_with("--")) {
        long_option(command, word, sorted);
      } else {
        for (const char letter : text.substr(1)) {
          if (command.bad_letters.find(letter) != std::string_view::npos) {
            worsen(Effect::destructive, fmt::format("{} -{}", command.name, letter));
          }
          if (command.deep_letters.find(letter) != std::string_view::npos) sorted.deep = true;
          sorted.into = sorted.into || letter == 't';
          sorted.patterned = sorted.patterned || letter == 'e' || letter == 'f';
        }
        // A value that sticks to its option.
        const auto target = text.find('t');
        if (command.operands == Operands::copies || command.operands == Operands::moves) {
          if (target != std::string_view::npos && target + 1 < text.size()) {
            file(ShellWord{.text = std::string(text.substr(target + 1)), .known = word.known},
                 Access::write);
          }
        } else if (takes_files && text.size() > 2) {
          file(ShellWord{.text = std::string(text.substr(2)), .known = word.known}, Access::read);
        }
      }
    }
    return sorted;
  }
  void long_option(const KnownCommand& command, const ShellWord& word, Sorted& sorted) {
    const std::string_view option = std::string_view(word.text).substr(2);
    if (is_bad_name(option, command.bad_names)) {
      worsen(Effect::destructive, fmt::format("{} --{}", command.name, for_display(option, 60)));
    }
    if (!command.deep_letters.empty() &&
        is_bad_name(option, "recursive archive dereference-recursive")) {
      sorted.deep = true;
    }
    sorted.into = sorted.into || is_bad_name(option, "target-directory");
    sorted.patterned = sorted.patterned || is_bad_name(option, "regexp file");
    const auto equals = option.find('=');
    if (equals == std::string_view::npos || command.operands == Operands::text) return;
    file(ShellWord{.text = std::string(option.substr(equals + 1)), .known = word.known},
         sorted.into ? Access::write : Access::read);
  }

  void known(const KnownCommand& command, Words words) {
    worsen(command.effect, command.why.empty() ? fmt::format("{} only reads", command.name)
                                               : fmt::format("{} {}", command.name, command.why));
    Sorted sorted = sort_words(command, words);
    auto& operands = sorted.operands;
    evaluated(command, words);
    sorted.deep = sorted.deep || command.name == "rg";
    const Access reads = sorted.deep ? Access::read_all : Access::read;
    switch (command.operands) {
      case Operands::text:
      case Operands::listed:
        return;
      case Operands::pattern:
        if (!sorted.patterned && !operands.empty()) operands.erase(operands.begin());
        [[fallthrough]];
      case Operands::reads:
        for (const auto& operand : operands) file(operand, reads);
        if (operands.empty() && sorted.deep) file(ShellWord{.text = "."}, reads);
        return;
      case Operands::writes:
        for (const auto& operand : operands) {
          file(operand, Access::write);
          if (command.effect == Effect::destructive) destroyed_file(operand, command.name);
        }
        return;
      case Operands::copies:
        // A link is a door: what it leads to counts as written.
        for (std::size_t i = 0; i < operands.size(); ++i) {
          const bool target = i + 1 == operands.size() || sorted.into || command.name == "ln";
          file(operands[i], target ? Access::write : reads);
        }
        return;
      case Operands::moves:
        for (const auto& operand : operands) file(operand, Access::write);
        return;
      case Operands::assigns:
        for (const auto& operand : operands) assigned(operand);
        return;
      case Operands::directory:
        return change_directory(operands);
    }
  }

  // Some shells evaluate these as arithmetic, and with it what stands in a subscript; jq can show
  // the environment.
  void evaluated(const KnownCommand& command, Words words) {
    for (const ShellWord& word : words.subspan(1)) {
      const std::string& text = word.text;
      const bool subscript =
          text.find('[') != std::string::npos &&
          (text.find("$(") != std::string::npos || text.find('`') != std::string::npos);
      if (command.operands == Operands::text && command.name != "echo" && subscript) {
        worsen(Effect::destructive, fmt::format("{} of text that may be evaluated", command.name));
      }
      if (command.name == "jq" && (!word.known || text.find("env") != std::string::npos ||
                                   text.find("ENV") != std::string::npos)) {
        worsen(Effect::destructive, "jq with a program that may show the environment");
      }
    }
  }

  void assigned(const ShellWord& word) {
    const auto name = std::string_view(word.text).substr(0, word.text.find('='));
    const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (!plain || (!word.known && word.text.find('=') == std::string::npos)) {
      return worsen(Effect::destructive, "sets a variable whose name is not known");
    }
    variable(name);
  }

  // Whether a cd happens is not known: from then on a path may mean either.
  void change_directory(const std::vector<ShellWord>& operands) {
    if (lost_) return;
    const ShellWord home{.text = "~"};
    const ShellWord& target = operands.empty() ? home : operands.front();
    const bool followed = target.known && !target.glob && target.text != "-" && operands.size() < 2;
    if (!followed || context_.directories.size() * 2 > kDirectoriesMax) {
      lost_ = true;
      return;
    }
    const auto before = context_.directories;
    for (const auto& directory : before) {
      auto after = join_path(directory, target.text);
      if (std::find(before.begin(), before.end(), after) == before.end()) {
        context_.directories.push_back(std::move(after));
      }
    }
  }

  void git(Words words) {
    std::size_t i = 1;
    bool elsewhere = false;
    for (; i < words.size() && is_option(words[i]); ++i) {
      const std::string& option = words[i].text;
      if (is_in(option, {"--no-pager", "-P", "--no-optional-locks"}) && words[i].known) continue;
      if (option != "-C" || i + 1 >= words.size()) {
        return worsen(Effect::destructive, "git with options that change what it does");
      }
      elsewhere = file_class(words[++i], Access::write).effect > Effect::write;
    }
    if (i >= words.size()) return worsen(Effect::read, "git alone does nothing");
    if (!words[i].known) return worsen(Effect::destructive, "runs a git command that is not known");
    const std::string& name = words[i].text;
    const Words rest = words.subspan(i + 1);
    const GitCommand* found = find_git_command(name);
    const Effect effect = found != nullptr ? git_effect(*found, rest) : git_by_verb(name, rest);
    worsen(effect, fmt::format("git {}", for_display(name, 60)));
    if (elsewhere && effect == Effect::write) {
      worsen(Effect::destructive, fmt::format("git {} outside the project", name));
    }
  }
  static Effect git_effect(const GitCommand& command, Words words) {
    Effect effect = command.effect;
    bool options = true;
    for (const ShellWord& word : words) {
      const std::string_view text = word.text;
      const bool picky = !command.bad_letters.empty() || !command.bad_names.empty();
      if (!word.known && picky && (text.empty() || text.front() == '-')) {
        effect = std::max(effect, command.worse);
      }
      if (text == "--") {
        options = false;
      } else if (options && text.starts_with("--")) {
        if (is_bad_name(text.substr(2), command.bad_names))
          effect = std::max(effect, command.worse);
      } else if (options && text.size() > 1 && text.front() == '-') {
        if (text.substr(1).find_first_of(command.bad_letters) != std::string_view::npos &&
            !command.bad_letters.empty()) {
          effect = std::max(effect, command.worse);
        }
      } else {
        if (command.lists) effect = std::max(effect, Effect::write);
        // push: "+main" forces, ":main" deletes.
        const bool forces = !text.empty() && (text.front() == '+' || text.front() == ':');
        if (command.name == "push" && forces) effect = std::max(effect, command.worse);
      }
    }
    return effect;
  }
  // Subcommands with subcommands; any other name may be an alias for anything.
  static Effect git_by_verb(std::string_view name, Words words) {
    const std::string_view verb = words.empty() ? std::string_view() : words.front().text;
    const bool known = words.empty() || words.front().known;
    if (!known) return Effect::destructive;
    if (name == "stash") {
      if (is_in(verb, {"list", "show"})) return Effect::read;
      return is_in(verb, {"", "push", "save", "-u", "-m"}) ? Effect::write : Effect::destructive;
    }
    const bool reads = (name == "remote" && is_in(verb, {"", "-v", "show", "get-url"})) ||
                       (name == "worktree" && verb == "list") ||
                       (name == "reflog" && is_in(verb, {"", "show"})) ||
                       (name == "config" && is_in(verb, {"--get", "--get-all", "--list", "-l"}));
    return reads ? Effect::read : Effect::destructive;
  }

  void find_files(Words words, std::size_t depth) {
    constexpr std::string_view kRuns[] = {"-exec", "-execdir", "-ok", "-okdir"};
    std::vector<ShellWord> roots;
    std::size_t i = 1;
    while (i < words.size() && is_in(words[i].text, {"-H", "-L", "-P"})) ++i;
    for (; i < words.size() && !is_option(words[i]) && !is_in(words[i].text, {"(", "!"}); ++i) {
      roots.push_back(words[i]);
      if (!words[i].known) worsen(Effect::destructive, "find with a word that is not known");
    }
    if (roots.empty()) roots.push_back(ShellWord{.text = "."});
    worsen(Effect::read, "find only looks");
    for (; i < words.size(); ++i) {
      const std::string& text = words[i].text;
      if (std::find(std::begin(kRuns), std::end(kRuns), text) != std::end(kRuns)) {
        std::vector<ShellWord> inner;
        for (++i; i < words.size() && words[i].text != ";" && words[i].text != "+"; ++i) {
          inner.push_back(words[i]);
        }
        if (inner.empty()) return worsen(Effect::irreversible, "find runs nothing that is known");
        for (const auto& root : roots) run_on(root, inner, depth);
      } else if (text == "-delete") {
        worsen(Effect::destructive, "find -delete deletes");
        for (const auto& root : roots) destroyed_file(root, "find -delete");
      } else if (text.starts_with("-fprint") || text.starts_with("-fls") ||
                 text.starts_with("-files0")) {
        worsen(Effect::destructive, "find writes or reads lists of files");
      } else if (!words[i].known && !is_option(words[i - 1])) {
        worsen(Effect::destructive, "find with a word that is not known");
      }
    }
  }
  void run_on(const ShellWord& root, std::vector<ShellWord> inner, std::size_t depth) {
    file(root, Access::read_all);
    for (auto& word : inner) {
      if (word.text == "{}") {
        word = root;
      } else if (word.text.find("{}") != std::string::npos) {
        word.known = false;
      }
    }
    run(inner, false, depth);
  }

  void gavel(Words words) {
    std::size_t i = 1;
    while (i < words.size() && words[i].known &&
           is_in(words[i].text, {"--json", "-q", "--quiet"})) {
      ++i;
    }
    if (i < words.size() && words[i].known &&
        is_in(words[i].text, {"sessions", "show", "log", "watch", "tools", "upstreams", "approvals",
                              "version", "verify", "doctor", "policy", "--help"})) {
      return worsen(Effect::read, "gavel only looks");
    }
    worsen(Effect::irreversible, "steers Gavel itself");
  }

  void curl(Words words) {
    worsen(Effect::write, "asks the network");
    constexpr std::string_view kFlags = "sSfLiIvg46#N";
    for (std::size_t i = 1; i < words.size(); ++i) {
      const ShellWord& word = words[i];
      const std::string_view text = word.text;
      const bool web = text.starts_with("http://") || text.starts_with("https://");
      const bool flag =
          is_option(word) &&
          (is_in(text, {"--silent", "--show-error", "--fail", "--location", "--include", "--head",
                        "--verbose", "--compressed"}) ||
           (!text.starts_with("--") && text.substr(1).find_first_not_of(kFlags) == text.npos));
      if (word.known && (web || flag)) continue;
      if (word.known && is_in(text, {"-m", "--max-time", "--connect-timeout", "--retry"}) &&
          i + 1 < words.size() && words[i + 1].known) {
        ++i;
        continue;
      }
      return worsen(Effect::destructive, "curl with more than plain requests for known addresses");
    }
  }

  void sed(Words words) {
    std::vector<ShellWord> files;
    std::vector<ShellWord> scripts;
    bool in_place = false;
    bool expressions = false;
    for (std::size_t i = 1; i < words.size(); ++i) {
      const ShellWord& word = words[i];
      if (!is_option(word)) {
        files.push_back(word);
      } else if (word.text == "-e" && i + 1 < words.size()) {
        expressions = true;
        scripts.push_back(words[++i]);
      } else if (word.known && (word.text.starts_with("-i") || word.text == "--in-place")) {
        in_place = true;
      } else if (!word.known || word.text.find_first_not_of("-nErsuz") != std::string::npos) {
        return worsen(Effect::destructive, "sed with options that are not known");
      }
    }
    if (!expressions && !files.empty()) {
      scripts.push_back(files.front());
      files.erase(files.begin());
    }
    worsen(Effect::read, "sed only prints");
    for (const auto& script : scripts) {
      if (!script.known || !is_plain_sed(script.text)) {
        worsen(Effect::destructive, "sed with a script that may do more than print");
      }
    }
    for (const auto& name : files) file(name, in_place ? Access::write : Access::read);
  }

  void awk(Words words) {
    std::size_t i = 1;
    for (; i < words.size() && is_option(words[i]); ++i) {
      const std::string& text = words[i].text;
      if (!words[i].known || (!text.starts_with("-F") && !text.starts_with("-v"))) {
        return worsen(Effect::destructive, "awk with options that are not known");
      }
      if (text.size() == 2 && ++i < words.size() && !words[i].known) {
        return worsen(Effect::destructive, "awk with a word that is not known");
      }
    }
    if (i >= words.size()) return worsen(Effect::destructive, "awk without a program");
    if (!words[i].known || !is_plain_awk(words[i].text)) {
      return worsen(Effect::destructive, "awk with a program that may do more than print");
    }
    worsen(Effect::read, "awk only prints");
    for (++i; i < words.size(); ++i) file(words[i], Access::read);
  }

  PathContext context_;
  bool lost_ = false;  // in which directory commands run is not known
  ShellClass worst_{Effect::read, ""};
};

}  // namespace

ShellClass classify_shell(std::string_view command, const PathContext& context) {
  return Classifier(context).classify(command);
}

}  // namespace gavel
