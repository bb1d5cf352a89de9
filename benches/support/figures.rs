//! Samples, their percentiles, and the targets that they are held against.

use std::{process::ExitCode, time::Duration};

/// Measured times, in ascending order.
pub struct Samples(Vec<Duration>);

impl Samples {
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// Nearest rank: of 50 samples, the 99th percentile is the slowest.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0[rank.max(1) - 1]
    }

    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    pub fn mean(&self) -> Duration {
        self.0.iter().sum::<Duration>() / u32::try_from(self.0.len()).expect("few samples")
    }

    pub fn p99(&self) -> Duration {
        self.percentile(99)
    }

    pub fn max(&self) -> Duration {
        self.percentile(100)
    }
}

pub fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The targets, met or missed.
#[derive(Default)]
pub struct Targets {
    missed: usize,
}

impl Targets {
    /// Says whether `value` is below `limit`.
    pub fn below(&mut self, what: &str, value: f64, limit: f64, unit: &str) {
        let met = value < limit;
        self.missed += usize::from(!met);
        let verdict = if met { "met" } else { "MISSED" };
        println!("target {verdict}: {what}: {value:.1} {unit}, to be below {limit} {unit}");
    }

    /// Says whether nothing was counted.
    pub fn none(&mut self, what: &str, count: usize) {
        self.missed += usize::from(count > 0);
        let verdict = if count == 0 { "met" } else { "MISSED" };
        println!("target {verdict}: {what}: {count}, to be none");
    }

    /// A benchmark that misses a target fails.
    pub fn exit_code(&self) -> ExitCode {
        if self.missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Under `cargo bench`, and not where cargo only tries whether benchmarks start.
pub fn is_bench() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}
