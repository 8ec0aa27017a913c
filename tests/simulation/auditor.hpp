#pragma once
// The oracles. The auditor sees what nobody can deny: each append as it becomes durable, who was
// told what, what was asked, the first byte of each request to a server, and each effect. From
// these it knows when an invariant of design.md is broken, and complains once, of the first.
//
//   disk ──durable──► model (model.hpp) ◄──held against── fold of the same prefix
//   servers ──sending, effect──► ledger ──held against──► model
//   agents, people ──asked, told──► held against model

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "log/log.hpp"
#include "model.hpp"
#include "runtime/harness.hpp"
#include "trace.hpp"

namespace gavel::simulation {

struct Complaint {
  std::string oracle;  // "I4 one effect"
  std::string text;
};

// A request to a server, as the server sees it.
struct Sent {
  LogId session;
  IntentId intent;
  std::string key;  // com.gavel/idempotencyKey
  std::uint64_t token = 0;
  std::string tool;  // Gavel's name
  std::string arguments;
};

// For Auditor::said.
std::string prompt_words(const LogId& session, const Digest& text);
std::string tool_words(const LogId& control, std::string_view tool, const Digest& digest,
                       Verdict verdict);
std::string policy_words(std::string_view version);

// What was asked of Gavel in one call.
struct Asked {
  LogId session;
  Epoch epoch;
  std::string agent;
  std::string tool;
  std::string arguments;
  std::string key;      // of the client; may be empty
  std::string call_id;  // may be empty
  bool elsewhere = false;
  bool over_network = false;  // the answer came through the gateway, in MCP's words
  bool is_named() const { return !key.empty() || !call_id.empty(); }
};

// A person's vote or word, as they gave it.
struct Cast {
  LogId session;
  IntentId intent;
  std::string person;
  Verdict verdict = Verdict::allow;
  Digest digest;
  bool may = true;  // has the role, and is not the one who asked
  auto operator<=>(const Cast&) const = default;
};

class Auditor {
public:
  Auditor(Trace& trace, Coverage& coverage);

  // --- the disk ---
  void taken(const Append& append);
  void durable(const Append& append);
  void told(const Append& append);
  // Somebody reads this from the disk.
  void read_back(const LogId& log, std::span<const StoredEntry> entries);
  // The store was opened again: everything that somebody was told of is there, or is refused as
  // what it is where the disk is damaged.
  void reopened(Log& contents, bool damaged);
  // The bytes on the disk, none of them damaged, are one chain of hashes to the head of each log.
  void check_chain(std::span<const std::string> frames, Log& contents);

  // --- what was asked ---
  void asked(const Asked& asked);
  // An agent wants this done once (more). However often it asks, it does not happen more often.
  void wanted(const Asked& asked);
  void cast(const Cast& cast) { casts_.insert(cast); }
  void resolved(const LogId& session, IntentId intent, OutcomeKind kind) {
    resolutions_.insert({session.value, intent.value, kind});
  }
  // What somebody says in words that an entry repeats: a prompt, a judgement of a tool, a policy.
  void said(std::string words) { said_.try_emplace(std::move(words), false); }
  // Between the two, and for ever where nobody knows what became of it, the scope may be free.
  void lift_requested(const LogId& control) { ++lifting_[control.value]; }
  void lift_ended(const LogId& control, const Status& status);
  // What was on its way in the process is gone.
  void process_died();

  // --- the servers ---
  void sending(const Sent& sent);
  void effect(const Sent& sent);
  bool happened(const LogId& session, IntentId intent) const;
  std::uint64_t effects() const { return effects_in_all_; }

  // --- what callers were told ---
  void answered(const Asked& asked, const CallAnswer& answer);
  void refused(const Asked& asked, const Error& error);
  void voted(const Cast& cast);
  void woken(const LogId& session, Epoch epoch);
  void acknowledged(const std::string& words);
  void halt_changed(const LogId& control, std::optional<HaltMode> mode);

  // --- at the end ---
  // Every intent is over, and what the log says of it is what happened.
  void at_rest();
  // Every log, folded anew and folded from a snapshot in the middle, gives what the model says.
  void check_replicas(Log& contents, std::uint64_t dice);

  // As the daemon saves them: of every session, at its durable tail.
  void save_snapshots(Log& contents) const;

  void complain(std::string_view oracle, std::string text);
  const std::optional<Complaint>& complaint() const { return complaint_; }
  const Model& model() const { return model_; }
  // Names of open intents.
  std::vector<std::string> open_intents() const;

private:
  struct Ledger {
    std::uint64_t sends = 0;
    std::uint64_t effects = 0;
    std::set<std::string> keys;
    std::string tool;
    std::string arguments;
  };

  void check_people(const LogId& log, const Entry& entry);
  void check_words(const LogId& log, const Entry& entry);
  void compare(const LogId& log);
  std::string name_of(const LogId& session, IntentId intent) const;
  void check_content(const std::string& name, const Outcome& outcome, const CallAnswer& answer);
  void check_result(const Asked& asked, const CallAnswer& answer, const ModelIntent& intent);

  Trace& trace_;
  Coverage& coverage_;
  std::optional<Complaint> complaint_;
  Model model_;
  std::map<std::string, State> folded_;                      // by the product, entry by entry
  std::map<std::string, std::vector<std::string>> told_;     // bytes that somebody relies on
  std::map<std::string, std::vector<std::string>> written_;  // bytes that are durable
  std::map<AppendId, Digest> taken_;                         // by the engine, all of each
  std::map<std::pair<std::string, std::uint64_t>, Ledger> ledger_;
  std::map<std::string, std::set<std::uint64_t>> key_acts_;  // client keys: intents that acted
  std::map<std::string, IntentId> numbered_;    // session and number of a call: what answered it
  std::set<std::string> asked_for_;             // session, tool, arguments
  std::map<std::string, std::int64_t> wanted_;  // what is still to happen, at most
  std::set<Cast> casts_;
  std::set<std::tuple<std::string, std::uint64_t, OutcomeKind>> resolutions_;
  std::map<std::string, bool> said_;  // whether it is durable
  std::map<std::string, int> lifting_;
  std::map<std::string, std::uint64_t> leaves_;  // given to clients, by intent
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> halts_told_;  // and lifts
  std::uint64_t effects_in_all_ = 0;
};

}  // namespace gavel::simulation
