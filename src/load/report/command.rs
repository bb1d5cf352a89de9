//! The command that runs a load again.
//!
//! Decides which options it takes: those whose value is not what it would be without them. Where the servers are is left to the
//! environment (`CUTOVER_LEGACY_URI`, `CUTOVER_CANDIDATE_URI`): a command line is no place for a password.

use std::time::Duration;

use crate::{
    api::{Access, ArrivalProcess},
    duration,
    load::{
        ErrorLimit, LoadSpec,
        duet::{Arm, Margins, Percentile},
        spec,
    },
};

/// Of `spec`, whose statements are in a file that is named after its traffic model; `only` is the side that was loaded, where the
/// other was not.
pub(crate) fn command(spec: &LoadSpec, only: Option<Arm>) -> String {
    let mut command = format!(
        "cutover load --traffic {}.yaml --rate {} --duration {} --connections {} --seed {}",
        spec.traffic.name,
        spec.rate,
        duration::format(spec.duration),
        spec.connections,
        spec.seed
    );
    // The other side may be in the environment.
    let only = ("only", only.map(|arm| arm.name().to_owned()));
    let options = std::iter::once(only).chain(schedule(spec)).chain(limits(spec)).chain(guards(spec));
    for (name, value) in options.filter_map(|(name, value)| Some((name, value?))) {
        command.push_str(" --");
        command.push_str(name);
        if !value.is_empty() {
            command.push(' ');
            command.push_str(&value);
        }
    }
    command
}

type Settings = Vec<(&'static str, Option<String>)>;

fn schedule(spec: &LoadSpec) -> Settings {
    let point = |(at, percent)| Some(format!("{}={percent}", duration::format(at)));
    let shape = spec.course.points().map(|at| ("shape", point(at)));
    let fixed = (spec.course.process() == ArrivalProcess::Fixed).then(|| "fixed".to_owned());
    shape.chain([("max-duration", spec.max_duration.map(duration::format)), ("arrivals", fixed)]).collect()
}

fn limits(spec: &LoadSpec) -> Settings {
    let us = |us: Option<u64>| us.map(|us| duration::format(Duration::from_micros(us)));
    let percent = |margins: Margins, percentile| format!("{:.0}", margins.of(percentile).fail * 100.0);
    let increase = |percentile| {
        let own = percent(spec.margins, percentile);
        (own != percent(Margins::default(), percentile)).then_some(own)
    };
    let errors = (spec.max_error != ErrorLimit::USUAL).then(|| spec.max_error.percent());
    vec![
        ("max-p50", us(spec.max_latency.p50)),
        ("max-p95", us(spec.max_latency.p95)),
        ("max-p99", us(spec.max_latency.p99)),
        ("max-increase-p50", increase(Percentile::P50)),
        ("max-increase-p95", increase(Percentile::P95)),
        ("max-increase-p99", increase(Percentile::P99)),
        ("max-error-percent", errors),
        ("min-throughput", spec.min_throughput.map(|least| least.to_string())),
    ]
}

fn guards(spec: &LoadSpec) -> Settings {
    let free = spec.guard.free_connections;
    vec![
        ("write-to-legacy", (spec.legacy_access == Access::ReadWrite).then(String::new)),
        ("free-connections", (free != spec::FREE_CONNECTIONS).then(|| free.to_string())),
        ("max-legacy-p95", spec.guard.legacy_p95.map(duration::format)),
    ]
}
