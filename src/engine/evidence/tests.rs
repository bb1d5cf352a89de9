use super::*;

fn measured(p50_us: i64, p95_us: i64, p99_us: i64) -> LoadResult {
    LoadResult {
        verdict: Verdict::Pass,
        p50_us: Some(p50_us),
        p95_us: Some(p95_us),
        p99_us: Some(p99_us),
        ok: 10_000,
        throughput_milli: 100_500,
        ..LoadResult::default()
    }
}

const LIMITS: LatencyLimitsUs = LatencyLimitsUs { p50: Some(2_000), p95: Some(50_000), p99: None };

#[test]
fn only_limits_that_were_broken_are_told_beside_the_baseline() {
    let baseline = measured(1_000, 12_000, 80_000);
    let beside = |result: &LoadResult| beside_broken_limits(result, LIMITS, Some(&baseline));
    assert_eq!(beside(&measured(2_000, 50_000, 999_000)), "", "at the limit is within it");
    assert_eq!(beside(&measured(2_000, 61_000, 0)), "; the baseline on legacy had p95 12.0 ms");
    assert_eq!(beside(&measured(3_000, 61_000, 0)), "; the baseline on legacy had p50 1.00 ms, p95 12.0 ms");
    assert_eq!(beside_broken_limits(&measured(3_000, 61_000, 0), LIMITS, None), "", "there is none");
}

#[test]
fn a_measurement_at_the_end_that_is_as_good_passes_with_both_figures() {
    let beside = beside_baseline(measured(1_050, 12_600, 88_000), Some(&measured(1_000, 12_000, 80_000)));
    assert_eq!(beside.verdict, Verdict::Pass);
    assert_eq!(
        beside.message,
        "candidate / legacy in the baseline: p50 1.05 ms / 1.00 ms, p95 12.6 ms / 12.0 ms, p99 88.0 ms / 80.0 ms, failed 0.000 % / 0.000 %, answered 100/s / 100/s"
    );
}

#[test]
fn a_percentile_that_could_not_be_told_is_compared_with_nothing() {
    let few = |p99_us| LoadResult { p99_us, ..measured(1_000, 12_000, 0) };
    let beside = |now, before| beside_baseline(few(now), Some(&few(before)));
    for (now, before, told) in [
        (None, Some(1), "p99 untold / 1 µs,"),
        (Some(80_000), None, "p99 80.0 ms / untold,"),
        (None, None, "p95 12.0 ms / 12.0 ms, failed"),
    ] {
        let beside = beside(now, before);
        assert_eq!(beside.verdict, Verdict::Pass, "{}", beside.message);
        assert!(beside.message.contains(told), "{}", beside.message);
    }
    let limits = LatencyLimitsUs { p99: Some(1), ..LIMITS };
    let beside = |load: LoadResult| beside_broken_limits(&load, limits, Some(&few(Some(9))));
    assert_eq!(beside(LoadResult { ok: 999, ..few(None) }), "", "too few tell it");
    assert_eq!(beside(few(None)), "; the baseline on legacy had p99 9 µs", "so many failed");
}

#[test]
fn whatever_is_worse_than_the_baseline_is_named_and_no_more_than_a_warning() {
    let baseline = measured(1_000, 12_000, 80_000);
    let good = measured(1_000, 12_000, 80_000);
    for (load, named) in [
        (measured(1_051, 12_000, 80_000), "(p50)"),
        (measured(1_000, 12_601, 80_000), "(p95)"),
        (measured(1_000, 12_000, 88_001), "(p99)"),
        (LoadResult { errors: 8, timeouts: 3, ..good.clone() }, "(failures)"),
        (LoadResult { throughput_milli: 95_000, ..good.clone() }, "(throughput)"),
    ] {
        let beside = beside_baseline(load, Some(&baseline));
        assert_eq!(beside.verdict, Verdict::Warn, "{named}");
        assert!(beside.message.contains(named), "{}", beside.message);
    }
    assert_eq!(beside_baseline(good, Some(&baseline)).verdict, Verdict::Pass);
}

#[test]
fn what_is_between_is_not_held_against_the_candidate() {
    let baseline = measured(1_000, 12_000, 80_000);
    let slower = LoadResult { via: Via::Pooler, ..measured(1_500, 19_000, 99_000) };
    let beside = beside_baseline(slower.clone(), Some(&baseline));
    assert_eq!(beside.verdict, Verdict::Pass, "{}", beside.message);
    let told = "measured by way of a pooler / directly, which takes a time of its own, so the latencies are not compared";
    assert!(
        beside.message.contains("p50 1.50 ms / 1.00 ms") && beside.message.ends_with(told),
        "{}",
        beside.message
    );
    let failing = LoadResult { errors: 11, ..slower.clone() };
    assert_eq!(beside_baseline(failing, Some(&baseline)).verdict, Verdict::Warn, "failures are");
    let broken = LoadResult { via: Via::Pooler, ..measured(3_000, 0, 0) };
    let told = beside_broken_limits(&broken, LIMITS, Some(&baseline));
    assert_eq!(told, "; the baseline on legacy had p50 1.00 ms, measured directly");
    let alike = LoadResult { via: Via::Pooler, ..baseline };
    assert_eq!(beside_baseline(slower, Some(&alike)).verdict, Verdict::Warn, "both had it");
}

#[test]
fn a_verdict_that_is_no_pass_stays_what_it_is() {
    for verdict in [Verdict::Fail, Verdict::Error, Verdict::Inconclusive] {
        let load = LoadResult { verdict, message: "why".to_owned(), ..measured(9, 9, 9) };
        assert_eq!(beside_baseline(load.clone(), Some(&measured(1, 1, 1))), load);
    }
    let alone = measured(9, 9, 9);
    assert_eq!(beside_baseline(alone.clone(), None), alone, "there is nothing to hold it against");
}

#[test]
fn the_latest_duet_that_could_tell_says_whether_noise_is_shared() {
    use crate::api::StageRecord;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    let load = |noise_shared, at: &str| LoadResult {
        noise_shared,
        finished_at: Some(MicroTime(at.parse().unwrap())),
        ..LoadResult::default()
    };
    let stage = StageRecord {
        load: Some(load(Some(true), "2026-01-01T00:00:00Z")),
        soak_load: Some(load(Some(false), "2026-01-01T00:01:00Z")),
        ..StageRecord::default()
    };
    let later = StageRecord { load: Some(load(None, "2026-01-01T00:02:00Z")), ..StageRecord::default() };
    let recorded = Recorded { stages: vec![later, stage], ..Recorded::default() };
    assert_eq!(latest_noise(&recorded), Some(false));
    assert_eq!(latest_noise(&Recorded::default()), None);
}
