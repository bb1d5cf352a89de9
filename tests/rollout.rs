//! The operator against a real cluster and real PostgreSQL servers: the life of rollouts, and everything that may come
//! between. Needs the local cluster that `make test` starts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test's panic is its verdict, and its name is its documentation"
)]

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/http.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod http_server;
#[path = "support/operator.rs"]
mod operator;
#[path = "support/postgres.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod postgres;
#[path = "support/shop.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod shop;

#[path = "rollout/bad_input.rs"]
mod bad_input;
#[path = "rollout/checks.rs"]
mod checks;
#[path = "rollout/commands.rs"]
mod commands;
#[path = "rollout/crash.rs"]
mod crash;
#[path = "rollout/job.rs"]
mod job;
#[path = "rollout/leadership.rs"]
mod leadership;
#[path = "rollout/life.rs"]
mod life;
#[path = "rollout/live.rs"]
mod live;
#[path = "rollout/loads.rs"]
mod loads;
#[path = "rollout/parallel.rs"]
mod parallel;
#[path = "rollout/rollback.rs"]
mod rollback;
#[path = "rollout/validation.rs"]
mod validation;
