//! A physical standby, made with `pg_basebackup`.

use std::{
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::PathBuf,
    process::Command,
};

use crate::postgres::Server;

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
pub async fn standby_of(primary: &Server, purpose: &str) -> Server {
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
