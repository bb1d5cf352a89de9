//! What the tests of several modules begin with: a traffic model, and a schedule of it.

use std::{sync::Arc, time::Duration};

use super::{course::Course, model::Model, schedule::Schedule};
use crate::api::{Access, Parameter, Statement, Traffic};

/// Reads, each with its weight and its parameters.
pub(super) fn traffic(statements: &[(i32, Vec<Parameter>)]) -> Traffic {
    let statements = statements.iter().map(|(weight, params)| Statement {
        sql: Some("SELECT 1".to_owned()),
        weight: *weight,
        params: params.clone(),
        ..Statement::default()
    });
    let statements = statements.collect();
    Traffic { name: "t".to_owned(), access: Access::ReadOnly, statements, scripts: vec![] }
}

pub(super) fn one_statement() -> Traffic {
    traffic(&[(1, vec![])])
}

pub(super) fn schedule(course: &Course, traffic: &Traffic, rate: u32, seconds: u32, seed: u64) -> Schedule {
    let model = Arc::new(Model::new(traffic).unwrap());
    Schedule::new(model, rate, course, Duration::from_secs(seconds.into()), seed)
}
