//! Tables that can't be compared, or only in another way.

use super::*;

const ROWS: &str = "INSERT INTO t SELECT i, i FROM generate_series(1, 100) i;";

#[tokio::test]
async fn a_table_that_is_missing_fails_and_one_more_is_noted() {
    let report =
        compare("", "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE u (id int PRIMARY KEY)").await;
    assert_only(&report, Verdict::Fail, "table-missing", "public.t");
    assert_eq!(of_kind(&report, "table-extra")[0].object, "public.u");
}

#[tokio::test]
async fn a_view_in_place_of_a_table_is_no_table() {
    let report = compare(
        "",
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE TABLE u (id int); CREATE VIEW t AS TABLE u",
    )
    .await;
    assert_only(&report, Verdict::Fail, "table-missing", "public.t");
}

#[tokio::test]
async fn a_column_that_is_missing_fails_and_one_more_is_noted() {
    let report = compare(
        "",
        "CREATE TABLE t (id int PRIMARY KEY, v int, old int); INSERT INTO t VALUES (1, 2, 3)",
        "CREATE TABLE t (id int PRIMARY KEY, new int, v int); INSERT INTO t VALUES (1, 3, 2)",
    )
    .await;
    let finding = assert_only(&report, Verdict::Fail, "column-missing", "public.t");
    assert!(finding.message.ends_with(": old"), "{}", finding.message);
    assert!(of_kind(&report, "column-extra")[0].message.ends_with(": new"));
}

#[tokio::test]
async fn a_table_that_the_role_may_not_read_fails() {
    let table = "CREATE TABLE t (id int PRIMARY KEY, secret int);";
    let pair = Pair::of(table, "GRANT ALL ON t TO {owner}", "GRANT SELECT (id) ON t TO {owner}").await;
    for data in [full(), DataCheck::default()] {
        let report = pair.ask(check(data)).await;
        let finding = assert_only(&report, Verdict::Fail, "no-privilege", "public.t");
        assert!(finding.message.contains("candidate"), "{}", finding.message);
    }
}

#[tokio::test]
async fn rows_that_a_policy_hides_are_not_taken_for_equal() {
    let table = format!(
        "CREATE TABLE t (id int PRIMARY KEY, v int); {ROWS} ALTER TABLE t ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON t USING (id < 10);"
    );
    // It does not apply to the owner, unless it is forced.
    let report = compare(&table, "", "").await;
    assert_passes(&report);
    let report = compare(&table, "", "ALTER TABLE t FORCE ROW LEVEL SECURITY").await;
    let finding = assert_only(&report, Verdict::Fail, "row-security", "public.t");
    assert!(finding.message.contains("candidate"), "{}", finding.message);
}

#[tokio::test]
async fn partitions_are_compared_through_their_root_whatever_their_layout() {
    let partitioned = |parts: &[(i32, i32)]| {
        let parts: Vec<String> = parts
            .iter()
            .map(|(from, to)| {
                format!("CREATE TABLE t_{from} PARTITION OF t FOR VALUES FROM ({from}) TO ({to});")
            })
            .collect();
        format!(
            "CREATE TABLE t (id int PRIMARY KEY, v int) PARTITION BY RANGE (id); {} {ROWS}",
            parts.concat()
        )
    };
    let report = compare("", &partitioned(&[(0, 50), (50, 200)]), &partitioned(&[(0, 10), (10, 200)])).await;
    assert_passes(&report);
    assert_eq!((report.samples, report.findings_total), (100, 0), "{:#?}", report.findings);
    let plain = format!("CREATE TABLE t (id int PRIMARY KEY, v int); {ROWS} DELETE FROM t WHERE id = 50;");
    let report = compare("", &partitioned(&[(0, 50), (50, 200)]), &plain).await;
    let finding = assert_only(&report, Verdict::Fail, "rows-missing", "public.t");
    assert_eq!(keys(finding), ["50"]);
}

#[tokio::test]
async fn the_children_of_inheritance_are_tables_of_their_own() {
    let tables = format!(
        "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (t); {ROWS}
         INSERT INTO child VALUES (1, 1), (2, 2);"
    );
    let report = compare(&tables, "", "UPDATE child SET v = 0 WHERE id = 2").await;
    let finding = assert_only(&report, Verdict::Fail, "rows-differ", "public.child");
    assert_eq!(keys(finding), ["2"]);
    assert_eq!(report.samples, 102);
}

#[tokio::test]
async fn what_is_not_a_table_of_the_databases_own_is_said_not_to_be_compared() {
    let objects = "CREATE EXTENSION postgres_fdw; CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;
        CREATE FOREIGN TABLE far (id int) SERVER elsewhere; CREATE TABLE t (id int PRIMARY KEY);
        CREATE TABLE parts (id int) PARTITION BY LIST (id);
        CREATE FOREIGN TABLE part PARTITION OF parts DEFAULT SERVER elsewhere;
        CREATE MATERIALIZED VIEW seen AS TABLE t; CREATE UNLOGGED TABLE u (id int PRIMARY KEY);
        CREATE TABLE config (id int); ALTER EXTENSION postgres_fdw ADD TABLE config;
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO {owner};";
    let pair = Pair::of(objects, "INSERT INTO config VALUES (1)", "").await;
    let report = pair.ask(check(full())).await;
    assert_eq!(report.verdict, Verdict::Warn, "{}: {:#?}", report.message, report.findings);
    let mut found: Vec<_> = report.findings.iter().map(|f| (f.kind.as_str(), f.object.as_str())).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("extension-table", "public.config"),
            ("foreign-table", "public.far"),
            ("foreign-table", "public.parts"),
            ("materialized-view", "public.seen"),
        ]
    );
    assert!(report.message.contains("2 findings"), "{}", report.message);
}

#[tokio::test]
async fn patterns_choose_tables_and_one_that_fits_nothing_warns() {
    let tables =
        "CREATE SCHEMA shop; CREATE TABLE shop.orders (id int PRIMARY KEY); CREATE TABLE shop.other (id int);
        CREATE TABLE shop.scratch (id int PRIMARY KEY); CREATE TABLE orders (id int PRIMARY KEY);";
    let pair = owned(tables, "INSERT INTO shop.scratch VALUES (1); INSERT INTO orders VALUES (1)", "").await;
    let ask = |schemas: &[&str], tables: &[&str], exclude: &[&str]| {
        let [schemas, tables, exclude] =
            [schemas, tables, exclude].map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        pair.ask(check(DataCheck { schemas, tables, exclude, ..full() }))
    };
    let report = ask(&["shop"], &[], &["*.scratch"]).await;
    assert_passes(&report);
    assert!(report.message.starts_with("2 of 2 tables"), "{}", report.message);
    let report = ask(&[], &["shop.o*"], &[]).await;
    assert_passes(&report);
    let report = ask(&["shop", "shoop"], &["*.scratch", "nothing.*"], &[]).await;
    let nothing: Vec<_> = of_kind(&report, "nothing-compared").iter().map(|f| f.object.as_str()).collect();
    assert_eq!(nothing, ["nothing.*", "shoop"]);
    assert_eq!(of_kind(&report, "rows-missing").len(), 1);
}

#[tokio::test]
async fn a_database_without_tables_is_not_a_pass() {
    let report = compare("", "", "").await;
    assert_only(&report, Verdict::Inconclusive, "nothing-compared", "*");
    assert!(report.message.contains("is it the right database?"), "{}", report.message);
}

#[tokio::test]
async fn tables_of_no_columns_of_three_hundred_and_with_hostile_names_are_compared() {
    let wide: Vec<String> =
        (0..300).map(|n| format!("c{n} {}", ["int", "text", "numeric", "jsonb"][n % 4])).collect();
    let name = "é\"'; DROP TABLE x;\n\t%s  $1 \\".to_owned() + &"ü".repeat(17);
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    assert_eq!(name.len(), 63, "the longest name that there is");
    let tables = format!(
        "CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES;
         CREATE TABLE wide (id int PRIMARY KEY, {}); INSERT INTO wide SELECT i, i, i::text FROM generate_series(1, 50) i;
         CREATE SCHEMA {quoted}; CREATE TABLE {quoted}.{quoted} ({quoted} text PRIMARY KEY, t text, s int, n int, k0 int);
         INSERT INTO {quoted}.{quoted} SELECT i, 'x', 1, 2, 3 FROM generate_series(1, 1500) i;",
        wide.join(", ")
    );
    let report = compare(&tables, "", "").await;
    assert_passes(&report);
    let candidate = format!(
        "INSERT INTO nothing DEFAULT VALUES; UPDATE wide SET c299 = '1' WHERE id = 9; DELETE FROM {quoted}.{quoted} WHERE {quoted} = '99'"
    );
    let report = compare(&tables, "", &candidate).await;
    assert_eq!(of_kind(&report, "content-differs")[0].object, "public.nothing");
    assert_eq!(keys(of_kind(&report, "rows-differ")[0]), ["9"]);
    let finding = of_kind(&report, "rows-missing")[0];
    assert_eq!(keys(finding), ["99"]);
    assert!(!report.message.chars().any(char::is_control), "{:?}", report.message);
}

#[tokio::test]
async fn a_table_that_breaks_off_is_a_finding_and_the_others_go_on() {
    let tables = "CREATE TYPE mood AS ENUM ('ok', 'lost'); CREATE TABLE good (id int PRIMARY KEY);
        CREATE TABLE bad (id int PRIMARY KEY, v mood); INSERT INTO bad VALUES (1, 'ok'), (2, 'lost');";
    let pair = owned(tables, "", "").await;
    // The value can't be read any more, as after damage.
    pair.candidate.execute("DELETE FROM pg_enum WHERE enumlabel = 'lost'").await;
    let report = pair.ask(check(full())).await;
    let finding = assert_only(&report, Verdict::Fail, "table-unreadable", "public.bad");
    assert!(finding.message.starts_with("candidate: "), "{}", finding.message);
    assert!(report.message.contains("public.bad"), "{}", report.message);
}

#[tokio::test]
async fn after_the_move_the_candidate_is_read_by_itself() {
    use crate::asking::{ask_at, sides};
    let tables = "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE log (line text);
        INSERT INTO t SELECT i, i FROM generate_series(1, 100) i; INSERT INTO log VALUES ('a');";
    let pair = owned(tables, "", "INSERT INTO t VALUES (101)").await;
    for mode in [DataMode::Count, DataMode::Sample, DataMode::Full] {
        let data = DataCheck { mode, percent: Some(100), ..DataCheck::default() };
        let sides = sides(pair.legacy.target(), pair.candidate.target());
        let report = ask_at(Moment::After, &check(data), &sides).await;
        assert_passes(&report);
        assert_eq!(report.samples, 102);
        assert!(report.message.contains("on the candidate alone"), "{}", report.message);
    }
    pair.candidate.execute("REVOKE ALL ON t FROM CURRENT_USER; ALTER TABLE t OWNER TO CURRENT_USER").await;
    let report =
        ask_at(Moment::After, &check(full()), &sides(pair.legacy.target(), pair.candidate.target())).await;
    assert_only(&report, Verdict::Fail, "no-privilege", "public.t");
}
