//! Which column a parameter is compared with, as far as the tokens tell.
//!
//! Decides by the pattern around the parameter (`column = $1`, `column IN ($1, …)`, `BETWEEN`, the column list of an
//! INSERT), and looks names up where the statement's own `FROM` says. It is no parser: where two tables have the column,
//! or a name is not found, the column is unknown, and nothing is guessed.

mod catalog;
mod pattern;

pub(super) use catalog::{Catalog, Column, Values};
pub(super) use pattern::{Name, Table, Use, tables, use_of};
