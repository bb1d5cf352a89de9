//! cutover moves an application from a preserved legacy database configuration to a candidate one in stages, validates
//! the database and puts load on it before each stage is promoted, and puts the legacy configuration back when
//! anything fails. `docs/architecture.md` has the map of these modules and the invariants.
#![forbid(unsafe_code)]

pub mod api;
pub mod checks;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod digest;
pub mod duration;
pub mod engine;
pub mod load;
pub mod plan;
pub mod postgres;
pub mod serve;
mod text;
