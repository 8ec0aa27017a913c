#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "core/provenance.hpp"
#include "policy/compiled_policy.hpp"
#include "policy/own_tools.hpp"
#include "policy/shell.hpp"
#include "policy/sql.hpp"

namespace gavel {
namespace {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kDayMinutes = 24 * 60;

bool matches_any(const std::vector<std::string>& globs, std::string_view text) {
  return globs.empty() || std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
           return glob_match(glob, text);
         });
}

std::string listed_globs(const std::vector<std::string>& globs) {
  return fmt::format("{}", fmt::join(globs.begin(), globs.end(), ", "));
}

const json::value& arguments_of(const Call& call, const json::value& none) {
  return call.arguments == nullptr ? none : *call.arguments;
}

// A principal's name as a part of a log name; what does not fit there becomes its digest.
std::string as_log_part(const std::string& name) {
  const bool fits =
      !name.empty() && name.size() <= 100 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("._@:-").find(c) != std::string_view::npos;
      });
  return fits ? name : "sha256:" + sha256(name).hex();
}

// Where a call's paths are looked at from, as it says itself.
PathContext path_context_of(const json::value& arguments) {
  PathContext context;
  context.project = string_or(arguments, "project");
  if (!context.project.starts_with('/')) context.project.clear();
  const std::string directory(string_or(arguments, "directory"));
  if (directory.starts_with('/')) context.directories.push_back(directory);
  return context;
}

bool is_among(const auto& list, const auto& item) {
  return std::ranges::find(list, item) != list.end();
}

// The argument that a part is of: "filter" of "filter/table".
std::string_view argument_of(const ArgumentOrigin& origin) {
  return std::string_view(origin.argument).substr(0, origin.argument.find('/'));
}

std::string listed_origins(const std::vector<Origin>& origins) {
  std::string names;
  for (const Origin origin : origins) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", to_string(origin));
  }
  return names;
}

std::string default_reason(const Defaults& defaults, Verdict verdict, Effect effect,
                           std::string_view why) {
  std::string text = fmt::format("{} ({})", to_string(effect), why);
  switch (verdict) {
    case Verdict::allow:
      return text + ": allowed";
    case Verdict::ask:
      return text + ": somebody must approve it";
    case Verdict::two_step:
      return text + ": it needs a delay and a confirmation by somebody else";
    case Verdict::deny:
      break;
  }
  text += ": denied";
  std::string allowed;
  for (const Effect other : {Effect::read, Effect::write, Effect::destructive}) {
    if (defaults.of(other) != Verdict::deny) {
      allowed += (allowed.empty() ? "" : ", ") + std::string(to_string(other));
    }
  }
  return allowed.empty() ? text : text + "; not denied are: " + allowed;
}

// Denies kForbiddenTool in every policy.
const Rule& forbidding_rule() {
  static const Rule kRule = [] {
    Rule rule;
    rule.name = "forbidden by Gavel itself";
    rule.reason = "nobody may ever do this; it is there to see that the guard refuses";
    return rule;
  }();
  return kRule;
}

}  // namespace

Verdict Defaults::of(Effect effect) const {
  switch (effect) {
    case Effect::read:
      return read;
    case Effect::write:
      return write;
    case Effect::destructive:
      return destructive;
    case Effect::irreversible:
      break;
  }
  return irreversible;
}

Status check_catalogue(const Policy& policy, const std::string& tool,
                       const json::value& arguments) {
  const ToolSpec* spec = policy.tool(tool);
  if (spec == nullptr || !spec->input_schema) return {};
  ASSIGN_OR_RETURN(const auto schema, JsonSchema::compile(*spec->input_schema));
  return schema.validate(arguments);
}

std::string tool_name(std::string_view server, std::string_view tool) {
  return fmt::format("{}__{}", server, tool);
}

std::pair<std::string_view, std::string_view> split_tool_name(std::string_view name) {
  const auto split = name.find("__");
  if (split == std::string_view::npos) return {"", name};
  return {name.substr(0, split), name.substr(split + 2)};
}

void RuleSet::add(const RuleSet& other) {
  for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
}

void RuleSet::keep(const RuleSet& other) {
  for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
}

void GlobIndex::add(std::size_t rule, const std::vector<std::string>& globs) {
  if (globs.empty()) any_.add(rule);
  for (const std::string& glob : globs) {
    const std::string prefix = glob.substr(0, glob.find_first_of("*?"));
    auto& bucket = by_prefix_[prefix];
    auto found = std::find_if(bucket.begin(), bucket.end(),
                              [&](const Glob& other) { return other.text == glob; });
    if (found == bucket.end()) found = bucket.insert(bucket.end(), Glob{glob, {}, {}});
    found->rules.push_back(static_cast<std::uint32_t>(rule));
    const auto place =
        std::lower_bound(prefix_lengths_.begin(), prefix_lengths_.end(), prefix.size());
    if (place == prefix_lengths_.end() || *place != prefix.size()) {
      prefix_lengths_.insert(place, prefix.size());
    }
  }
}

void GlobIndex::settle(std::size_t rules) {
  for (auto& [prefix, bucket] : by_prefix_) {
    for (Glob& glob : bucket) {
      if (glob.rules.size() <= rules / 64) continue;
      glob.set.emplace(rules);
      for (const std::uint32_t rule : glob.rules) glob.set->add(rule);
    }
  }
}

RuleSet GlobIndex::match(std::string_view text) const {
  RuleSet rules = any_;
  for (const std::size_t length : prefix_lengths_) {
    if (length > text.size()) break;
    const auto bucket = by_prefix_.find(text.substr(0, length));
    if (bucket == by_prefix_.end()) continue;
    for (const Glob& glob : bucket->second) {
      if (!glob_match(glob.text, text)) continue;
      if (glob.set) {
        rules.add(*glob.set);
      } else {
        for (const std::uint32_t rule : glob.rules) rules.add(rule);
      }
    }
  }
  return rules;
}

CompiledPolicy::CompiledPolicy(PolicyContent content)
    : content_(std::move(content)),
      tools_(content_.rules.size()),
      principals_(content_.rules.size()),
      sessions_(content_.rules.size()) {
  for (std::size_t rule = 0; rule < content_.rules.size(); ++rule) {
    places_.push_back(make_place(rule));
  }
  std::sort(places_.begin(), places_.end(), [](const Place& a, const Place& b) {
    return a.verdict != b.verdict ? a.verdict > b.verdict : a.rule < b.rule;
  });
  for (std::size_t place = 0; place < places_.size(); ++place) {
    const Rule& rule = content_.rules[places_[place].rule];
    tools_.add(place, rule.tools);
    principals_.add(place, rule.principals);
    sessions_.add(place, rule.sessions);
  }
  for (GlobIndex* index : {&tools_, &principals_, &sessions_}) index->settle(places_.size());
  for (const ServerSpec& server : content_.servers) {
    for (const auto& [name, tool] : server.tools) {
      catalogue_.emplace(tool_name(server.name, name), Listed{&server, &tool});
    }
  }
  // What the file says of a tool counts instead.
  traces_ = std::ranges::any_of(places_, &Place::has_origins);
  const ServerSpec* own = listed("own__").server;
  for (const auto& [name, tool] : own_tools().tools) {
    catalogue_.emplace(tool_name(kOwnToolset, name), Listed{own, &tool});
  }
}

CompiledPolicy::Place CompiledPolicy::make_place(std::size_t rule) {
  const Rule& spec = content_.rules[rule];
  Place place;
  place.rule = static_cast<std::uint32_t>(rule);
  place.verdict = spec.verdict;
  place.has_window = spec.utc_minutes.has_value();
  if (!spec.effects.empty()) place.effects = 0;
  for (const Effect effect : spec.effects) {
    place.effects = static_cast<std::uint8_t>(place.effects | 1u << static_cast<unsigned>(effect));
  }
  place.has_origins = !spec.origins.empty();
  place.has_condition = spec.arguments.has_value();
  if (!place.has_condition) return place;
  if (auto program = SchemaProgram::compile(*spec.arguments, {}, keys_)) {
    const auto guard = (*program)->guard();
    place.has_guard = guard.has_value();
    if (guard) place.guard = *guard;
    place.condition = std::move(*program);
  }
  return place;
}

CompiledPolicy::Listed CompiledPolicy::listed(std::string_view name) const {
  if (const auto found = catalogue_.find(std::string(name)); found != catalogue_.end()) {
    return found->second;
  }
  const auto [server_name, own_name] = split_tool_name(name);
  const auto server =
      std::find_if(content_.servers.begin(), content_.servers.end(),
                   [&](const ServerSpec& other) { return other.name == server_name; });
  const bool listed = server != content_.servers.end();
  if (server_name == kOwnToolset) return {listed ? &*server : &own_tools(), nullptr};
  return {listed ? &*server : nullptr, passed_method(own_name)};
}

bool CompiledPolicy::trusts_results(const std::string& name) const {
  const Listed found = listed(name);
  const bool server = found.server != nullptr && found.server->trusted;
  return found.tool == nullptr ? server : found.tool->trusted.value_or(server);
}

const ToolSpec* CompiledPolicy::tool(const std::string& name) const {
  const auto found = catalogue_.find(name);
  return found == catalogue_.end() ? nullptr : found->second.tool;
}

CompiledPolicy::Classed CompiledPolicy::classify_command(const Call& call, const ToolSpec& tool,
                                                         Effect declared) {
  const auto* command =
      call.arguments == nullptr ? nullptr : find(*call.arguments, tool.shell_argument);
  if (command == nullptr || !command->is_string()) {
    return {Effect::irreversible,
            fmt::format("there is no shell command in the argument {}", tool.shell_argument)};
  }
  ShellClass classed =
      classify_shell(view(command->get_string()), path_context_of(*call.arguments));
  if (classed.effect >= declared) return {classed.effect, "shell: " + classed.reason};
  return {declared, "as the catalogue states; shell: " + classed.reason};
}

CompiledPolicy::Classed CompiledPolicy::classify_paths(const Call& call, const ToolSpec& tool,
                                                       Effect declared) {
  const auto* value =
      call.arguments == nullptr ? nullptr : find(*call.arguments, tool.path_argument);
  json::array paths;
  if (value != nullptr && value->is_array()) paths = value->get_array();
  if (value != nullptr && value->is_string()) paths.push_back(*value);
  const bool named = !paths.empty() && std::all_of(paths.begin(), paths.end(), [](const auto& p) {
    return p.is_string() && !p.get_string().empty();
  });
  if (!named) {
    return {std::max(declared, Effect::destructive),
            fmt::format("there is no path in the argument {}", tool.path_argument)};
  }
  const Access access = declared > Effect::read ? Access::write
                        : tool.path_deep        ? Access::read_all
                                                : Access::read;
  const PathContext context = path_context_of(*call.arguments);
  Classed worst{declared, "as the catalogue states"};
  for (const auto& path : paths) {
    PathClass classed = classify_path(view(path.get_string()), access, context);
    if (classed.effect > worst.effect) worst = {classed.effect, std::move(classed.reason)};
  }
  return worst;
}

CompiledPolicy::Classed CompiledPolicy::classify(const Call& call, const Listed& listed) const {
  if (listed.tool == nullptr) return {Effect::destructive, "not in the catalogue"};
  const ToolSpec& tool = *listed.tool;
  if (!tool.effect) return {Effect::destructive, "the catalogue states no effect"};
  const Effect declared = *tool.effect;
  if (!tool.sql_argument.empty()) {
    const auto* sql =
        call.arguments == nullptr ? nullptr : find(*call.arguments, tool.sql_argument);
    if (sql == nullptr || !sql->is_string()) {
      return {std::max(declared, Effect::destructive),
              fmt::format("there is no SQL in the argument {}", tool.sql_argument)};
    }
    SqlClass classed = classify_sql(view(sql->get_string()));
    if (classed.effect >= declared) return {classed.effect, "SQL: " + classed.reason};
    return {declared, "as the catalogue states; SQL: " + classed.reason};
  }
  if (!tool.shell_argument.empty()) return classify_command(call, tool, declared);
  if (!tool.path_argument.empty()) return classify_paths(call, tool, declared);
  const ToolHints& hints = call.hints;
  if (declared == Effect::read &&
      (hints.read_only == false || (hints.destructive == true && hints.read_only != true))) {
    return {Effect::write, "the catalogue states read, but its server says that it is not"};
  }
  return {declared, "as the catalogue states"};
}

bool CompiledPolicy::in_window(const Rule& rule, Timestamp now) {
  if (!rule.utc_minutes) return true;
  std::int64_t minute = now.ms / kMinuteMs % kDayMinutes;
  if (now.ms < 0) minute = (minute + kDayMinutes) % kDayMinutes;
  const auto [from, to] = *rule.utc_minutes;
  return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}

CompiledPolicy::Answer CompiledPolicy::ask_condition(const Place& place,
                                                     const json::value& arguments,
                                                     SharedLookups& lookups, SchemaMismatch* why) {
  if (!place.has_condition) return Answer::matches;
  if (!place.condition) return Answer::cannot_tell;
  switch (place.condition->evaluate(arguments, lookups, why)) {
    case SchemaAnswer::matches:
      return Answer::matches;
    case SchemaAnswer::differs:
      return Answer::differs;
    case SchemaAnswer::too_complex:
      break;
  }
  return Answer::cannot_tell;
}

const std::vector<ArgumentOrigin>& CompiledPolicy::origins_of(Judged& judged) const {
  if (!judged.origins) {
    judged.origins =
        judged.call.trace
            ? judged.call.trace([this](const std::string& tool) { return trusts_results(tool); })
            : std::vector<ArgumentOrigin>{};
  }
  return *judged.origins;
}

const ArgumentOrigin* CompiledPolicy::find_origin(const Rule& rule, Judged& judged) const {
  const auto is_meant = [&](const ArgumentOrigin& part) {
    const Origin origin = part.origin == Origin::lost ? Origin::untrusted : part.origin;
    return is_among(rule.origins, origin) &&
           (rule.traced.empty() || is_among(rule.traced, argument_of(part)));
  };
  const auto& origins = origins_of(judged);
  const auto found = std::ranges::find_if(origins, is_meant);
  return found == origins.end() ? nullptr : &*found;
}

bool CompiledPolicy::holds(const Place& place, Judged& judged, SharedLookups& lookups) const {
  if (!in_effects(place, judged.effect)) return false;
  if (place.has_guard && !lookups.may_satisfy(place.guard, keys_.name(place.guard.key))) {
    return false;
  }
  const Rule& rule = content_.rules[place.rule];
  if (place.has_window && !in_window(rule, judged.call.now)) return false;
  const Answer answer = ask_condition(place, judged.arguments, lookups, nullptr);
  // Fail closed: what cannot be told holds, except where it would loosen.
  if (answer == Answer::differs) return false;
  if (answer == Answer::cannot_tell && place.verdict == Verdict::allow) return false;
  return !place.has_origins || !judged.call.trace || find_origin(rule, judged) != nullptr;
}

const Rule* CompiledPolicy::deciding_rule(Judged& judged) const {
  if (judged.call.tool == kForbiddenTool) return &forbidding_rule();
  if (content_.rules.empty()) return nullptr;
  RuleSet candidates = tools_.match(judged.call.tool);
  candidates.keep(principals_.match(judged.call.principal.value));
  candidates.keep(sessions_.match(judged.call.session.value));
  SharedLookups lookups(judged.arguments.if_object(), keys_.size());
  const Rule* deciding = nullptr;
  candidates.visit([&](std::size_t number) {
    const Place& place = places_[number];
    if (!holds(place, judged, lookups)) return false;
    deciding = &content_.rules[place.rule];
    return true;
  });
  return deciding;
}

std::vector<BudgetClaim> CompiledPolicy::claims(const Call& call) const {
  std::vector<BudgetClaim> claims;
  for (const BudgetSpec& budget : content_.budgets) {
    if (!matches_any(budget.tools, call.tool)) continue;
    BudgetClaim claim;
    claim.budget = budget.name;
    claim.calls_limit = budget.calls;
    claim.wall_clock_limit = budget.wall_clock;
    const std::string shared = "control/budget/" + budget.name;
    if (budget.scope == "everything") claim.log = LogId{shared};
    if (budget.scope == "agent")
      claim.log = LogId{shared + "/" + as_log_part(call.principal.value)};
    if (budget.scope == "toolset") {
      claim.log = LogId{shared + "/" + as_log_part(std::string(split_tool_name(call.tool).first))};
    }
    claims.push_back(std::move(claim));
  }
  return claims;
}

std::string CompiledPolicy::reason_of(const Rule& rule, Judged& judged,
                                      const Classed& classed) const {
  std::string reason = rule.reason.empty()
                           ? fmt::format("{} ({}): rule \"{}\" says {}", to_string(classed.effect),
                                         classed.reason, rule.name, to_string(rule.verdict))
                           : rule.reason;
  const ArgumentOrigin* part = rule.origins.empty() ? nullptr : find_origin(rule, judged);
  return part == nullptr ? reason : fmt::format("{} [{}]", reason, to_text(*part));
}

Assessment CompiledPolicy::make_assessment(Judged& judged, const Listed& listed,
                                           const Classed& classed, const Rule* rule) const {
  Assessment result;
  result.policy_version = content_.version;
  result.effect = classed.effect;
  result.hold_for = content_.defaults.hold_for;
  if (listed.server != nullptr) result.timeout = listed.server->timeout;
  if (const ToolSpec* tool = listed.tool) {
    if (tool->timeout) result.timeout = *tool->timeout;
    result.has_probe = tool->probe.has_value();
    result.idempotent = tool->idempotent.value_or(false) && judged.call.hints.idempotent != false;
  }
  if (classed.effect == Effect::read) result.idempotent = true;
  if (listed.tool != nullptr && result.idempotent) result.attempts_max = listed.tool->attempts_max;
  if (rule != nullptr) {
    result.verdict = rule->verdict;
    result.rule = rule->name;
    result.reason = reason_of(*rule, judged, classed);
  } else {
    result.verdict = content_.defaults.of(classed.effect);
    result.rule = fmt::format("defaults.{}", to_string(classed.effect));
    result.reason =
        default_reason(content_.defaults, result.verdict, classed.effect, classed.reason);
  }
  if (result.verdict == Verdict::two_step) result.delay = content_.defaults.two_step_delay;
  result.budgets = claims(judged.call);
  // Whoever decides about a held call is shown where it comes from, whatever rule held it.
  if (traces_ && result.verdict != Verdict::allow) origins_of(judged);
  if (judged.origins) {
    result.provenance = *judged.origins;
    if (result.provenance.size() > kOriginsMax) result.provenance.resize(kOriginsMax);
  }
  return result;
}

Assessment CompiledPolicy::assess(const Call& call) const {
  const Listed found = listed(call.tool);
  const Classed classed = classify(call, found);
  const json::value none = json::object{};
  Judged judged{call, arguments_of(call, none), classed.effect, {}};
  const Rule* deciding = deciding_rule(judged);
  return make_assessment(judged, found, classed, deciding);
}

std::string CompiledPolicy::why_not(const Place& place, Judged& judged) const {
  const Rule& spec = content_.rules[place.rule];
  const Call& call = judged.call;
  if (!matches_any(spec.tools, call.tool)) {
    return "tool does not match " + listed_globs(spec.tools);
  }
  if (!matches_any(spec.principals, call.principal.value)) {
    return "principal does not match " + listed_globs(spec.principals);
  }
  if (!matches_any(spec.sessions, call.session.value)) {
    return "session does not match " + listed_globs(spec.sessions);
  }
  if (!in_effects(place, judged.effect)) {
    return fmt::format("effect {} is not among its effects", to_string(judged.effect));
  }
  if (!in_window(spec, call.now)) {
    const auto [from, to] = *spec.utc_minutes;
    return fmt::format("it is not between {:02}:{:02} and {:02}:{:02} UTC", from / 60, from % 60,
                       to / 60, to % 60);
  }
  SharedLookups lookups(nullptr, 0);
  SchemaMismatch mismatch;
  const Answer answer = ask_condition(place, judged.arguments, lookups, &mismatch);
  if (answer == Answer::differs) {
    return fmt::format("arguments{}: {}", mismatch.pointer, mismatch.text);
  }
  if (answer == Answer::cannot_tell && spec.verdict == Verdict::allow) {
    return "its condition cannot be evaluated: it may not allow";
  }
  if (place.has_origins && call.trace && find_origin(spec, judged) == nullptr) {
    return fmt::format("no argument{} comes from: {}",
                       spec.traced.empty() ? "" : " among " + listed_globs(spec.traced),
                       listed_origins(spec.origins));
  }
  return "";
}

Explanation CompiledPolicy::explain(const Call& call) const {
  const Listed found = listed(call.tool);
  const Classed classed = classify(call, found);
  const json::value none = json::object{};
  Judged judged{call, arguments_of(call, none), classed.effect, {}};
  const Rule* deciding = deciding_rule(judged);
  Explanation explanation;
  explanation.assessment = make_assessment(judged, found, classed, deciding);
  explanation.effect_reason = classed.reason;
  explanation.rules.resize(content_.rules.size());
  for (const Place& place : places_) {
    const Rule& rule = content_.rules[place.rule];
    RuleTrace& trace = explanation.rules[place.rule];
    trace.rule = rule.name;
    trace.line = rule.line;
    trace.verdict = rule.verdict;
    trace.why = why_not(place, judged);
    trace.matched = trace.why.empty();
    if (trace.matched) {
      trace.why = &rule == deciding ? "decides"
                  : rule.verdict == deciding->verdict
                      ? fmt::format("matches too, after \"{}\"", deciding->name)
                      : fmt::format("matches, but \"{}\" is stricter", deciding->name);
    }
  }
  return explanation;
}

bool CompiledPolicy::may_ever_call(const Principal& principal, const std::string& name) const {
  const Listed found = listed(name);
  Effect least = Effect::destructive;
  Effect most = Effect::destructive;
  if (found.tool != nullptr && found.tool->effect) {
    least = most = *found.tool->effect;
    const bool classed = !found.tool->sql_argument.empty() || !found.tool->shell_argument.empty() ||
                         !found.tool->path_argument.empty();
    if (classed) most = Effect::irreversible;
    // Its server's hints may say that it writes.
    if (most == Effect::read) most = Effect::write;
  }
  RuleSet candidates = tools_.match(name);
  candidates.keep(principals_.match(principal.value));
  const auto anywhere = [](const Rule& rule) {
    return rule.sessions.empty() ||
           std::find(rule.sessions.begin(), rule.sessions.end(), "*") != rule.sessions.end();
  };
  for (int e = static_cast<int>(least); e <= static_cast<int>(most); ++e) {
    const auto effect = static_cast<Effect>(e);
    bool always_denied = false;
    bool perhaps_not = false;
    candidates.visit([&](std::size_t number) {
      const Place& place = places_[number];
      const Rule& rule = content_.rules[place.rule];
      if (!in_effects(place, effect)) return false;
      always_denied =
          always_denied || (rule.verdict == Verdict::deny && anywhere(rule) && !rule.arguments &&
                            !rule.utc_minutes && rule.origins.empty());
      perhaps_not = perhaps_not || rule.verdict != Verdict::deny;
      return always_denied;
    });
    if (!always_denied && (perhaps_not || content_.defaults.of(effect) != Verdict::deny)) {
      return true;
    }
  }
  return false;
}

}  // namespace gavel
