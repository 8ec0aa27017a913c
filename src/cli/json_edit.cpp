#include "cli/json_edit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/json.hpp"

namespace gavel {
namespace {

constexpr std::size_t kDepthMax = 64;

struct Member {
  std::size_t begin = 0;  // of the element, or of the member's name
  std::size_t end = 0;    // behind its value
  std::string name;
  std::size_t value = 0;
  std::size_t comma = std::string_view::npos;  // the one behind it
};
struct Container {
  std::size_t begin = 0;  // at the opening bracket
  std::size_t end = 0;    // at the closing one
  bool object = false;
  bool comma_at_end = false;
  std::vector<Member> members;
};

class Scanner {
public:
  explicit Scanner(std::string_view text) : text_(text) {}

  Result<Container> container(std::size_t at) {
    at_ = at;
    TRY(blanks());
    Container found;
    found.begin = at_;
    if (!has('{') && !has('[')) return broken("an object or a list");
    found.object = has('{');
    const char closer = found.object ? '}' : ']';
    ++at_;
    for (;;) {
      TRY(blanks());
      if (has(closer)) break;
      Member member;
      member.begin = at_;
      if (found.object) {
        TRY(string());
        const auto name = parse_json(text_.substr(member.begin, at_ - member.begin));
        if (!name) return std::unexpected(name.error());
        member.name = view(name->get_string());
        TRY(blanks());
        if (!has(':')) return broken("a colon");
        ++at_;
        TRY(blanks());
      }
      member.value = at_;
      TRY(value(0));
      member.end = at_;
      found.members.push_back(std::move(member));
      found.comma_at_end = false;
      TRY(blanks());
      if (has(closer)) break;
      if (!has(',')) return broken("a comma");
      found.comma_at_end = true;
      found.members.back().comma = at_;
      ++at_;
    }
    found.end = at_;
    return found;
  }
  // Whether nothing but blanks and comments stands behind `at`.
  Status ends_after(std::size_t at) {
    at_ = at;
    TRY(blanks());
    if (at_ != text_.size()) return broken("the end");
    return {};
  }

private:
  bool has(char c) const { return at_ < text_.size() && text_[at_] == c; }
  std::unexpected<Error> broken(std::string_view expected) const {
    const auto line =
        std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n');
    return fail(ErrorCode::invalid_argument,
                fmt::format("it is not JSON: line {} should have {}", line + 1, expected));
  }
  Status blanks() {
    for (;;) {
      while (at_ < text_.size() &&
             std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) {
        ++at_;
      }
      const auto rest = text_.substr(at_);
      if (rest.starts_with("//")) {
        at_ += std::min(rest.find('\n'), rest.size());
      } else if (rest.starts_with("/*")) {
        const auto end = rest.find("*/", 2);
        if (end == std::string_view::npos) return broken("the end of a comment");
        at_ += end + 2;
      } else {
        return {};
      }
    }
  }
  Status string() {
    if (!has('"')) return broken("a name");
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
    }
    if (at_ >= text_.size()) return broken("the end of a text");
    ++at_;
    return {};
  }
  Status value(std::size_t depth) {
    if (depth > kDepthMax) return broken("fewer levels");
    if (has('"')) return string();
    if (!has('{') && !has('[')) {
      const auto start = at_;
      while (at_ < text_.size() &&
             std::string_view(" \t\r\n,]}/:{[\"").find(text_[at_]) == std::string_view::npos) {
        ++at_;
      }
      if (at_ == start) return broken("a value");
      return {};
    }
    const bool object = has('{');
    const char closer = object ? '}' : ']';
    ++at_;
    for (;;) {
      TRY(blanks());
      if (has(closer)) break;
      if (object) {
        TRY(string());
        TRY(blanks());
        if (!has(':')) return broken("a colon");
        ++at_;
        TRY(blanks());
      }
      TRY(value(depth + 1));
      TRY(blanks());
      if (has(closer)) break;
      if (!has(',')) return broken("a comma");
      ++at_;
    }
    ++at_;
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

Result<Container> root_of(std::string_view text) {
  Scanner scanner(text);
  ASSIGN_OR_RETURN(auto root, scanner.container(0));
  TRY(scanner.ends_after(root.end + 1));
  if (!root.object) return fail(ErrorCode::invalid_argument, "it is no JSON object");
  return root;
}

const Member* find_name(const Container& object, std::string_view name) {
  const auto found = std::find_if(object.members.begin(), object.members.end(),
                                  [&](const Member& member) { return member.name == name; });
  return found == object.members.end() ? nullptr : &*found;
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// The blanks that the line of `at` begins with.
std::string_view indent_at(std::string_view text, std::size_t at) {
  const auto line = text.rfind('\n', at == 0 ? 0 : at - 1);
  const auto begin = line == std::string_view::npos ? 0 : line + 1;
  const auto end = text.find_first_not_of(" \t", begin);
  return text.substr(begin, std::min(end, at) - begin);
}

std::string indented(std::string_view block, std::string_view indent) {
  std::string out;
  for (const char c : block) {
    out += c;
    if (c == '\n') out += indent;
  }
  return out;
}

// Where what is said on the line of `at` ends: behind blanks and whole comments, before whatever
// else follows and before a comment that goes on in the next line.
std::size_t end_of_remarks(std::string_view text, std::size_t at) {
  std::size_t end = at;
  for (;;) {
    at = std::min(text.find_first_not_of(" \t", at), text.size());
    const auto rest = text.substr(at);
    const auto line = std::min(rest.find('\n'), rest.size());
    if (rest.starts_with("//")) return at + line;
    const auto close = rest.starts_with("/*") ? rest.find("*/", 2) : std::string_view::npos;
    if (close == std::string_view::npos || close > line) return end;
    at += close + 2;
    end = at;
  }
}

// `item` as the last one of the container.
std::string insert_last(std::string_view text, const Container& container, std::string_view item) {
  const auto step = text.find('\t') != std::string_view::npos ? "\t" : "  ";
  const std::string outer(indent_at(text, container.begin));
  const std::string inner = outer + step;
  std::string out;
  if (container.members.empty()) {
    // Comments that stand alone in it stay.
    const auto kept = text.substr(container.begin + 1, container.end - container.begin - 1);
    out = std::string(text.substr(0, container.begin + 1));
    const auto last = kept.find_last_not_of(" \t\r\n");
    if (last != std::string_view::npos) out += kept.substr(0, last + 1);
    out += "\n" + inner + indented(item, inner) + "\n" + outer;
    return out + std::string(text.substr(container.end));
  }
  // Behind the comma that is there, or a new one, and what is said beside the old one.
  const Member& last = container.members.back();
  const auto end = container.comma_at_end ? end_of_remarks(text, last.comma + 1) : last.end;
  out = std::string(text.substr(0, end));
  if (!container.comma_at_end) out += ",";
  out += "\n" + inner + indented(item, inner);
  const auto between = text.substr(end, container.end - end);
  if (between.find('\n') == std::string_view::npos) out += "\n" + outer;
  return out + std::string(text.substr(end));
}

std::string_view without_blanks_behind(std::string_view text) {
  return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
}

// Without the member and its comma, and its line where it has one of its own. Comments around it
// stay.
std::string cut(std::string_view text, const Container& container, std::size_t index) {
  const Member& member = container.members[index];
  const bool last = index + 1 == container.members.size();
  if (!last) {
    const auto next = text.find_first_not_of(" \t\r\n", member.comma + 1);
    return std::string(text.substr(0, member.begin)) + std::string(text.substr(next));
  }
  const auto rest = text.substr(container.comma_at_end ? member.comma + 1 : member.end);
  const auto inside = text.substr(container.begin + 1, member.begin - container.begin - 1);
  const auto behind = rest.substr(0, rest.size() - (text.size() - container.end));
  if (index == 0 && is_blank(inside) && is_blank(behind)) {
    return std::string(text.substr(0, container.begin + 1)) +
           std::string(text.substr(container.end));
  }
  std::string out;
  auto before = text.substr(0, member.begin);
  if (index > 0 && !container.comma_at_end) {
    const auto comma = container.members[index - 1].comma;
    out = before.substr(0, comma);
    before.remove_prefix(comma + 1);
  }
  out += without_blanks_behind(before);
  // A comment up to the end of its line must not reach what follows.
  const bool has_line = rest.starts_with('\n') || rest.starts_with("\r\n");
  if (!has_line && before.contains("//")) out += '\n';
  return out + std::string(rest);
}

struct Place {
  Container container;
  std::size_t found = 0;  // how many names of the path were there
};
// The container at the path, or the deepest one on the way to it.
Result<Place> locate(std::string_view text, const std::vector<std::string>& path) {
  Place place;
  ASSIGN_OR_RETURN(place.container, root_of(text));
  for (const auto& name : path) {
    if (!place.container.object) break;
    const Member* member = find_name(place.container, name);
    if (member == nullptr) break;
    // Programs take one of two, and it may not be ours.
    if (std::ranges::count(place.container.members, name, &Member::name) > 1) {
      return fail(ErrorCode::invalid_argument, fmt::format("\"{}\" stands twice in it", name));
    }
    const char c = text[member->value];
    if (c != '{' && c != '[') {
      return fail(ErrorCode::invalid_argument, fmt::format("\"{}\" holds no settings", name));
    }
    const auto at = member->value;
    ASSIGN_OR_RETURN(place.container, Scanner(text).container(at));
    ++place.found;
  }
  return place;
}

}  // namespace

Result<std::string> append_element(std::string_view text, const std::vector<std::string>& path,
                                   std::string_view element) {
  const std::string start = is_blank(text) ? "{}\n" : std::string(text);
  ASSIGN_OR_RETURN(const auto place, locate(start, path));
  if (place.found == path.size()) {
    if (place.container.object) {
      return fail(ErrorCode::invalid_argument, fmt::format("\"{}\" is no list", path.back()));
    }
    return insert_last(start, place.container, element);
  }
  if (!place.container.object) {
    return fail(ErrorCode::invalid_argument, "a list stands where names should");
  }
  std::string item = "[\n  " + indented(element, "  ") + "\n]";
  for (std::size_t i = path.size(); i-- > place.found + 1;) {
    item = fmt::format("{{\n  \"{}\": {}\n}}", path[i], indented(item, "  "));
  }
  return insert_last(start, place.container, fmt::format("\"{}\": {}", path[place.found], item));
}

Result<std::string> add_member(std::string_view text, const std::vector<std::string>& path,
                               std::string_view value) {
  const std::string start = is_blank(text) ? "{}\n" : std::string(text);
  ASSIGN_OR_RETURN(const auto root, root_of(start));
  if (path.size() != 1) return fail(ErrorCode::invalid_argument, "only members of the root");
  if (find_name(root, path.front()) != nullptr) return start;
  return insert_last(start, root, fmt::format("\"{}\": {}", path.front(), value));
}

Result<std::string> remove_elements(std::string_view text, const std::vector<std::string>& path,
                                    const std::function<bool(std::string_view)>& matches) {
  std::string out(text);
  if (is_blank(text)) return out;
  bool removed = false;
  for (;;) {
    ASSIGN_OR_RETURN(const auto place, locate(out, path));
    if (place.found != path.size() || place.container.object) return out;
    const auto& members = place.container.members;
    const auto mine = std::find_if(members.begin(), members.end(), [&](const Member& member) {
      return matches(std::string_view(out).substr(member.begin, member.end - member.begin));
    });
    if (mine == members.end()) break;
    out = cut(out, place.container, static_cast<std::size_t>(mine - members.begin()));
    removed = true;
  }
  for (std::size_t length = path.size(); removed && length > 0; --length) {
    const std::vector<std::string> here(path.begin(),
                                        path.begin() + static_cast<std::ptrdiff_t>(length));
    ASSIGN_OR_RETURN(const auto place, locate(out, here));
    const auto inside = std::string_view(out).substr(
        place.container.begin + 1, place.container.end - place.container.begin - 1);
    if (place.found != length || !is_blank(inside)) break;
    const std::vector<std::string> above(here.begin(), here.end() - 1);
    ASSIGN_OR_RETURN(const auto parent, locate(out, above));
    const Member* member = find_name(parent.container, here.back());
    if (member == nullptr) break;
    out = cut(out, parent.container,
              static_cast<std::size_t>(member - parent.container.members.data()));
  }
  return out;
}

Result<std::vector<std::string>> elements_of(std::string_view text,
                                             const std::vector<std::string>& path) {
  std::vector<std::string> out;
  if (is_blank(text)) return out;
  ASSIGN_OR_RETURN(const auto place, locate(text, path));
  if (place.found != path.size() || place.container.object) return out;
  for (const auto& member : place.container.members) {
    out.emplace_back(text.substr(member.begin, member.end - member.begin));
  }
  return out;
}

}  // namespace gavel
