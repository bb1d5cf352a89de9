//! `replication`: two servers with logical replication between them, and a standby.

use std::{collections::BTreeSet, sync::OnceLock};

use cutover::{
    api::{Check, Heartbeat, ReplicationCheck, Verdict},
    checks::{CheckReport, Severity},
};

use crate::{
    pair::{Pair, assert_only, of_kind},
    postgres::Server,
};

#[path = "replication/standby.rs"]
mod standby;
use standby::standby_of;

const TABLES: &str = "SET ROLE {owner};
    CREATE TABLE orders (id int PRIMARY KEY, amount int);
    CREATE TABLE stock (sku int PRIMARY KEY, quantity int);";

fn publisher() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let settings =
            ["wal_level=logical", "max_replication_slots=100", "max_wal_senders=100", "max_connections=300"];
        Server::start_with("publisher", &settings)
    })
}

fn subscriber() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let settings = [
            "max_logical_replication_workers=60",
            "max_worker_processes=80",
            "max_replication_slots=100",
            "max_connections=300",
        ];
        Server::start_with("subscriber", &settings)
    })
}

/// Both sides with the same objects, not replicated yet.
async fn servers(both: &str) -> Pair {
    servers_of(publisher(), subscriber(), both).await
}

async fn servers_of(legacy: &'static Server, candidate: &'static Server, both: &str) -> Pair {
    let pair = Pair { legacy: legacy.database().await, candidate: candidate.database().await };
    for database in [&pair.legacy, &pair.candidate] {
        if !both.is_empty() {
            database.execute(&both.replace("{owner}", &database.name)).await;
        }
    }
    pair
}

/// Both sides with the same objects, everything replicated and copied.
async fn replicated(both: &str) -> Pair {
    let pair = servers(both).await;
    publish(&pair, "FOR ALL TABLES").await;
    subscribe(&pair, "copy_data = true").await;
    until_copied(&pair).await;
    pair
}

async fn publish(pair: &Pair, what: &str) {
    pair.legacy.execute(&format!("CREATE PUBLICATION {} {what}", pair.legacy.name)).await;
}

async fn subscribe(pair: &Pair, options: &str) {
    let statement = format!(
        "CREATE SUBSCRIPTION {} CONNECTION '{}' PUBLICATION {} WITH ({options})",
        pair.candidate.name,
        publisher().conninfo(&pair.legacy.name),
        pair.legacy.name
    );
    pair.candidate.execute(&statement).await;
}

async fn until_copied(pair: &Pair) {
    until(pair, "NOT EXISTS (SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r')").await;
}

/// Waits until a condition holds on the candidate.
async fn until(pair: &Pair, condition: &str) {
    let wait = format!(
        "DO $$ BEGIN FOR i IN 1..6000 LOOP PERFORM pg_stat_clear_snapshot(); IF {condition} THEN RETURN; END IF; \
         PERFORM pg_sleep(0.01); END LOOP; RAISE 'never'; END $$"
    );
    pair.candidate.execute(&wait).await;
}

/// Stops the subscription, waits until its slot is free, and lets legacy write on.
async fn stall(pair: &Pair) {
    pair.candidate.execute(&format!("ALTER SUBSCRIPTION {} DISABLE", pair.candidate.name)).await;
    let wait = format!(
        "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{}' AND active) LOOP \
         PERFORM pg_sleep(0.01); END LOOP; END $$",
        pair.candidate.name
    );
    pair.legacy.execute(&wait).await;
    pair.legacy.execute("INSERT INTO orders SELECT g, g FROM generate_series(1, 1000) g").await;
}

fn check(question: ReplicationCheck) -> Check {
    Check { name: "replica".to_owned(), replication: Some(question), ..Check::default() }
}

async fn ask(pair: &Pair) -> CheckReport {
    pair.ask(check(ReplicationCheck::default())).await
}

/// For what never catches up: without the wait of ten seconds.
async fn ask_impatiently(pair: &Pair) -> CheckReport {
    let question = ReplicationCheck { max_lag: Some("100ms".to_owned()), ..ReplicationCheck::default() };
    pair.ask(check(question)).await
}

/// The kinds of the findings that have weight.
fn kinds(report: &CheckReport) -> BTreeSet<&str> {
    report.findings.iter().filter(|f| f.severity != Severity::Info).map(|f| f.kind.as_str()).collect()
}

#[track_caller]
fn assert_kinds(report: &CheckReport, verdict: Verdict, expected: &[&str]) {
    assert_eq!((report.verdict, kinds(report)), (verdict, expected.iter().copied().collect()), "{report:#?}");
}

#[tokio::test]
async fn a_complete_and_current_replica_passes() {
    let pair = replicated(TABLES).await;
    pair.legacy.execute("INSERT INTO orders SELECT g, g FROM generate_series(1, 1000) g").await;
    let report = ask(&pair).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    assert!(report.message.starts_with("logical replication of 2 tables, "), "{}", report.message);
}

#[tokio::test]
async fn a_candidate_that_follows_nobody_fails() {
    let pair = servers(TABLES).await;
    assert_only(&ask(&pair).await, Verdict::Fail, "not-replicated", "candidate");
}

#[tokio::test]
async fn a_subscription_to_another_server_is_no_replication() {
    let pair = servers(TABLES).await;
    let other = publisher().database().await;
    other.execute(&format!("CREATE PUBLICATION {} FOR ALL TABLES", other.name)).await;
    let conninfo = publisher().conninfo(&other.name);
    let (candidate, publication) = (&pair.candidate.name, &other.name);
    let statement =
        format!("CREATE SUBSCRIPTION {candidate} CONNECTION '{conninfo}' PUBLICATION {publication}");
    pair.candidate.execute(&statement).await;
    let report = ask(&pair).await;
    let finding = assert_only(&report, Verdict::Fail, "not-replicated", "candidate");
    assert!(finding.message.contains("none of the 1 subscriptions"), "{}", finding.message);
}

#[tokio::test]
async fn a_disabled_subscription_fails_though_everything_was_copied() {
    let pair = replicated(TABLES).await;
    stall(&pair).await;
    let report = ask_impatiently(&pair).await;
    assert_kinds(&report, Verdict::Fail, &["subscription-disabled", "slot-inactive", "lag-time"]);
    assert_eq!(of_kind(&report, "slot-inactive")[0].object, pair.candidate.name);
}

#[tokio::test]
async fn a_lag_in_bytes_is_what_legacy_wrote_and_the_candidate_did_not_confirm() {
    let pair = replicated(TABLES).await;
    stall(&pair).await;
    let question = ReplicationCheck {
        max_lag_bytes: Some(10_000),
        max_lag: Some("100ms".to_owned()),
        max_retained_bytes: Some(10_000),
        heartbeat: None,
    };
    let report = pair.ask(check(question)).await;
    let [lag] = of_kind(&report, "lag-bytes")[..] else { panic!("{report:#?}") };
    assert!(lag.evidence["lagBytes"].as_i64().unwrap() > 50_000, "{lag:?}");
    let [retained] = of_kind(&report, "wal-retained")[..] else { panic!("{report:#?}") };
    assert!(retained.evidence["retainedBytes"].as_i64().unwrap() > 50_000, "{retained:?}");
}

#[tokio::test]
async fn a_check_that_has_less_time_than_the_lag_it_accepts_does_not_know() {
    let pair = replicated(TABLES).await;
    stall(&pair).await;
    let question = ReplicationCheck { max_lag: Some("1h".to_owned()), ..ReplicationCheck::default() };
    let report = pair.ask(Check { timeout: Some("2s".to_owned()), ..check(question) }).await;
    let [unknown] = of_kind(&report, "lag-unknown")[..] else { panic!("{report:#?}") };
    assert!(unknown.message.contains("longer timeout"), "{}", unknown.message);
}

#[tokio::test]
async fn an_apply_worker_that_does_not_run_fails() {
    static IDLE: OnceLock<Server> = OnceLock::new();
    let idle = IDLE.get_or_init(|| Server::start_with("idle", &["max_logical_replication_workers=0"]));
    let pair = servers_of(publisher(), idle, TABLES).await;
    publish(&pair, "FOR ALL TABLES").await;
    pair.legacy
        .execute(&format!("SELECT pg_create_logical_replication_slot('{}', 'pgoutput')", pair.candidate.name))
        .await;
    subscribe(&pair, "create_slot = false, copy_data = false").await;
    let report = ask_impatiently(&pair).await;
    assert_eq!(of_kind(&report, "apply-stopped").len(), 1, "{report:#?}");
    assert_eq!(report.verdict, Verdict::Fail);
}

#[tokio::test]
async fn a_change_that_can_not_be_applied_fails_until_it_is_overcome() {
    let pair = replicated(TABLES).await;
    pair.candidate.execute("INSERT INTO orders VALUES (1, 1)").await;
    pair.legacy.execute("INSERT INTO orders VALUES (1, 1)").await;
    until(&pair, "EXISTS (SELECT FROM pg_stat_subscription_stats s JOIN pg_subscription p ON p.oid = s.subid \
        JOIN pg_database d ON d.oid = p.subdbid WHERE d.datname = current_database() AND s.apply_error_count > 0)").await;
    let report = ask_impatiently(&pair).await;
    let [errors] = of_kind(&report, "apply-errors")[..] else { panic!("{report:#?}") };
    assert_eq!((errors.severity, report.verdict), (Severity::Fail, Verdict::Fail));

    pair.candidate.execute("DELETE FROM orders").await;
    until(&pair, "EXISTS (SELECT FROM orders)").await;
    let report = ask(&pair).await;
    assert_kinds(&report, Verdict::Warn, &["apply-errors"]);
}

#[tokio::test]
async fn a_publication_that_is_gone_fails() {
    let pair = replicated(TABLES).await;
    pair.legacy.execute(&format!("DROP PUBLICATION {}", pair.legacy.name)).await;
    let report = ask_impatiently(&pair).await;
    assert_eq!(of_kind(&report, "publication-missing")[0].object, pair.candidate.name, "{report:#?}");
}

#[tokio::test]
async fn a_publication_that_leaves_changes_rows_or_columns_out_fails() {
    let pair = servers(TABLES).await;
    publish(&pair, "FOR TABLE orders (id, amount) WHERE (id > 5), stock WITH (publish = 'insert, update')")
        .await;
    subscribe(&pair, "copy_data = true").await;
    until_copied(&pair).await;
    let report = ask(&pair).await;
    assert_kinds(&report, Verdict::Fail, &["partly-published"]);
    let objects: Vec<_> = of_kind(&report, "partly-published").iter().map(|f| f.object.clone()).collect();
    assert_eq!(objects, ["public.orders".to_owned(), pair.legacy.name.clone()]);
    assert!(report.message.contains("leaves out DELETE, TRUNCATE"), "{}", report.message);
}

#[tokio::test]
async fn a_table_that_is_in_no_publication_fails() {
    let pair = servers(TABLES).await;
    let of_extension = "CREATE TABLE lookup (id int PRIMARY KEY); ALTER EXTENSION plpgsql ADD TABLE lookup";
    pair.legacy.execute(of_extension).await;
    publish(&pair, "FOR TABLE orders").await;
    subscribe(&pair, "copy_data = true").await;
    until_copied(&pair).await;
    let report = ask(&pair).await;
    assert_kinds(&report, Verdict::Fail, &["table-not-published"]);
    let found: Vec<_> = report.findings.iter().map(|f| (f.severity, f.object.as_str())).collect();
    assert_eq!(found, [(Severity::Fail, "public.stock"), (Severity::Warn, "public.lookup")]);
}

#[tokio::test]
async fn a_table_that_the_subscription_was_never_told_of_fails() {
    let pair = replicated(TABLES).await;
    for database in [&pair.legacy, &pair.candidate] {
        database.execute("CREATE TABLE later (id int PRIMARY KEY)").await;
    }
    let report = ask(&pair).await;
    let finding = assert_only(&report, Verdict::Fail, "table-not-copied", "public.later");
    assert!(finding.message.contains("REFRESH PUBLICATION"), "{}", finding.message);
}

#[tokio::test]
async fn a_table_whose_copy_is_not_finished_fails() {
    let pair = servers(TABLES).await;
    publish(&pair, "FOR ALL TABLES").await;
    // The copy meets this row, and fails again and again.
    pair.legacy.execute("INSERT INTO stock VALUES (1, 1)").await;
    pair.candidate.execute("INSERT INTO stock VALUES (1, 1)").await;
    subscribe(&pair, "copy_data = true").await;
    until(&pair, "(SELECT count(*) FROM pg_subscription_rel WHERE srsubstate = 'r') = 1").await;
    let report = ask_impatiently(&pair).await;
    let [finding] = of_kind(&report, "table-not-copied")[..] else { panic!("{report:#?}") };
    assert_eq!(finding.object, "public.stock");
    assert!(finding.message.contains("not finished"), "{}", finding.message);
}

#[tokio::test]
async fn a_table_whose_rows_can_not_be_told_apart_fails() {
    let pair = replicated(
        "CREATE TABLE whole (id int); ALTER TABLE whole REPLICA IDENTITY FULL;
         CREATE TABLE chosen (id int NOT NULL); CREATE UNIQUE INDEX chosen_id ON chosen (id);
         ALTER TABLE chosen REPLICA IDENTITY USING INDEX chosen_id;
         CREATE TABLE bare (id int);
         CREATE TABLE refused (id int PRIMARY KEY); ALTER TABLE refused REPLICA IDENTITY NOTHING;
         CREATE TABLE postponed (id int PRIMARY KEY DEFERRABLE);",
    )
    .await;
    let report = ask(&pair).await;
    assert_kinds(&report, Verdict::Fail, &["replica-identity-missing"]);
    let objects: Vec<_> =
        of_kind(&report, "replica-identity-missing").iter().map(|f| f.object.as_str()).collect();
    assert_eq!(objects, ["public.bare", "public.postponed", "public.refused"]);
}

#[tokio::test]
async fn a_subscription_without_its_slot_fails_and_its_lag_is_not_known() {
    let pair = replicated(TABLES).await;
    stall(&pair).await;
    pair.candidate
        .execute(&format!("ALTER SUBSCRIPTION {} SET (slot_name = NONE)", pair.candidate.name))
        .await;
    let report = ask_impatiently(&pair).await;
    assert_kinds(&report, Verdict::Fail, &["subscription-disabled", "slot-missing", "lag-unknown"]);
}

#[tokio::test]
async fn a_slot_whose_wal_is_going_or_gone_is_told() {
    static SHORT: OnceLock<Server> = OnceLock::new();
    let short = SHORT.get_or_init(|| {
        Server::start_with(
            "short",
            &["wal_level=logical", "max_slot_wal_keep_size=16MB", "checkpoint_timeout=1h"],
        )
    });
    let pair = servers_of(short, subscriber(), TABLES).await;
    publish(&pair, "FOR ALL TABLES").await;
    let name = &pair.candidate.name;
    pair.legacy.execute(&format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")).await;
    let publication = &pair.legacy.name;
    let statement = format!(
        "CREATE SUBSCRIPTION {name} CONNECTION 'host=127.0.0.1' PUBLICATION {publication} WITH (connect = false)"
    );
    pair.candidate.execute(&statement).await;
    for id in 0..6 {
        pair.legacy.execute(&format!("INSERT INTO orders VALUES ({id}, 1)")).await;
        pair.legacy.execute("SELECT pg_switch_wal()").await;
    }
    let report = ask_impatiently(&pair).await;
    assert_eq!(of_kind(&report, "slot-at-risk")[0].object, *name, "{report:#?}");

    pair.legacy.execute("CHECKPOINT").await;
    let report = ask_impatiently(&pair).await;
    assert_eq!(of_kind(&report, "slot-lost")[0].object, *name, "{report:#?}");
    assert_eq!(of_kind(&report, "lag-unknown").len(), 1, "{report:#?}");
}

#[tokio::test]
async fn what_replication_leaves_out_is_told() {
    let pair = replicated(
        "CREATE TABLE orders (id serial PRIMARY KEY);
         CREATE UNLOGGED TABLE cache (id int PRIMARY KEY);
         CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders;",
    )
    .await;
    let report = ask(&pair).await;
    assert_only(&report, Verdict::Warn, "unlogged-table", "public.cache");
    for kind in ["sequences", "materialized-views"] {
        let [finding] = of_kind(&report, kind)[..] else { panic!("{kind}: {report:#?}") };
        assert_eq!(finding.severity, Severity::Info);
    }

    pair.legacy.execute("SELECT lo_create(0)").await;
    let report = ask(&pair).await;
    assert_kinds(&report, Verdict::Fail, &["unlogged-table", "large-objects"]);
}

#[tokio::test]
async fn partitions_take_part_through_themselves_or_an_ancestor() {
    let tables = "CREATE TABLE events (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
        CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10) TO (20);";
    for options in ["", "WITH (publish_via_partition_root = true)"] {
        let pair = servers(tables).await;
        publish(&pair, &format!("FOR TABLE events {options}")).await;
        subscribe(&pair, "copy_data = true").await;
        until_copied(&pair).await;
        let report = ask(&pair).await;
        assert_eq!(report.verdict, Verdict::Pass, "{options}: {report:#?}");
    }
}

#[tokio::test]
async fn a_heartbeat_shows_how_old_the_latest_row_is() {
    let pair = replicated(
        "SET ROLE {owner}; CREATE TABLE orders (id int PRIMARY KEY, amount int);
         CREATE TABLE beat (id int PRIMARY KEY, at timestamptz NOT NULL, text text);",
    )
    .await;
    let question = |column: &str| {
        let heartbeat = Heartbeat { table: "public.beat".to_owned(), column: column.to_owned() };
        check(ReplicationCheck { heartbeat: Some(heartbeat), ..ReplicationCheck::default() })
    };
    let unknown = |report: &CheckReport, part: &str| {
        let finding = assert_only(report, Verdict::Fail, "lag-unknown", "public.beat");
        assert!(finding.message.contains(part), "{}", finding.message);
    };
    unknown(&pair.ask(question("at")).await, "empty");
    unknown(&pair.ask(question("nothing")).await, "no such table");
    unknown(&pair.ask(question("text")).await, "not of type");

    pair.legacy.execute("INSERT INTO beat VALUES (1, now() - interval '1 h')").await;
    until(&pair, "EXISTS (SELECT FROM beat)").await;
    unknown(&pair.ask(question("at")).await, "nothing writes it");

    pair.legacy.execute("INSERT INTO beat VALUES (2, now() + interval '1 h')").await;
    until(&pair, "(SELECT count(*) FROM beat) = 2").await;
    assert_eq!(pair.ask(question("at")).await.verdict, Verdict::Pass);

    pair.candidate.execute("DELETE FROM beat WHERE id = 2").await;
    assert_only(&pair.ask(question("at")).await, Verdict::Fail, "lag-time", "public.beat");
}

#[tokio::test]
async fn a_heartbeat_whose_name_means_two_tables_is_not_known() {
    let tables = r#"SET ROLE {owner}; CREATE SCHEMA a; CREATE SCHEMA "a.b";
        CREATE TABLE a."b.c" (id int PRIMARY KEY, at timestamptz); CREATE TABLE "a.b".c (LIKE a."b.c" INCLUDING ALL);"#;
    let pair = replicated(tables).await;
    for table in [r#"a."b.c""#, r#""a.b".c"#] {
        pair.legacy.execute(&format!("INSERT INTO {table} VALUES (1, now() + interval '1 h')")).await;
    }
    let heartbeat = Heartbeat { table: "a.b.c".to_owned(), column: "at".to_owned() };
    let question = ReplicationCheck { heartbeat: Some(heartbeat), ..ReplicationCheck::default() };
    let report = pair.ask(check(question)).await;
    let finding = assert_only(&report, Verdict::Fail, "lag-unknown", "a.b.c");
    assert!(finding.message.contains("more than one table"), "{}", finding.message);
}

#[tokio::test]
async fn a_heartbeat_that_the_role_may_not_read_is_not_known() {
    let pair = replicated("CREATE TABLE beat (id int PRIMARY KEY, at timestamptz)").await;
    let heartbeat = Heartbeat { table: "public.beat".to_owned(), column: "at".to_owned() };
    let question = ReplicationCheck { heartbeat: Some(heartbeat), ..ReplicationCheck::default() };
    let report = pair.ask(check(question)).await;
    let finding = assert_only(&report, Verdict::Fail, "lag-unknown", "public.beat");
    assert!(finding.message.contains("GRANT SELECT"), "{}", finding.message);
}

/// With patience, for a standby gets what it replays in batches.
async fn ask_patiently(pair: &Pair) -> CheckReport {
    let question = ReplicationCheck { max_lag: Some("5s".to_owned()), ..ReplicationCheck::default() };
    pair.ask(check(question)).await
}

#[tokio::test]
async fn a_standby_is_followed_through_what_it_has_replayed() {
    let primary: &'static Server = Box::leak(Box::new(Server::start("primary")));
    let legacy = primary.database().await;
    legacy.execute("CREATE TABLE orders (id int PRIMARY KEY); CREATE UNLOGGED TABLE cache (id int)").await;
    let standby: &'static Server = Box::leak(Box::new(standby_of(primary, "standby").await));
    let candidate = standby.existing_database(&legacy.name);
    let pair = Pair { legacy, candidate };

    // An ordinary role does not see which slot it is.
    assert_kinds(&ask_patiently(&pair).await, Verdict::Warn, &["slot-unknown", "unlogged-table"]);

    pair.legacy.execute(&format!("DROP TABLE cache; GRANT pg_read_all_stats TO {}", pair.legacy.name)).await;
    // The check waits until that has got there; the next one sees it.
    ask_patiently(&pair).await;
    let report = ask_patiently(&pair).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    assert!(report.message.starts_with("physical replication, "), "{}", report.message);

    standby.execute("postgres", "SELECT pg_wal_replay_pause()").await;
    pair.legacy.execute("INSERT INTO orders VALUES (1)").await;
    assert_kinds(&ask_patiently(&pair).await, Verdict::Fail, &["apply-stopped", "lag-unknown"]);
    standby.execute("postgres", "SELECT pg_wal_replay_resume()").await;
    assert_eq!(ask_patiently(&pair).await.verdict, Verdict::Pass);

    // Replay gets to the VACUUM while the check waits, and can't pass a snapshot from before the DELETE.
    standby.execute("postgres", "ALTER SYSTEM SET recovery_min_apply_delay = '2s'").await;
    standby.execute("postgres", "SELECT pg_reload_conf()").await;
    pair.legacy.execute("DELETE FROM orders").await;
    pair.legacy.execute("VACUUM orders").await;
    let question = ReplicationCheck { max_lag: Some("10s".to_owned()), ..ReplicationCheck::default() };
    let report = pair.ask(check(question)).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
}

#[tokio::test]
async fn a_standby_of_another_server_is_no_replication() {
    let primary: &'static Server = Box::leak(Box::new(Server::start("elsewhere")));
    let database = primary.database().await;
    let standby: &'static Server = Box::leak(Box::new(standby_of(primary, "other-standby").await));
    let candidate = standby.existing_database(&database.name);
    let pair = Pair { legacy: Server::shared().database().await, candidate };
    assert_kinds(&ask_patiently(&pair).await, Verdict::Fail, &["not-replicated"]);
}
