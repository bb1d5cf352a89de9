use super::*;

fn good() -> Measured {
    Measured {
        scheduled: 10_000,
        ok: 10_000,
        p50_us: Some(400),
        p95_us: Some(1_200),
        p99_us: Some(3_400),
        service_p95_us: Some(1_000),
        lag_p50_us: 60,
        throughput_milli: 300_000,
        sent_milli: 400_000,
        ..Measured::default()
    }
}

fn limits(p50: u64, p95: u64, p99: u64) -> LatencyLimitsUs {
    LatencyLimitsUs { p50: Some(p50), p95: Some(p95), p99: Some(p99) }
}

fn judged(measured: &Measured, latency: LatencyLimitsUs, errors: ErrorLimit) -> (Verdict, String) {
    judged_for(Purpose::Alone, measured, latency, errors)
}

fn judged_for(
    purpose: Purpose,
    measured: &Measured,
    latency: LatencyLimitsUs,
    errors: ErrorLimit,
) -> (Verdict, String) {
    judge(measured, &Limits { purpose, latency, errors, min_throughput: None })
}

fn percent(text: &str) -> ErrorLimit {
    ErrorLimit::parse(text).unwrap()
}

fn verdict_of(measured: &Measured) -> Verdict {
    judged(measured, limits(500, 2_000, 5_000), ErrorLimit::ONE_PERCENT).0
}

#[test]
fn within_all_limits_passes_with_what_was_measured() {
    let (verdict, message) = judged(&good(), limits(400, 1_200, 3_400), ErrorLimit::ONE_PERCENT);
    assert_eq!(verdict, Verdict::Pass);
    assert_eq!(message, "p50 400 µs, p95 1.20 ms, p99 3.40 ms, 300.0 answers/s, 10000 of 10000 answered");
}

#[test]
fn every_broken_limit_is_named_with_what_was_measured() {
    let measured = Measured { ok: 9_800, errors: 150, timeouts: 50, ..good() };
    let (verdict, message) = judged(&measured, limits(399, 1_199, 3_399), ErrorLimit::ONE_PERCENT);
    assert_eq!(verdict, Verdict::Fail);
    for part in [
        "200 of 10000 statements failed (2.000 %), above 1 %",
        "p50 400 µs is above 399 µs",
        "p95 1.20 ms is above 1.19 ms",
        "p99 3.40 ms is above 3.39 ms",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn the_share_of_errors_is_compared_exactly() {
    let tenth = ErrorLimit::parse("0.1").unwrap();
    assert!(!tenth.is_broken(1, 1_000));
    assert!(tenth.is_broken(1, 999));
    assert!(!tenth.is_broken(0, 0));
    assert!(!ErrorLimit::parse("33.333333").unwrap().is_broken(33_333_333, 100_000_000));
    assert!(ErrorLimit::parse("33.333333").unwrap().is_broken(1, 3));
    assert!(!ErrorLimit::parse("0").unwrap().is_broken(0, u64::MAX));
    assert!(ErrorLimit::parse("0").unwrap().is_broken(1, u64::MAX));
    assert!(!ErrorLimit::parse("100").unwrap().is_broken(u64::MAX, u64::MAX));
}

#[test]
fn a_percentage_is_read_as_it_is_written() {
    for (text, shown) in
        [("0", "0 %"), ("0.1", "0.1 %"), ("1.000001", "1.000001 %"), ("100", "100 %"), ("007", "7 %")]
    {
        assert_eq!(ErrorLimit::parse(text).unwrap().to_string(), shown);
    }
    for text in ["", ".", "1.", ".1", "-1", "100.1", "1000", "1.0000001", "1e1", " 1"] {
        assert_eq!(ErrorLimit::parse(text), None, "{text}");
    }
}

#[test]
fn too_few_samples_for_a_percentile_are_inconclusive() {
    let few = |ok| Measured { scheduled: ok, ok, ..good() };
    let only = |p50, p95, p99| LatencyLimitsUs { p50, p95, p99 };
    for (limits, enough) in [
        (only(Some(500), None, None), 20),
        (only(None, Some(2_000), None), 200),
        (only(None, None, Some(5_000)), 1_000),
    ] {
        assert_eq!(judged(&few(enough), limits, percent("0")).0, Verdict::Pass);
        let (verdict, message) = judged(&few(enough - 1), limits, percent("0"));
        assert_eq!(verdict, Verdict::Inconclusive);
        assert!(message.contains(&format!("needs at least {enough} statements")), "{message}");
    }
    // Without a limit there is nothing to be in doubt about.
    assert_eq!(judged(&few(1), LatencyLimitsUs::default(), percent("0")).0, Verdict::Pass);
}

#[test]
fn a_limit_of_failures_that_so_few_calls_can_not_tell_is_open() {
    // Of a share of which nothing was seen in n calls, the upper 95 % bound is 3 / n.
    let few = |ok| Measured { scheduled: ok, ok, ..good() };
    for (limit, enough) in [("0.1", 3_000), ("1", 300), ("0.7", 429), ("100", 3)] {
        for purpose in [Purpose::Alone, Purpose::Duet] {
            let judged = |ok| judged_for(purpose, &few(ok), LatencyLimitsUs::default(), percent(limit));
            assert_eq!(judged(enough).0, Verdict::Pass, "{limit}");
            let (verdict, message) = judged(enough - 1);
            assert_eq!(verdict, Verdict::Inconclusive, "{limit}");
            let told = format!(
                "a limit of {limit} % failed needs at least {enough} statements, and there were {}",
                enough - 1
            );
            assert!(message.contains(&told), "{message}");
        }
        let measured = judged_for(Purpose::Measurement, &few(1), LatencyLimitsUs::default(), percent(limit));
        assert_eq!(measured.0, Verdict::Pass, "nothing goes by it");
    }
    // One that is broken is broken, and none at all is kept or not by the statements themselves.
    let failing = Measured { scheduled: 100, ok: 99, errors: 1, ..good() };
    for limit in ["0", "0.1"] {
        assert_eq!(judged(&failing, limits(500, 2_000, 5_000), percent(limit)).0, Verdict::Fail, "{limit}");
    }
    assert_eq!(judged(&few(1), LatencyLimitsUs::default(), percent("0")).0, Verdict::Pass);
}

#[test]
fn a_pass_without_a_limit_of_latency_says_that_only_failures_were_judged() {
    let told = |purpose, latency, least| {
        let limits = Limits { purpose, latency, errors: ErrorLimit::ONE_PERCENT, min_throughput: least };
        let (verdict, message) = judge(&good(), &limits);
        assert_eq!(verdict, Verdict::Pass);
        message
    };
    let none = LatencyLimitsUs::default();
    let alone = told(Purpose::Alone, none, None);
    let expected = "only the share of errors was judged, since no latency limit was given; p50 400 µs, p95";
    assert!(alone.starts_with(expected), "{alone}");
    let faster = told(Purpose::Alone, none, Some(1));
    assert!(faster.starts_with("only the share of errors and the throughput were judged, since"), "{faster}");
    let limited = LatencyLimitsUs { p99: Some(5_000), ..none };
    for (purpose, latency) in [(Purpose::Alone, limited), (Purpose::Duet, none), (Purpose::Measurement, none)]
    {
        let message = told(purpose, latency, None);
        assert!(!message.contains("judged"), "{message}");
    }
}

#[test]
fn a_late_generator_is_inconclusive_but_excuses_no_errors() {
    let late = Measured { lag_p50_us: 10_001, p95_us: Some(50_000), ..good() };
    let (late_verdict, message) = judged(&late, limits(500, 2_000, 5_000), ErrorLimit::ONE_PERCENT);
    assert_eq!(late_verdict, Verdict::Inconclusive);
    assert!(message.contains("late by 10.0 ms"), "{message}");
    assert_eq!(verdict_of(&Measured { ok: 9_000, errors: 1_000, ..late }), Verdict::Fail);
    assert_eq!(verdict_of(&Measured { lag_p50_us: 10_000, ..good() }), Verdict::Pass);
    // A fifth of a median of 60 ms is 12 ms.
    let slow = Measured { lag_p50_us: 12_000, p50_us: Some(60_000), ..good() };
    assert_eq!(judged(&slow, LatencyLimitsUs::default(), ErrorLimit::ONE_PERCENT).0, Verdict::Pass);
}

#[test]
fn nothing_answered_something_skipped_or_an_early_end_fails() {
    let none = Measured { ok: 0, errors: 10_000, p50_us: None, ..good() };
    let (verdict_of_none, message) =
        judged(&none, LatencyLimitsUs::default(), ErrorLimit::parse("100").unwrap());
    assert_eq!(verdict_of_none, Verdict::Fail);
    assert!(message.contains("no statement was answered"));
    assert_eq!(verdict_of(&Measured { ok: 9_999, skipped: 1, ..good() }), Verdict::Fail);
    assert_eq!(verdict_of(&Measured { breakdown: Some(Breakdown::Backlog), ..good() }), Verdict::Fail);
    assert_eq!(verdict_of(&Measured { breakdown: Some(Breakdown::GrossFault), ..good() }), Verdict::Fail);
    assert_eq!(verdict_of(&Measured::default()), Verdict::Inconclusive);
}

#[test]
fn a_percentile_that_did_not_come_back_is_beyond_any_limit() {
    let measured = Measured { ok: 9_000, errors: 1_000, p95_us: None, p99_us: None, ..good() };
    let (verdict, message) =
        judged(&measured, limits(500, 60_000_000, 60_000_000), ErrorLimit::parse("100").unwrap());
    assert_eq!(verdict, Verdict::Fail);
    assert!(
        message.contains("p95 is beyond any limit") && message.contains("p99 is beyond any limit"),
        "{message}"
    );
}

#[test]
fn waiting_for_a_connection_is_told_from_a_slow_server() {
    let measured = Measured { p95_us: Some(12_340), service_p95_us: Some(900), ..good() };
    let (_, message) = judged(&measured, limits(500, 2_000, 5_000), ErrorLimit::ONE_PERCENT);
    assert!(message.contains("p95 12.3 ms is above 2.00 ms (900 µs of it in the server"), "{message}");
}

#[test]
fn a_share_too_small_to_write_is_not_written_as_none() {
    assert_eq!(share(1, 1_000_000), "below 0.001 %");
}

#[test]
fn fewer_answers_than_asked_for_fail() {
    let judged = |least| {
        let limits = Limits {
            purpose: Purpose::Alone,
            latency: LatencyLimitsUs::default(),
            errors: ErrorLimit::ONE_PERCENT,
            min_throughput: Some(least),
        };
        judge(&good(), &limits)
    };
    assert_eq!(judged(300).0, Verdict::Pass);
    let (verdict, message) = judged(301);
    assert_eq!(verdict, Verdict::Fail);
    assert!(message.contains("300.0 answers/s are fewer than 301"), "{message}");
    // Nobody answers more than is asked.
    assert_eq!(judged(399).0, Verdict::Fail);
    let (verdict, message) = judged(400);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(message.contains("no more than 400.0/s were sent to it; lower minThroughput"), "{message}");
}

#[test]
fn what_waited_when_a_load_was_cut_short_is_no_fault() {
    let waiting = Measured { skipped: 3, scheduled: 10_003, ..good() };
    assert_eq!(verdict_of(&waiting), Verdict::Fail);
    assert_eq!(verdict_of(&Measured { is_cut_short: true, ..waiting }), Verdict::Pass);
}

#[test]
fn a_limit_that_only_the_generators_lateness_breaks_is_open() {
    let limits = limits(400, 1_200, 3_000);
    let paused = Measured { on_time_us: [Some(390), Some(1_190), Some(2_900)], ..good() };
    let (verdict, message) = judged(&paused, limits, ErrorLimit::ONE_PERCENT);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(
        message.contains("p99 3.40 ms is above 3.00 ms, with the load generator's own lateness"),
        "{message}"
    );
    assert_eq!(judged(&good(), limits, ErrorLimit::ONE_PERCENT).0, Verdict::Fail);
    let late = Measured { lag_p50_us: 8_000_000, breakdown: Some(Breakdown::Backlog), ..good() };
    assert_eq!(verdict_of(&late), Verdict::Inconclusive);
}

#[test]
fn a_server_that_stalls_in_the_warm_up_fails_although_nothing_was_measured() {
    let stalled = Measured { breakdown: Some(Breakdown::Stalled), ..Measured::default() };
    let (verdict, message) = judged(&stalled, limits(500, 2_000, 5_000), ErrorLimit::ONE_PERCENT);
    assert_eq!(verdict, Verdict::Fail);
    assert!(message.starts_with("in the warm-up already, the server fell behind: "), "{message}");
    let nothing = judged(&Measured::default(), limits(500, 2_000, 5_000), ErrorLimit::ONE_PERCENT);
    assert_eq!(nothing.0, Verdict::Inconclusive);
    assert!(nothing.1.contains("no arrivals"), "{}", nothing.1);
}

#[test]
fn what_a_late_generator_may_have_done_is_open() {
    let late = Measured { lag_p50_us: 3_000_000, ..good() };
    let skipping = Measured { skipped: 3, scheduled: 10_003, ..late };
    assert_eq!(verdict_of(&skipping), Verdict::Inconclusive);
    let limits = |min_throughput| Limits {
        purpose: Purpose::Alone,
        latency: limits(500, 2_000, 5_000),
        errors: ErrorLimit::ONE_PERCENT,
        min_throughput,
    };
    assert_eq!(judge(&good(), &limits(Some(301))).0, Verdict::Fail);
    assert_eq!(judge(&late, &limits(Some(301))).0, Verdict::Inconclusive);
    assert_eq!(verdict_of(&Measured { breakdown: Some(Breakdown::GrossFault), ..late }), Verdict::Fail);
}

#[test]
fn what_a_generator_that_stood_still_may_have_done_is_open() {
    let paused = Measured { longest_lag_us: 12_000_000, ..good() };
    assert_eq!(verdict_of(&paused), Verdict::Pass);
    for breakdown in [Breakdown::Backlog, Breakdown::Stalled] {
        let (verdict, message) = judged(
            &Measured { breakdown: Some(breakdown), ..paused },
            limits(500, 2_000, 5_000),
            ErrorLimit::ONE_PERCENT,
        );
        assert_eq!(verdict, Verdict::Inconclusive);
        assert!(message.contains("the load generator stood still for 12.00 s"), "{message}");
        let short = Measured { longest_lag_us: 900_000, breakdown: Some(breakdown), ..good() };
        assert_eq!(verdict_of(&short), Verdict::Fail);
    }
    assert_eq!(verdict_of(&Measured { breakdown: Some(Breakdown::GrossFault), ..paused }), Verdict::Fail);
    // The burst waited for itself, long after the pause.
    let slow = Measured { p95_us: Some(2_001), on_time_us: [Some(400), Some(2_001), Some(3_400)], ..good() };
    assert_eq!(verdict_of(&slow), Verdict::Fail);
    assert_eq!(verdict_of(&Measured { longest_lag_us: 1_100_000, ..slow }), Verdict::Inconclusive);
    let before = Measured { breakdown: Some(Breakdown::Stalled), ..Measured::default() };
    assert_eq!(verdict_of(&before), Verdict::Fail);
    assert_eq!(verdict_of(&Measured { longest_lag_us: 1_100_000, ..before }), Verdict::Inconclusive);
}

#[test]
fn a_generator_without_time_to_spare_tells_nothing() {
    let busy = |busy_permille| Measured { busy_permille, ..good() };
    assert_eq!(verdict_of(&busy(800)), Verdict::Pass);
    let (verdict, message) = judged(&busy(930), limits(500, 2_000, 5_000), ErrorLimit::ONE_PERCENT);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(message.contains("busy for 93 % of the time while it was busiest"), "{message}");
}

#[test]
fn a_percentile_of_too_few_statements_is_told_by_nobody() {
    let few = |ok| judged(&Measured { ok, ..good() }, LatencyLimitsUs::default(), ErrorLimit::ONE_PERCENT).1;
    assert!(few(199).contains("p50 400 µs, p95 untold, p99 untold"), "{}", few(199));
    assert!(few(999).contains("p95 1.20 ms, p99 untold"), "{}", few(999));
}
