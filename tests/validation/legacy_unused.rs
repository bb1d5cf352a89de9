//! `legacy_unused`.
