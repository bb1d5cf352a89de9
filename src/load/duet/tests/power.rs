//! How often duets fail, pass and end without either, and after what time: ten thousand simulated ones.
//!
//! `cargo test --lib duet::tests::power -- --nocapture` prints the table of `docs/load-verdict.md`. The seeds are
//! fixed, so that the rates are the same every time.

use std::time::Duration;

use statrs::function::beta::inv_beta_reg;

use super::{
    super::{LookVerdict, Rules},
    simulation::{ALIKE, Simulated, World},
};

/// How the duets of one world ended.
#[derive(Default)]
struct Rates {
    trials: u32,
    passed: u32,
    failed: u32,
    inconclusive: u32,
    /// Failed within the three lengths that were asked for.
    failed_by: [u32; 3],
    passed_by_60: u32,
}

impl Rates {
    fn percent(&self, count: u32) -> f64 {
        100.0 * f64::from(count) / f64::from(self.trials)
    }

    /// More are not failing than this, in percent, with 95 % (Clopper and Pearson).
    fn most_failing(&self) -> f64 {
        match self.trials - self.failed {
            0 => 100.0,
            others => 100.0 * inv_beta_reg(f64::from(self.failed) + 1.0, f64::from(others), 0.95),
        }
    }
}

fn simulate(name: &str, trials: u32, world: World) -> Rates {
    simulate_until(name, trials, world, [5, 60, 120])
}

fn simulate_until(name: &str, trials: u32, world: World, lengths: [u32; 3]) -> Rates {
    let rules = Rules::lasting(Duration::from_secs(60), Duration::from_secs(world.longest.into()));
    let mut rates = Rates { trials, ..Rates::default() };
    for seed in 0..trials {
        let (verdict, seconds) = Simulated::new(world, seed.into()).run(&rules);
        match verdict {
            LookVerdict::Pass => {
                rates.passed += 1;
                rates.passed_by_60 += u32::from(seconds <= 60);
            }
            LookVerdict::Fail => {
                rates.failed += 1;
                for (count, by) in rates.failed_by.iter_mut().zip(lengths) {
                    *count += u32::from(seconds <= by);
                }
            }
            _ => rates.inconclusive += 1,
        }
    }
    let [first, second, third] = rates.failed_by.map(|count| rates.percent(count));
    println!(
        "| {name} | {trials} | {first:.1} | {second:.1} | {third:.1} | {:.1} (≤ {:.1}) | {:.1} | {:.1} | {:.1} |",
        rates.percent(rates.failed),
        rates.most_failing(),
        rates.percent(rates.passed_by_60),
        rates.percent(rates.passed),
        rates.percent(rates.inconclusive),
    );
    rates
}

/// One percentile of all statements together; by themselves their classes show nothing.
fn slower(percentile: usize, times: f64) -> World {
    let mut world = ALIKE;
    world.slower[0][percentile] = times.ln();
    world
}

const DOUBLED: World = World { slower: [[std::f64::consts::LN_2; 3]; 4], ..ALIKE };
const UNSHARED: World = World { shared: 0.0, private: 1.0, ..ALIKE };

#[test]
fn servers_that_are_alike_do_not_fail_and_pass() {
    let rates = simulate("alike", 3_000, ALIKE);
    assert!(rates.most_failing() < 0.5);
    assert!(rates.percent(rates.passed) > 99.0);
    assert!(rates.percent(rates.passed_by_60) > 50.0);
    let rates = simulate("alike, 300/s", 500, World { rate: 300.0, ..ALIKE });
    assert!(rates.most_failing() < 1.5);
    assert!(rates.percent(rates.passed) > 70.0);
}

#[test]
fn noise_that_is_not_shared_is_inconclusive_and_seldom_fails() {
    let rates = simulate("alike, noise not shared", 1_000, UNSHARED);
    assert!(rates.percent(rates.failed) < 4.0);
    assert!(rates.percent(rates.inconclusive) > 60.0);
    let rates = simulate("alike, a third of that noise", 300, World { private: 0.3, ..UNSHARED });
    assert!(rates.percent(rates.failed) < 2.0);
    let rates = simulate("alike, no noise but sampling", 300, World { private: 0.0, ..UNSHARED });
    assert!(rates.most_failing() < 1.5);
    assert!(rates.percent(rates.passed) > 95.0);
}

/// Both arms move alike then. That must not pass for noise that they share, or there are alarms and passes of what is their own.
const ASKED: World = World { asked: 30.0, ..UNSHARED };

#[test]
fn what_both_are_asked_does_not_hide_noise_that_is_not_shared() {
    let a_third = World { asked: 9.0, private: 0.3, ..UNSHARED };
    for (name, trials, world, most) in [
        ("noise not shared, asked what differs", 500, ASKED, 4.5),
        ("a third of that noise, asked what differs", 200, a_third, 2.0),
    ] {
        let rates = simulate(name, trials, world);
        assert!(rates.percent(rates.failed) < most);
        let shared = (0..100).filter(|seed| Simulated::new(world, *seed).noise_looks_shared(60)).count();
        assert!(shared <= 5, "{shared} of 100");
    }
}

#[test]
fn what_both_are_asked_passes_nothing_at_its_margin_to_pass() {
    let slower = World { slower: slower(1, 1.10).slower, ..ASKED };
    let rates = simulate("noise not shared, asked what differs, p95 +10 %", 300, slower);
    assert!(rates.percent(rates.passed) < 7.5);
}

#[test]
fn exactly_at_the_margin_no_more_fail_than_was_granted() {
    let rates = simulate("p95 +5 %, no bias", 1_000, World { bias: 0.0, ..slower(1, 1.05) });
    assert!(rates.percent(rates.failed) < 1.5);
}

#[test]
fn a_slower_tail_fails_in_time() {
    let rates = simulate("p95 +10 %", 1_000, slower(1, 1.10));
    assert!(rates.percent(rates.failed_by[2]) >= 90.0);
    let rates = simulate("p95 +15 %", 700, slower(1, 1.15));
    assert!(rates.percent(rates.failed_by[1]) >= 95.0);
    let rates = simulate("p99 +25 %", 900, slower(2, 1.25));
    assert!(rates.percent(rates.failed_by[2]) >= 95.0);
}

#[test]
fn a_class_whose_index_is_gone_fails_within_a_minute() {
    let mut world = ALIKE;
    world.slower[3] = [1.55_f64.ln(); 3];
    let rates = simulate("5 % of the calls +55 %", 500, world);
    assert!(rates.percent(rates.failed_by[1]) >= 95.0);
}

#[test]
fn gross_faults_fail_within_five_seconds() {
    let rates = simulate("doubled", 400, DOUBLED);
    assert!(rates.percent(rates.failed_by[0]) >= 95.0);
    let later = simulate_until("doubled after 30 s", 400, World { since: 30, ..DOUBLED }, [30, 34, 35]);
    assert!(later.failed_by[0] == 0 && later.percent(later.failed_by[1]) >= 95.0);
    let rates = simulate("5 % of the calls fail", 400, World { failing: 0.05, ..ALIKE });
    assert!(rates.percent(rates.failed_by[0]) >= 95.0);
}

#[test]
fn one_of_four_processes_sees_gross_faults_in_its_part_and_no_others() {
    let seen_by = |world: World| {
        let part = World { rate: 250.0, ..world };
        let seconds = (0..300).filter_map(|seed| Simulated::new(part, seed).gross_fault(4));
        seconds.collect::<Vec<_>>()
    };
    assert!(seen_by(ALIKE).is_empty());
    for world in [DOUBLED, World { failing: 0.05, ..ALIKE }] {
        let in_time = seen_by(world).into_iter().filter(|seconds| *seconds <= 10).count();
        assert!(in_time >= 285, "{in_time} of 300");
    }
}
