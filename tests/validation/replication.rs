//! `replication`.
