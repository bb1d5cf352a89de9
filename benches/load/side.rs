//! A server with something to ask it: pgbench's tables, and a small one that is looked up by an index of its own.

use std::{process::Command, sync::Arc};

use crate::postgres::Server;

pub const SCALE: u32 = 10;
const DATABASE: &str = "bench";
/// As a server in production would have them: commits reach the disk, checkpoints and vacuums come often.
const LASTING: [&str; 7] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "checkpoint_timeout=90s",
    "max_wal_size=256MB",
    "autovacuum_naptime=30s",
    "autovacuum_vacuum_scale_factor=0.005",
];
pub const SMALL_INDEX: &str = "CREATE INDEX small_key ON small (key)";
/// Looks an account up; a slowdown or a fault is put into it by another body.
pub const SOUND_LOOKUP: &str = "CREATE OR REPLACE FUNCTION lookup(int) RETURNS int STABLE LANGUAGE plpgsql AS \
                                'BEGIN RETURN (SELECT abalance FROM pgbench_accounts WHERE aid = $1); END'";

/// The rows that a question about `k` counts: a few for most, many for the slowest fifth, so that the tail is the server's own. A
/// slowdown is another number in place of [`SOUND_SHARE`].
const WORK_VIEW: &str = "CREATE OR REPLACE VIEW work AS SELECT k, (SELECT count(*) FROM generate_series(1, \
                             CASE WHEN k > 200 THEN 1000 ELSE (10000 * sqrt(200.0 / k) * SHARE)::int END)) AS n FROM numbers";
pub const SOUND_SHARE: &str = "1.0";

pub fn work_view(share: &str) -> String {
    WORK_VIEW.replace("SHARE", share)
}

pub struct Side {
    pub server: Server,
    uri: String,
}

impl Side {
    pub async fn start(purpose: &str, settings: &[&str]) -> Arc<Self> {
        let settings: Vec<_> = LASTING.iter().chain(settings).copied().collect();
        let server = Server::start_with(purpose, &settings);
        let uri = server.database_named(DATABASE.to_owned()).await.uri();
        let side = Self { server, uri: format!("{}?sslmode=disable", uri.trim_end()) };
        side.fill().await;
        Arc::new(side)
    }

    async fn fill(&self) {
        let made = Command::new("pgbench").args(["-i", "-q", "-s", &SCALE.to_string(), &self.uri]).output();
        assert!(made.expect("pgbench runs").status.success(), "pgbench could not fill the database");
        self.execute(&format!(
            "SET ROLE {DATABASE};
             CREATE TABLE small AS SELECT i AS id, i AS key, repeat('x', 60) AS note FROM generate_series(1, 2000) i;
             {SMALL_INDEX}; {SOUND_LOOKUP};
             CREATE TABLE numbers AS SELECT k FROM generate_series(1, 1000) k; ALTER TABLE numbers ADD PRIMARY KEY (k); {}",
            work_view(SOUND_SHARE)
        ))
        .await;
        self.execute("VACUUM ANALYZE small, numbers").await;
        self.execute("CHECKPOINT").await;
    }

    /// As the superuser.
    pub async fn execute(&self, statements: &str) {
        self.server.execute(DATABASE, statements).await;
    }

    /// As the role that owns the data; without TLS, as pgbench is compared with it.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The same by way of another port.
    pub fn uri_by(&self, port: u16) -> String {
        let own = format!("@{}:{}/", self.server.host, self.server.port);
        assert!(self.uri.contains(&own));
        self.uri.replace(&own, &format!("@127.0.0.1:{port}/"))
    }

    /// Its processes, the first one first.
    pub fn processes(&self) -> Vec<u32> {
        let file = self.server.data_dir.join("postmaster.pid");
        let text = std::fs::read_to_string(file).expect("the server runs");
        let first: u32 = text.lines().next().and_then(|line| line.parse().ok()).expect("a process");
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children"));
        let children = children.expect("the server runs");
        let children = children.split_whitespace().map(|child| child.parse().expect("a process"));
        [first].into_iter().chain(children).collect()
    }
}
