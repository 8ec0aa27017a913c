#include "policy/shell_parser.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace gavel {
namespace {

constexpr std::string_view kBlank = " \t";
constexpr std::string_view kMeta = " \t\n;&|()<>";
// Words that mean something where a command may begin, and what this parser leaves alone.
constexpr std::string_view kRefused[] = {"function", "select",  "coproc",
                                         "let",      "declare", "typeset"};
constexpr std::string_view kClosers[] = {"then", "elif", "else", "fi", "do",
                                         "done", "esac", "}",    "]]"};

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_name(char c) {
  return is_name_start(c) || (c >= '0' && c <= '9');
}

class Parser {
public:
  Parser(std::string_view text, std::size_t depth) : text_(text), depth_(depth) {}

  Result<std::vector<ShellCommand>> parse() {
    if (text_.size() > kShellBytesMax) return refuse("it is too long");
    if (depth_ > kShellDepthMax) return refuse("it is nested too deeply");
    for (const char c : text_) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte < 0x20 && c != '\t' && c != '\n') || byte == 0x7F) {
        return refuse("it holds a control character");
      }
    }
    TRY(list({}));
    if (at_ != text_.size()) return refuse("something closes that was not opened");
    if (!heredocs_.empty()) return refuse("a here document is missing");
    return std::move(commands_);
  }

private:
  using Ends = std::vector<std::string_view>;

  std::unexpected<Error> refuse(std::string_view why) const {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} (near \"{}\")", why,
                            for_display(text_.substr(std::min(at_, text_.size())), 40)));
  }
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool done() const { return at_ >= text_.size(); }
  void skip(std::size_t bytes) { at_ = std::min(at_ + bytes, text_.size()); }
  bool take(std::string_view symbol) {
    if (!text_.substr(at_).starts_with(symbol)) return false;
    at_ += symbol.size();
    return true;
  }

  // Blanks, continued lines, comments.
  void skip_blanks() {
    for (;;) {
      if (kBlank.find(peek()) != std::string_view::npos && !done()) {
        ++at_;
      } else if (peek() == '\\' && peek(1) == '\n') {
        at_ += 2;
      } else if (peek() == '#') {
        while (!done() && peek() != '\n') ++at_;
      } else {
        return;
      }
    }
  }
  Status newline() {
    ++at_;
    auto waiting = std::exchange(heredocs_, {});
    for (const auto& here : waiting) TRY(here_body(here));
    return {};
  }
  Status skip_separators() {
    for (;;) {
      skip_blanks();
      if (done()) return {};
      if (peek() == '\n') {
        TRY(newline());
      } else {
        return {};
      }
    }
  }

  // The plain word that begins here, without taking it: for reserved words.
  std::string_view reserved() const {
    std::size_t end = at_;
    while (end < text_.size() && kMeta.find(text_[end]) == std::string_view::npos) ++end;
    return text_.substr(at_, end - at_);
  }
  bool take_reserved(std::string_view word) {
    if (reserved() != word) return false;
    at_ += word.size();
    return true;
  }
  Status expect(std::string_view word) {
    TRY(skip_separators());
    if (!take_reserved(word)) return refuse(fmt::format("\"{}\" is missing", word));
    return {};
  }
  bool at_end(const Ends& ends) const {
    if (done() || peek() == ')') return true;
    if (text_.substr(at_).starts_with(";;") || text_.substr(at_).starts_with(";&")) return true;
    return std::find(ends.begin(), ends.end(), reserved()) != ends.end();
  }

  // Commands up to one of `ends`, a closing bracket or the end of the text.
  Status list(const Ends& ends) {
    if (++nested_ > kShellDepthMax * 2) return refuse("it is nested too deeply");
    for (;;) {
      TRY(skip_separators());
      if (at_end(ends)) break;
      TRY(and_or());
      skip_blanks();
      if (at_end(ends)) break;
      if (peek() == '\n') continue;
      if (!take(";") && !take("&")) return refuse("a command does not end where it should");
    }
    --nested_;
    return {};
  }
  Status and_or() {
    for (;;) {
      TRY(pipeline());
      skip_blanks();
      if (!take("&&") && !take("||")) return {};
      TRY(skip_separators());
    }
  }
  Status pipeline() {
    skip_blanks();
    while (take_reserved("!") || take_reserved("time")) skip_blanks();
    bool fed = false;
    for (;;) {
      const std::size_t first = commands_.size();
      TRY(command());
      if (fed) {
        for (std::size_t i = first; i < commands_.size(); ++i) commands_[i].fed = true;
      }
      skip_blanks();
      if (text_.substr(at_).starts_with("||")) return {};
      if (!take("|&") && !take("|")) return {};
      fed = true;
      TRY(skip_separators());
    }
  }

  Status command() {
    skip_blanks();
    const auto word = reserved();
    if (std::find(std::begin(kRefused), std::end(kRefused), word) != std::end(kRefused)) {
      return refuse(fmt::format("\"{}\" is not followed here", word));
    }
    if (std::find(std::begin(kClosers), std::end(kClosers), word) != std::end(kClosers)) {
      return refuse(fmt::format("\"{}\" stands where a command should", word));
    }
    const std::size_t first = commands_.size();
    if (peek() == '(') {
      if (peek(1) == '(') return refuse("arithmetic is not followed here");
      ++at_;
      TRY(list({}));
      if (!take(")")) return refuse("a bracket is not closed");
    } else if (take_reserved("{")) {
      TRY(list({"}"}));
      TRY(expect("}"));
    } else if (take_reserved("if")) {
      TRY(if_clause());
    } else if (take_reserved("while") || take_reserved("until")) {
      TRY(list({"do"}));
      TRY(loop_body());
    } else if (take_reserved("for")) {
      TRY(for_clause());
    } else if (take_reserved("case")) {
      TRY(case_clause());
    } else if (take_reserved("[[")) {
      TRY(double_bracket());
    } else {
      return simple();
    }
    const bool loops = word == "while" || word == "until" || word == "for";
    for (std::size_t i = first; loops && i < commands_.size(); ++i) commands_[i].loops = true;
    // Redirections of the whole compound.
    ShellCommand outer;
    skip_blanks();
    while (is_redirect()) {
      TRY(redirect(outer));
      skip_blanks();
    }
    for (std::size_t i = first; outer.fed && i < commands_.size(); ++i) commands_[i].fed = true;
    if (!outer.redirects.empty()) TRY(add(std::move(outer)));
    return {};
  }
  Status add(ShellCommand command) {
    if (commands_.size() >= kShellCommandsMax) return refuse("it holds too many commands");
    commands_.push_back(std::move(command));
    return {};
  }

  Status loop_body() {
    TRY(expect("do"));
    TRY(list({"done"}));
    return expect("done");
  }
  Status if_clause() {
    TRY(list({"then"}));
    TRY(expect("then"));
    for (;;) {
      TRY(list({"elif", "else", "fi"}));
      if (take_reserved("fi")) return {};
      if (take_reserved("else")) {
        TRY(list({"fi"}));
        return expect("fi");
      }
      TRY(expect("elif"));
      TRY(list({"then"}));
      TRY(expect("then"));
    }
  }
  Status for_clause() {
    skip_blanks();
    const auto name = reserved();
    if (name.empty() || !is_name_start(name.front()) ||
        !std::all_of(name.begin(), name.end(), is_name)) {
      return refuse("a loop over something else than words is not followed here");
    }
    at_ += name.size();
    ShellCommand variable;
    variable.assignments.emplace_back(name, ShellWord{});
    TRY(add(std::move(variable)));
    TRY(skip_separators());
    if (take_reserved("in")) {
      for (skip_blanks(); !done() && kMeta.find(peek()) == std::string_view::npos; skip_blanks()) {
        TRY(word());
      }
    }
    skip_blanks();
    (void)take(";");
    return loop_body();
  }
  Status case_clause() {
    skip_blanks();
    TRY(word());
    TRY(expect("in"));
    for (;;) {
      TRY(skip_separators());
      if (take_reserved("esac")) return {};
      (void)take("(");
      for (;;) {
        skip_blanks();
        TRY(word());
        skip_blanks();
        if (!take("|")) break;
      }
      if (!take(")")) return refuse("a pattern of case is not closed");
      TRY(list({"esac"}));
      if (take(";;&") || take(";;") || take(";&")) continue;
      return expect("esac");
    }
  }
  // Tests change nothing, but arithmetic in them may run what a variable holds.
  Status double_bracket() {
    for (;;) {
      TRY(skip_separators());
      if (done()) return refuse("[[ is not closed");
      if (take_reserved("]]")) return {};
      if (take("&&") || take("||") || take("(") || take(")") || take("<") || take(">")) continue;
      if (peek() == ';' || peek() == '&' || peek() == '|') return refuse("[[ is not closed");
      ASSIGN_OR_RETURN(const auto operand, word());
      constexpr std::string_view kEvaluating[] = {"-eq", "-ne", "-lt", "-le",
                                                  "-gt", "-ge", "-v",  "-R"};
      if (std::find(std::begin(kEvaluating), std::end(kEvaluating), operand.text) !=
              std::end(kEvaluating) ||
          operand.text == "=~") {
        return refuse("[[ with arithmetic or patterns is not followed here");
      }
    }
  }

  bool is_redirect() const {
    std::size_t ahead = 0;
    while (peek(ahead) >= '0' && peek(ahead) <= '9') ++ahead;
    const char c = peek(ahead);
    if (c == '<' || c == '>') return !(ahead == 0 && peek(1) == '(');
    return ahead == 0 && c == '&' && peek(1) == '>';
  }
  struct Here {
    std::string delimiter;
    bool quoted = false;
    bool tabs = false;
  };
  Status redirect(ShellCommand& command) {
    while (peek() >= '0' && peek() <= '9') ++at_;
    if (text_.substr(at_).starts_with("<<") && !text_.substr(at_).starts_with("<<<")) {
      at_ += 2;
      Here here;
      here.tabs = take("-");
      skip_blanks();
      ASSIGN_OR_RETURN(const auto delimiter, word());
      if (!delimiter.known || delimiter.text.empty()) return refuse("a here document's end");
      here.delimiter = delimiter.text;
      here.quoted = !delimiter.plain;
      heredocs_.push_back(std::move(here));
      command.fed = true;
      return {};
    }
    if (take("<<<")) {
      skip_blanks();
      TRY(word());
      command.fed = true;
      return {};
    }
    ShellRedirect redirect;
    bool both = false;  // >& and &> may name a descriptor or a file
    if (take("&>>") || take("&>") || take(">>") || take(">|") || take("<>")) {
      redirect.writes = true;
    } else if (take(">&")) {
      redirect.writes = true;
      both = true;
    } else if (take("<&")) {
      both = true;
    } else if (take(">")) {
      redirect.writes = true;
    } else if (take("<")) {
      command.fed = true;
    } else {
      return refuse("a redirection");
    }
    skip_blanks();
    ASSIGN_OR_RETURN(redirect.target, word());
    const auto& target = redirect.target.text;
    const bool descriptor = redirect.target.known && !target.empty() &&
                            target.find_first_not_of("0123456789-") == std::string::npos;
    if (both && descriptor) return {};
    if (target.empty() && redirect.target.known) return refuse("a redirection to nothing");
    command.redirects.push_back(std::move(redirect));
    return {};
  }
  Status here_body(const Here& here) {
    std::string body;
    for (;;) {
      if (done()) return refuse("a here document does not end");
      const auto end = text_.find('\n', at_);
      auto line = text_.substr(at_, end == std::string_view::npos ? end : end - at_);
      at_ = end == std::string_view::npos ? text_.size() : end + 1;
      if (here.tabs) line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
      if (line == here.delimiter) break;
      body += line;
      body += '\n';
    }
    if (here.quoted) return {};
    // What is expanded in it may run commands.
    Parser inside(body, depth_ + 1);
    ShellWord ignored;
    while (!inside.done()) {
      if (inside.peek() == '\\') {
        inside.skip(2);
      } else if (inside.peek() == '$' || inside.peek() == '`') {
        TRY(inside.expansion(ignored));
      } else {
        ++inside.at_;
      }
    }
    return adopt(std::move(inside.commands_));
  }
  Status adopt(std::vector<ShellCommand> inner) {
    for (auto& command : inner) TRY(add(std::move(command)));
    return {};
  }

  Status simple() {
    ShellCommand command;
    for (;;) {
      skip_blanks();
      if (done()) break;
      if (is_redirect()) {
        TRY(redirect(command));
        continue;
      }
      if (kMeta.find(peek()) != std::string_view::npos &&
          !(peek(1) == '(' && (peek() == '<' || peek() == '>'))) {
        break;
      }
      if (command.words.empty() && is_assignment()) {
        const auto equals = text_.find('=', at_);
        std::string name(text_.substr(at_, equals - at_));
        if (name.ends_with('+')) name.pop_back();
        at_ = equals + 1;
        if (peek() == '(') return refuse("lists in variables are not followed here");
        ShellWord value;
        if (!done() && kMeta.find(peek()) == std::string_view::npos) {
          ASSIGN_OR_RETURN(value, word());
        }
        command.assignments.emplace_back(std::move(name), std::move(value));
        continue;
      }
      ASSIGN_OR_RETURN(auto next, word());
      if (peek() == '(') return refuse("functions and extended patterns are not followed here");
      command.words.push_back(std::move(next));
    }
    if (command.words.empty() && command.assignments.empty() && command.redirects.empty()) {
      if (command.fed) return add(std::move(command));
      return refuse("a command is missing");
    }
    return add(std::move(command));
  }
  bool is_assignment() const {
    std::size_t ahead = 0;
    if (!is_name_start(peek())) return false;
    while (is_name(peek(ahead))) ++ahead;
    return peek(ahead) == '=' || (peek(ahead) == '+' && peek(ahead + 1) == '=');
  }

  Result<ShellWord> word() {
    ShellWord out;
    const std::size_t start = at_;
    while (!done()) {
      const char c = peek();
      if ((c == '<' || c == '>') && peek(1) == '(') {
        at_ += 2;
        TRY(substituted(")"));
        out.text += "/dev/fd/63";
        out.plain = false;
        continue;
      }
      if (kMeta.find(c) != std::string_view::npos) break;
      if (c == '\\') {
        if (peek(1) == '\n') {
          at_ += 2;
          continue;
        }
        if (at_ + 1 >= text_.size()) return refuse("it ends in a backslash");
        out.text += peek(1);
        out.plain = false;
        at_ += 2;
      } else if (c == '\'') {
        TRY(single_quoted(out));
      } else if (c == '"') {
        ++at_;
        TRY(double_quoted(out));
      } else if (c == '$' || c == '`') {
        TRY(expansion(out));
      } else {
        // Braces make several words of one only where a comma or two dots follow.
        if (c == '{' && makes_words()) out.known = false;
        if (c == '*' || c == '?' || c == '[') out.glob = true;
        if (c == '~' && (at_ == start || text_[at_ - 1] == '=' || text_[at_ - 1] == ':')) {
          out.tilde = at_ == start;
          if (at_ != start) out.known = false;
        }
        out.text += c;
        ++at_;
      }
    }
    if (at_ == start) return refuse("a word is missing");
    return out;
  }
  bool makes_words() const {
    const auto line = text_.substr(at_, text_.find('\n', at_) - at_);
    return line.find(',') != std::string_view::npos || line.find("..") != std::string_view::npos;
  }
  Status single_quoted(ShellWord& out) {
    const auto end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos) return refuse("a quote is not closed");
    out.text += text_.substr(at_ + 1, end - at_ - 1);
    out.plain = false;
    at_ = end + 1;
    return {};
  }
  Status double_quoted(ShellWord& out) {
    out.plain = false;
    while (!done()) {
      const char c = peek();
      if (c == '"') {
        ++at_;
        return {};
      }
      if (c == '\\') {
        const char next = peek(1);
        if (next != '\n') {
          if (next != '$' && next != '`' && next != '"' && next != '\\') out.text += '\\';
          out.text += next;
        }
        skip(2);
      } else if (c == '$' || c == '`') {
        TRY(expansion(out, Quoted::yes));
      } else {
        out.text += c;
        ++at_;
      }
    }
    return refuse("a quote is not closed");
  }

  enum class Quoted { no, yes };
  // At $ or a backtick. What it becomes is not known; what it runs is parsed.
  Status expansion(ShellWord& out, Quoted quoted = Quoted::no) {
    if (peek() == '`') return backticks(out);
    ++at_;
    const char c = peek();
    if (c == '\'' && quoted == Quoted::no) {
      // Escapes in $'...' spell what is not seen.
      const auto end = text_.find('\'', at_ + 1);
      if (end == std::string_view::npos) return refuse("a quote is not closed");
      if (text_.substr(at_, end - at_).find('\\') != std::string_view::npos) {
        return refuse("escapes in $'...' are not followed here");
      }
      return single_quoted(out);
    }
    if (c == '"' && quoted == Quoted::no) {
      ++at_;
      return double_quoted(out);
    }
    if (c == '(') {
      if (peek(1) == '(') return arithmetic(out);
      ++at_;
      out.known = false;
      return substituted(")");
    }
    if (c == '[') return refuse("arithmetic is not followed here");
    if (c == '{') return braced(out);
    if (is_name_start(c)) {
      const std::size_t start = at_;
      while (is_name(peek())) ++at_;
      return variable(out, text_.substr(start, at_ - start));
    }
    if ((c >= '0' && c <= '9') ||
        (c != '\0' && std::string_view("@*#?-$!").find(c) != std::string_view::npos)) {
      ++at_;
      out.known = false;
      return {};
    }
    out.text += '$';
    return {};
  }
  // The home directory is as good as a tilde; any other variable may hold anything.
  Status variable(ShellWord& out, std::string_view name) {
    if (name == "HOME" && out.text.empty() && out.known) {
      out.text = "~";
      out.tilde = true;
      return {};
    }
    out.known = false;
    return {};
  }
  Status arithmetic(ShellWord& out) {
    at_ += 2;
    const auto end = text_.find("))", at_);
    if (end == std::string_view::npos) return refuse("arithmetic is not closed");
    // Names in it may hold text that runs commands.
    if (text_.substr(at_, end - at_).find_first_not_of("0123456789 +-*/%()<>=!&|^~?:,") !=
        std::string_view::npos) {
      return refuse("arithmetic with names is not followed here");
    }
    at_ = end + 2;
    out.known = false;
    return {};
  }
  Status braced(ShellWord& out) {
    ++at_;
    const std::size_t start = at_;
    const std::size_t deep = nested_;
    if (++nested_ > kShellDepthMax * 2) return refuse("it is nested too deeply");
    if (peek() == '!') return refuse("indirect variables are not followed here");
    ShellWord inner;
    while (!done() && peek() != '}') {
      const char c = peek();
      if (c == '@' && at_ > start && peek(1) != '}' && peek(1) != ']') {
        return refuse("transformed variables are not followed here");
      }
      if (c == '[' && peek(1) != '@' && peek(1) != '*') {
        if (peek(1) < '0' || peek(1) > '9') return refuse("a subscript is not followed here");
      }
      if (c == ':' && is_name_start(peek(1))) return refuse("a substring by name");
      if (c == '\\') {
        skip(2);
      } else if (c == '\'') {
        TRY(single_quoted(inner));
      } else if (c == '"') {
        ++at_;
        TRY(double_quoted(inner));
      } else if (c == '$' || c == '`') {
        TRY(expansion(inner));
      } else {
        ++at_;
      }
    }
    if (done()) return refuse("a bracket is not closed");
    const auto name = text_.substr(start, at_ - start);
    ++at_;
    nested_ = deep;
    if (!name.empty() && std::all_of(name.begin(), name.end(), is_name)) {
      return variable(out, name);
    }
    out.known = false;
    return {};
  }
  Status substituted(std::string_view closer) {
    auto waiting = std::exchange(heredocs_, {});
    TRY(list({}));
    if (!heredocs_.empty()) return refuse("a here document is missing");
    heredocs_ = std::move(waiting);
    if (!take(closer)) return refuse("a bracket is not closed");
    return {};
  }
  Status backticks(ShellWord& out) {
    ++at_;
    std::string inner;
    while (!done() && peek() != '`') {
      if (peek() == '\\' && (peek(1) == '`' || peek(1) == '\\' || peek(1) == '$')) ++at_;
      inner += peek();
      ++at_;
    }
    if (!take("`")) return refuse("a backtick is not closed");
    out.known = false;
    ASSIGN_OR_RETURN(auto commands, parse_shell(inner, depth_ + 1));
    return adopt(std::move(commands));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t depth_;
  std::size_t nested_ = 0;
  std::vector<Here> heredocs_;
  std::vector<ShellCommand> commands_;
};

}  // namespace

Result<std::vector<ShellCommand>> parse_shell(std::string_view text, std::size_t depth) {
  return Parser(text, depth).parse();
}

}  // namespace gavel
