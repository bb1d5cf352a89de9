//! `pool`.
