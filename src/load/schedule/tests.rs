use proptest::prelude::*;

use super::*;
use crate::{
    api::{
        Access, ChoiceParameter, IntegerParameter, Parameter, RatePoint, SampleParameter, SequenceParameter,
        Skew, Statement, Traffic, TransactionStatement,
    },
    load::{
        fixtures::{schedule as along, traffic},
        model::TrafficError,
        sampler::Keys,
    },
};

fn int(min: i64, max: i64, skew: Skew) -> Parameter {
    Parameter { int: Some(IntegerParameter { min, max, skew }), ..Parameter::default() }
}

fn choice(values: &[&str]) -> Parameter {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Parameter { choice: Some(ChoiceParameter { values }), ..Parameter::default() }
}

fn sequence(start: i64, step: i64) -> Parameter {
    Parameter { sequence: Some(SequenceParameter { start, step }), ..Parameter::default() }
}

fn sample(count: i32) -> Parameter {
    let (table, column) = ("orders".to_owned(), "id".to_owned());
    Parameter { sample: Some(SampleParameter { table, column, count }), ..Parameter::default() }
}

fn schedule(traffic: &Traffic, rate: u32, seconds: u32, seed: u64) -> Schedule {
    along(&Course::default(), traffic, rate, seconds, seed)
}

fn course(points: &[(&str, i32)], process: ArrivalProcess) -> Course {
    let points: Vec<_> =
        points.iter().map(|(at, percent)| RatePoint { at: (*at).to_owned(), percent: *percent }).collect();
    Course::new(&points, process).unwrap()
}

fn five_deviations(expected: f64) -> f64 {
    5.0 * expected.sqrt() + 1.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_rate_is_kept_and_time_only_moves_forward(rate in 1_u32..5000, seconds in 1_u32..20, seed: u64) {
        let arrivals: Vec<_> = schedule(&traffic(&[(1, vec![])]), rate, seconds, seed).map(|a| a.at).collect();
        let expected = f64::from(rate) * f64::from(seconds);
        let seen = f64::from(u32::try_from(arrivals.len()).unwrap());
        prop_assert!((seen - expected).abs() <= five_deviations(expected), "{seen} instead of {expected}");
        prop_assert!(arrivals.is_sorted());
        prop_assert!(arrivals.iter().all(|at| *at < Duration::from_secs(seconds.into())));
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
            counts[arrival.call.class] += 1.0;
            all += 1.0;
        }
        let total: i32 = weights.iter().sum();
        for (count, weight) in counts.iter().zip(&weights) {
            let expected = all * f64::from(*weight) / f64::from(total);
            prop_assert!((count - expected).abs() <= five_deviations(expected), "{count} instead of {expected}");
        }
    }

    #[test]
    fn integers_stay_within_their_range(a: i64, b: i64, skew in 0_usize..3, seed: u64) {
        let (min, max) = (a.min(b), a.max(b));
        let skew = [Skew::Uniform, Skew::Zipf, Skew::Gaussian][skew];
        for arrival in schedule(&traffic(&[(1, vec![int(min, max, skew)])]), 100, 1, seed) {
            let is_within = matches!(arrival.call.parameters[..], [Value::Int(n)] if (min..=max).contains(&n));
            prop_assert!(is_within);
        }
    }
}

/// The shares of 1, and of the middle half, in 20,000 draws from 1 to 1,000.
fn shares(skew: Skew) -> [f64; 2] {
    let arrivals = schedule(&traffic(&[(1, vec![int(1, 1000, skew)])]), 5000, 4, 7);
    let drawn: Vec<_> = arrivals.map(|arrival| arrival.call.parameters[0].clone()).collect();
    let share = |of: &dyn Fn(i64) -> bool| {
        let such = drawn.iter().filter(|value| matches!(value, Value::Int(n) if of(*n))).count();
        f64::from(u32::try_from(such).unwrap()) / f64::from(u32::try_from(drawn.len()).unwrap())
    };
    [share(&|n| n == 1), share(&|n| (251..=750).contains(&n))]
}

#[test]
fn integers_are_as_skewed_as_the_model_says() {
    // Of Zipf's law 1 / (1 + 1/2 + … + 1/1000), of which the middle half has ln(750/250) parts.
    let zipf = [1.0 / 7.485, 1.0986 / 7.485];
    // Of a normal distribution that is cut at 2.5 deviations: the middle half ends at 1.25.
    let gaussian = [0.0, 0.7887 / 0.9876];
    for (skew, expected) in [(Skew::Uniform, [0.001, 0.5]), (Skew::Zipf, zipf), (Skew::Gaussian, gaussian)] {
        let seen = shares(skew);
        assert!(seen.iter().zip(expected).all(|(seen, of)| (seen - of).abs() < 0.015), "{skew:?}: {seen:?}");
    }
}

#[test]
fn the_whole_range_of_integers_is_served() {
    for skew in [Skew::Uniform, Skew::Zipf, Skew::Gaussian] {
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

/// Arrivals in each second.
fn by_second(schedule: Schedule, seconds: usize) -> Vec<f64> {
    let mut counts = vec![0.0; seconds];
    schedule.for_each(|arrival| counts[usize::try_from(arrival.at.as_secs()).unwrap()] += 1.0);
    counts
}

#[test]
fn the_rate_follows_its_shape() {
    type Points = &'static [(&'static str, i32)];
    let (model, rate) = (traffic(&[(1, vec![])]), 1000);
    let shapes: [(Points, [f64; 6]); 3] = [
        // A ramp from nothing to everything and on.
        (&[("0s", 0), ("4s", 100)], [0.125, 0.375, 0.625, 0.875, 1.0, 1.0]),
        // Steps.
        (&[("2s", 20), ("2s", 100), ("4s", 100), ("4s", 0)], [0.2, 0.2, 1.0, 1.0, 0.0, 0.0]),
        // A day with its peak in the afternoon.
        (
            &[("0s", 10), ("1s", 10), ("3s", 100), ("4s", 100), ("6s", 10)],
            [0.1, 0.325, 0.775, 1.0, 0.775, 0.325],
        ),
    ];
    for (points, expected) in shapes {
        for (process, deviations) in [(ArrivalProcess::Poisson, 5.0), (ArrivalProcess::Fixed, 0.0)] {
            let seen = by_second(along(&course(points, process), &model, rate, 6, 7), 6);
            for (second, (seen, share)) in seen.iter().zip(expected).enumerate() {
                let expected = f64::from(rate) * share;
                let within = deviations * expected.sqrt() + 1.0;
                assert!((seen - expected).abs() <= within, "{points:?} {second}: {seen} not {expected}");
            }
        }
    }
}

#[test]
fn fixed_arrivals_are_at_even_distances() {
    let schedule = along(&course(&[], ArrivalProcess::Fixed), &traffic(&[(1, vec![])]), 100, 1, 7);
    let arrivals: Vec<_> = schedule.map(|arrival| arrival.at.as_micros()).collect();
    assert_eq!(arrivals.len(), 100);
    assert!(arrivals.windows(2).all(|pair| (9_999..=10_001).contains(&(pair[1] - pair[0]))));
}

#[test]
fn a_sequence_gives_each_arrival_of_its_class_the_next_value() {
    let model =
        traffic(&[(3, vec![sequence(10, -2)]), (1, vec![sequence(1, 1)]), (1, vec![sequence(i64::MAX, 1)])]);
    let (mut first, mut second) = (10, 1);
    for arrival in schedule(&model, 100, 1, 3) {
        let expected = match arrival.call.class {
            0 => (first, first -= 2).0,
            1 => (second, second += 1).0,
            _ => i64::MAX,
        };
        assert!(arrival.call.parameters == [Value::Int(expected)]);
    }
    assert!(first < 0 && second > 10);
}

#[test]
fn for_two_servers_no_value_of_a_sequence_is_left_out() {
    let calls = schedule(&traffic(&[(1, vec![sequence(1, 1)])]), 100, 1, 3).twice();
    let values: Vec<_> = calls.map(|arrival| arrival.call.parameters).collect();
    assert!(values.len() > 50);
    for (pair, value) in values.chunks_exact(2).zip(1..) {
        assert!(pair.iter().all(|parameters| parameters == &[Value::Int(value)]));
    }
}

#[test]
fn keys_are_drawn_alike_and_shared_by_those_who_sample_the_same() {
    let traffic = traffic(&[(1, vec![sample(10), sample(10), sample(20)])]);
    let mut model = Model::new(&traffic).unwrap();
    assert_eq!(model.samples().len(), 2);
    let keys = |keys: &[&str]| keys.iter().map(|key| Arc::from(*key)).collect::<Vec<_>>();
    model.keys = Keys(vec![keys(&["a", "b"]), keys(&["c"])]);
    assert_eq!(format!("{:?}", model.keys), "keys [2, 1]");
    let schedule = Schedule::new(Arc::new(model), 1000, &Course::default(), Duration::from_secs(1), 7);
    let text = |value: &Value| if let Value::Text(text) = value { text.to_string() } else { String::new() };
    let (mut a, mut all) = (0.0, 0.0);
    for arrival in schedule {
        all += 1.0;
        a += f64::from(u8::from(text(&arrival.call.parameters[0]) == "a"));
        assert!(["a", "b"].contains(&text(&arrival.call.parameters[1]).as_str()));
        assert_eq!(text(&arrival.call.parameters[2]), "c");
    }
    assert!((a - all / 2.0_f64).abs() < five_deviations(all / 2.0));
}

fn one(statement: Statement) -> Traffic {
    Traffic { statements: vec![Statement { weight: 1, ..statement }], ..traffic(&[]) }
}

#[test]
fn a_faulty_model_is_refused_with_its_place() {
    let part = |sql: &str| TransactionStatement { sql: sql.to_owned(), params: vec![] };
    let sql = |sql: &str| Statement { sql: Some(sql.to_owned()), ..Statement::default() };
    let mut twice = traffic(&[(1, vec![]), (1, vec![])]);
    twice.statements[0].name = Some("statement 2".to_owned());
    for (model, error) in [
        (traffic(&[]), "has no statements"),
        (traffic(&[(1, vec![]), (0, vec![])]), "statement 2 of the traffic model has a weight below 1"),
        (traffic(&[(1, vec![int(2, 1, Skew::Zipf)])]), "parameter 1 of statement 1"),
        (traffic(&[(1, vec![choice(&["a"]), choice(&[])])]), "parameter 2 of statement 1"),
        (traffic(&[(1, vec![Parameter::default()])]), "parameter 1 of statement 1"),
        (
            traffic(&[(1, vec![Parameter { int: int(1, 2, Skew::Uniform).int, ..choice(&["a"]) }])]),
            "exactly one",
        ),
        (traffic(&[(1, vec![sample(0)])]), "parameter 1"),
        (twice, "two classes of the traffic model are called \"statement 2\""),
        (one(Statement::default()), "exactly one of sql and transaction"),
        (one(Statement { transaction: vec![part("SELECT 1")], ..sql("SELECT 1") }), "exactly one"),
        (one(Statement { access: Some(Access::ReadWrite), ..sql("SELECT 1") }), "the model is ReadOnly"),
        (one(sql("BEGIN")), "under transaction"),
        (one(sql("SET ROLE x")), "statement 1 of the traffic model can't be sent: only SELECT"),
        (one(sql("SELECT 'a")), "a string that begins here has no end"),
        (
            one(Statement { transaction: vec![part("SELECT 1"), part("COMMIT")], ..Statement::default() }),
            "part 2 of statement 1",
        ),
    ] {
        let message = Model::new(&model).unwrap_err().to_string();
        assert!(message.contains(error), "{message}");
    }
    assert_eq!(Model::new(&traffic(&vec![(1, vec![]); 65])), Err(TrafficError::TooManyClasses));
    let mut many = traffic(&vec![(1, vec![]); 17]);
    for class in &mut many.statements {
        *class = Statement { transaction: vec![part("SELECT 1"); 16], weight: 1, ..Statement::default() };
    }
    assert_eq!(Model::new(&many), Err(TrafficError::TooManyStatements));
}
