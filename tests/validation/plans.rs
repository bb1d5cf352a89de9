//! `plans`.
