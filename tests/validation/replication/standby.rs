//! A physical standby, made with `pg_basebackup`.

use std::{
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::PathBuf,
    process::Command,
};

use cutover::{
    api::{ReplicationCheck, Verdict},
    checks::CheckReport,
};

use super::{assert_kinds, check};
use crate::{pair::Pair, postgres::Server};

/// PostgreSQL's programs, as the tool that starts the servers finds them.
fn program(name: &str) -> PathBuf {
    if let Ok(folder) = std::env::var("PGBIN") {
        return PathBuf::from(folder).join(name);
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.max_by_key(|v| v.file_name().to_str().and_then(|v| v.parse::<u32>().ok()));
    newest.map_or_else(|| PathBuf::from(name), |version| version.path().join("bin").join(name))
}

/// A server with the primary's data in the place of its own, which follows it.
async fn standby_of(primary: &Server, purpose: &str) -> Server {
    primary.execute("postgres", "SELECT pg_create_physical_replication_slot('standby')").await;
    let mut standby = Server::start(purpose);
    standby.stop();
    let owner = std::fs::metadata(&standby.data_dir).unwrap();
    std::fs::remove_dir_all(&standby.data_dir).unwrap();
    let status = Command::new(program("pg_basebackup"))
        .args(["--write-recovery-conf", "--checkpoint=fast", "--slot=standby", "--pgdata"])
        .arg(&standby.data_dir)
        .arg(format!("--dbname={}", primary.conninfo("postgres")))
        .current_dir("/")
        // Not the home of who runs the tests, which that user may not enter.
        .env("HOME", "/")
        .uid(owner.uid())
        .gid(owner.gid())
        .status()
        .expect("pg_basebackup runs");
    assert!(status.success());
    standby.start_as_copy_of(primary);
    standby
}

async fn ask(pair: &Pair) -> CheckReport {
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
    assert_kinds(&ask(&pair).await, Verdict::Warn, &["slot-unknown", "unlogged-table"]);

    pair.legacy.execute(&format!("DROP TABLE cache; GRANT pg_read_all_stats TO {}", pair.legacy.name)).await;
    // The check waits until that has got there; the next one sees it.
    ask(&pair).await;
    let report = ask(&pair).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    assert!(report.message.starts_with("physical replication, "), "{}", report.message);

    standby.execute("postgres", "SELECT pg_wal_replay_pause()").await;
    pair.legacy.execute("INSERT INTO orders VALUES (1)").await;
    assert_kinds(&ask(&pair).await, Verdict::Fail, &["apply-stopped", "lag-unknown"]);
    standby.execute("postgres", "SELECT pg_wal_replay_resume()").await;
    assert_eq!(ask(&pair).await.verdict, Verdict::Pass);
}

#[tokio::test]
async fn a_standby_of_another_server_is_no_replication() {
    let primary: &'static Server = Box::leak(Box::new(Server::start("elsewhere")));
    let database = primary.database().await;
    let standby: &'static Server = Box::leak(Box::new(standby_of(primary, "other-standby").await));
    let candidate = standby.existing_database(&database.name);
    let pair = Pair { legacy: Server::shared().database().await, candidate };
    assert_kinds(&ask(&pair).await, Verdict::Fail, &["not-replicated"]);
}
