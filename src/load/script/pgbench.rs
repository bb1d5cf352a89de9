//! A traffic model of script files, as `pgbench -f script@weight` takes them, and what such scripts send.

use super::parse;
use crate::{
    api::{Access, Script, Traffic},
    load::{TrafficError, model::Model, step::Step},
};

/// The statements that a script sends, with `$1`, `$2`, … for its variables; none of one that is refused.
pub(crate) fn statements_of(script: &Script) -> Vec<String> {
    let steps = parse(&script.name, &script.script).map(|script| script.steps).unwrap_or_default();
    let sql = |step| match step {
        Step::Send(query) => Some(query.sql),
        _ => None,
    };
    steps.into_iter().filter_map(sql).collect()
}

/// The traffic model of scripts with their names, texts and weights. What does not fit is refused with the script's name
/// and line.
pub fn from_pgbench(
    name: &str,
    access: Access,
    scale: i32,
    scripts: &[(&str, &str, i32)],
) -> Result<Traffic, TrafficError> {
    let script = |(name, text, weight): &(&str, &str, i32)| Script {
        name: (*name).to_owned(),
        access: None,
        weight: *weight,
        script: (*text).to_owned(),
        scale,
    };
    let traffic = Traffic {
        name: name.to_owned(),
        access,
        statements: Vec::new(),
        scripts: scripts.iter().map(script).collect(),
    };
    Model::new(&traffic).map(|_| traffic)
}
