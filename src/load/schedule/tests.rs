use proptest::prelude::*;

use super::*;
use crate::api::{Access, ChoiceParameter, IntegerParameter, Statement};

fn int(min: i64, max: i64, skew: Skew) -> Parameter {
    Parameter { int: Some(IntegerParameter { min, max, skew }), choice: None }
}

fn choice(values: &[&str]) -> Parameter {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Parameter { int: None, choice: Some(ChoiceParameter { values }) }
}

fn traffic(statements: &[(i32, Vec<Parameter>)]) -> Traffic {
    let statements = statements.iter().map(|(weight, params)| Statement {
        sql: "SELECT 1".to_owned(),
        weight: *weight,
        params: params.clone(),
    });
    Traffic { name: "t".to_owned(), access: Access::ReadOnly, statements: statements.collect() }
}

fn schedule(traffic: &Traffic, rate: u32, seconds: u64, seed: u64) -> Schedule {
    Schedule::new(Arc::new(Mix::new(traffic).unwrap()), rate, Duration::from_secs(seconds), seed)
}

fn five_deviations(expected: f64) -> f64 {
    5.0 * expected.sqrt() + 1.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_rate_is_kept_and_time_only_moves_forward(rate in 1_u32..5000, seconds in 1_u64..20, seed: u64) {
        let arrivals: Vec<_> = schedule(&traffic(&[(1, vec![])]), rate, seconds, seed).map(|a| a.at).collect();
        let expected = f64::from(rate) * f64::from(u32::try_from(seconds).unwrap());
        let seen = f64::from(u32::try_from(arrivals.len()).unwrap());
        prop_assert!((seen - expected).abs() <= five_deviations(expected), "{seen} instead of {expected}");
        prop_assert!(arrivals.is_sorted());
        prop_assert!(arrivals.iter().all(|at| *at < Duration::from_secs(seconds)));
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_one_another(seed: u64) {
        let traffic = traffic(&[(3, vec![int(1, 1_000_000, Skew::Zipf)]), (1, vec![choice(&["a", "b"])])]);
        let arrivals = |seed| schedule(&traffic, 500, 1, seed).collect::<Vec<_>>();
        prop_assert_eq!(arrivals(seed), arrivals(seed));
        prop_assert_ne!(arrivals(seed), arrivals(seed.wrapping_add(1)));
    }

    #[test]
    fn statements_come_in_proportion_to_their_weights(weights in prop::collection::vec(1_i32..100, 1..8), seed: u64) {
        let statements: Vec<_> = weights.iter().map(|weight| (*weight, vec![])).collect();
        let mut counts = vec![0.0; weights.len()];
        let mut all = 0.0;
        for arrival in schedule(&traffic(&statements), 5000, 2, seed) {
            counts[arrival.statement] += 1.0;
            all += 1.0;
        }
        let total: i32 = weights.iter().sum();
        for (count, weight) in counts.iter().zip(&weights) {
            let expected = all * f64::from(*weight) / f64::from(total);
            prop_assert!((count - expected).abs() <= five_deviations(expected), "{count} instead of {expected}");
        }
    }

    #[test]
    fn integers_stay_within_their_range(a: i64, b: i64, zipf: bool, seed: u64) {
        let (min, max) = (a.min(b), a.max(b));
        let skew = if zipf { Skew::Zipf } else { Skew::Uniform };
        for arrival in schedule(&traffic(&[(1, vec![int(min, max, skew)])]), 100, 1, seed) {
            let is_within = matches!(arrival.parameters[..], [Value::Int(n)] if (min..=max).contains(&n));
            prop_assert!(is_within);
        }
    }
}

#[test]
fn the_whole_range_of_integers_is_served() {
    for skew in [Skew::Uniform, Skew::Zipf] {
        assert!(schedule(&traffic(&[(1, vec![int(i64::MIN, i64::MAX, skew)])]), 100, 1, 1).count() > 0);
    }
}

#[test]
fn gaps_are_exponential_not_regular() {
    let arrivals: Vec<_> =
        schedule(&traffic(&[(1, vec![])]), 1000, 20, 1).map(|a| a.at.as_secs_f64()).collect();
    let gaps: Vec<_> = arrivals.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let count = f64::from(u32::try_from(gaps.len()).unwrap());
    // Of exponential gaps, 1 - 1/e are below the mean; their deviation is as large as the mean.
    let below = f64::from(u32::try_from(gaps.iter().filter(|gap| **gap < 0.001).count()).unwrap()) / count;
    assert!((below - 0.632).abs() < 0.02, "{below}");
}

#[test]
fn a_faulty_model_is_refused_with_its_place() {
    for (model, error) in [
        (traffic(&[]), TrafficError::Empty),
        (traffic(&[(1, vec![]), (0, vec![])]), TrafficError::Weight { statement: 2 }),
        (
            traffic(&[(1, vec![int(2, 1, Skew::Zipf)])]),
            TrafficError::Parameter { statement: 1, parameter: 1 },
        ),
        (
            traffic(&[(1, vec![choice(&["a"]), choice(&[])])]),
            TrafficError::Parameter { statement: 1, parameter: 2 },
        ),
        (
            traffic(&[(1, vec![Parameter { int: None, choice: None }])]),
            TrafficError::Parameter { statement: 1, parameter: 1 },
        ),
    ] {
        assert_eq!(Mix::new(&model), Err(error));
    }
}
