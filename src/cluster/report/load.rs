//! The whole reports of a rollout's loads: where each is kept, how much of it, and how it is found again.
//!
//! Decides that the loads of a stage have a ConfigMap of their own (a report is long, a ConfigMap holds a mebibyte) and that
//! of a very long load not every second is kept. Never leaves a verdict or a percentile out.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;

use super::{Reports, map::ReportMap, to_json};
use crate::{
    api::{DatabaseRollout, LoadResult},
    cluster::{ClusterError, Namespace, call_optional},
    load::report::{Arm, LoadReport, Second},
};

/// Most bytes of one report: some 2,000 seconds of a duet are kept whole. Two of them share a ConfigMap.
const REPORT_MAX_BYTES: usize = 256 << 10;
/// Of how many seconds one is kept, where all of them are too many.
const STEPS: [u32; 8] = [1, 2, 5, 10, 20, 60, 120, 600];

/// Which load of a rollout a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadPlace {
    /// Legacy, before anything was changed.
    Baseline,
    /// A stage, before its promotion.
    Stage(String),
    /// A stage, while it soaks.
    Soak(String),
    /// The candidate, after the last stage.
    Final,
}

impl LoadPlace {
    /// What it is called, in files and on pages.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Baseline => "baseline".to_owned(),
            Self::Stage(stage) => format!("{stage}.load"),
            Self::Soak(stage) => format!("{stage}.soak"),
            Self::Final => "final".to_owned(),
        }
    }

    /// The ConfigMap of a rollout of that name, and the key in it.
    fn location(&self, rollout: &str) -> (String, String) {
        let map = match self {
            Self::Baseline | Self::Final => format!("{rollout}-load"),
            Self::Stage(stage) | Self::Soak(stage) => format!("{rollout}-load-{stage}"),
        };
        (map, format!("{}.json", self.name()))
    }
}

impl Reports {
    /// Keeps the report of a load, in place of an earlier one; where it is, for people.
    ///
    /// # Errors
    /// What the API server answered, or that it took too long.
    pub async fn write_load(&self, place: &LoadPlace, report: &LoadReport) -> Result<String, ClusterError> {
        let (name, key) = place.location(&self.rollout.name_any());
        let text = encode(report, REPORT_MAX_BYTES);
        let map = ReportMap::of(&self.namespace, &self.rollout, name);
        map.change(|_| BTreeMap::from([(key.clone(), Some(text.clone()))])).await?;
        Ok(format!("{}/{key}", map.name))
    }
}

/// The loads of a rollout that are over, in the order of its life.
#[must_use]
pub fn loads_of(rollout: &DatabaseRollout) -> Vec<(LoadPlace, &LoadResult)> {
    let Some(status) = &rollout.status else { return Vec::new() };
    let recorded = &status.recorded;
    let baseline = recorded.baseline.as_ref().and_then(|baseline| baseline.result.as_ref());
    let stages = recorded.stages.iter().flat_map(|stage| {
        let load = stage.load.as_ref().map(|load| (LoadPlace::Stage(stage.name.clone()), load));
        let soak = stage.soak_load.as_ref().map(|load| (LoadPlace::Soak(stage.name.clone()), load));
        load.into_iter().chain(soak)
    });
    let last = recorded.final_validation.as_ref().and_then(|validation| validation.load.as_ref());
    let baseline = baseline.map(|load| (LoadPlace::Baseline, load)).into_iter();
    baseline.chain(stages).chain(last.map(|load| (LoadPlace::Final, load))).collect()
}

/// Reads the report that a result names.
///
/// # Errors
/// What the API server answered, or that it is not there any more, or none.
pub async fn read_load(
    namespace: &Namespace,
    place: &LoadPlace,
    result: &LoadResult,
) -> Result<LoadReport, ClusterError> {
    let attempted = format!("read the report of {}", place.name());
    let Some((name, key)) = result.report.as_deref().and_then(|report| report.split_once('/')) else {
        return Err(ClusterError::precondition(attempted, "it could not be kept when the load was over"));
    };
    let found = call_optional(attempted.as_str(), namespace.api::<ConfigMap>().get_opt(name)).await?;
    let text = found.and_then(|map| map.data?.remove(key));
    let gone = format!("key {key} of ConfigMap/{name} does not exist any more");
    let text = text.ok_or_else(|| ClusterError::precondition(attempted.as_str(), gone))?;
    serde_json::from_str(&text)
        .map_err(|_| ClusterError::precondition(attempted, "it is not a report that this version can read"))
}

/// A report as JSON of at most `most` bytes: with fewer seconds if need be, in the end with the verdict alone.
fn encode(report: &LoadReport, most: usize) -> String {
    let texts = STEPS.iter().map(|step| to_json(&thinned(report, *step)));
    texts.chain([to_json(&thinned(report, u32::MAX))]).find(|text| text.len() <= most).unwrap_or_else(|| {
        to_json(&LoadReport {
            verdict: report.verdict,
            message: "there was no room for the report".to_owned(),
            seed: report.seed,
            duration_s: report.duration_s,
            ..LoadReport::default()
        })
    })
}

fn thinned(report: &LoadReport, step: u32) -> LoadReport {
    let mut report = report.clone();
    for arm in [&mut report.arms.legacy, &mut report.arms.candidate].into_iter().flatten() {
        thin(arm, step);
    }
    report
}

/// Of each `step` seconds the worst one stays: a mean of percentiles would be none, and what matters is how bad it got.
fn thin(arm: &mut Arm, step: u32) {
    let seconds = std::mem::take(&mut arm.seconds);
    let groups = seconds.chunk_by(|one, other| one.at / step == other.at / step);
    let worst = |group: &[Second]| group.iter().copied().max_by_key(|second| (second.failed, second.p95_us));
    arm.seconds = groups.filter_map(worst).collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Verdict, load::report::Arms};

    fn lasting(seconds: u32) -> LoadReport {
        let second = |at: u32| Second {
            at,
            ok: 500,
            failed: u64::from(at == 1_234),
            p50_us: 800,
            p95_us: if at == 77 { 90_000 } else { 4_000 },
        };
        let arm = Arm { seconds: (0..seconds).map(second).collect(), ok: 7, ..Arm::default() };
        LoadReport {
            verdict: Verdict::Fail,
            arms: Arms { legacy: Some(arm.clone()), candidate: Some(arm) },
            ..LoadReport::default()
        }
    }

    fn read(text: &str) -> LoadReport {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_load_of_half_an_hour_is_kept_second_by_second() {
        let report = lasting(1_800);
        assert_eq!(read(&encode(&report, REPORT_MAX_BYTES)), report);
    }

    #[test]
    fn of_a_longer_one_the_worst_seconds_stay_and_it_fits() {
        for seconds in [4_000, 7_210] {
            let text = encode(&lasting(seconds), REPORT_MAX_BYTES);
            assert!(text.len() <= REPORT_MAX_BYTES, "{}", text.len());
            let kept = read(&text).arms.legacy.unwrap();
            assert!(kept.seconds.len() > 700, "{} of {seconds} seconds are left", kept.seconds.len());
            assert!(kept.seconds.iter().any(|second| second.p95_us == 90_000), "the slowest second is gone");
            assert!(kept.seconds.iter().any(|second| second.failed == 1), "a failure is gone");
            assert_eq!(kept.ok, 7);
        }
    }

    #[test]
    fn where_there_is_no_room_at_all_the_verdict_stays() {
        let text = encode(&lasting(100), 900);
        assert!(text.len() <= 900, "{}", text.len());
        let kept = read(&text);
        assert_eq!(kept.verdict, Verdict::Fail);
    }

    #[test]
    fn places_of_one_rollout_do_not_meet() {
        let places = |stage: &str| [LoadPlace::Stage(stage.to_owned()), LoadPlace::Soak(stage.to_owned())];
        let mut all = vec![LoadPlace::Baseline, LoadPlace::Final];
        for stage in ["a", "baseline", "final", "load"] {
            all.extend(places(stage));
        }
        let mut locations: Vec<_> = all.iter().map(|place| place.location("shop")).collect();
        locations.sort();
        locations.dedup();
        assert_eq!(locations.len(), all.len());
    }
}
