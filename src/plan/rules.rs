//! Rules of a spec as a whole. What CEL already refuses at admission is refused here again where it would be unsafe to
//! rely on it: an object stored before the rule existed still comes by.

use std::{collections::BTreeSet, time::Duration};

use super::{Fault, duration};
use crate::{
    api::{
        ArrivalProcess, DatabaseRolloutSpec, LatencyLimits, Load, LoadMode, Prerequisite, SecretKeyReference,
        Stage,
    },
    load::{self, Course, ErrorLimit, LoadSpec, LoadSpecError},
};

/// Samples that a percentile needs above it before it means anything; `research` calls it 10 / (1 - q).
const SAMPLES_BEYOND_PERCENTILE: f64 = 10.0;

pub(super) fn check(name: &str, spec: &DatabaseRolloutSpec) -> Vec<Fault> {
    let mut faults = Vec::new();
    unique_names(spec, &mut faults);
    sources_are_not_targets(spec, &mut faults);
    own_prerequisite(name, spec, &mut faults);
    traffic_exists(spec, &mut faults);
    traffic_is_understood(spec, &mut faults);
    baseline_is_bounded(spec, &mut faults);
    for stage in &spec.stages {
        loss_is_chosen(spec, stage, &mut faults);
        for (field, load) in loads(stage) {
            latency_is_limited(stage, field, load, &mut faults);
            percentiles_have_samples(stage, field, load, &mut faults);
            failures_have_samples(stage, field, load, &mut faults);
            throughput_is_sent(stage, field, load, &mut faults);
            load_is_bounded(spec, stage, field, load, &mut faults);
        }
        soak_load_fits(stage, &mut faults);
        check_timeouts(stage, &mut faults);
    }
    faults
}

fn unique_names(spec: &DatabaseRolloutSpec, faults: &mut Vec<Fault>) {
    let mut seen = BTreeSet::new();
    for stage in &spec.stages {
        if !seen.insert(&stage.name) {
            faults.push(Fault::new("DuplicateStage", format!("there are two stages named {}", stage.name)));
        }
    }
    if spec.stages.is_empty() {
        faults.push(Fault::new("NoStages", "the rollout has no stages"));
    }
}

/// A key that values are read from must not be one that a stage writes: the first promotion would change the source,
/// and where it is the legacy connection, destroy it.
fn sources_are_not_targets(spec: &DatabaseRolloutSpec, faults: &mut Vec<Fault>) {
    let mut sources: Vec<(&SecretKeyReference, &str)> =
        vec![(&spec.legacy.connection.secret_ref, "the legacy connection")];
    if let Some(candidate) = &spec.candidate {
        sources.push((&candidate.connection.secret_ref, "the candidate connection"));
    }
    let values = spec.stages.iter().flat_map(|stage| &stage.config).flat_map(|change| change.set.values());
    sources.extend(
        values.filter_map(|value| value.from_secret.as_ref()).map(|source| (source, "a candidate value")),
    );
    let mut reported = BTreeSet::new();
    for stage in &spec.stages {
        for change in &stage.config {
            for (source, what) in &sources {
                let written =
                    change.secret.as_deref() == Some(&source.name) && change.set.contains_key(&source.key);
                if written && reported.insert((&stage.name, *source)) {
                    faults.push(Fault::new(
                        "SourceIsTarget",
                        format!(
                            "stage {} writes key {} of Secret/{}, which {what} is read from; keep that in a Secret of its own",
                            stage.name, source.key, source.name
                        ),
                    ));
                }
            }
        }
    }
}

fn own_prerequisite(name: &str, spec: &DatabaseRolloutSpec, faults: &mut Vec<Fault>) {
    let waits_for_itself = |p: &&Prerequisite| p.rollout.as_ref().is_some_and(|rollout| rollout.name == name);
    for prerequisite in spec.prerequisites.iter().filter(waits_for_itself) {
        faults.push(Fault::new(
            "OwnPrerequisite",
            format!("prerequisite {} waits for this rollout itself", prerequisite.name),
        ));
    }
}

fn traffic_exists(spec: &DatabaseRolloutSpec, faults: &mut Vec<Fault>) {
    let known = |name: &str| spec.traffic.iter().any(|traffic| traffic.name == name);
    let loads = spec
        .stages
        .iter()
        .flat_map(|s| loads(s).map(|(field, l)| (format!("stage {}: {field}", s.name), &l.traffic)));
    let baseline = spec.baseline.as_ref().map(|b| ("baseline".to_owned(), &b.traffic));
    for (user, traffic) in baseline.into_iter().chain(loads).filter(|(_, traffic)| !known(traffic)) {
        faults.push(Fault::new(
            "UnknownTraffic",
            format!("{user} uses traffic {traffic}, which does not exist"),
        ));
    }
}

/// A script that is refused should be so before anything is measured or touched.
fn traffic_is_understood(spec: &DatabaseRolloutSpec, faults: &mut Vec<Fault>) {
    for traffic in &spec.traffic {
        if let Err(error) = load::check(traffic) {
            faults.push(Fault::new("InvalidTraffic", format!("traffic {}: {error}", traffic.name)));
        }
    }
    let baseline = spec.baseline.iter().map(|b| ("baseline".to_owned(), &b.shape, b.arrivals));
    let loads = spec.stages.iter().flat_map(|stage| {
        loads(stage).map(|(field, l)| (format!("stage {}: {field}", stage.name), &l.shape, l.arrivals))
    });
    for (place, shape, arrivals) in baseline.chain(loads) {
        if let Err(error) = Course::new(shape, arrivals) {
            faults.push(Fault::new("InvalidShape", format!("{place}: {error}")));
        }
    }
}

fn loss_is_chosen(spec: &DatabaseRolloutSpec, stage: &Stage, faults: &mut Vec<Fault>) {
    let writes = stage.access == crate::api::Access::ReadWrite;
    if spec.candidate.is_some() && writes && stage.on_failure.is_none() {
        faults.push(Fault::new(
            "OnFailureNotChosen",
            format!(
                "stage {} may write to the candidate, so going back loses those writes: choose onFailure (Hold, or Rollback with that loss accepted), or declare access: ReadOnly",
                stage.name
            ),
        ));
    }
}

/// The loads of a stage, with the fields that they are in.
fn loads(stage: &Stage) -> impl Iterator<Item = (&'static str, &Load)> {
    let load = stage.load.iter().map(|load| ("load", load));
    let soak = stage.soak.iter().filter_map(|soak| soak.load.as_ref());
    load.chain(soak.map(|load| ("soak.load", load)))
}

/// A soak is not over before its load is; one that can't be over in time was not meant.
fn soak_load_fits(stage: &Stage, faults: &mut Vec<Fault>) {
    let Some((soak, load)) = stage.soak.as_ref().and_then(|soak| Some((soak, soak.load.as_ref()?))) else {
        return;
    };
    let (length, warm_up) = match load.mode {
        LoadMode::Candidate => (&load.duration, Duration::ZERO),
        LoadMode::Duet => (load.max_duration.as_ref().unwrap_or(&load.duration), Duration::from_secs(10)),
    };
    // What can't be read is a fault of its own.
    let (Ok(length), Ok(soak)) = (duration::parse(length), duration::parse(&soak.duration)) else { return };
    if length + warm_up > soak {
        let needed = (length + warm_up).as_secs();
        faults.push(Fault::new(
            "SoakLoadTooLong",
            format!(
                "stage {}: soak.load takes {needed} s, and the soak {} s; raise soak.duration, or make the load shorter",
                stage.name,
                soak.as_secs()
            ),
        ));
    }
}

/// A candidate alone is held against nothing but its limits: without one of its latency it passes however slow it is.
fn latency_is_limited(stage: &Stage, field: &str, load: &Load, faults: &mut Vec<Fault>) {
    let LatencyLimits { p50, p95, p99 } = load.max_latency.clone().unwrap_or_default();
    if load.mode == LoadMode::Candidate && [p50, p95, p99].iter().all(Option::is_none) {
        faults.push(Fault::new(
            "NoLatencyLimit",
            format!(
                "stage {}: {field} in mode: Candidate has no latency limit, so a candidate would pass however slow it is; set {field}.maxLatency.p95 or p99, or mode: Duet, which holds it against legacy",
                stage.name
            ),
        ));
    }
}

/// A limit that can't be read is refused by the schema, and where the load begins.
fn failures_have_samples(stage: &Stage, field: &str, load: &Load, faults: &mut Vec<Fault>) {
    let limit = ErrorLimit::parse(&load.max_error_percent);
    let needed = limit.map_or(0, ErrorLimit::statements_needed);
    let arrivals = expected_arrivals(load);
    if likely_least(load, arrivals).round() < f64::from(u32::try_from(needed).unwrap_or(u32::MAX)) {
        faults.push(Fault::new(
            "TooFewSamples",
            format!(
                "stage {}: a {field} of {arrivals:.0} arrivals, more or less, cannot tell a maxErrorPercent of {}, which needs {needed}; raise rate or duration, or that limit",
                stage.name, load.max_error_percent
            ),
        ));
    }
}

fn percentiles_have_samples(stage: &Stage, field: &str, load: &Load, faults: &mut Vec<Fault>) {
    let Some(LatencyLimits { p50, p95, p99 }) = &load.max_latency else {
        return;
    };
    for (limit, percentile, quantile) in [(p50, "p50", 0.5), (p95, "p95", 0.95), (p99, "p99", 0.99)] {
        let Some(text) = limit else { continue };
        if let Err(error) = duration::parse(text) {
            faults.push(Fault::new(
                "InvalidDuration",
                format!("stage {}: {field}.maxLatency.{percentile}: {error}", stage.name),
            ));
        }
        let needed = SAMPLES_BEYOND_PERCENTILE / (1.0 - quantile);
        let arrivals = expected_arrivals(load);
        if likely_least(load, arrivals) < needed.round() {
            faults.push(Fault::new(
                "TooFewSamples",
                format!(
                    "stage {}: a {field} of {arrivals:.0} arrivals, more or less, cannot tell its {percentile}, which needs {needed:.0}; raise rate or duration, or leave that limit out",
                    stage.name
                ),
            ));
        }
    }
}

/// Nobody answers more than is asked: such a limit would fail a candidate that is well.
fn throughput_is_sent(stage: &Stage, field: &str, load: &Load, faults: &mut Vec<Fault>) {
    let (Some(least), Ok(length)) = (load.min_throughput, duration::parse(&load.duration)) else { return };
    let sent = expected_arrivals(load) / length.as_secs_f64().max(f64::MIN_POSITIVE);
    // As many as are sent is one too many: what comes last is answered after the end.
    if f64::from(least) >= sent {
        let half = if load.mode == LoadMode::Duet { ", half of what a duet sends" } else { "" };
        faults.push(Fault::new(
            "ThroughputOutOfReach",
            format!(
                "stage {}: {field}.minThroughput of {least}/s is no less than the candidate is sent, {sent:.1}/s{half}; raise rate, or lower minThroughput",
                stage.name
            ),
        ));
    }
}

fn baseline_is_bounded(spec: &DatabaseRolloutSpec, faults: &mut Vec<Fault>) {
    let traffic = |name: &str| spec.traffic.iter().find(|traffic| traffic.name == name);
    let ready = spec
        .baseline
        .as_ref()
        .and_then(|baseline| Some(LoadSpec::from_baseline(baseline, traffic(&baseline.traffic)?, 0)));
    if let Some(Err(error @ LoadSpecError::Calls(_))) = ready {
        faults.push(Fault::new("LoadTooLarge", format!("baseline: {error}")));
    }
}

/// What is too much for one process, or for each of several to hand over, is known before anything is asked or touched.
fn load_is_bounded(
    spec: &DatabaseRolloutSpec,
    stage: &Stage,
    field: &str,
    load: &Load,
    faults: &mut Vec<Fault>,
) {
    let Some(traffic) = spec.traffic.iter().find(|traffic| traffic.name == load.traffic) else { return };
    // What else there is to be said against it has a fault of its own.
    let fault = match LoadSpec::from_load(load, traffic, 0) {
        Err(error @ LoadSpecError::Calls(_)) => error.to_string(),
        Ok(ready) if load.parallelism > 1 => match load::shard::refuse_large(&ready, load) {
            Err(why) => why,
            Ok(()) => return,
        },
        _ => return,
    };
    faults.push(Fault::new("LoadTooLarge", format!("stage {}: {field}: {fault}", stage.name)));
}

/// Arrivals come by chance: fewer than this come in one load of fifty at most (two standard deviations of a Poisson count, which
/// that of one side of a duet does not exceed; at fixed intervals it is far below, so this is cautious there). At
/// fixed intervals on the candidate alone nothing is left to chance.
fn likely_least(load: &Load, arrivals: f64) -> f64 {
    let is_certain = load.mode == LoadMode::Candidate && load.arrivals == ArrivalProcess::Fixed;
    if is_certain { arrivals } else { arrivals - 2.0 * arrivals.sqrt() }
}

fn expected_arrivals(load: &Load) -> f64 {
    let length = duration::parse(&load.duration).unwrap_or_default();
    // A shape that can't be followed is a fault of its own.
    let course = Course::new(&load.shape, load.arrivals).unwrap_or_default();
    let candidates_part = if load.mode == LoadMode::Duet { 0.5 } else { 1.0 };
    candidates_part * f64::from(load.rate) * course.area(length)
}

fn check_timeouts(stage: &Stage, faults: &mut Vec<Fault>) {
    let soak = stage.soak.iter().flat_map(|soak| &soak.checks);
    for check in stage.checks.iter().chain(soak) {
        super::read_duration(
            check.timeout(),
            &format!("stage {}: check {}: timeout", stage.name, check.name),
            faults,
        );
    }
    if let Some(soak) = &stage.soak {
        super::read_duration(&soak.interval, &format!("stage {}: soak.interval", stage.name), faults);
    }
}
