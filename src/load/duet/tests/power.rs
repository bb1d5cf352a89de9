//! How often equal servers fail, how often slower ones do, and after what time.

use std::time::Duration;

use statrs::function::beta::inv_beta_reg;

use super::{
    super::{look::LookVerdict, rules::Rules},
    simulation::{ALIKE, Simulated, World},
};

/// How the duets of one world ended.
#[derive(Default)]
struct Rates {
    trials: u32,
    passed: u32,
    failed: u32,
    inconclusive: u32,
    /// Failed or passed within so many seconds: 5, 60, 120.
    failed_by: [u32; 3],
    passed_by: [u32; 3],
}

const BY: [u32; 3] = [5, 60, 120];

fn simulate(name: &str, world: World, trials: u32) -> Rates {
    let rules = Rules::lasting(Duration::from_secs(world.longest.into()));
    let mut rates = Rates { trials, ..Rates::default() };
    for seed in 0..trials {
        let (verdict, seconds) = Simulated::new(world, seed.into()).run(&rules);
        let by = |counts: &mut [u32; 3]| {
            for (count, by) in counts.iter_mut().zip(BY) {
                *count += u32::from(seconds <= by);
            }
        };
        match verdict {
            LookVerdict::Pass => {
                rates.passed += 1;
                by(&mut rates.passed_by);
            }
            LookVerdict::Fail => {
                if std::env::var("SHOW").is_ok() { let mut x=Simulated::new(world, seed.into()); x.run(&rules); println!("{} {}", seconds, super::super::decide::told(&x, seconds, &rules, &super::super::decide::judge(&x, seconds, &rules)).reason); }
                rates.failed += 1;
                by(&mut rates.failed_by);
            }
            _ => rates.inconclusive += 1,
        }
    }
    println!(
        "| {name} | {trials} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} [<= {:.2}] | {:.1} | {:.1} |",
        rates.percent(rates.failed_by[0]),
        rates.percent(rates.failed_by[1]),
        rates.percent(rates.failed_by[2]),
        rates.percent(rates.passed_by[1]),
        rates.percent(rates.failed),
        100.0 * upper_bound(rates.failed, trials),
        rates.percent(rates.passed),
        rates.percent(rates.inconclusive),
    );
    rates
}

impl Rates {
    fn percent(&self, count: u32) -> f64 {
        100.0 * f64::from(count) / f64::from(self.trials)
    }
}

/// Clopper and Pearson's, one-sided, 95 %.
fn upper_bound(count: u32, trials: u32) -> f64 {
    if count == trials {
        return 1.0;
    }
    inv_beta_reg(f64::from(count) + 1.0, f64::from(trials - count), 0.95)
}

/// One percentile of all statements together; their classes show nothing.
fn slower(percentile: usize, times: f64) -> World {
    let mut world = ALIKE;
    world.slower[0][percentile] = f64::ln(times);
    world
}

fn index_gone(class: usize) -> World {
    let mut world = ALIKE;
    world.slower[class + 1] = [1.55_f64.ln(); 3];
    world
}

const UNSHARED: World = World { shared: 0.0, private: 1.0, ..ALIKE };

#[test]
fn explore() {
    let t = |n: u32| std::env::var("TRIALS").map_or(n, |f| f.parse().unwrap());
    if std::env::var("SHOW").is_ok() { simulate("unshared", UNSHARED, t(500)); return; }
    simulate("alike", ALIKE, t(2000));
    simulate("alike, 480 s", World { longest: 480, ..ALIKE }, t(500));
    simulate("alike, 250/s", World { rate: 250.0, ..ALIKE }, t(500));
    simulate("alike, 100/s", World { rate: 100.0, ..ALIKE }, t(500));
    simulate("unshared", UNSHARED, t(500));
    simulate("unshared small", World { private: 0.3, ..UNSHARED }, t(500));
    if std::env::var("LONG").is_ok() { simulate("unshared 1800", World { longest: 1800, ..UNSHARED }, t(50)); }
    simulate("quiet", World { private: 0.0, ..UNSHARED }, t(500));
    simulate("p95 +5 no bias", World { bias: 0.0, ..slower(1, 1.05) }, t(500));
    simulate("p95 +5", slower(1, 1.05), t(500));
    simulate("p95 +10", slower(1, 1.10), t(500));
    simulate("p95 +15", slower(1, 1.15), t(500));
    simulate("p99 +10", slower(2, 1.10), t(500));
    simulate("p99 +25", slower(2, 1.25), t(500));
    simulate("p50 +10", slower(0, 1.10), t(500));
    simulate("class 5 % +55", index_gone(2), t(500));
    simulate("class 10 % +55", index_gone(1), t(500));
    simulate("doubled", World { slower: [[2.0_f64.ln(); 3]; 4], ..ALIKE }, t(500));
    simulate("doubled unshared", World { slower: [[2.0_f64.ln(); 3]; 4], ..UNSHARED }, t(500));
    simulate("5 % fail", World { failing: 0.05, ..ALIKE }, t(500));
    simulate("0.5 % fail", World { failing: 0.005, ..ALIKE }, t(500));
}
