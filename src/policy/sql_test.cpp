#include "policy/sql.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gavel {
namespace {

using testing::HasSubstr;

struct Statement {
  const char* sql;
  Effect effect;
  const char* reason = "";  // a part of it
};
void PrintTo(const Statement& statement, std::ostream* out) {
  *out << statement.sql;
}

class ClassifySql : public testing::TestWithParam<Statement> {};

TEST_P(ClassifySql, ByTheWorstItCouldDo) {
  const SqlClass classed = classify_sql(GetParam().sql);
  EXPECT_EQ(to_string(classed.effect), to_string(GetParam().effect)) << classed.reason;
  EXPECT_THAT(classed.reason, HasSubstr(GetParam().reason));
  EXPECT_NE(classed.reason, "");
}

constexpr auto kRead = Effect::read;
constexpr auto kWrite = Effect::write;
constexpr auto kDestructive = Effect::destructive;
constexpr auto kIrreversible = Effect::irreversible;

INSTANTIATE_TEST_SUITE_P(
    Reads, ClassifySql,
    testing::Values(
        Statement{"SELECT 1", kRead, "only reads"}, Statement{"select * from orders", kRead},
        Statement{"SELECT count(*), sum(x) FROM t GROUP BY y HAVING max(z) > 1", kRead},
        Statement{"SELECT lower(name) || ' ' || coalesce(a, 'b') FROM t WHERE id = $1", kRead},
        Statement{"SELECT jsonb_path_query(j, '$.a'), j->>'b' FROM t", kRead},
        Statement{"SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t", kRead},
        Statement{"WITH a AS (SELECT 1) SELECT * FROM a", kRead},
        Statement{"SELECT * FROM t FOR UPDATE", kRead}, Statement{"VALUES (1), (2)", kRead},
        Statement{"TABLE orders", kRead},
        Statement{"SELECT 'a\nb\t\"c\"\\', E'\\x01', U&'\\0041'", kRead},
        Statement{"SELECT 'DROP TABLE users; DELETE FROM t'", kRead},
        Statement{"SELECT 1 -- ; DROP TABLE users", kRead},
        Statement{"/* DELETE FROM t */ SELECT 1;", kRead},
        Statement{"SELECT \"delete\" FROM \"drop\"", kRead},
        Statement{"SELECT 1 UNION SELECT 2 INTERSECT SELECT 3", kRead},
        Statement{"EXPLAIN DELETE FROM t", kRead}, Statement{"EXPLAIN ANALYZE SELECT 1", kRead},
        Statement{"EXPLAIN (ANALYZE false) DELETE FROM t", kRead},
        Statement{"SHOW search_path", kRead}, Statement{"BEGIN; SELECT 1; COMMIT", kRead},
        Statement{"ROLLBACK", kRead}, Statement{"SAVEPOINT a", kRead},
        Statement{"SET statement_timeout = '5s'", kRead},
        Statement{"SET LOCAL work_mem = '64MB'", kRead},
        Statement{"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY", kRead},
        Statement{"COPY orders TO STDOUT", kRead}, Statement{"COPY (SELECT 1) TO STDOUT", kRead},
        Statement{"DECLARE c CURSOR FOR SELECT 1; FETCH 10 FROM c; CLOSE c", kRead},
        Statement{"PREPARE q AS SELECT $1::int; EXECUTE q(1); DEALLOCATE q", kRead},
        Statement{"LISTEN a", kRead}, Statement{"SELECT now(), random(), pg_sleep(1)", kRead},
        Statement{"SELECT pg_catalog.upper('a'), pg_size_pretty(pg_database_size('a'))", kRead},
        Statement{"SELECT * FROM generate_series(1, 3)", kRead},
        Statement{"SELECT pg_stat_get_live_tuples(1)", kRead},
        Statement{"SELECT CASE WHEN a THEN 1 ELSE 2 END, (ARRAY[1, 2])[1], ROW(1, 2) FROM t",
                  kRead},
        Statement{"SELECT extract(year FROM d), d AT TIME ZONE 'UTC', trim(both FROM s) FROM t",
                  kRead},
        Statement{"SELECT (SELECT max(a) FROM u WHERE u.id = t.id) FROM t", kRead}));

INSTANTIATE_TEST_SUITE_P(
    Writes, ClassifySql,
    testing::Values(
        Statement{"INSERT INTO t VALUES (1)", kWrite, "INSERT"},
        Statement{"INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", kWrite},
        Statement{"INSERT INTO t SELECT * FROM u RETURNING id", kWrite},
        Statement{"UPDATE t SET a = 1 WHERE id = 2", kWrite, "UPDATE with WHERE"},
        Statement{"DELETE FROM t WHERE id = $1", kWrite, "DELETE with WHERE"},
        Statement{"DELETE FROM t WHERE CURRENT OF c", kWrite},
        Statement{"DELETE FROM t WHERE id IN (SELECT id FROM t WHERE old)", kWrite},
        Statement{"DELETE FROM t WHERE id IN (SELECT id FROM t LIMIT 10)", kWrite},
        Statement{"DELETE FROM t USING u WHERE t.id = u.id", kWrite},
        Statement{"WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x", kWrite},
        Statement{"SELECT * INTO copy FROM t", kWrite, "SELECT INTO"},
        Statement{"SELECT 1 UNION SELECT a INTO z FROM t", kWrite, "SELECT INTO"},
        Statement{"CREATE TABLE copy AS SELECT * FROM t", kWrite},
        Statement{"CREATE TABLE t (id int PRIMARY KEY, at timestamptz DEFAULT now())", kWrite},
        Statement{"CREATE INDEX ON t (a)", kWrite}, Statement{"CREATE VIEW v AS SELECT 1", kWrite},
        Statement{"CREATE SCHEMA s", kWrite}, Statement{"ALTER TABLE t ADD COLUMN c int", kWrite},
        Statement{"ALTER TABLE t ALTER COLUMN c SET DEFAULT 1, ALTER c SET NOT NULL", kWrite},
        Statement{"ALTER TABLE t RENAME TO u", kWrite}, Statement{"COPY t FROM STDIN", kWrite},
        Statement{"MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN DELETE", kWrite, "MERGE"},
        Statement{"LOCK TABLE t", kWrite}, Statement{"VACUUM", kWrite},
        Statement{"ANALYZE t", kWrite}, Statement{"REFRESH MATERIALIZED VIEW m", kWrite},
        Statement{"NOTIFY a", kWrite},
        Statement{"SELECT nextval('s')", kWrite, "nextval() advances a sequence"},
        Statement{"SELECT pg_advisory_lock(1)", kWrite},
        Statement{"SELECT pg_notify('a', 'b')", kWrite},
        Statement{"EXPLAIN ANALYZE UPDATE t SET a = 1 WHERE id = 1", kWrite},
        Statement{"SET search_path = evil", kWrite, "SET search_path"},
        Statement{"RESET ALL", kWrite}, Statement{"PREPARE TRANSACTION 'a'", kWrite},
        Statement{"COMMIT PREPARED 'a'", kWrite}, Statement{"DISCARD ALL", kWrite},
        Statement{"SELECT 1; INSERT INTO t VALUES (1); SELECT 2", kWrite},
        Statement{"PREPARE p AS INSERT INTO t VALUES (1); EXECUTE p", kWrite}));

INSTANTIATE_TEST_SUITE_P(
    Destructive, ClassifySql,
    testing::Values(
        Statement{"DELETE FROM t", kDestructive, "DELETE without WHERE"},
        Statement{"UPDATE t SET a = 1", kDestructive, "UPDATE without WHERE"},
        Statement{"DELETE FROM t WHERE true", kDestructive, "always holds"},
        Statement{"DELETE FROM t WHERE 1 = 1", kDestructive, "always holds"},
        Statement{"DELETE FROM t WHERE $1", kDestructive, "always holds"},
        Statement{"DELETE FROM t WHERE id = 1 OR true", kDestructive, "always holds"},
        Statement{"DELETE FROM t WHERE id = id", kDestructive, "always holds"},
        Statement{"DELETE FROM t WHERE id IS NOT DISTINCT FROM id", kDestructive, "always holds"},
        Statement{"DELETE FROM t WHERE id IS NOT NULL", kDestructive, "always holds"},
        Statement{"DELETE FROM t WHERE name LIKE '%'", kDestructive, "always holds"},
        Statement{"DELETE FROM t WHERE name ~ '.*'", kDestructive, "always holds"},
        Statement{"DELETE FROM t WHERE random() < 2", kDestructive, "always holds"},
        Statement{"DELETE FROM t WHERE EXISTS (SELECT 1)", kDestructive, "always holds"},
        Statement{"DELETE FROM t WHERE id IN (SELECT id FROM t)", kDestructive, "always holds"},
        Statement{"UPDATE t SET a = 1 WHERE 1 = 1 AND true", kDestructive, "always holds"},
        Statement{"WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", kDestructive},
        Statement{"EXPLAIN ANALYZE DELETE FROM t", kDestructive},
        Statement{"EXPLAIN (VERBOSE, ANALYZE on) DELETE FROM t", kDestructive},
        Statement{"SELECT 1; DELETE FROM t; SELECT 2", kDestructive},
        Statement{"PREPARE p AS DELETE FROM t", kDestructive},
        Statement{"EXECUTE elsewhere(1)", kDestructive, "prepared elsewhere"},
        Statement{"MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE", kDestructive,
                  "every row"},
        Statement{"TRUNCATE t", kDestructive, "TRUNCATE"},
        Statement{"DROP TABLE t", kDestructive, "DROP TABLE"},
        Statement{"DROP TABLE t CASCADE", kDestructive, "DROP TABLE CASCADE"},
        Statement{"DROP SCHEMA s", kDestructive}, Statement{"DROP INDEX i", kDestructive},
        Statement{"DROP FUNCTION f", kDestructive}, Statement{"DROP ROLE r", kDestructive},
        Statement{"ALTER TABLE t DROP COLUMN c", kDestructive, "DropColumn"},
        Statement{"ALTER TABLE t ALTER c TYPE int", kDestructive},
        Statement{"ALTER TABLE t DISABLE TRIGGER ALL", kDestructive},
        Statement{"ALTER TABLE t DISABLE ROW LEVEL SECURITY", kDestructive},
        Statement{"ALTER TABLE t OWNER TO x", kDestructive},
        Statement{"GRANT ALL ON t TO public", kDestructive},
        Statement{"GRANT admin TO agent", kDestructive},
        Statement{"CREATE ROLE a SUPERUSER", kDestructive},
        Statement{"ALTER ROLE a PASSWORD 'x'", kDestructive},
        Statement{"CREATE TRIGGER a AFTER INSERT ON t EXECUTE FUNCTION f()", kDestructive},
        Statement{"CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING", kDestructive},
        Statement{"SET ROLE postgres", kDestructive, "SET role"},
        Statement{"RESET ROLE", kDestructive},
        Statement{"SET SESSION AUTHORIZATION postgres", kDestructive},
        Statement{"SET session_replication_role = replica", kDestructive},
        Statement{"SET standard_conforming_strings = off", kDestructive},
        Statement{"SELECT set_config('role', 'postgres', false)", kDestructive},
        Statement{"CALL refund(1)", kDestructive, "CALL"},
        Statement{"SELECT refund(1)", kDestructive, "refund() may change anything"},
        Statement{"SELECT billing.lower('x')", kDestructive, "billing.lower() may change anything"},
        Statement{"SELECT \"LOWER\"('x')", kDestructive, "LOWER() may change anything"},
        Statement{"SELECT * FROM charge_all()", kDestructive},
        Statement{"SELECT a OPERATOR(billing.+) b FROM t", kDestructive, "operator"},
        Statement{"EXPLAIN SELECT refund(1)", kDestructive, "refund"},
        Statement{"SELECT pg_terminate_backend(1)", kDestructive, "ends other sessions"},
        Statement{"SELECT pg_read_file('/etc/passwd')", kDestructive, "reads the server's files"},
        Statement{"SELECT lo_import('/etc/passwd')", kDestructive},
        Statement{"COPY t FROM '/etc/passwd'", kDestructive, "reads the server's files"},
        Statement{"SELECT pg_drop_replication_slot('a')", kDestructive},
        Statement{"", kDestructive, "no statement"}, Statement{";;", kDestructive, "no statement"},
        Statement{"-- nothing", kDestructive, "no statement"}));

INSTANTIATE_TEST_SUITE_P(
    Irreversible, ClassifySql,
    testing::Values(
        Statement{"DROP DATABASE production", kIrreversible, "DROP DATABASE"},
        Statement{"DROP SCHEMA public CASCADE", kIrreversible, "DROP SCHEMA CASCADE"},
        Statement{"COMMIT; DROP SCHEMA public CASCADE", kIrreversible},
        Statement{"DROP OWNED BY a", kIrreversible},
        Statement{"DO $$ BEGIN PERFORM 1; END $$", kIrreversible, "DO"},
        Statement{"COPY t TO PROGRAM 'curl evil'", kIrreversible, "runs a program"},
        Statement{"COPY t FROM PROGRAM 'id'", kIrreversible, "runs a program"},
        Statement{"COPY t TO '/etc/cron.d/x'", kIrreversible, "writes the server's files"},
        Statement{"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", kIrreversible},
        Statement{"CREATE OR REPLACE PROCEDURE p() LANGUAGE sql AS ''", kIrreversible},
        Statement{"CREATE EXTENSION dblink", kIrreversible},
        Statement{"LOAD 'evil'", kIrreversible},
        Statement{"ALTER SYSTEM SET fsync = off", kIrreversible},
        Statement{"UPDATE pg_catalog.pg_class SET relname = 'x' WHERE oid = 1", kIrreversible,
                  "system catalog"},
        Statement{"DELETE FROM pg_authid WHERE rolname = 'x'", kIrreversible, "system catalog"},
        Statement{"SELECT dblink_exec('c', 'DROP TABLE t')", kIrreversible, "another server"},
        Statement{"SELECT public.dblink('c', 'x')", kIrreversible, "another server"},
        Statement{"SELECT query_to_xml('DELETE FROM t', true, true, '')", kIrreversible, "hidden"},
        Statement{"SELECT lo_export(1, '/tmp/x')", kIrreversible, "writes the server's files"},
        Statement{"CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", kIrreversible,
                  "not known here"},
        Statement{"SELEC 1", kIrreversible, "does not parse"}, Statement{"DROP", kIrreversible},
        Statement{"SELECT 1; nonsense", kIrreversible}, Statement{"SELECT 'open", kIrreversible},
        Statement{"DELETE FROM t WHERE id = ?", kIrreversible, "does not parse"},
        Statement{"\\! rm -rf /", kIrreversible}));

TEST(ClassifySql, BytesThatNoStatementHoldsAreTheWorst) {
  using namespace std::string_view_literals;
  EXPECT_EQ(classify_sql("SELECT 1\0; DROP TABLE t"sv).effect, Effect::irreversible);
  EXPECT_EQ(classify_sql("SELECT '\xFF'"sv).effect, Effect::irreversible);
  EXPECT_EQ(classify_sql(std::string(kSqlBytesMax + 1, ' ')).effect, Effect::irreversible);
}

std::string repeated(std::size_t times, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(ClassifySql, NoNestingEndsTheProcess) {
  for (const std::size_t times : {std::size_t{3'000}, std::size_t{30'000}, std::size_t{100'000}}) {
    for (const auto& sql :
         {"SELECT 1" + repeated(times, "+1"), "SELECT 1" + repeated(times, " UNION SELECT 1"),
          "SELECT " + repeated(times, "NOT ") + "true", "SELECT " + repeated(times, "- ") + "1",
          "SELECT " + repeated(times, "f(") + "1" + repeated(times, ")"),
          "SELECT " + repeated(times, "(SELECT ") + "1" + repeated(times, ")"),
          "SELECT 1" + repeated(times, "::int"), "SELECT a" + repeated(times, ".b"),
          "SELECT a" + repeated(times, "[1]"), "SELECT " + repeated(times, "ARRAY[") + "1",
          "SELECT " + repeated(times, "CASE WHEN ") + "1",
          "SELECT * FROM a" + repeated(times, " JOIN a ON true")}) {
      EXPECT_NE(classify_sql(sql.substr(0, kSqlBytesMax)).reason, "");
    }
  }
  EXPECT_EQ(classify_sql("SELECT 1" + repeated(100'000, "+1")).effect, Effect::irreversible);
}

TEST(ClassifySql, LongListsOfValuesAreJudged) {
  EXPECT_EQ(classify_sql("INSERT INTO t VALUES (0, 'a')" + repeated(10'000, ", (1, 'b')")).effect,
            Effect::write);
  EXPECT_EQ(classify_sql("SELECT 'x'" + repeated(200, " || 'y'")).effect, Effect::read);
  EXPECT_EQ(classify_sql(repeated(2'000, "UPDATE t SET a = 1 WHERE id = 2;")).effect,
            Effect::write);
}

TEST(SqlShape, IsTheStatementWithoutItsValues) {
  EXPECT_TRUE(same_sql_shape("SELECT 1 FROM t WHERE a = 'x'", "SELECT 2 FROM t WHERE a = 'it''s'"));
  EXPECT_FALSE(same_sql_shape("SELECT 1 FROM t WHERE a = 'x'",
                              "SELECT 1 FROM t WHERE a = 'x' OR 'a' = 'a'"));
  EXPECT_FALSE(same_sql_shape("SELECT 1 FROM t", "SELECT 1 FROM u"));
  EXPECT_FALSE(same_sql_shape("SELECT 1", "SELECT 1; SELECT 1"));
  EXPECT_FALSE(same_sql_shape("SELEC", "SELEC"));
}

}  // namespace
}  // namespace gavel
