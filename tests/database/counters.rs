//! What servers count while something happens: growth, resets, restarts, and what a role may not see.

use std::time::Duration;

use cutover::{
    api::Access,
    load::counters::{Counted, Growth, grown, read, read_settled, side_by_side},
    postgres::{ConnectOptions, Session},
};

use crate::{
    load::{run, spec, statement},
    postgres::{Database, Server, assert_shows_no_secret},
};

fn of(growth: &Growth, name: &str) -> Option<f64> {
    growth.counters.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
}

async fn before(database: &Database<'_>) -> Counted {
    read(&database.target()).await.unwrap()
}

async fn since(before: &Counted, database: &Database<'_>) -> Growth {
    let growth = grown(before, &read_settled(&database.target()).await.unwrap());
    assert_shows_no_secret(&growth);
    growth
}

/// As the application would connect.
pub async fn session(database: &Database<'_>) -> Session {
    let options =
        ConnectOptions { purpose: "test", step_timeout: Duration::from_secs(30), byte_budget: 1 << 20 };
    Session::connect(&database.target(), &options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_application_did_is_counted_once_its_session_has_ended() {
    let database = Server::shared().database().await;
    database.execute("CREATE TABLE t (n int); GRANT ALL ON t TO PUBLIC").await;
    let before = before(&database).await;
    let application = session(&database).await;
    for n in 0..25 {
        application.client().batch_execute(&format!("INSERT INTO t VALUES ({n})")).await.unwrap();
    }
    application.client().batch_execute("SELECT count(*) FROM t").await.unwrap();
    application.client().batch_execute("SELECT 1 / 0").await.unwrap_err();
    application.close().await;
    let growth = since(&before, &database).await;
    let grew = |name: &str| of(&growth, name).unwrap_or_else(|| panic!("{name}: {growth:?}"));
    assert!((27.0..60.0).contains(&grew("pg_stat_database.xact_commit")), "{growth:?}");
    for (name, least) in [
        ("pg_stat_database.xact_rollback", 1.0),
        ("pg_stat_database.blks_hit", 25.0),
        ("pg_stat_database, all databases (xact_commit + xact_rollback)", 28.0),
        ("pg_current_wal_insert_lsn (bytes)", 25.0 * 28.0),
        ("pg_stat_wal.wal_records", 25.0),
    ] {
        assert!(grew(name) >= least, "{name}: {growth:?}");
    }
    assert!((grew("pg_stat_database.tup_inserted") - 25.0).abs() < 0.5, "{growth:?}");
    assert!(grew("pg_stat_database.deadlocks").abs() < 0.5, "{growth:?}");
    assert!(growth.seconds > 0.0 && growth.others_per_second(28).is_some());
    assert!(before.version.starts_with(|c: char| c.is_ascii_digit()), "{}", before.version);
    let rows = side_by_side(Some(&growth), None);
    assert!(rows.iter().all(|row| row.legacy.is_some() && row.candidate.is_none()));
    assert!(rows.iter().any(|row| row.name.starts_with("cache hit ratio")));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_load_did_is_counted_when_it_has_ended() {
    let database = Server::shared().database().await;
    let before = before(&database).await;
    let result =
        run(&spec(Access::ReadOnly, vec![statement("SELECT 1", 1, vec![])]), &database.target()).await;
    let growth = since(&before, &database).await;
    let committed = of(&growth, "pg_stat_database.xact_commit").unwrap();
    assert!(committed >= f64::from(i32::try_from(result.ok).unwrap()), "{committed} of {}", result.ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_in_between_leaves_nothing_to_compare() {
    let database = Server::shared().database().await;
    let before = before(&database).await;
    database.execute("SELECT pg_stat_reset()").await;
    let growth = since(&before, &database).await;
    assert_eq!(of(&growth, "pg_stat_database.xact_commit"), None);
    assert!(growth.left_out.iter().any(|text| text == "pg_stat_database: it was reset in the meantime"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_role_may_not_see_is_left_out_and_said() {
    let database = Server::shared().database().await;
    database
        .execute(
            "REVOKE SELECT ON pg_stat_wal, pg_locks FROM PUBLIC; \
             REVOKE EXECUTE ON FUNCTION pg_current_wal_insert_lsn() FROM PUBLIC",
        )
        .await;
    let before = before(&database).await;
    let growth = since(&before, &database).await;
    for missing in ["pg_stat_wal", "pg_locks", "pg_current_wal_insert_lsn"] {
        assert!(!growth.counters.iter().any(|(name, _)| name.starts_with(missing)), "{growth:?}");
        let said = format!("{missing}: the role may not read it");
        assert!(growth.left_out.contains(&said), "{growth:?}");
    }
    assert!(of(&growth, "pg_stat_database.xact_commit").is_some(), "{growth:?}");
    assert!(growth.left_out.iter().any(|text| text.contains("blk_read_time: track_io_timing is off")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_count_has_no_zeros() {
    let database = Server::shared().database().await;
    database.execute(&format!("ALTER DATABASE {} SET track_counts = off", database.name)).await;
    let before = before(&database).await;
    let growth = since(&before, &database).await;
    assert!(!growth.counters.iter().any(|(name, _)| name.starts_with("pg_stat_database")), "{growth:?}");
    assert!(growth.left_out.contains(&"pg_stat_database: track_counts is off".to_owned()), "{growth:?}");
    assert_eq!(growth.others_per_second(0), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_wait_for_a_lock_are_counted_whoever_looks() {
    let database = Server::shared().database().await;
    database.execute("CREATE TABLE t (n int); GRANT ALL ON t TO PUBLIC").await;
    let (holds, waits) = (session(&database).await, session(&database).await);
    holds.client().batch_execute("BEGIN; LOCK TABLE t").await.unwrap();
    let waiting = waits.client().batch_execute("SELECT * FROM t");
    let looking = async {
        loop {
            let growth = since(&before(&database).await, &database).await;
            let active = of(&growth, "pg_stat_activity, sessions active at the end");
            let waiting = of(&growth, "pg_locks, sessions waiting at the end");
            if waiting >= Some(1.0) && active >= Some(1.0) {
                assert!(
                    of(&growth, "pg_stat_activity, sessions idle in transaction at the end") >= Some(1.0)
                );
                return;
            }
        }
    };
    tokio::select! {
        ended = waiting => panic!("it did not wait: {ended:?}"),
        () = looking => {}
    }
}
