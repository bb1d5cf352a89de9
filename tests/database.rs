//! What needs a PostgreSQL server: sessions, checks and load, against a throwaway one on 127.0.0.1.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test's panic is its verdict, and its name is its documentation"
)]

#[path = "support/asking.rs"]
mod asking;
#[path = "support/fake.rs"]
mod fake;
#[path = "support/pgbouncer.rs"]
mod pgbouncer;
#[path = "support/postgres.rs"]
mod postgres;

#[path = "database/connectivity.rs"]
mod connectivity;
#[path = "database/counters.rs"]
mod counters;
#[path = "database/duet.rs"]
mod duet;
#[path = "database/guard.rs"]
mod guard;
#[path = "database/load.rs"]
mod load;
#[path = "database/load_command.rs"]
mod load_command;
#[path = "database/pooled.rs"]
mod pooled;
#[path = "database/sql.rs"]
mod sql;
#[path = "database/traffic.rs"]
mod traffic;
#[path = "database/traffic_capture.rs"]
mod traffic_capture;
#[path = "database/traffic_scripts.rs"]
mod traffic_scripts;
#[path = "database/wire.rs"]
mod wire;
