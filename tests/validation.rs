//! The validation checks, each kind of difference and each trap against real servers: the catalogue behind docs/checks.md.
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
#[path = "support/fake_cluster.rs"]
mod fake_cluster;
#[path = "support/http.rs"]
mod http_server;
#[path = "validation/pair.rs"]
mod pair;
#[path = "support/pgbouncer.rs"]
mod pgbouncer;
#[path = "support/postgres.rs"]
mod postgres;

#[path = "validation/activity.rs"]
mod activity;
#[path = "validation/command.rs"]
mod command;
#[path = "validation/data.rs"]
mod data;
#[path = "support/hostile.rs"]
mod hostile;
#[path = "validation/hostile.rs"]
mod hostile_servers;
#[path = "validation/http.rs"]
mod http;
#[path = "validation/legacy_unused.rs"]
mod legacy_unused;
#[path = "validation/plans.rs"]
mod plans;
#[path = "validation/pool.rs"]
mod pool;
#[path = "validation/privileges.rs"]
mod privileges;
#[path = "validation/prometheus.rs"]
mod prometheus;
#[path = "validation/replication.rs"]
mod replication;
#[path = "validation/schema.rs"]
mod schema;
#[path = "validation/server.rs"]
mod server;
#[path = "validation/tune.rs"]
mod tune;
