//! `activity`.
