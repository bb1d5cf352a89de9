use super::*;
use crate::{
    api::{ArrivalProcess, LoadMode, RatePoint},
    load::fixtures::one_statement as traffic,
};

fn load() -> Load {
    Load {
        traffic: "t".to_owned(),
        mode: LoadMode::Duet,
        rate: 300,
        shape: vec![],
        arrivals: ArrivalProcess::Poisson,
        duration: "1m".to_owned(),
        max_duration: None,
        connections: 20,
        parallelism: 1,
        max_increase_percent: None,
        min_throughput: None,
        legacy_access: Access::ReadOnly,
        guard: api::Guard::default(),
        max_latency: Some(LatencyLimits { p50: None, p95: Some("1s500ms".to_owned()), p99: None }),
        max_error_percent: "0.1".to_owned(),
    }
}

#[test]
fn a_stages_load_takes_its_limits_from_the_spec() {
    let spec = LoadSpec::from_load(&load(), &traffic(), 7).unwrap();
    assert_eq!((spec.rate, spec.connections, spec.duration), (300, 20, Duration::from_mins(1)));
    assert_eq!(spec.max_latency, LatencyLimitsUs { p50: None, p95: Some(1_500_000), p99: None });
    assert_eq!(spec.max_error, ErrorLimit::parse("0.1").unwrap());
}

#[test]
fn each_try_of_a_duet_has_its_own_part_of_the_chance_of_a_false_pass() {
    let spec = LoadSpec::from_load(&load(), &traffic(), 7).unwrap();
    let once = Rules::lasting(spec.duration, spec.duration);
    assert_eq!((spec.try_number, spec.rules()), (None, once.clone()));
    assert_eq!(LoadSpec { try_number: Some(1), ..spec }.rules(), once.in_try(1));
}

#[test]
fn a_duet_goes_by_the_margins_and_lengths_of_its_spec() {
    let increase = MaxIncreasePercent { p95: Some(20), ..MaxIncreasePercent::default() };
    let long = Load {
        duration: "90s".to_owned(),
        max_duration: Some("4m".to_owned()),
        max_increase_percent: Some(increase),
        ..load()
    };
    let spec = LoadSpec::from_load(&long, &traffic(), 7).unwrap();
    let margins = Margins::default().with(Percentile::P95, Margin { fail: 0.2, pass: 0.25 });
    let lasting = Rules::lasting(Duration::from_secs(90), Duration::from_mins(4));
    assert_eq!((spec.longest(), spec.rules()), (Duration::from_mins(4), lasting.with_margins(margins)));
}

#[test]
fn a_baseline_has_no_latency_limit_and_one_percent_of_errors() {
    let baseline = Baseline {
        traffic: "t".to_owned(),
        rate: 1,
        shape: vec![],
        arrivals: ArrivalProcess::Fixed,
        duration: "1s".to_owned(),
        connections: 1,
        guard: api::Guard { free_connections: 7, legacy_p95: Some("2s".to_owned()) },
    };
    let spec = LoadSpec::from_baseline(&baseline, &traffic(), 7).unwrap();
    assert_eq!(spec.guard, Guard { free_connections: 7, legacy_p95: Some(Duration::from_secs(2)) });
    assert_eq!((spec.max_latency, spec.max_error), (LatencyLimitsUs::default(), ErrorLimit::ONE_PERCENT));
    assert!(spec.is_baseline && !LoadSpec::from_load(&load(), &traffic(), 7).unwrap().is_baseline);
}

#[test]
fn what_can_not_be_run_says_why() {
    let refused = |load: Load, part: &str| {
        let message = LoadSpec::from_load(&load, &traffic(), 7).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    let increase = MaxIncreasePercent { p95: Some(1), ..MaxIncreasePercent::default() };
    refused(Load { max_increase_percent: Some(increase), ..load() }, "maxIncreasePercent.p95: a margin");
    refused(Load { max_duration: Some("1".to_owned()), ..load() }, "maxDuration can't be read");
    refused(Load { duration: "x".to_owned(), ..load() }, "duration can't be read");
    let long = Load { rate: 20_000, max_duration: Some("2h".to_owned()), ..load() };
    refused(Load { parallelism: 21, ..load() }, "21 pods share 20 connections");
    refused(long, "144000000 calls are more than the 20000000");
    refused(Load { rate: 0, ..load() }, "rate");
    refused(Load { connections: -1, ..load() }, "connection");
    let late = RatePoint { at: "2s".to_owned(), percent: 1 };
    let early = RatePoint { at: "1s".to_owned(), percent: 1 };
    refused(Load { shape: vec![late, early], ..load() }, "point 2 of shape is earlier");
    refused(Load { max_error_percent: "101".to_owned(), ..load() }, "maxErrorPercent");
    let limits = LatencyLimits { p99: Some("1d".to_owned()), ..LatencyLimits::default() };
    refused(Load { max_latency: Some(limits), ..load() }, "maxLatency.p99 can't be read");
    let empty = Traffic { statements: vec![], ..traffic() };
    assert_eq!(LoadSpec::from_load(&load(), &empty, 7), Err(TrafficError::Empty.into()));
}
