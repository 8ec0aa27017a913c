#include "policy/yaml_tree.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <sstream>

#include "base/text.hpp"

namespace gavel {
namespace {

// Ends the parse: the first problem of the text as such is the only one that can be trusted.
struct Stop {
  PolicyProblem problem;
};

[[noreturn]] void stop(int line, int column, std::string message) {
  PolicyProblem problem;
  problem.line = line;
  problem.column = column;
  problem.message = std::move(message);
  throw Stop{std::move(problem)};
}

std::size_t count_nodes(const YamlNode& node) {
  std::size_t count = 1;
  for (const auto& item : node.items) count += count_nodes(item);
  for (const auto& member : node.members) count += count_nodes(member.value);
  return count;
}

std::size_t height(const YamlNode& node) {
  std::size_t below = 0;
  for (const auto& item : node.items) below = std::max(below, height(item));
  for (const auto& member : node.members) below = std::max(below, height(member.value));
  return below + 1;
}

// Builds the tree from yaml-cpp's events.
class TreeBuilder : public YAML::EventHandler {
public:
  explicit TreeBuilder(std::vector<PolicyProblem>& problems) : problems_(problems) {}

  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { finish(at(mark), anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) stop(mark.line + 1, mark.column + 1, "an alias of itself");
    const Anchored& anchored = found->second;
    count(anchored.nodes, mark);
    if (open_.size() + anchored.height > kYamlDepthMax) too_deep(mark);
    YamlNode copy = anchored.node;
    copy.line = mark.line + 1;
    copy.column = mark.column + 1;
    if (expects_key()) stop(copy.line, copy.column, "an alias cannot be a key; write it out");
    place(std::move(copy));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = at(mark);
    node.quoted = check_tag(mark, tag);
    node.kind = YamlNode::Kind::scalar;
    node.text = value;
    if (!node.quoted && (value == "~" || value == "null" || value == "Null" || value == "NULL")) {
      node.kind = YamlNode::Kind::null;
    }
    if (expects_key()) {
      take_key(node);
    } else {
      finish(std::move(node), anchor);
    }
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    start(mark, tag, anchor, YamlNode::Kind::list);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    start(mark, tag, anchor, YamlNode::Kind::mapping);
  }
  void OnMapEnd() override { end(); }

private:
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor;
    std::optional<YamlNode::Member> key;
  };
  struct Anchored {
    YamlNode node;
    std::size_t nodes;
    std::size_t height;
  };

  static YamlNode at(const YAML::Mark& mark) {
    YamlNode node;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  void count(std::size_t nodes, const YAML::Mark& mark) {
    nodes_ += nodes;
    if (nodes_ > kYamlNodesMax) {
      stop(mark.line + 1, mark.column + 1,
           fmt::format("the file has more than {} nodes, aliases expanded", kYamlNodesMax));
    }
  }
  [[noreturn]] static void too_deep(const YAML::Mark& mark) {
    stop(mark.line + 1, mark.column + 1,
         fmt::format("nested deeper than {} levels", kYamlDepthMax));
  }

  // True where the scalar is text for sure.
  static bool check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?") return false;
    if (tag == "!" || tag == "tag:yaml.org,2002:str") return true;
    stop(mark.line + 1, mark.column + 1,
         fmt::format("the tag {} is not supported; leave it out", for_display(tag, 60)));
  }

  bool expects_key() const {
    return !open_.empty() && open_.back().node.kind == YamlNode::Kind::mapping && !open_.back().key;
  }

  void take_key(const YamlNode& node) {
    Open& mapping = open_.back();
    if (mapping.node.members.size() >= kYamlMembersMax) {
      stop(node.line, node.column,
           fmt::format("a mapping of more than {} members", kYamlMembersMax));
    }
    for (const auto& member : mapping.node.members) {
      if (member.key != node.text) continue;
      PolicyProblem problem;
      problem.line = node.line;
      problem.column = node.column;
      problem.message = fmt::format("`{}` stands twice; the first one is in line {}",
                                    for_display(node.text, 60), member.line);
      problems_.push_back(std::move(problem));
    }
    mapping.key = YamlNode::Member{node.text, node.line, node.column, {}};
  }

  void start(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
             YamlNode::Kind kind) {
    if (expects_key()) stop(mark.line + 1, mark.column + 1, "a key must be a plain text");
    if (!tag.empty() && tag != "?" && tag != "!") check_tag(mark, tag);
    if (open_.size() >= kYamlDepthMax) too_deep(mark);
    YamlNode node = at(mark);
    node.kind = kind;
    open_.push_back({std::move(node), anchor, std::nullopt});
  }

  void end() {
    Open done = std::move(open_.back());
    open_.pop_back();
    finish(std::move(done.node), done.anchor);
  }

  void finish(YamlNode node, YAML::anchor_t anchor) {
    if (expects_key()) stop(node.line, node.column, "a key is missing");
    YAML::Mark mark;
    mark.line = node.line - 1;
    mark.column = node.column - 1;
    count(1, mark);
    if (anchor != 0) anchors_.insert_or_assign(anchor, anchored(node, mark));
    place(std::move(node));
  }

  Anchored anchored(const YamlNode& node, const YAML::Mark& mark) {
    Anchored result{node, count_nodes(node), height(node)};
    count(result.nodes, mark);  // the copy that is kept
    return result;
  }

  void place(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::list) {
      parent.node.items.push_back(std::move(node));
      return;
    }
    if (node.kind == YamlNode::Kind::null) {
      // An absent value stands nowhere: its key tells the place.
      node.line = parent.key->line;
      node.column = parent.key->column;
    }
    parent.key->value = std::move(node);
    const auto same = std::find_if(parent.node.members.begin(), parent.node.members.end(),
                                   [&](const auto& other) { return other.key == parent.key->key; });
    if (same == parent.node.members.end()) parent.node.members.push_back(std::move(*parent.key));
    parent.key.reset();
  }

  std::vector<PolicyProblem>& problems_;
  YamlNode root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::size_t nodes_ = 0;
};

// The first byte that is not UTF-8, or a control character that YAML forbids.
std::optional<PolicyProblem> bad_character(std::string_view text) {
  PolicyProblem problem;
  problem.line = 1;
  std::size_t start = 0;
  while (start <= text.size()) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = text.substr(start, end - start);
    if (!is_valid_utf8(line)) {
      problem.message = "this line is not valid UTF-8";
      return problem;
    }
    const auto control = std::find_if(line.begin(), line.end(), [](char c) {
      return (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r') || c == 0x7F;
    });
    if (control != line.end()) {
      problem.column = static_cast<int>(control - line.begin()) + 1;
      problem.message = fmt::format("a control character (0x{:02x}); remove it", *control);
      return problem;
    }
    const std::size_t indent = line.find_first_not_of(' ');
    if (indent != std::string_view::npos && line[indent] == '\t' &&
        line.find_first_not_of(" \t\r", indent) != std::string_view::npos) {
      problem.column = static_cast<int>(indent) + 1;
      problem.message = "a tab in the indentation; YAML wants spaces";
      return problem;
    }
    start = end + 1;
    ++problem.line;
  }
  return std::nullopt;
}

template <typename T>
std::optional<T> whole_number(std::string_view text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A number as JSON writes it, and YAML's +1, .5, 1., 0x1F and 0o17.
std::optional<json::value> to_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.starts_with('+')) return std::nullopt;
  if (const auto number = whole_number<std::int64_t>(text)) return json::value(*number);
  if (const auto number = whole_number<std::uint64_t>(text)) return json::value(*number);
  for (const auto& [prefix, base] : {std::pair{"0x", 16}, {"0o", 8}}) {
    if (!text.starts_with(prefix)) continue;
    if (const auto number = whole_number<std::int64_t>(text.substr(2), base)) {
      return json::value(*number);
    }
  }
  // from_chars also reads inf and nan, which JSON has not.
  if (text.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return json::value(value);
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  for (const auto& member : members) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

YamlNode read_yaml(std::string_view text, std::vector<PolicyProblem>& problems) {
  if (text.size() > kPolicyBytesMax) {
    PolicyProblem problem;
    problem.message =
        fmt::format("the file has {} bytes; the limit is {}", text.size(), kPolicyBytesMax);
    problems.push_back(std::move(problem));
    return {};
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (auto problem = bad_character(text)) {
    problems.push_back(std::move(*problem));
    return {};
  }
  TreeBuilder builder(problems);
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    parser.HandleNextDocument(builder);
    TreeBuilder rest(problems);
    if (parser.HandleNextDocument(rest))
      stop(0, 0, "a policy file is one YAML document; there is \"---\" and a second one");
    YamlNode root = builder.take();
    if (root.kind == YamlNode::Kind::scalar || root.kind == YamlNode::Kind::list) {
      stop(root.line, root.column, "a policy file is a mapping: `servers:`, `rules:`, …");
    }
    return root;
  } catch (const Stop& stopped) {
    problems.push_back(stopped.problem);
  } catch (const YAML::Exception& error) {
    PolicyProblem problem;
    problem.line = error.mark.line + 1;
    problem.column = error.mark.column + 1;
    problem.message = "not YAML: " + error.msg;
    problems.push_back(std::move(problem));
  }
  return {};
}

json::value to_json(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::null:
      return nullptr;
    case YamlNode::Kind::list: {
      json::array array;
      for (const auto& item : node.items) array.push_back(to_json(item));
      return array;
    }
    case YamlNode::Kind::mapping: {
      json::object object;
      for (const auto& member : node.members) object[member.key] = to_json(member.value);
      return object;
    }
    case YamlNode::Kind::scalar:
      break;
  }
  if (!node.quoted) {
    if (node.text == "true" || node.text == "True" || node.text == "TRUE") return true;
    if (node.text == "false" || node.text == "False" || node.text == "FALSE") return false;
    if (auto number = to_number(node.text)) return *number;
  }
  return json::value(json::string(node.text));
}

}  // namespace gavel
