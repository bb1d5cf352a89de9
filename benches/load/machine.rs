//! What the machine says about itself.

use std::time::Duration;

/// Clock ticks in a second, as Linux tells them to programs.
const TICKS: u64 = 100;

/// The processor time of all processes that this one has started and seen end.
pub fn processor_time_of_children() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this process runs");
    // After the name, which may hold spaces, in parentheses.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let ticks: u64 =
        fields.split(' ').skip(13).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// Processes that want to run, on average over a minute.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").expect("Linux tells");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("a number")
}

/// What the processors have done since the machine began.
#[derive(Clone, Copy)]
pub struct Processors {
    all: u64,
    idle: u64,
}

impl Processors {
    pub fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").expect("Linux tells");
        let line = stat.lines().next().expect("a line");
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).take(8).map(|field| field.parse().expect("ticks")).collect();
        Self { all: ticks.iter().sum(), idle: ticks[3] + ticks[4] }
    }

    /// The share of their time that they were busy since then, in percent.
    pub fn busy_percent(self) -> f64 {
        let now = Self::now();
        let all = figure(now.all - self.all).max(1.0);
        100.0 * (1.0 - figure(now.idle - self.idle) / all)
    }
}

/// Counts of benchmarks stay far below 2^53.
#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn figure(count: u64) -> f64 {
    count as f64
}
