//! The engine against a small world: scenarios as sentences, and properties over all that is reachable.

mod explore;
mod prerequisites;
mod properties;
mod scenarios;
mod world;
