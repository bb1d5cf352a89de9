//! `privileges`.
