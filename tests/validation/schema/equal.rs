//! What is no difference.

use super::{Verdict, equal, fails, pair};
use crate::pair::of_kind;

/// One of everything.
const EVERYTHING: &str = "
CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('sad', 'ok'); CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE TYPE app.pair AS (a int, b text); CREATE TYPE app.span AS RANGE (subtype = timestamptz);
CREATE TABLE app.customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text COLLATE \"C\" NOT NULL UNIQUE,
  mood app.mood DEFAULT 'ok', size app.positive, pair app.pair, doubled int GENERATED ALWAYS AS (2) STORED);
CREATE TABLE app.orders (id serial PRIMARY KEY, customer_id bigint REFERENCES app.customers ON DELETE CASCADE
  DEFERRABLE INITIALLY DEFERRED, at timestamptz DEFAULT now(), total numeric(10, 2) CHECK (total >= 0));
CREATE INDEX ON app.orders (customer_id, at DESC) INCLUDE (total) WHERE total > 0; CREATE INDEX ON app.customers (lower(name));
CREATE TABLE app.events (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE app.events_1 PARTITION OF app.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE app.events_x PARTITION OF app.events DEFAULT; CREATE UNLOGGED TABLE app.cache (a int);
CREATE VIEW app.v AS SELECT c.name, o.total FROM app.customers c JOIN app.orders o ON o.customer_id = c.id;
CREATE MATERIALIZED VIEW app.m AS SELECT count(*) AS n FROM app.orders; CREATE UNIQUE INDEX ON app.m (n);
CREATE FUNCTION app.f(a int, b text DEFAULT 'x') RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = app
  AS 'BEGIN RETURN a; END'; CREATE PROCEDURE app.p() LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t BEFORE INSERT ON app.orders FOR EACH ROW WHEN (NEW.total > 1) EXECUTE FUNCTION app.tf();
CREATE RULE r AS ON DELETE TO app.cache DO INSTEAD NOTHING;
ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON app.orders TO {owner} USING (customer_id > 0);
GRANT SELECT (total) ON app.orders TO PUBLIC; GRANT USAGE ON SCHEMA app TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC; CREATE STATISTICS app.s ON at, total FROM app.orders;";

#[tokio::test]
async fn equal_schemas_under_owners_of_other_names_are_equal() {
    equal(EVERYTHING, "", "").await;
}

#[tokio::test]
async fn the_order_of_creation_is_no_difference() {
    let (a, b) =
        ("CREATE TABLE a (x int); CREATE INDEX ia ON a (x);", "CREATE TABLE b (x int CHECK (x > 1));");
    equal("", &format!("{a} {b}"), &format!("{b} {a}")).await;
}

#[tokio::test]
async fn the_formatting_of_a_body_is_no_difference() {
    equal(
        "",
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN a + 1; END'",
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE plpgsql AS 'begin\r\n  return a+1; -- adds one\nend '",
    )
    .await;
}

#[tokio::test]
async fn the_formatting_of_a_view_and_of_a_check_is_no_difference() {
    equal(
        "CREATE TABLE t (a int)",
        "CREATE VIEW v AS SELECT a FROM t WHERE a>0; ALTER TABLE t ADD CONSTRAINT c CHECK (a>0)",
        "CREATE VIEW v AS select t.a from public.t\n where (t.a > 0); ALTER TABLE t ADD CONSTRAINT c CHECK ((a > 0))",
    )
    .await;
}

#[tokio::test]
async fn a_grant_that_is_the_default_anyway_is_no_difference() {
    equal("CREATE TABLE t (a int)", "GRANT SELECT ON t TO {owner}", "").await;
}

#[tokio::test]
async fn the_databases_collation_by_its_name_is_no_difference() {
    let explicit = "DO $$ BEGIN EXECUTE format('CREATE COLLATION c (locale = %L)',
        (SELECT datcollate FROM pg_database WHERE datname = current_database())); END $$; CREATE TABLE t (a text";
    equal("", &format!("{explicit} COLLATE c)"), &format!("{explicit})")).await;
}

#[tokio::test]
async fn the_objects_of_an_extension_are_not_the_applications() {
    equal("", "RESET ROLE; CREATE EXTENSION citext", "").await;
}

#[tokio::test]
async fn a_table_with_300_columns_and_one_without_any_are_compared() {
    let wide = "DO $$ BEGIN EXECUTE 'CREATE TABLE wide (' ||
        (SELECT string_agg('c' || i || ' int', ', ' ORDER BY i) FROM generate_series(1, 300) i) || ')'; END $$";
    equal(&format!("{wide}; CREATE TABLE none ()"), "", "").await;
    fails(wide, "", "ALTER TABLE wide ALTER c300 TYPE bigint", "column-type-differs", "public.wide.c300")
        .await;
}

#[tokio::test]
async fn names_of_any_kind_are_quoted_and_compared() {
    let long = "ü".repeat(31);
    for name in [long.as_str(), "a.b", "say \"hi\"", "SELECT", "a'b\\c", " FROM pg_class"] {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let table = format!(
            "CREATE TABLE {quoted} ({quoted} serial PRIMARY KEY); CREATE INDEX ON {quoted} ({quoted} DESC)"
        );
        let pair = pair(&table, "", &format!("ALTER TABLE {quoted} ALTER {quoted} DROP DEFAULT")).await;
        let report = pair.ask(super::check()).await;
        assert_eq!(report.verdict, Verdict::Fail, "{}", report.message);
        let found = of_kind(&report, "column-default-differs");
        let shown = if name == long { name.to_owned() } else { quoted };
        let shown = if name == long {
            format!("public.\"{shown}\".\"{shown}\"")
        } else {
            format!("public.{shown}.{shown}")
        };
        assert_eq!(found.iter().map(|finding| finding.object.as_str()).collect::<Vec<_>>(), [shown]);
        assert_eq!(report.findings_total, 1, "{:?}", report.findings);
    }
}

#[tokio::test]
async fn no_literal_of_a_definition_is_shown() {
    let make = |literal: &str| {
        format!(
            "CREATE TABLE t (a text DEFAULT '{literal}', b text GENERATED ALWAYS AS ('{literal}') STORED, CHECK (a <> '{literal}'));
             CREATE INDEX i ON t ((a || '{literal}')) WHERE a > '{literal}'; CREATE VIEW v AS SELECT '{literal}'::text AS c;
             CREATE FUNCTION f(a text DEFAULT '{literal}') RETURNS text LANGUAGE sql SET application_name = '{literal}' AS 'SELECT ''{literal}''';
             CREATE POLICY p ON t USING (a = '{literal}'); CREATE DOMAIN d AS text DEFAULT '{literal}';
             CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END';
             CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf('{literal}');
             CREATE RULE r AS ON DELETE TO t DO INSTEAD UPDATE t SET a = '{literal}';
             CREATE TABLE p (a text) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p FOR VALUES IN ('{literal}');"
        )
    };
    // `ask` itself sees to it that the word is nowhere in the report.
    let pair = pair("", &make("canary"), &make("canary 2")).await;
    let report = pair.ask(super::check()).await;
    let mut kinds: Vec<_> = report.findings.iter().map(|finding| finding.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "column-default-differs",
            "column-generated-differs",
            "constraint-differs",
            "domain-differs",
            "function-arguments-differ",
            "function-body-differs",
            "function-settings-differ",
            "index-differs",
            "partition-bound-differs",
            "policy-differs",
            "rule-differs",
            "trigger-differs",
            "view-differs"
        ]
    );
}
