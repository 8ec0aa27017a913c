#pragma once
// A policy ready to be asked: the content of its file, the rules' conditions compiled, and an index
// that finds the rules for a call without trying each one. Immutable, so any thread may ask.
// Private to policy; made by policy/parse.cpp.
//
// Rules stand in the index with the worst verdict first: the first one that matches decides.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/policy.hpp"
#include "policy/schema_program.hpp"

namespace gavel {

// A set of rules, by their place in the index.
class RuleSet {
public:
  explicit RuleSet(std::size_t rules) : words_((rules + 63) / 64) {}
  void add(std::size_t rule) { words_[rule / 64] |= std::uint64_t{1} << (rule % 64); }
  void add(const RuleSet& other);
  void keep(const RuleSet& other);
  // Calls visit(rule) in order until it returns true.
  template <typename Visit>
  void visit(Visit visit) const {
    for (std::size_t word = 0; word < words_.size(); ++word) {
      for (std::uint64_t bits = words_[word]; bits != 0; bits &= bits - 1) {
        if (visit(word * 64 + static_cast<std::size_t>(__builtin_ctzll(bits)))) return;
      }
    }
  }

private:
  std::vector<std::uint64_t> words_;
};

// Which rules' globs match a text. Globs are found by the literal text before their first wildcard.
class GlobIndex {
public:
  explicit GlobIndex(std::size_t rules) : any_(rules) {}
  // No globs: the rule matches any text.
  void add(std::size_t rule, const std::vector<std::string>& globs);
  // After the last add: the rules of common globs become sets.
  void settle(std::size_t rules);
  RuleSet match(std::string_view text) const;

private:
  struct Glob {
    std::string text;
    std::vector<std::uint32_t> rules;
    std::optional<RuleSet> set;  // of the same rules, where they are many
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  RuleSet any_;
  std::unordered_map<std::string, std::vector<Glob>, Hash, std::equal_to<>> by_prefix_;
  std::vector<std::size_t> prefix_lengths_;  // that occur, ascending
};

struct PolicyContent {
  std::string version;
  std::string source;
  std::vector<ServerSpec> servers;
  Defaults defaults;
  std::vector<Rule> rules;
  std::vector<BudgetSpec> budgets;
  DaemonSpec daemon;
};

class CompiledPolicy : public Policy {
public:
  // The conditions must be schemas that compile; where one does not, its rule fails closed: it
  // matches unless it allows.
  explicit CompiledPolicy(PolicyContent content);

  const std::string& version() const override { return content_.version; }
  const std::string& source() const override { return content_.source; }
  const std::vector<ServerSpec>& servers() const override { return content_.servers; }
  const std::vector<Rule>& rules() const override { return content_.rules; }
  const Defaults& defaults() const override { return content_.defaults; }
  const std::vector<BudgetSpec>& budgets() const override { return content_.budgets; }
  const DaemonSpec& daemon() const override { return content_.daemon; }

  Assessment assess(const Call& call) const override;
  Explanation explain(const Call& call) const override;
  bool may_ever_call(const Principal& principal, const std::string& tool) const override;
  bool trusts_results(const std::string& tool) const override;
  const ToolSpec* tool(const std::string& name) const override;

private:
  struct Listed {
    const ServerSpec* server = nullptr;
    const ToolSpec* tool = nullptr;
  };
  struct Classed {
    Effect effect = Effect::destructive;
    std::string reason;
  };
  // A rule as it stands in the index: what deciding reads of it, side by side.
  struct Place {
    std::uint32_t rule = 0;       // in content_.rules
    std::uint8_t effects = 0xFF;  // one bit each
    Verdict verdict = Verdict::deny;
    bool has_window = false;
    bool has_condition = false;
    bool has_guard = false;
    bool has_origins = false;
    SchemaGuard guard;
    std::shared_ptr<const SchemaProgram> condition;  // null where it did not compile
  };
  // A call while it is judged: its trace is made when the first rule asks for it.
  struct Judged {
    const Call& call;
    const json::value& arguments;
    Effect effect = Effect::destructive;
    std::optional<std::vector<ArgumentOrigin>> origins;
  };
  enum class Answer { matches, differs, cannot_tell };

  Listed listed(std::string_view name) const;
  Classed classify(const Call& call, const Listed& listed) const;
  static Classed classify_command(const Call& call, const ToolSpec& tool, Effect declared);
  static Classed classify_paths(const Call& call, const ToolSpec& tool, Effect declared);
  Place make_place(std::size_t rule);
  static bool in_effects(const Place& place, Effect effect) {
    return (place.effects >> static_cast<unsigned>(effect) & 1) != 0;
  }
  static bool in_window(const Rule& rule, Timestamp now);
  static Answer ask_condition(const Place& place, const json::value& arguments,
                              SharedLookups& lookups, SchemaMismatch* why);
  const std::vector<ArgumentOrigin>& origins_of(Judged& judged) const;
  // The first part of an argument that comes from where the rule says; null where there is none.
  const ArgumentOrigin* find_origin(const Rule& rule, Judged& judged) const;
  // Whether the rest of the rule, beside its globs, holds for the call.
  bool holds(const Place& place, Judged& judged, SharedLookups& lookups) const;
  std::string why_not(const Place& place, Judged& judged) const;
  const Rule* deciding_rule(Judged& judged) const;
  Assessment make_assessment(Judged& judged, const Listed& listed, const Classed& classed,
                             const Rule* rule) const;
  std::string reason_of(const Rule& rule, Judged& judged, const Classed& classed) const;
  std::vector<BudgetClaim> claims(const Call& call) const;

  PolicyContent content_;
  KeyTable keys_;
  std::vector<Place> places_;  // the worst verdict first
  GlobIndex tools_;
  GlobIndex principals_;
  GlobIndex sessions_;
  std::unordered_map<std::string, Listed> catalogue_;
  bool traces_ = false;  // a rule is about where arguments come from
};

}  // namespace gavel
