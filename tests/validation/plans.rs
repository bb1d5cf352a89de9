//! `plans`: the same statements on both sides, with and without their indexes and statistics.

use std::{collections::BTreeSet, sync::Arc};

use cutover::{
    api::{Access, Check, IntegerParameter, Parameter, PlansCheck, Skew, Statement, Traffic, Verdict},
    checks::{CheckReport, Severity, Sides},
    postgres::Roles,
};

use crate::{
    asking::{ask, sides},
    pair::{Pair, assert_only, of_kind},
};

/// A hundred thousand rows, and nothing that autovacuum could add in between. Statistics are taken by another session: one
/// that inserts and analyzes at once leaves its own rows as changes since.
const ORDERS: &str = "SET ROLE {owner};
    CREATE TABLE orders (id int PRIMARY KEY, customer int, amount int, status text) WITH (autovacuum_enabled = off);
    INSERT INTO orders SELECT g, g % 10000, g, 'open' FROM generate_series(1, 100000) g;";
const INDEX: &str = "SET ROLE {owner}; CREATE INDEX orders_customer ON orders (customer); ANALYZE orders;";
const ANALYZE: &str = "ANALYZE orders;";

fn any(max: i64) -> Parameter {
    Parameter { int: Some(IntegerParameter { min: 1, max, skew: Skew::Uniform }), ..Parameter::default() }
}

fn statement(sql: &str, params: Vec<Parameter>) -> Statement {
    Statement { sql: Some(sql.to_owned()), weight: 1, params, ..Statement::default() }
}

async fn ask_for(pair: &Pair, access: Access, statements: Vec<Statement>) -> CheckReport {
    let model = Traffic { name: "shop".to_owned(), access, statements, scripts: vec![] };
    let question = PlansCheck { traffic: Some("shop".to_owned()), top: None };
    let check = Check { name: "plans".to_owned(), plans: Some(question), ..Check::default() };
    let sides = Sides { traffic: Arc::from([model]), ..sides(pair.legacy.target(), pair.candidate.target()) };
    ask(&check, &sides).await
}

/// One statement of a model that only reads.
async fn ask_sql(pair: &Pair, sql: &str, params: Vec<Parameter>) -> CheckReport {
    ask_for(pair, Access::ReadOnly, vec![statement(sql, params)]).await
}

async fn ask_top(pair: &Pair, top: i32) -> CheckReport {
    let question = PlansCheck { traffic: None, top: Some(top) };
    pair.ask(Check { name: "plans".to_owned(), plans: Some(question), ..Check::default() }).await
}

/// The kinds of the findings that have weight.
#[track_caller]
fn assert_kinds(report: &CheckReport, verdict: Verdict, expected: &[&str]) {
    let weighty = report.findings.iter().filter(|f| f.severity != Severity::Info);
    let kinds: BTreeSet<&str> = weighty.map(|f| f.kind.as_str()).collect();
    assert_eq!((report.verdict, kinds), (verdict, expected.iter().copied().collect()), "{report:#?}");
}

const BY_CUSTOMER: &str = "SELECT sum(amount) FROM orders WHERE customer = $1";

#[tokio::test]
async fn the_same_plans_pass_and_statements_that_only_read_are_measured() {
    let pair = Pair::of(ORDERS, INDEX, INDEX).await;
    let statements = vec![
        statement(BY_CUSTOMER, vec![any(9999)]),
        statement("UPDATE orders SET amount = 0 WHERE id = $1", vec![any(100_000)]),
        statement("SELECT count(*) FROM orders", vec![]),
    ];
    let report = ask_for(&pair, Access::ReadOnly, statements).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    assert_eq!(report.message, "3 statements, 2 of them carried out: nothing found that matters");
    pair.candidate.execute("DO $$ BEGIN ASSERT (SELECT min(amount) > 0 FROM orders); END $$").await;
}

#[tokio::test]
async fn an_index_that_the_candidate_lacks_fails_and_says_how_to_make_it() {
    let pair = Pair::of(ORDERS, INDEX, ANALYZE).await;
    let report = ask_sql(&pair, BY_CUSTOMER, vec![any(9999)]).await;
    assert_kinds(&report, Verdict::Fail, &["index-scan-lost", "buffers-higher", "cost-higher"]);
    let [finding] = of_kind(&report, "index-scan-lost")[..] else { panic!("{report:#?}") };
    assert_eq!(finding.object, "public.orders");
    assert!(
        finding
            .message
            .ends_with("create it: CREATE INDEX orders_customer ON public.orders USING btree (customer)"),
        "{}",
        finding.message
    );
    assert_eq!(finding.evidence["candidateIndex"], "missing");
    assert_eq!(finding.evidence["statement"], "SELECT sum(amount) FROM orders WHERE customer = $1");
    assert_eq!(of_kind(&report, "buffers-higher")[0].object, "shop/1");
}

#[tokio::test]
async fn a_statement_without_values_is_planned_for_any_values() {
    let pair = Pair::of(ORDERS, INDEX, ANALYZE).await;
    let report = ask_sql(&pair, BY_CUSTOMER, vec![]).await;
    assert_kinds(&report, Verdict::Fail, &["index-scan-lost", "cost-higher"]);
}

#[tokio::test]
async fn an_index_that_is_invalid_is_told_from_one_that_is_missing() {
    let invalid = format!(
        "{INDEX} RESET ROLE; UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_customer'::regclass;"
    );
    let pair = Pair::of(ORDERS, INDEX, &invalid).await;
    let report = ask_sql(&pair, BY_CUSTOMER, vec![any(9999)]).await;
    let [finding] = of_kind(&report, "index-scan-lost")[..] else { panic!("{report:#?}") };
    assert!(
        finding.message.contains("REINDEX INDEX CONCURRENTLY public.orders_customer"),
        "{}",
        finding.message
    );
}

const NO_INDEX: &str =
    "ALTER ROLE {owner} SET enable_indexscan = off; ALTER ROLE {owner} SET enable_bitmapscan = off;
     ALTER ROLE {owner} SET enable_indexonlyscan = off;";

#[tokio::test]
async fn an_index_under_another_name_that_is_not_used_fails() {
    let renamed = format!("{NO_INDEX}{INDEX} ALTER INDEX orders_customer RENAME TO other;");
    let pair = Pair::of(ORDERS, INDEX, &renamed).await;
    let report = ask_sql(&pair, BY_CUSTOMER, vec![any(9999)]).await;
    let [finding] = of_kind(&report, "index-scan-lost")[..] else { panic!("{report:#?}") };
    assert_eq!((&finding.evidence["candidateIndex"], finding.severity), (&"unused".into(), Severity::Fail));
}

#[tokio::test]
async fn reading_all_of_a_small_table_is_for_the_record() {
    let small = "SET ROLE {owner}; CREATE TABLE shops (id int PRIMARY KEY);
        INSERT INTO shops SELECT generate_series(1, 5000);";
    let pair = Pair::of(small, "ANALYZE shops", &format!("{NO_INDEX} ANALYZE shops")).await;
    let report = ask_sql(&pair, "SELECT * FROM shops WHERE id = $1", vec![any(5000)]).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    assert_eq!(of_kind(&report, "index-scan-lost")[0].severity, Severity::Info);
}

#[tokio::test]
async fn the_literals_of_an_index_and_of_a_statement_are_not_shown() {
    let index = "SET ROLE {owner}; CREATE INDEX odd ON orders ((customer + 4711)) WHERE status <> 'hidden'; ANALYZE orders;";
    let pair = Pair::of(ORDERS, index, ANALYZE).await;
    let sql = "SELECT sum(amount) FROM orders WHERE customer + 4711 = 4800 AND status <> 'hidden'";
    let report = ask_sql(&pair, sql, vec![]).await;
    let [finding] = of_kind(&report, "index-scan-lost")[..] else { panic!("{report:#?}") };
    assert_eq!(finding.evidence["columns"], "(expression)");
    assert!(finding.message.contains("pg_get_indexdef('public.odd'::regclass)"), "{}", finding.message);
    for literal in ["4711", "hidden", "4800"] {
        assert!(!format!("{report:?}").contains(literal), "{literal}: {report:#?}");
    }
}

#[tokio::test]
async fn a_partition_without_its_index_fails_whatever_the_values() {
    let events = "SET ROLE {owner}; CREATE TABLE events (day int, customer int) PARTITION BY RANGE (day);
        CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10) WITH (autovacuum_enabled = off);
        CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10) TO (20) WITH (autovacuum_enabled = off);
        INSERT INTO events SELECT g % 20, g FROM generate_series(1, 100000) g;
        CREATE INDEX one ON events_1 (customer); CREATE INDEX two ON events_2 (customer);";
    let pair = Pair::of(events, "ANALYZE events", "DROP INDEX two; ANALYZE events").await;
    let report = ask_sql(&pair, "SELECT * FROM events WHERE day = $1 AND customer = $2", vec![]).await;
    let [finding] = of_kind(&report, "index-scan-lost")[..] else { panic!("{report:#?}") };
    assert_eq!(finding.object, "public.events_2");
}

#[tokio::test]
async fn a_sort_that_legacy_does_not_need_warns() {
    let pair = Pair::of(ORDERS, ANALYZE, "ANALYZE orders; ALTER ROLE {owner} SET enable_hashagg = off").await;
    let report = ask_sql(&pair, "SELECT customer, sum(amount) FROM orders GROUP BY customer", vec![]).await;
    assert_kinds(&report, Verdict::Warn, &["sort-added", "cost-higher"]);
    assert_eq!(of_kind(&report, "sort-added")[0].object, "shop/1");
}

#[tokio::test]
async fn joins_in_another_order_warn() {
    let tables =
        "SET ROLE {owner}; CREATE TABLE a AS SELECT g AS id, g AS b FROM generate_series(1, 20000) g;
        CREATE TABLE b AS SELECT g AS id, g AS c FROM generate_series(1, 20000) g;
        CREATE TABLE c AS SELECT g AS id FROM generate_series(1, 3) g;";
    let pair = Pair::of(
        tables,
        "ANALYZE a, b, c",
        "ANALYZE a, b, c; ALTER ROLE {owner} SET join_collapse_limit = 1",
    )
    .await;
    let sql = "SELECT count(*) FROM a JOIN b ON a.b = b.id JOIN c ON b.c = c.id";
    let report = ask_sql(&pair, sql, vec![]).await;
    let [finding] = of_kind(&report, "join-order-changed")[..] else { panic!("{report:#?}") };
    assert_eq!((finding.object.as_str(), finding.severity), ("shop/1", Severity::Warn));
    let joined =
        "legacy joins (public.a, (public.b, public.c)); the candidate ((public.a, public.b), public.c)";
    assert_eq!(finding.message, joined);
}

#[tokio::test]
async fn another_index_for_the_same_statement_warns() {
    let other =
        "SET ROLE {owner}; CREATE INDEX orders_customer ON orders (customer, amount); ANALYZE orders;";
    let pair = Pair::of(ORDERS, INDEX, other).await;
    let report = ask_sql(&pair, "SELECT * FROM orders WHERE customer = $1", vec![any(9999)]).await;
    assert_only(&report, Verdict::Warn, "plan-changed", "shop/1");
}

#[tokio::test]
async fn the_same_plan_at_a_higher_cost_warns() {
    let pair = Pair::of(ORDERS, ANALYZE, "ANALYZE orders; ALTER ROLE {owner} SET seq_page_cost = 100").await;
    let report = ask_sql(&pair, "SELECT sum(amount) FROM orders", vec![]).await;
    assert_only(&report, Verdict::Warn, "cost-higher", "shop/1");
}

#[tokio::test]
async fn the_same_plan_that_touches_more_buffers_fails() {
    let pair = Pair::of(ORDERS, ANALYZE, "").await;
    let sparse = "ALTER TABLE orders SET (fillfactor = 10)";
    // Each in a session of its own.
    for statement in [sparse, "VACUUM FULL orders", ANALYZE] {
        pair.candidate.execute(statement).await;
    }
    let report = ask_sql(&pair, "SELECT sum(amount) FROM orders", vec![]).await;
    let [finding] = of_kind(&report, "buffers-higher")[..] else { panic!("{report:#?}") };
    assert_eq!((finding.object.as_str(), report.verdict), ("shop/1", Verdict::Fail));
}

#[tokio::test]
async fn plans_are_not_judged_before_both_sides_have_statistics() {
    let pair = Pair::of(ORDERS, INDEX, "").await;
    let report = ask_sql(&pair, BY_CUSTOMER, vec![any(9999)]).await;
    let finding = assert_only(&report, Verdict::Fail, "statistics-missing", "public.orders");
    assert!(
        finding.message.contains("on the candidate") && finding.message.ends_with("ANALYZE public.orders")
    );

    pair.candidate.execute("ANALYZE orders").await;
    pair.candidate.execute("UPDATE orders SET amount = 1").await;
    let report = ask_sql(&pair, BY_CUSTOMER, vec![any(9999)]).await;
    let finding = assert_only(&report, Verdict::Fail, "statistics-missing", "public.orders");
    assert!(finding.message.contains("100000 changes since"), "{}", finding.message);
}

#[tokio::test]
async fn an_empty_table_needs_no_statistics() {
    let pair = Pair::of("SET ROLE {owner}; CREATE TABLE orders (id int PRIMARY KEY)", "", "").await;
    let report = ask_sql(&pair, "SELECT * FROM orders WHERE id = $1", vec![any(5)]).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
}

#[tokio::test]
async fn a_statement_that_only_legacy_can_plan_fails() {
    let pair = Pair::of("", &format!("{ORDERS}{INDEX}"), "").await;
    let report = ask_sql(&pair, BY_CUSTOMER, vec![any(9999)]).await;
    let finding = assert_only(&report, Verdict::Fail, "statement-fails", "shop/1");
    assert!(finding.message.contains("relation \"orders\" does not exist"), "{}", finding.message);
}

#[tokio::test]
async fn a_statement_that_legacy_can_not_plan_has_nothing_to_be_compared_with() {
    let pair = Pair::of("", "", &format!("{ORDERS}{INDEX}")).await;
    let statements = vec![
        statement(BY_CUSTOMER, vec![any(9999)]),
        statement("SELECT 1; SELECT 2", vec![]),
        statement("SELECT $1::int + $2::int", vec![any(1)]),
    ];
    let report = ask_for(&pair, Access::ReadOnly, statements).await;
    // The third can be planned for any values.
    assert_kinds(&report, Verdict::Warn, &["not-compared"]);
    assert_eq!(of_kind(&report, "not-compared").len(), 3);

    let report = ask_sql(&pair, BY_CUSTOMER, vec![any(9999)]).await;
    assert_kinds(&report, Verdict::Inconclusive, &["not-compared"]);
    let message = "none of the 1 statements of the traffic model could be compared; ";
    assert!(report.message.starts_with(message), "{}", report.message);
}

#[tokio::test]
async fn names_mean_what_they_mean_to_the_application() {
    let app = "RESET ROLE; CREATE SCHEMA app; ALTER TABLE orders SET SCHEMA app; GRANT USAGE ON SCHEMA app TO {owner};
        ALTER ROLE {owner} SET search_path = app;";
    let app = format!("{INDEX}{app}");
    let pair = Pair::of(ORDERS, &app, &app).await;
    let report = ask_sql(&pair, BY_CUSTOMER, vec![any(9999)]).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
}

#[tokio::test]
async fn what_is_not_proven_to_only_read_is_not_carried_out() {
    let functions = "SET ROLE {owner}; CREATE TABLE t (id int);
        CREATE FUNCTION bump() RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE VIEW hidden AS SELECT bump() AS id;";
    let pair = Pair::of(functions, "", "").await;
    let sqls = [
        "SELECT bump() FROM t",
        "SELECT \"bump\"() FROM t",
        "SELECT * FROM hidden, t",
        "SELECT pg_advisory_lock(1) FROM t",
        "SELECT * FROM t FOR UPDATE",
        "INSERT INTO t VALUES (1)",
    ];
    let statements = sqls.map(|sql| statement(sql, vec![])).to_vec();
    let report = ask_for(&pair, Access::ReadOnly, statements).await;
    assert!(report.message.starts_with("6 statements, 0 of them carried out"), "{}", report.message);

    let one = vec![statement("SELECT * FROM t", vec![])];
    let report = ask_for(&pair, Access::ReadWrite, one).await;
    assert!(report.message.starts_with("1 statements, 0 of them"), "{}", report.message);
}

#[tokio::test]
async fn what_may_reach_another_server_or_a_volatile_condition_is_not_carried_out() {
    let plain = "SET ROLE {owner}; CREATE TABLE t (id int) PARTITION BY RANGE (id);
        CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (9);";
    let foreign = "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
        CREATE FOREIGN TABLE t_2 PARTITION OF t FOR VALUES FROM (10) TO (19) SERVER nowhere;";
    let carried_out = async |candidate: &str| {
        let pair = Pair::of(plain, "", candidate).await;
        let report = ask_sql(&pair, "SELECT * FROM t WHERE id = 1", vec![]).await;
        report.measured.unwrap().split(" of them").next().unwrap().to_owned()
    };
    assert_eq!(carried_out("").await, "1 statements, 1");
    assert_eq!(carried_out(foreign).await, "1 statements, 0");
    let steady = "CREATE DOMAIN positive AS int CHECK (VALUE > 0)";
    assert_eq!(carried_out(steady).await, "1 statements, 1");
    let builtin = "CREATE DOMAIN odd AS int CHECK (VALUE > random())";
    assert_eq!(carried_out(builtin).await, "1 statements, 0");
    let own = "CREATE FUNCTION bump(int) RETURNS bool LANGUAGE sql AS 'SELECT true';
        CREATE DOMAIN odd AS int CHECK (bump(VALUE))";
    assert_eq!(carried_out(own).await, "1 statements, 0");
}

#[tokio::test]
async fn a_partitioned_table_needs_statistics_of_its_own() {
    let events = "SET ROLE {owner}; CREATE TABLE events (day int, customer int) PARTITION BY RANGE (day);
        CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10) WITH (autovacuum_enabled = off);
        INSERT INTO events SELECT g % 10, g FROM generate_series(1, 10000) g;";
    let pair = Pair::of(events, "ANALYZE events", "ANALYZE events_1").await;
    let report = ask_sql(&pair, "SELECT count(*) FROM events", vec![]).await;
    let finding = assert_only(&report, Verdict::Fail, "statistics-missing", "public.events");
    assert!(
        finding.message.contains("on the candidate") && finding.message.contains("as a whole"),
        "{finding:?}"
    );

    // What the partition has is enough for the partition.
    let report = ask_sql(&pair, "SELECT count(*) FROM events_1", vec![]).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");

    pair.candidate.execute("ANALYZE events").await;
    let report = ask_sql(&pair, "SELECT count(*) FROM events", vec![]).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
}

#[tokio::test]
async fn nothing_compared_is_no_pass() {
    // Not even the statement that made the extension.
    let reset = "CREATE EXTENSION pg_stat_statements; GRANT pg_read_all_stats TO {owner}; SET pg_stat_statements.track = none;
        DO $$ BEGIN PERFORM pg_stat_statements_reset(0, (SELECT oid FROM pg_database WHERE datname = current_database())); END $$";
    let pair = Pair::of(ORDERS, &format!("{INDEX} RESET ROLE; {reset}"), ANALYZE).await;
    let report = ask_top(&pair, 10).await;
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report:#?}");

    pair.legacy.execute("CREATE TABLE later (id int); SELECT count(*) FROM pg_class").await;
    let report = ask_top(&pair, 10).await;
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report:#?}");
    assert!(report.message.starts_with("none of the "), "{}", report.message);

    // What fails still fails.
    pair.legacy
        .execute("CREATE TABLE lonely (id int); GRANT SELECT ON lonely TO PUBLIC; SELECT FROM lonely")
        .await;
    assert_kinds(&ask_top(&pair, 10).await, Verdict::Fail, &["statement-fails"]);
}

#[tokio::test]
async fn statements_that_begin_alike_are_each_told() {
    let long = "a_name_that_is_longer_than_it_has_to_be_for_no_reason_at_all";
    let used = format!(
        "RESET ROLE; CREATE EXTENSION pg_stat_statements; GRANT pg_read_all_stats TO {{owner}}; SET ROLE {{owner}};
        CREATE TABLE one (id int); CREATE TABLE two (id int);
        SELECT id AS {long} FROM one; SELECT id AS {long} FROM two;"
    );
    let pair = Pair::of(ORDERS, &used, "").await;
    let report = ask_top(&pair, 10).await;
    let [one, two] = of_kind(&report, "statement-fails")[..] else { panic!("{report:#?}") };
    assert_ne!(one.object, two.object);
}

#[tokio::test]
async fn a_superuser_plans_only_what_it_ran_itself() {
    let used = "RESET ROLE; CREATE EXTENSION pg_stat_statements; ALTER ROLE {owner} SUPERUSER;
        CREATE TABLE later (id int); SELECT FROM later;";
    let pair = Pair::of("", used, "").await;
    let question = PlansCheck { traffic: None, top: Some(10) };
    let check = Check { name: "plans".to_owned(), plans: Some(question), ..Check::default() };
    let mut legacy = pair.legacy.target();
    legacy.roles = Roles::Any;
    let sides = sides(legacy, pair.candidate.target());
    let report = ask(&check, &sides).await;
    assert_eq!(report.verdict, Verdict::Inconclusive, "{report:#?}");
    assert!(report.message.contains("the superuser's own part"), "{}", report.message);

    pair.legacy.execute(&format!("SET ROLE {}; SELECT count(*) FROM later", pair.legacy.name)).await;
    let report = ask(&check, &sides).await;
    assert_only(&report, Verdict::Fail, "statement-fails", "SELECT count(*) FROM later");
}

#[tokio::test]
async fn a_statement_that_does_not_end_is_not_measured() {
    let pair = Pair::new().await;
    let sql = "SELECT count(*) FROM pg_class a, pg_class b, pg_class c, pg_attribute d WHERE a.relname <> b.relname";
    let report = ask_sql(&pair, sql, vec![]).await;
    let finding = assert_only(&report, Verdict::Warn, "not-measured", "shop/1");
    assert!(finding.message.contains("within 5s"), "{}", finding.message);
}

#[tokio::test]
async fn the_statements_that_legacy_spends_its_time_on_are_compared() {
    let used = "RESET ROLE; CREATE EXTENSION pg_stat_statements; GRANT pg_read_all_stats TO {owner}; SET ROLE {owner};
        SELECT sum(amount) FROM orders WHERE customer = 4711;";
    let pair = Pair::of(ORDERS, &format!("{INDEX}{used}"), ANALYZE).await;
    let report = ask_top(&pair, 10).await;
    let [finding] = of_kind(&report, "index-scan-lost")[..] else { panic!("{report:#?}") };
    assert_eq!(finding.evidence["of"], "SELECT sum(amount) FROM orders WHERE customer = $1");
    assert!(finding.message.contains("CREATE INDEX orders_customer"), "{}", finding.message);
    // CREATE TABLE, ANALYZE and so on.
    assert_eq!(of_kind(&report, "skipped")[0].severity, Severity::Info);
    assert!(report.measured.as_ref().unwrap().contains(" 0 of them carried out"), "{report:?}");
}

#[tokio::test]
async fn statistics_of_statements_that_are_not_there_or_hidden_are_an_error() {
    let pair = Pair::of(ORDERS, INDEX, INDEX).await;
    let report = ask_top(&pair, 10).await;
    assert_eq!(report.verdict, Verdict::Error);
    assert!(report.message.contains("CREATE EXTENSION pg_stat_statements"), "{}", report.message);

    pair.legacy.execute("CREATE EXTENSION pg_stat_statements").await;
    let report = ask_top(&pair, 10).await;
    assert_eq!(report.verdict, Verdict::Error);
    assert!(report.message.contains("GRANT pg_read_all_stats"), "{}", report.message);
}

#[tokio::test]
async fn a_traffic_model_that_is_not_there_is_an_error() {
    let pair = Pair::new().await;
    let question = PlansCheck { traffic: Some("nobody".to_owned()), top: None };
    let report =
        pair.ask(Check { name: "plans".to_owned(), plans: Some(question), ..Check::default() }).await;
    assert_eq!(
        (report.verdict, report.message.as_str()),
        (Verdict::Error, "there is no traffic model nobody")
    );
}
