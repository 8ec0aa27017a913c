#include "policy/sql.hpp"

#include <fmt/format.h>
#include <pg_query.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/json.hpp"
#include "base/text.hpp"
#include "policy/sql_functions.hpp"

namespace gavel {
namespace {

// libpg_query walks trees by recursion without a limit: a chain of 100,000 operators ends the
// process (seen with 8 MiB of stack). No chain is longer than its statement's tokens.
constexpr std::size_t kChainTokensMax = 5'000;
// Levels of the tree as JSON; an operator takes two.
constexpr std::size_t kTreeDepthMax = 1'000;
constexpr std::size_t kTreeBytesMax = 32u << 20;

// Owns what the library returned.
template <typename T, void (*Free)(T)>
class Owned {
public:
  explicit Owned(T result) : result_(result) {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { Free(result_); }
  const T* operator->() const { return &result_; }

private:
  T result_;
};
using Tree = Owned<PgQueryParseResult, pg_query_free_parse_result>;
using Scan = Owned<PgQueryScanResult, pg_query_free_scan_result>;
using Fingerprint = Owned<PgQueryFingerprintResult, pg_query_free_fingerprint_result>;

// Reads the protobuf wire format, as far as a list of tokens needs it. The bytes are the library's
// own, so a wrong one just ends the list.
class Protobuf {
public:
  explicit Protobuf(std::string_view bytes) : rest_(bytes) {}
  // The next field's number; 0 at the end. Its value is in number() or bytes().
  std::uint64_t next() {
    bytes_ = {};
    number_ = 0;
    if (rest_.empty()) return 0;
    const std::uint64_t key = varint();
    if ((key & 7) == 0) {
      number_ = varint();
    } else if ((key & 7) == 2) {
      const auto length = std::min<std::uint64_t>(varint(), rest_.size());
      bytes_ = rest_.substr(0, static_cast<std::size_t>(length));
      rest_.remove_prefix(bytes_.size());
    } else {
      rest_ = {};
      return 0;
    }
    return key >> 3;
  }
  std::uint64_t number() const { return number_; }
  std::string_view bytes() const { return bytes_; }

private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) break;
    }
    return value;
  }
  std::string_view rest_;
  std::string_view bytes_;
  std::uint64_t number_ = 0;
};

// Whether the text can be parsed without a walk that is too deep. Lists of values may be long:
// commas, parentheses, constants and parameters form no chains by themselves.
std::optional<std::string> too_deep(const std::string& sql) {
  const Scan scan(pg_query_scan(sql.c_str()));
  if (scan->error != nullptr) {
    return "does not parse: " + for_display(scan->error->message, 200);
  }
  std::size_t chain = 0;
  Protobuf list({scan->pbuf.data, scan->pbuf.len});
  while (const auto field = list.next()) {
    if (field != 2) continue;
    Protobuf token(list.bytes());
    std::uint64_t start = 0;
    while (const auto member = token.next()) {
      if (member == 1) start = token.number();
    }
    const char first = start < sql.size() ? sql[static_cast<std::size_t>(start)] : '\0';
    if (first == ';') chain = 0;
    const bool flat = (first >= '0' && first <= '9') || first == ',' || first == '(' ||
                      first == ')' || first == '\'' || first == '$';
    if (!flat && ++chain > kChainTokensMax) return "is too long a statement to be judged";
  }
  return std::nullopt;
}

// --- looking into the tree: an object with one capital member is a node of that kind ---
const json::value* node(const json::value& value, std::string_view kind) {
  return find(value, kind);
}

bool has_node(const json::value& value, std::string_view kind) {
  if (const auto* array = value.if_array()) {
    return std::any_of(array->begin(), array->end(),
                       [&](const auto& item) { return has_node(item, kind); });
  }
  const auto* object = value.if_object();
  return object != nullptr && std::any_of(object->begin(), object->end(), [&](const auto& member) {
           return std::string_view(member.key().data(), member.key().size()) == kind ||
                  has_node(member.value(), kind);
         });
}

// Equal but for where they stand in the text.
bool same_tree(const json::value& a, const json::value& b) {
  if (a.kind() != b.kind()) return false;
  if (a.is_array()) {
    return std::equal(a.get_array().begin(), a.get_array().end(), b.get_array().begin(),
                      b.get_array().end(), same_tree);
  }
  if (!a.is_object()) return a == b;
  if (a.get_object().size() != b.get_object().size()) return false;
  return std::all_of(a.get_object().begin(), a.get_object().end(), [&](const auto& member) {
    const auto* other = b.get_object().if_contains(member.key());
    return other != nullptr && (member.key() == "location" || same_tree(member.value(), *other));
  });
}

// The strings of a list of String nodes: a qualified name.
template <typename Value>
std::vector<std::string_view> names(const Value& value, std::string_view key) {
  std::vector<std::string_view> out;
  if (const auto* list = find_array(value, key)) {
    for (const auto& item : *list) {
      if (const auto* text = node(item, "String")) out.push_back(string_or(*text, "sval"));
    }
  }
  return out;
}

std::string_view constant_text(const json::value& expression) {
  const auto* constant = node(expression, "A_Const");
  const auto* text = constant == nullptr ? nullptr : find(*constant, "sval");
  return text == nullptr ? std::string_view{} : string_or(*text, "sval");
}

bool matches_all_text(const json::value& expression, std::string_view kind,
                      std::string_view operation) {
  const auto* pattern = find(expression, "rexpr");
  if (pattern == nullptr || node(*pattern, "A_Const") == nullptr) return false;
  const std::string_view text = constant_text(*pattern);
  if (kind == "AEXPR_LIKE" || kind == "AEXPR_ILIKE") {
    return !text.empty() && text.find_first_not_of('%') == std::string_view::npos;
  }
  return (operation == "~" || operation == "~*") && (text.empty() || text == ".*" || text == "^");
}

// Whether a WHERE surely (as far as a look at the text can tell) holds for every row.
bool holds_always(const json::value& where, std::string_view table) {
  if (!has_node(where, "ColumnRef") && !has_node(where, "CurrentOfExpr")) return true;
  if (const auto* test = node(where, "NullTest")) {
    const auto* argument = find(*test, "arg");
    return string_or(*test, "nulltesttype") == "IS_NOT_NULL" && argument != nullptr &&
           node(*argument, "ColumnRef") != nullptr;
  }
  if (const auto* logic = node(where, "BoolExpr")) {
    const auto* args = find_array(*logic, "args");
    if (args == nullptr) return false;
    const auto always = [&](const json::value& arg) { return holds_always(arg, table); };
    const std::string_view kind = string_or(*logic, "boolop");
    if (kind == "OR_EXPR") return std::any_of(args->begin(), args->end(), always);
    return kind == "AND_EXPR" && std::all_of(args->begin(), args->end(), always);
  }
  if (const auto* expression = node(where, "A_Expr")) {
    const auto operation = names(*expression, "name");
    const std::string_view sign = operation.empty() ? std::string_view{} : operation.back();
    const auto* left = find(*expression, "lexpr");
    const auto* right = find(*expression, "rexpr");
    const std::string_view kind = string_or(*expression, "kind");
    if (matches_all_text(*expression, kind, sign)) return true;
    const bool reflexive = (kind == "AEXPR_OP" && (sign == "=" || sign == "<=" || sign == ">=")) ||
                           kind == "AEXPR_NOT_DISTINCT";
    return reflexive && left != nullptr && right != nullptr && same_tree(*left, *right);
  }
  // id IN (SELECT id FROM the same table), without a WHERE of its own.
  if (const auto* link = node(where, "SubLink")) {
    const auto* select = find(*link, "subselect");
    const auto* inner = select == nullptr ? nullptr : node(*select, "SelectStmt");
    const auto* from = inner == nullptr ? nullptr : find_array(*inner, "fromClause");
    if (from == nullptr || from->size() != 1 || find(*inner, "whereClause") != nullptr ||
        find(*inner, "limitCount") != nullptr || find(*inner, "havingClause") != nullptr) {
      return false;
    }
    const auto* range = node(from->front(), "RangeVar");
    return range != nullptr && string_or(*range, "relname") == table;
  }
  return false;
}

// Statements whose class does not depend on their details.
struct StatementClass {
  std::string_view name;
  Effect effect;
  std::string_view words;
};
constexpr StatementClass kStatements[] = {
    {"SelectStmt", Effect::read, "SELECT"},
    {"VariableShowStmt", Effect::read, "SHOW"},
    {"DeclareCursorStmt", Effect::read, "DECLARE CURSOR"},
    {"FetchStmt", Effect::read, "FETCH"},
    {"ClosePortalStmt", Effect::read, "CLOSE"},
    {"DeallocateStmt", Effect::read, "DEALLOCATE"},
    {"ListenStmt", Effect::read, "LISTEN"},
    {"UnlistenStmt", Effect::read, "UNLISTEN"},
    {"PrepareStmt", Effect::read, "PREPARE"},
    {"ReturnStmt", Effect::read, "RETURN"},
    {"InsertStmt", Effect::write, "INSERT"},
    {"NotifyStmt", Effect::write, "NOTIFY"},
    {"LockStmt", Effect::write, "LOCK"},
    {"VacuumStmt", Effect::write, "VACUUM or ANALYZE"},
    {"ReindexStmt", Effect::write, "REINDEX"},
    {"ClusterStmt", Effect::write, "CLUSTER"},
    {"CheckPointStmt", Effect::write, "CHECKPOINT"},
    {"RefreshMatViewStmt", Effect::write, "REFRESH MATERIALIZED VIEW"},
    {"CommentStmt", Effect::write, "COMMENT"},
    {"CreateStmt", Effect::write, "CREATE TABLE"},
    {"CreateTableAsStmt", Effect::write, "CREATE TABLE AS"},
    {"CreateSchemaStmt", Effect::write, "CREATE SCHEMA"},
    {"CreateSeqStmt", Effect::write, "CREATE SEQUENCE"},
    {"AlterSeqStmt", Effect::write, "ALTER SEQUENCE"},
    {"CreateEnumStmt", Effect::write, "CREATE TYPE"},
    {"AlterEnumStmt", Effect::write, "ALTER TYPE"},
    {"CompositeTypeStmt", Effect::write, "CREATE TYPE"},
    {"CreateRangeStmt", Effect::write, "CREATE TYPE"},
    {"CreateDomainStmt", Effect::write, "CREATE DOMAIN"},
    {"CreateStatsStmt", Effect::write, "CREATE STATISTICS"},
    {"CreatedbStmt", Effect::write, "CREATE DATABASE"},
    {"IndexStmt", Effect::write, "CREATE INDEX"},
    {"ViewStmt", Effect::write, "CREATE VIEW"},
    {"RenameStmt", Effect::write, "ALTER … RENAME"},
    {"CallStmt", Effect::destructive, "CALL: what a procedure does is not known"},
    {"DiscardStmt", Effect::write, "DISCARD"},
    {"ConstraintsSetStmt", Effect::write, "SET CONSTRAINTS"},
    {"TruncateStmt", Effect::destructive, "TRUNCATE"},
    {"AlterObjectSchemaStmt", Effect::destructive, "ALTER … SET SCHEMA"},
    {"AlterOwnerStmt", Effect::destructive, "ALTER … OWNER"},
    {"AlterTypeStmt", Effect::destructive, "ALTER TYPE"},
    {"AlterDomainStmt", Effect::destructive, "ALTER DOMAIN"},
    {"AlterDatabaseStmt", Effect::destructive, "ALTER DATABASE"},
    {"AlterDatabaseSetStmt", Effect::destructive, "ALTER DATABASE"},
    {"AlterRoleStmt", Effect::destructive, "ALTER ROLE"},
    {"AlterRoleSetStmt", Effect::destructive, "ALTER ROLE"},
    {"CreateRoleStmt", Effect::destructive, "CREATE ROLE"},
    {"DropRoleStmt", Effect::destructive, "DROP ROLE"},
    {"GrantStmt", Effect::destructive, "GRANT or REVOKE"},
    {"GrantRoleStmt", Effect::destructive, "GRANT or REVOKE of a role"},
    {"AlterDefaultPrivilegesStmt", Effect::destructive, "ALTER DEFAULT PRIVILEGES"},
    {"CreateTrigStmt", Effect::destructive, "CREATE TRIGGER"},
    {"RuleStmt", Effect::destructive, "CREATE RULE"},
    {"CreatePolicyStmt", Effect::destructive, "CREATE POLICY"},
    {"AlterPolicyStmt", Effect::destructive, "ALTER POLICY"},
    {"DefineStmt", Effect::destructive, "CREATE OPERATOR, AGGREGATE, TYPE or the like"},
    {"ReassignOwnedStmt", Effect::destructive, "REASSIGN OWNED"},
    {"DropTableSpaceStmt", Effect::destructive, "DROP TABLESPACE"},
    {"DropSubscriptionStmt", Effect::destructive, "DROP SUBSCRIPTION"},
    {"DropUserMappingStmt", Effect::destructive, "DROP USER MAPPING"},
    {"DropOwnedStmt", Effect::irreversible, "DROP OWNED"},
    {"DropdbStmt", Effect::irreversible, "DROP DATABASE"},
    {"DoStmt", Effect::irreversible, "DO: a block may do anything"},
    {"LoadStmt", Effect::irreversible, "LOAD of a library"},
    {"AlterSystemStmt", Effect::irreversible, "ALTER SYSTEM"},
    {"CreateFunctionStmt", Effect::irreversible, "CREATE FUNCTION: it may do anything"},
    {"CreateExtensionStmt", Effect::irreversible, "CREATE EXTENSION"},
};
// The classifier looks closer at these.
constexpr std::string_view kDetailed[] = {
    "UpdateStmt", "DeleteStmt",     "MergeStmt",       "CopyStmt",        "ExplainStmt",
    "DropStmt",   "AlterTableStmt", "TransactionStmt", "VariableSetStmt", "ExecuteStmt"};

constexpr std::string_view kHarmlessSettings[] = {"application_name",
                                                  "bytea_output",
                                                  "client_min_messages",
                                                  "datestyle",
                                                  "default_transaction_isolation",
                                                  "extra_float_digits",
                                                  "geqo",
                                                  "idle_in_transaction_session_timeout",
                                                  "idle_session_timeout",
                                                  "intervalstyle",
                                                  "jit",
                                                  "lock_timeout",
                                                  "maintenance_work_mem",
                                                  "max_parallel_workers_per_gather",
                                                  "plan_cache_mode",
                                                  "random_page_cost",
                                                  "SESSION CHARACTERISTICS",
                                                  "statement_timeout",
                                                  "TRANSACTION",
                                                  "transaction_isolation",
                                                  "timezone",
                                                  "work_mem"};
// They change who one is, what is protected or how later text is read.
constexpr std::string_view kDangerousSettings[] = {"allow_system_table_mods",
                                                   "backslash_quote",
                                                   "check_function_bodies",
                                                   "client_encoding",
                                                   "default_transaction_read_only",
                                                   "dynamic_library_path",
                                                   "ignore_checksum_failure",
                                                   "local_preload_libraries",
                                                   "role",
                                                   "row_security",
                                                   "session_authorization",
                                                   "session_preload_libraries",
                                                   "session_replication_role",
                                                   "standard_conforming_strings",
                                                   "transaction_read_only",
                                                   "zero_damaged_pages"};

// What ALTER TABLE may do without losing data or protection.
constexpr std::string_view kAddingCommands[] = {
    "AT_AddColumn",        "AT_AddConstraint",     "AT_AddIdentity",     "AT_AttachPartition",
    "AT_ColumnDefault",    "AT_EnableRowSecurity", "AT_EnableTrig",      "AT_EnableTrigAll",
    "AT_ForceRowSecurity", "AT_ResetOptions",      "AT_ResetRelOptions", "AT_SetCompression",
    "AT_SetNotNull",       "AT_SetOptions",        "AT_SetRelOptions",   "AT_SetStatistics",
    "AT_SetStorage",       "AT_ValidateConstraint"};

template <std::size_t N>
bool is_one_of(std::string_view word, const std::string_view (&words)[N]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

class SqlClassifier {
public:
  SqlClass classify(const json::value& tree) {
    const auto* statements = find_array(tree, "stmts");
    if (statements == nullptr || statements->empty()) {
      return {Effect::destructive, "no statement"};
    }
    for (const auto& raw : *statements) {
      const auto* statement = find_object(raw, "stmt");
      if (statement == nullptr || statement->size() != 1 ||
          !statement->begin()->key().ends_with("Stmt")) {
        raise(Effect::irreversible, "a statement of an unknown kind");
        continue;
      }
      if (worst_.reason.empty()) worst_.reason = "only reads";
      visit(*statement, 0);
    }
    return worst_;
  }

private:
  void raise(Effect effect, std::string_view reason) {
    if (effect <= worst_.effect) return;
    worst_.effect = effect;
    worst_.reason = reason;
  }
  // Of a statement that EXPLAIN only plans, the functions still count: planning may run them.
  void raise_statement(Effect effect, std::string_view reason) {
    if (!only_planned_) raise(effect, reason);
  }

  // Everything inside, and what it is.
  void visit(const json::value& value, std::size_t depth) {
    if (depth > kTreeDepthMax)
      return raise(Effect::irreversible, "is nested too deep to be judged");
    if (const auto* array = value.if_array()) {
      for (const auto& item : *array) visit(item, depth + 1);
    } else if (const auto* object = value.if_object()) {
      visit(*object, depth);
    }
  }
  void visit(const json::object& object, std::size_t depth) {
    const bool planned_before = only_planned_;
    for (const auto& member : object) {
      const std::string_view key{member.key().data(), member.key().size()};
      if (key == "funcname") {
        function(object);
      } else if (key == "intoClause") {
        raise_statement(Effect::write, "SELECT INTO makes a table");
      } else if (key == "A_Expr") {
        operation(member.value());
      } else if (key.ends_with("Stmt") && key.front() >= 'A' && key.front() <= 'Z') {
        statement(key, member.value());
      }
      visit(member.value(), depth + 1);
      only_planned_ = planned_before;
    }
  }

  void function(const json::object& call) {
    const auto name = names(call, "funcname");
    if (name.empty()) return;
    const bool built_in = name.size() == 1 || name.front() == "pg_catalog";
    const FunctionClass known = classify_function(name.back());
    // Elsewhere a harmless name says nothing; a dangerous one says enough.
    const bool trusted = built_in || known.effect > Effect::write;
    const FunctionClass classed = trusted ? known : kUnknownFunction;
    if (classed.effect > Effect::read) {
      raise(classed.effect,
            fmt::format("{}() {}", for_display(fmt::format("{}", fmt::join(name, ".")), 80),
                        classed.what));
    }
  }

  void operation(const json::value& expression) {
    const auto name = names(expression, "name");
    if (name.size() > 1 && name.front() != "pg_catalog") {
      raise(kUnknownFunction.effect, "an operator of a schema of its own may change anything");
    }
  }

  void statement(std::string_view kind, const json::value& body) {
    if (writes_catalog(kind, body)) {
      raise_statement(Effect::irreversible, "changes the system catalog");
    }
    const auto found =
        std::find_if(std::begin(kStatements), std::end(kStatements),
                     [&](const StatementClass& known) { return known.name == kind; });
    if (found != std::end(kStatements)) {
      if (kind == "PrepareStmt") prepared_.emplace(string_or(body, "name"));
      return raise_statement(found->effect, found->words);
    }
    if (!is_one_of(kind, kDetailed)) {
      return raise_statement(Effect::irreversible,
                             fmt::format("a statement that is not known here ({})", kind));
    }
    if (kind == "UpdateStmt") return changed_rows("UPDATE", body);
    if (kind == "DeleteStmt") return changed_rows("DELETE", body);
    if (kind == "MergeStmt") return merge(body);
    if (kind == "CopyStmt") return copy(body);
    if (kind == "DropStmt") return drop(body);
    if (kind == "AlterTableStmt") return alter_table(body);
    if (kind == "TransactionStmt") return transaction(body);
    if (kind == "VariableSetStmt") return set_variable(body);
    if (kind == "ExecuteStmt") return execute(body);
    if (!analyzes(body)) only_planned_ = true;  // ExplainStmt
  }

  static bool writes_catalog(std::string_view kind, const json::value& body) {
    if (kind != "InsertStmt" && kind != "UpdateStmt" && kind != "DeleteStmt" &&
        kind != "MergeStmt" && kind != "CopyStmt") {
      return false;
    }
    const auto* relation = find(body, "relation");
    if (relation == nullptr || (kind == "CopyStmt" && !bool_or(body, "is_from", false))) {
      return false;
    }
    const std::string_view schema = string_or(*relation, "schemaname");
    return schema == "pg_catalog" || schema == "information_schema" || schema == "pg_toast" ||
           (schema.empty() && string_or(*relation, "relname").starts_with("pg_"));
  }

  void changed_rows(std::string_view what, const json::value& body) {
    const auto* relation = find(body, "relation");
    const std::string_view table =
        relation == nullptr ? std::string_view{} : string_or(*relation, "relname");
    const auto* where = find(body, "whereClause");
    if (where == nullptr) {
      raise_statement(Effect::destructive, fmt::format("{} without WHERE", what));
    } else if (holds_always(*where, table)) {
      raise_statement(Effect::destructive, fmt::format("{} with a WHERE that always holds", what));
    } else {
      raise_statement(Effect::write, fmt::format("{} with WHERE", what));
    }
  }

  void merge(const json::value& body) {
    raise_statement(Effect::write, "MERGE");
    const auto* condition = find(body, "joinCondition");
    if (condition != nullptr && !holds_always(*condition, "")) return;
    if (const auto* clauses = find_array(body, "mergeWhenClauses")) {
      for (const auto& item : *clauses) {
        const auto* clause = node(item, "MergeWhenClause");
        const auto command = clause == nullptr ? "" : string_or(*clause, "commandType");
        if (command != "CMD_INSERT" && command != "CMD_NOTHING") {
          raise_statement(Effect::destructive, "MERGE that changes every row");
        }
      }
    }
  }

  void copy(const json::value& body) {
    if (bool_or(body, "is_program", false)) {
      return raise_statement(Effect::irreversible, "COPY runs a program on the server");
    }
    const bool file = find(body, "filename") != nullptr;
    if (bool_or(body, "is_from", false)) {
      return raise_statement(file ? Effect::destructive : Effect::write,
                             file ? "COPY FROM reads the server's files" : "COPY FROM");
    }
    if (file) raise_statement(Effect::irreversible, "COPY TO writes the server's files");
  }

  void drop(const json::value& body) {
    std::string_view what = string_or(body, "removeType");
    if (what.starts_with("OBJECT_")) what.remove_prefix(7);
    const bool cascade = string_or(body, "behavior") == "DROP_CASCADE";
    const std::string text = fmt::format("DROP {}{}", what, cascade ? " CASCADE" : "");
    raise_statement(cascade && what == "SCHEMA" ? Effect::irreversible : Effect::destructive, text);
  }

  void alter_table(const json::value& body) {
    raise_statement(Effect::write, "ALTER TABLE");
    if (const auto* commands = find_array(body, "cmds")) {
      for (const auto& item : *commands) {
        const auto* command = node(item, "AlterTableCmd");
        std::string_view kind = command == nullptr ? "AT_?" : string_or(*command, "subtype");
        if (is_one_of(kind, kAddingCommands)) continue;
        if (kind.starts_with("AT_")) kind.remove_prefix(3);
        raise_statement(Effect::destructive, fmt::format("ALTER TABLE … {}", kind));
      }
    }
  }

  void transaction(const json::value& body) {
    const std::string_view kind = string_or(body, "kind");
    if (kind == "TRANS_STMT_PREPARE" || kind == "TRANS_STMT_COMMIT_PREPARED" ||
        kind == "TRANS_STMT_ROLLBACK_PREPARED") {
      raise_statement(Effect::write, "a prepared transaction");
    }
  }

  void set_variable(const json::value& body) {
    const std::string_view name = string_or(body, "name");
    if (is_one_of(name, kDangerousSettings)) {
      return raise_statement(Effect::destructive, fmt::format("SET {}", name));
    }
    if (is_one_of(name, kHarmlessSettings) || name.starts_with("enable_")) return;
    raise_statement(Effect::write, fmt::format("SET {}", for_display(name, 80)));
  }

  void execute(const json::value& body) {
    if (prepared_.contains(std::string(string_or(body, "name")))) return;
    raise_statement(Effect::destructive, "EXECUTE of a statement that was prepared elsewhere");
  }

  static bool analyzes(const json::value& explain) {
    const auto* options = find_array(explain, "options");
    if (options == nullptr) return false;
    return std::any_of(options->begin(), options->end(), [](const json::value& item) {
      const auto* option = node(item, "DefElem");
      if (option == nullptr || string_or(*option, "defname") != "analyze") return false;
      const auto* argument = find(*option, "arg");
      const auto* text = argument == nullptr ? nullptr : node(*argument, "String");
      const std::string_view word = text == nullptr ? "" : string_or(*text, "sval");
      return word != "false" && word != "off";
    });
  }

  SqlClass worst_{Effect::read, ""};
  bool only_planned_ = false;
  std::set<std::string, std::less<>> prepared_;
};

// The text as the library takes it, or why it is not handed over.
std::optional<std::string> unfit(std::string_view sql) {
  if (sql.size() > kSqlBytesMax) return "is larger than what is judged";
  if (sql.find('\0') != std::string_view::npos) return "holds a NUL byte";
  if (!is_valid_utf8(sql)) return "is not UTF-8";
  return too_deep(std::string(sql));
}

}  // namespace

SqlClass classify_sql(std::string_view sql) {
  if (auto why = unfit(sql)) return {Effect::irreversible, "the SQL " + std::move(*why)};
  const Tree parsed(pg_query_parse(std::string(sql).c_str()));
  if (parsed->error != nullptr) {
    return {Effect::irreversible,
            "the SQL does not parse: " + for_display(parsed->error->message, 200)};
  }
  JsonLimits limits;
  limits.max_bytes = kTreeBytesMax;
  limits.max_depth = kTreeDepthMax;
  const auto tree = parse_json(parsed->parse_tree, limits);
  if (!tree) return {Effect::irreversible, "the SQL is too complex to be judged"};
  return SqlClassifier().classify(*tree);
}

bool same_sql_shape(std::string_view a, std::string_view b) {
  if (unfit(a) || unfit(b)) return false;
  const Fingerprint first(pg_query_fingerprint(std::string(a).c_str()));
  const Fingerprint second(pg_query_fingerprint(std::string(b).c_str()));
  return first->error == nullptr && second->error == nullptr &&
         first->fingerprint == second->fingerprint;
}

}  // namespace gavel
