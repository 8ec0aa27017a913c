#pragma once
// A YAML text as a tree that remembers where everything stands. One document, of mappings, lists
// and scalars; aliases are expanded here, within the limits below, and tags and merge keys are
// refused: a policy file says what it says. Plain scalars follow YAML 1.2's core schema: only true
// and false are booleans, `no` is a text.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "policy/parse.hpp"

namespace gavel {

inline constexpr std::size_t kYamlDepthMax = 64;
inline constexpr std::size_t kYamlNodesMax = 200'000;
inline constexpr std::size_t kYamlMembersMax = 10'000;  // of one mapping

struct YamlNode {
  enum class Kind { null, scalar, list, mapping };
  struct Member;

  Kind kind = Kind::null;
  bool quoted = false;  // a scalar in quotes or a block is text, whatever it looks like
  int line = 0;
  int column = 0;
  std::string text;             // of a scalar
  std::vector<YamlNode> items;  // of a list
  std::vector<Member> members;  // of a mapping, in their order; keys differ
  const YamlNode* find(std::string_view key) const;
};
struct YamlNode::Member {
  std::string key;
  int line = 0;
  int column = 0;
  YamlNode value;
};

// The document's root; a mapping or null (an empty document). What is wrong goes to `problems`, and
// the tree then holds what could be read.
YamlNode read_yaml(std::string_view text, std::vector<PolicyProblem>& problems);

// A plain scalar as JSON: null, boolean, number or string. Everything else as it stands.
json::value to_json(const YamlNode& node);

}  // namespace gavel
