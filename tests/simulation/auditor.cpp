#include "auditor.hpp"

#include <fmt/format.h>

#include "base/json.hpp"
#include "chain.hpp"
#include "core/codec.hpp"
#include "core/fold.hpp"
#include "coverage.hpp"
#include "rng.hpp"
#include "workload.hpp"

namespace gavel::simulation {
namespace {

// More than a run has.
constexpr std::size_t kLogsMax = 4096;

Digest digest_of(const std::string& arguments) {
  const auto parsed = parse_json(arguments);
  return parsed ? sha256(canonical_json(*parsed)) : sha256(arguments);
}

Digest digest_of(const Append& append) {
  std::string all;
  for (const auto& part : append.parts) {
    all += fmt::format("{} {} {} ", part.log.value, part.expected_tail.value, part.epoch.value);
    for (const auto& entry : part.entries) all += fmt::format("{} {}", entry.size(), entry);
  }
  for (const auto& blob : append.blobs) all += blob.digest.hex();
  return sha256(all);
}

std::string call_name(std::string_view session, std::string_view agent, std::string_view tool,
                      const Digest& arguments) {
  return fmt::format("{} {} {} {}", session, agent, tool, arguments.hex());
}

}  // namespace

std::string prompt_words(const LogId& session, const Digest& text) {
  return fmt::format("prompt {} {}", session.value, text.hex());
}

std::string tool_words(const LogId& control, std::string_view tool, const Digest& digest,
                       Verdict verdict) {
  return fmt::format("tool {} {} {} {}", control.value, tool, digest.hex(), to_string(verdict));
}

std::string policy_words(std::string_view version) {
  return fmt::format("policy {}", version);
}

Auditor::Auditor(Trace& trace, Coverage& coverage)
    : trace_(trace),
      coverage_(coverage),
      model_(coverage, [this](std::string_view oracle, std::string text) {
        complain(oracle, std::move(text));
      }) {}

void Auditor::complain(std::string_view oracle, std::string text) {
  if (complaint_) return;
  complaint_ = Complaint{std::string(oracle), std::move(text)};
  trace_.line(fmt::format("BROKEN [{}] {}", complaint_->oracle, complaint_->text));
}

std::string Auditor::name_of(const LogId& session, IntentId intent) const {
  return fmt::format("{}#{}", session.value, intent.value);
}

// --- the disk ---

void Auditor::taken(const Append& append) {
  taken_[append.id] = digest_of(append);
}

void Auditor::durable(const Append& append) {
  if (const auto whole = taken_.find(append.id);
      whole == taken_.end() || whole->second != digest_of(append)) {
    complain("durability", fmt::format("a part of an append, or another one, is in {}",
                                       append.parts.front().log.value));
  }
  for (const auto& part : append.parts) {
    Position position = part.expected_tail;
    for (const auto& bytes : part.entries) {
      position = position.next();
      auto& written = written_[part.log.value];
      if (written.size() + 1 == position.value) written.push_back(bytes);
      trace_.bytes(bytes);
      const auto entry = decode(position, bytes);
      if (!entry) return complain("durability", entry.error().message);
      trace_.line(fmt::format("durable {} #{} {}", part.log.value, position.value,
                              write_json(to_json(*entry))));
      if (entry->author.value.empty()) {
        complain("I9 chain", fmt::format("{} #{} has no author", part.log.value, position.value));
      }
      check_people(part.log, *entry);
      check_words(part.log, *entry);
      model_.apply(part.log, *entry);
      if (part.log.value.starts_with("control/")) continue;
      State& state = folded_[part.log.value];
      state.session = part.log;
      if (state.tail.next() != position) continue;
      if (fold(state, *entry) == Folded::skipped) {
        complain("I10 rights", fmt::format("{} #{} is void", part.log.value, position.value));
      }
    }
  }
  for (const auto& part : append.parts) {
    if (part.log.value.starts_with("control/")) continue;
    Position position = part.expected_tail;
    for (const auto& bytes : part.entries) {
      position = position.next();
      const auto entry = decode(position, bytes);
      if (!entry) continue;
      const auto* decision = std::get_if<Decision>(&entry->body);
      if (decision != nullptr && decision->ruling == Ruling::commit) {
        model_.check_reserved(part.log, decision->intent);
      }
    }
    compare(part.log);
  }
}

void Auditor::compare(const LogId& log) {
  const auto& sessions = model_.sessions();
  const auto session = sessions.find(log.value);
  if (session == sessions.end()) return;
  if (const auto difference = model_.differs(session->second, folded_[log.value])) {
    complain("I8 replicas", fmt::format("{}: fold and model differ: {}", log.value, *difference));
  }
}

void Auditor::check_people(const LogId& log, const Entry& entry) {
  if (const auto* vote = std::get_if<Vote>(&entry.body); vote && entry.role != Role::voter) {
    Cast cast{log, vote->intent, entry.author.value, vote->verdict, vote->digest, true};
    if (!casts_.contains(cast)) {
      complain("I7 binding", fmt::format("{} #{}: {} never cast this vote", log.value,
                                         entry.position.value, entry.author.value));
    }
  }
  if (const auto* outcome = std::get_if<Outcome>(&entry.body);
      outcome && outcome->source == OutcomeSource::person &&
      !resolutions_.contains({log.value, outcome->intent.value, outcome->kind})) {
    complain("I10 rights", fmt::format("{} #{}: nobody said so", log.value, entry.position.value));
  }
  if (const auto* intent = std::get_if<IntentProposed>(&entry.body)) {
    if (!asked_for_.contains(
            call_name(log.value, intent->requester.value, intent->tool, intent->digest))) {
      complain("I10 rights",
               fmt::format("{} #{}: nobody asked for it", log.value, entry.position.value));
    }
  }
}

// What a person, or an agent of a person, said, stands there because they did.
void Auditor::check_words(const LogId& log, const Entry& entry) {
  std::string words;
  if (const auto* prompt = std::get_if<Prompted>(&entry.body)) {
    words = prompt_words(log, prompt->text.digest);
  } else if (const auto* policy = std::get_if<PolicyActivated>(&entry.body)) {
    words = policy_words(policy->version);
  } else if (const auto* refused = std::get_if<ToolRefused>(&entry.body)) {
    words = tool_words(log, refused->tool, refused->digest, Verdict::deny);
  } else if (const auto* pinned = std::get_if<ToolPinned>(&entry.body)) {
    if (entry.role == Role::decider) return;  // the model knows whether it may
    words = tool_words(log, pinned->tool, pinned->digest, Verdict::allow);
  } else {
    return;
  }
  const auto said = said_.find(words);
  if (said == said_.end()) {
    return complain("I10 rights", fmt::format("{} #{}: nobody said so ({})", log.value,
                                              entry.position.value, words));
  }
  said->second = true;
}

void Auditor::told(const Append& append) {
  for (const auto& part : append.parts) {
    auto& told = told_[part.log.value];
    const std::size_t until = part.expected_tail.value + part.entries.size();
    if (told.size() < until) told.resize(until);
    for (std::size_t i = 0; i < part.entries.size(); ++i) {
      told[part.expected_tail.value + i] = part.entries[i];
    }
  }
}

void Auditor::read_back(const LogId& log, std::span<const StoredEntry> entries) {
  const auto& written = written_[log.value];
  for (const auto& entry : entries) {
    if (entry.position.value > written.size() || written[entry.position.value - 1] != entry.bytes) {
      return complain("durability", fmt::format("{} #{} is read and was never written like that",
                                                log.value, entry.position.value));
    }
  }
}

void Auditor::reopened(Log& contents, bool damaged) {
  for (const auto& [log, told] : told_) {
    Position position{1};
    while (position.value <= told.size()) {
      const auto page = contents.read(LogId{log}, position);
      if (!page && damaged && page.error().code == ErrorCode::corrupted) break;
      if (!page || page->empty()) {
        return complain("durability",
                        fmt::format("{} #{} was acknowledged and is gone", log, position.value));
      }
      for (const auto& stored : *page) {
        if (stored.position.value > told.size()) break;
        const std::string& expected = told[stored.position.value - 1];
        if (!expected.empty() && stored.bytes != expected) {
          return complain("durability",
                          fmt::format("{} #{} is another one now", log, stored.position.value));
        }
      }
      position = page->back().position.next();
    }
  }
}

void Auditor::check_chain(std::span<const std::string> frames, Log& contents) {
  const auto heads = contents.list("", LogId{}, kLogsMax);
  if (!heads) return complain("I9 chain", heads.error().message);
  if (const auto broken = broken_chain(frames, *heads)) complain("I9 chain", *broken);
  ++coverage_["checks: chains"];
}

void Auditor::process_died() {
  lifting_.clear();
}

void Auditor::check_replicas(Log& contents, std::uint64_t dice) {
  Rng rng(dice);
  for (const auto& [name, session] : model_.sessions()) {
    State whole;
    whole.session = LogId{name};
    State resumed = whole;
    const std::uint64_t cut = rng.below(session.tail.value + 1);
    for (Position position{1}; position <= session.tail;) {
      const auto page = contents.read(LogId{name}, position);
      if (!page || page->empty()) return complain("durability", name + " cannot be read");
      for (const auto& stored : *page) {
        const auto entry = decode(stored.position, stored.bytes);
        if (!entry) return complain("durability", entry.error().message);
        fold(whole, *entry);
        fold(resumed, *entry);
        if (stored.position.value == cut) {
          auto snapshot = decode_snapshot(encode_snapshot(resumed));
          if (!snapshot) return complain("I8 replicas", "a snapshot cannot be read");
          resumed = std::move(*snapshot);
        }
      }
      position = page->back().position.next();
    }
    if (whole != resumed) {
      complain("I8 replicas",
               fmt::format("{}: folded from a snapshot at #{} it differs", name, cut));
    }
    if (const auto difference = model_.differs(session, whole)) {
      complain("I8 replicas", fmt::format("{}: folded anew it differs: {}", name, *difference));
    }
    ++coverage_["checks: replicas"];
  }
}

void Auditor::save_snapshots(Log& contents) const {
  for (const auto& [name, state] : folded_) {
    (void)contents.save_snapshot(LogId{name}, Snapshot{state.tail, encode_snapshot(state)});
  }
}

// --- what was asked ---

void Auditor::asked(const Asked& asked) {
  asked_for_.insert(
      call_name(asked.session.value, asked.agent, asked.tool, digest_of(asked.arguments)));
}

void Auditor::wanted(const Asked& asked) {
  ++wanted_[call_name(asked.session.value, asked.agent, asked.tool, digest_of(asked.arguments))];
}

// --- the servers ---

void Auditor::sending(const Sent& sent) {
  const std::string name = name_of(sent.session, sent.intent);
  trace_.line(fmt::format("send {} {} token {}", name, sent.tool, sent.token));
  Ledger& ledger = ledger_[{sent.session.value, sent.intent.value}];
  ++ledger.sends;
  ledger.tool = sent.tool;
  ledger.arguments = sent.arguments;
  const ToolFacts* facts = find_tool(sent.tool);
  const ModelIntent* intent = model_.find(sent.session, sent.intent);
  if (facts != nullptr && facts->effect == Effect::read) {
    ++coverage_["checks: reads sent"];
    // A read is recorded with its outcome: only halts and epochs that are durable can be asked.
    IntentProposed read;
    read.effect = Effect::read;
    read.toolset = sent.tool.substr(0, sent.tool.find("__"));
    if (intent != nullptr) read.requester = intent->proposal.requester;
    for (const auto& halt : model_.halts_over(sent.session, read)) {
      if (lifting_[halt.log.value] == 0) {
        complain("I6 halts", fmt::format("{} is read under a halt of {}", name, halt.log.value));
      }
    }
    return;
  }
  ++coverage_["checks: writes sent"];
  if (intent == nullptr) return complain("I1 commit first", name + " is sent and not durable");
  if (intent->ruling != Ruling::commit) {
    return complain("I1 commit first", name + " is sent without a durable commit");
  }
  if (!intent->running || intent->token != sent.token) {
    return complain("I1 commit first", name + " is sent without its durable attempt");
  }
  if (intent->proposal.tool != sent.tool || intent->proposal.digest != digest_of(sent.arguments)) {
    complain("I7 binding", name + " is sent with something else than was decided");
  }
  for (const auto& halt : model_.halts_over(sent.session, intent->proposal)) {
    if (lifting_[halt.log.value] == 0) {
      complain("I6 halts", fmt::format("{} is sent under a {} of {}", name, to_string(halt.mode),
                                       halt.log.value));
    }
  }
  const Epoch current = model_.sessions().at(sent.session.value).epoch;
  if (current > intent->epoch && !intent->held && intent->attempts == 1) {
    complain("I3 epochs", fmt::format("{} of epoch {} is sent in epoch {}", name,
                                      intent->epoch.value, current.value));
  }
}

void Auditor::effect(const Sent& sent) {
  const std::string name = name_of(sent.session, sent.intent);
  trace_.line(fmt::format("effect {}", name));
  ++effects_in_all_;
  Ledger& ledger = ledger_[{sent.session.value, sent.intent.value}];
  if (++ledger.effects > 1) complain("I4 one effect", name + " took effect twice");
  const ModelIntent* intent = model_.find(sent.session, sent.intent);
  if (intent == nullptr) return;
  if (--wanted_[call_name(sent.session.value, intent->proposal.requester.value, sent.tool,
                          intent->proposal.digest)] < 0) {
    complain("I4 one effect", name + " takes effect and nobody wanted it once more");
  }
  if (intent->closed() && intent->phase() != "ok") {
    complain("TRUTH", fmt::format("{} takes effect, and the log says {}", name, intent->phase()));
  }
  if (intent->proposal.key_source == KeySource::derived) return;
  auto& acts = key_acts_[sent.session.value + " " + intent->proposal.key];
  acts.insert(sent.intent.value);
  if (acts.size() > 1) complain("I4 one effect", name + ": its key took effect before");
}

bool Auditor::happened(const LogId& session, IntentId intent) const {
  const auto found = ledger_.find({session.value, intent.value});
  return found != ledger_.end() && found->second.effects > 0;
}

// --- what callers were told ---

void Auditor::answered(const Asked& asked, const CallAnswer& answer) {
  trace_.line(fmt::format("answer {} {} {} {} {} {}", asked.agent, asked.session.value,
                          static_cast<int>(answer.kind), answer.intent.value,
                          to_string(answer.code), answer.text.substr(0, 160)));
  constexpr std::array<std::string_view, 4> kKinds = {"result", "pending", "refused", "granted"};
  ++coverage_[fmt::format("answer: {}", kKinds[static_cast<std::size_t>(answer.kind)])];
  if (answer.replayed) ++coverage_["answer: replayed"];
  if (answer.kind == AnswerKind::refused) count_code(coverage_, answer.code);
  if (answer.intent.value == 0) {
    // Nothing was recorded, or nobody knows whether: then nothing is promised.
    const bool stopping = asked.over_network && answer.kind == AnswerKind::pending;
    if (stopping) ++coverage_["answer: the gateway stops"];
    if (answer.kind != AnswerKind::refused && !stopping) {
      complain("I5 durable first", "an answer of no intent");
    }
    return;
  }
  const std::string name = name_of(asked.session, answer.intent);
  const ModelIntent* intent = model_.find(asked.session, answer.intent);
  // The engine has stopped: who waits is told so.
  if (answer.kind == AnswerKind::refused && answer.code == ErrorCode::storage_failed) return;
  if (intent == nullptr) return complain("I5 durable first", name + " is told and not durable");
  if (intent->proposal.tool != asked.tool ||
      intent->proposal.digest != digest_of(asked.arguments)) {
    return complain("answers", name + " answers another call");
  }
  const bool keyed = !asked.key.empty();
  if (!asked.elsewhere && keyed && intent->proposal.key != asked.key) {
    return complain("answers", name + " has another key than the call");
  }
  if (!asked.elsewhere && !keyed && !asked.call_id.empty()) {
    const auto& first =
        numbered_.try_emplace(asked.session.value + " " + asked.call_id, answer.intent)
            .first->second;
    if (first != answer.intent) {
      return complain("answers", fmt::format("{} answers the call {} that was #{} before", name,
                                             asked.call_id, first.value));
    }
    if ("call:" + asked.call_id != intent->proposal.key) ++coverage_["answer: by another number"];
  }
  check_result(asked, answer, *intent);
}

void Auditor::check_result(const Asked& asked, const CallAnswer& answer,
                           const ModelIntent& intent) {
  const std::string name = name_of(asked.session, answer.intent);
  const std::string phase = intent.phase();
  switch (answer.kind) {
    case AnswerKind::result: {
      if (phase != "ok" && phase != "failed") {
        return complain("I5 durable first", fmt::format("{} is told and {}", name, phase));
      }
      const Outcome& outcome = *intent.outcome;
      if (outcome.code == to_string(ErrorCode::too_large)) {
        ++coverage_["payload: a result over its limit"];
        if (answer.result.size() > kMailResultMax) {
          complain("answers", name + " is told with a result over its limit");
        }
      } else if (asked.over_network) {
        check_content(name, outcome, answer);
      } else if (outcome.source == OutcomeSource::call &&
                 outcome.result.digest != sha256(answer.result)) {
        complain("answers", name + " is told with another result than is recorded");
      }
      break;
    }
    case AnswerKind::pending:
      break;
    case AnswerKind::granted: {
      if (++leaves_[name] > 1) complain("I4 one effect", name + ": its leave was given twice");
      // What comes over the network may come when its time is over.
      if (phase != "in_flight" && !(asked.over_network && intent.attempts > 0)) {
        complain("I1 commit first", fmt::format("{}: leave is given and it is {}", name, phase));
      }
      break;
    }
    case AnswerKind::refused: {
      const bool settled = intent.closed() || phase == "unknown";
      // Of what runs or is held nobody knows the end, so it cannot be refused but for these.
      if (!settled && answer.code != ErrorCode::timeout && answer.code != ErrorCode::cancelled &&
          answer.code != ErrorCode::conflict) {
        complain("I5 durable first",
                 fmt::format("{} is refused ({}) and {}", name, to_string(answer.code), phase));
      }
      ++coverage_[fmt::format("answer: refused as {}", to_string(answer.code))];
      break;
    }
  }
}

// MCP's envelope is the gateway's; what the tool said is not.
void Auditor::check_content(const std::string& name, const Outcome& outcome,
                            const CallAnswer& answer) {
  if (outcome.source != OutcomeSource::call || !outcome.result.is_inline()) return;
  const auto recorded = parse_json(outcome.result.bytes);
  const auto told = parse_json(answer.result);
  const auto* was = recorded ? find(*recorded, "content") : nullptr;
  const auto* is = told ? find(*told, "content") : nullptr;
  if (was == nullptr) return;
  if (is == nullptr || *was != *is) {
    complain("answers", name + " is told with another content than is recorded");
  }
  ++coverage_["checks: contents through the gateway"];
}

void Auditor::refused(const Asked& asked, const Error& error) {
  trace_.line(fmt::format("error {} {} {} {}", asked.agent, asked.session.value,
                          to_string(error.code), error.message.substr(0, 160)));
  ++coverage_[fmt::format("error: {}", to_string(error.code))];
  count_code(coverage_, error.code);
}

void Auditor::voted(const Cast& cast) {
  const ModelIntent* intent = model_.find(cast.session, cast.intent);
  const std::string name = name_of(cast.session, cast.intent);
  if (!cast.may) return complain("I7 binding", fmt::format("{} may vote on {}", cast.person, name));
  if (intent == nullptr) return complain("I5 durable first", name + " is voted on, not durable");
  if (cast.digest != intent->proposal.digest) {
    return complain("I7 binding", name + ": a vote on something else counts");
  }
  if (cast.verdict == Verdict::allow && !intent->confirmed_by.contains(cast.person)) {
    complain("I5 durable first", name + ": a vote is acknowledged and not durable");
  }
  if (cast.verdict == Verdict::deny && intent->ruling != Ruling::abort) {
    complain("I5 durable first", name + ": a denial is acknowledged and not durable");
  }
}

void Auditor::lift_ended(const LogId& control, const Status& status) {
  if (status || status.error().code != ErrorCode::timeout) --lifting_[control.value];
}

void Auditor::woken(const LogId& session, Epoch epoch) {
  const auto found = model_.sessions().find(session.value);
  if (found == model_.sessions().end() || found->second.epoch < epoch) {
    complain("I5 durable first", session.value + ": an election is told and not durable");
  }
}

void Auditor::acknowledged(const std::string& words) {
  if (!said_[words]) complain("I5 durable first", words + " is told and not durable");
}

void Auditor::halt_changed(const LogId& control, std::optional<HaltMode> mode) {
  const auto found = model_.control().find(control.value);
  auto& told = halts_told_[control.value];
  const std::uint64_t durable = found == model_.control().end() ? 0
                                : mode                          ? found->second.halts
                                                                : found->second.lifts;
  if (++(mode ? told.first : told.second) > durable) {
    complain("I5 durable first", fmt::format("{}: a {} is told and not durable", control.value,
                                             mode ? to_string(*mode) : "resume"));
  }
}

// --- at the end ---

std::vector<std::string> Auditor::open_intents() const {
  std::vector<std::string> out;
  for (const auto& [name, session] : model_.sessions()) {
    for (const auto& [position, intent] : session.intents) {
      if (!intent.closed()) out.push_back(fmt::format("{}#{} {}", name, position, intent.phase()));
    }
  }
  return out;
}

void Auditor::at_rest() {
  for (const auto& [log, session] : model_.sessions()) {
    for (const auto& [position, intent] : session.intents) {
      const std::string name = fmt::format("{}#{}", log, position);
      if (!intent.closed()) {
        complain("END",
                 fmt::format("{} {} is still {}", name, intent.proposal.tool, intent.phase()));
        continue;
      }
      if (intent.proposal.effect == Effect::read) continue;
      const auto found = ledger_.find({log, position});
      const std::uint64_t effects = found == ledger_.end() ? 0 : found->second.effects;
      if (intent.phase() == "ok" && effects != 1) {
        complain("TRUTH", fmt::format("{} is ok in the log and happened {} times", name, effects));
      }
      if (intent.phase() != "ok" && effects != 0) {
        complain("TRUTH", fmt::format("{} is {} in the log and happened", name, intent.phase()));
      }
    }
  }
}

}  // namespace gavel::simulation
