//! `prometheus`.
