use super::*;
use crate::load::duet::{LatencyFigures, Noise};

const LIMITS: LatencyLimitsUs = LatencyLimitsUs { p50: None, p95: Some(1), p99: None };

fn look(verdict: LookVerdict, shared: bool, seconds: u32) -> Look {
    let correlation = if shared { 0.9 } else { 0.1 };
    Look {
        verdict,
        reason: "the look's reason".to_owned(),
        seconds,
        comparisons: vec![],
        noise: Noise { correlation: Some([correlation; 2]), ..Noise::default() },
        is_worse_as_a_whole: false,
    }
}

/// Of a generator that was never late, and a legacy that is well.
fn parts(limits: Verdict, look: Option<&Look>) -> Parts<'_> {
    Parts {
        limits: (limits, "p50 400 µs".to_owned()),
        latency_limits: LIMITS,
        look,
        plain: None,
        comparisons: &[],
        lags_us: [60, 60],
        p50_us: Some(400),
        starved: None,
        legacy_fails: None,
    }
}

fn concluded(limits: Verdict, look: Option<&Look>, latency_limits: LatencyLimitsUs) -> (Verdict, String) {
    conclude(&Parts { latency_limits, ..parts(limits, look) })
}

#[test]
fn a_pass_needs_the_duet_and_every_limit() {
    let pass = look(LookVerdict::Pass, true, 60);
    for (limits, expected) in [
        (Verdict::Pass, Verdict::Pass),
        (Verdict::Inconclusive, Verdict::Inconclusive),
        (Verdict::Fail, Verdict::Fail),
    ] {
        assert_eq!(concluded(limits, Some(&pass), LIMITS).0, expected);
    }
    let fail = look(LookVerdict::Fail, true, 60);
    assert_eq!(concluded(Verdict::Pass, Some(&fail), LIMITS).0, Verdict::Fail);
    assert_eq!(concluded(Verdict::Pass, None, LIMITS).0, Verdict::Inconclusive);
}

#[test]
fn limits_carry_the_gate_only_where_noise_is_private_and_there_is_one_for_the_tail() {
    let median = LatencyLimitsUs { p50: Some(1), p95: None, p99: None };
    for (shared, limits, expected) in [
        (false, LIMITS, Verdict::Warn),
        (true, LIMITS, Verdict::Inconclusive),
        (false, median, Verdict::Inconclusive),
        (false, LatencyLimitsUs::default(), Verdict::Inconclusive),
    ] {
        let open = look(LookVerdict::Inconclusive, shared, 240);
        assert_eq!(concluded(Verdict::Pass, Some(&open), limits).0, expected, "{shared} {limits:?}");
        assert_eq!(concluded(Verdict::Inconclusive, Some(&open), limits).0, Verdict::Inconclusive);
    }
}

#[test]
fn limits_do_not_carry_the_gate_for_a_tail_that_is_worse_over_the_whole_of_it() {
    let open = look(LookVerdict::Inconclusive, false, 240);
    let pauses = Look { is_worse_as_a_whole: true, reason: "pauses now and then".to_owned(), ..open };
    let (verdict, message) = concluded(Verdict::Pass, Some(&pauses), LIMITS);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(message.contains("pauses now and then"), "{message}");
}

fn class_median(standing: Standing, ratio: Option<f64>) -> Comparison {
    let figures = |ratio| LatencyFigures {
        ratio,
        low: Some(0.9),
        high: Some(1.6),
        shift_us: 0,
        blocks: 24,
        block_seconds: 10,
    };
    Comparison {
        class: Some(1),
        metric: Metric::Latency(Percentile::P50),
        latency: ratio.map(figures),
        standing,
        reason: String::new(),
    }
}

#[test]
fn limits_carry_the_gate_only_where_the_median_of_every_class_looks_well() {
    let open = look(LookVerdict::Inconclusive, false, 240);
    let verdict = |second| {
        let comparisons = [class_median(Standing::NotWorse, Some(1.02)), second];
        conclude(&Parts { comparisons: &comparisons, ..parts(Verdict::Pass, Some(&open)) }).0
    };
    for (standing, ratio, expected) in [
        (Standing::Open, Some(1.05), Verdict::Warn),
        (Standing::Open, Some(1.3), Verdict::Inconclusive),
        (Standing::Open, None, Verdict::Inconclusive),
        (Standing::Unpaired, None, Verdict::Inconclusive),
        (Standing::TooFew, None, Verdict::Inconclusive),
    ] {
        assert_eq!(verdict(class_median(standing, ratio)), expected, "{standing:?} {ratio:?}");
    }
    // Whose tail has too few calls is told by its median.
    let tail =
        Comparison { metric: Metric::Latency(Percentile::P99), ..class_median(Standing::TooFew, None) };
    assert_eq!(verdict(tail), Verdict::Warn);
    // Failures that are neither within the margin nor beyond it say nothing good.
    let failures = Comparison { metric: Metric::Failed, ..class_median(Standing::Open, None) };
    assert_eq!(verdict(failures), Verdict::Inconclusive);
}

#[test]
fn a_duet_that_was_too_short_says_so() {
    let open = look(LookVerdict::Continue, true, 20);
    let (verdict, message) = concluded(Verdict::Pass, Some(&open), LIMITS);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(message.contains("less than 60 s, and this one took 20 s"), "{message}");
}

#[test]
fn a_generator_that_was_late_or_late_for_one_side_voids_the_ratio_and_no_broken_limit() {
    let pass = look(LookVerdict::Pass, true, 60);
    let with = |lags_us, p50_us, limits| {
        conclude(&Parts { lags_us, p50_us: Some(p50_us), ..parts(limits, Some(&pass)) })
    };
    assert_eq!(with([60, 75], 400, Verdict::Pass).0, Verdict::Pass);
    assert_eq!(with([60, 85], 400, Verdict::Pass).0, Verdict::Inconclusive);
    assert_eq!(with([60, 85], 2_000, Verdict::Pass).0, Verdict::Pass);
    assert_eq!(with([201, 201], 400, Verdict::Pass).0, Verdict::Inconclusive);
    assert_eq!(with([900, 905], 2_000, Verdict::Pass).0, Verdict::Pass);
    assert_eq!(with([1_001, 1_005], 2_000, Verdict::Pass).0, Verdict::Inconclusive);
    assert_eq!(with([201, 201], 400, Verdict::Fail).0, Verdict::Fail);
    assert_eq!(with([85, 60], 400, Verdict::Pass).0, Verdict::Inconclusive);
    // Nor does it find the candidate worse, unless it was late for legacy alone.
    let fail = look(LookVerdict::Fail, true, 60);
    let found = |lags_us| conclude(&Parts { lags_us, ..parts(Verdict::Pass, Some(&fail)) }).0;
    assert_eq!(found([60, 85]), Verdict::Inconclusive);
    assert_eq!(found([85, 60]), Verdict::Fail);
    assert_eq!(found([201, 60]), Verdict::Fail);
    assert_eq!(found([201, 201]), Verdict::Inconclusive);
    assert_eq!(conclude(&parts(Verdict::Inconclusive, Some(&fail))).0, Verdict::Fail);
}

#[test]
fn a_generator_that_had_no_time_for_the_answers_voids_the_ratio_and_no_broken_limit() {
    for (look_says, limits, expected) in [
        (LookVerdict::Fail, Verdict::Inconclusive, Verdict::Inconclusive),
        (LookVerdict::Pass, Verdict::Inconclusive, Verdict::Inconclusive),
        (LookVerdict::Fail, Verdict::Fail, Verdict::Fail),
    ] {
        let look = look(look_says, true, 60);
        let starved = Some("its thread was busy".to_owned());
        let (verdict, message) = conclude(&Parts { starved: starved.clone(), ..parts(limits, Some(&look)) });
        assert_eq!(verdict, expected, "{look_says:?} {limits:?}");
        assert!(expected == Verdict::Fail || message.contains("its thread was busy"), "{message}");
        let plain = Parts { plain: Some("gross fault: x"), starved, ..parts(Verdict::Pass, None) };
        assert_eq!(conclude(&plain).0, Verdict::Inconclusive);
        let plain = Parts { starved: None, ..plain };
        assert_eq!(conclude(&plain), (Verdict::Fail, "gross fault: x; candidate: p50 400 µs".to_owned()));
    }
}

#[test]
fn what_legacy_fails_as_well_is_the_traffics_fault_unless_the_candidate_is_shown_to_be_worse() {
    for (look_says, expected) in [
        (LookVerdict::Inconclusive, Verdict::Inconclusive),
        (LookVerdict::Pass, Verdict::Inconclusive),
        (LookVerdict::Fail, Verdict::Fail),
    ] {
        let look = look(look_says, true, 60);
        let legacy_fails = Some("legacy, too: 20 of 100 failed".to_owned());
        let (verdict, message) = conclude(&Parts { legacy_fails, ..parts(Verdict::Fail, Some(&look)) });
        assert_eq!(verdict, expected, "{look_says:?}: {message}");
        assert!(expected == Verdict::Fail || message.contains("mend the traffic"), "{message}");
    }
}

#[test]
fn what_ends_a_load_early_is_held_against_the_candidate_only_where_it_is_its_fault() {
    let verdict = |stop, is_duet| cut_short(&stop, is_duet).map(|(verdict, _)| verdict);
    assert_eq!(verdict(Stop::GrossFault(Arm::Legacy), true), Some(Verdict::Inconclusive));
    assert_eq!(verdict(Stop::Backlog(Arm::Legacy), true), Some(Verdict::Inconclusive));
    assert_eq!(verdict(Stop::Stalled(Arm::Legacy), true), Some(Verdict::Inconclusive));
    assert_eq!(verdict(Stop::Stalled(Arm::Candidate), true), None);
    assert_eq!(verdict(Stop::GrossFault(Arm::Candidate), true), None);
    assert_eq!(verdict(Stop::GrossFault(Arm::Legacy), false), None);
    assert_eq!(verdict(Stop::Guard("x".to_owned()), true), Some(Verdict::Inconclusive));
    assert_eq!(verdict(Stop::TooSlow("x".to_owned()), false), Some(Verdict::Inconclusive));
    assert_eq!(verdict(Stop::WarmUp("x".to_owned()), true), Some(Verdict::Fail));
    assert_eq!(verdict(Stop::Plain("x".to_owned()), false), Some(Verdict::Fail));
    assert_eq!(verdict(Stop::Plain("x".to_owned()), true), None, "the generator may be at fault");
    assert_eq!(verdict(Stop::Verdict, true), None);
    assert_eq!(verdict(Stop::Bug, false), Some(Verdict::Error));
}
