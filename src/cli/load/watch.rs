//! How far a load has come, on standard error: one line that is kept up to date where that is a terminal, else a line now
//! and then.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    sync::watch::Receiver,
    time::{Instant, interval_at},
};

use crate::{
    cli::say,
    load::{ArmProgress, LoadProgress},
    text::milliseconds,
};

/// How often the line is drawn.
const REFRESH: Duration = Duration::from_millis(500);
/// Time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Carries `load` out and shows how far it has come meanwhile.
pub(super) async fn watched<T>(told: Receiver<LoadProgress>, load: impl Future<Output = T>) -> T {
    let mut load = std::pin::pin!(load);
    let bar = std::io::stderr().is_terminal().then(bar);
    let period = if bar.is_some() { REFRESH } else { LINE_EVERY };
    let mut ticks = interval_at(Instant::now() + period, period);
    loop {
        tokio::select! {
            done = &mut load => {
                bar.iter().for_each(ProgressBar::finish_and_clear);
                return done;
            }
            _ = ticks.tick() => {
                let (line, progress) = (line(&told.borrow()), *told.borrow());
                match &bar {
                    Some(bar) => {
                        bar.set_length(progress.duration.as_secs());
                        bar.set_position(progress.elapsed.as_secs());
                        bar.set_message(line);
                    }
                    None => say(line),
                }
            }
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} s {msg}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn line(progress: &LoadProgress) -> String {
    if progress.elapsed.is_zero() {
        return "warming up".to_owned();
    }
    let seconds = progress.elapsed.as_secs().max(1);
    let sides = [("legacy", progress.legacy), ("candidate", progress.candidate)];
    let sides: Vec<_> =
        sides.into_iter().filter_map(|(name, side)| Some(side_told(name, &side?, seconds))).collect();
    format!("{} of {} s; {}", progress.elapsed.as_secs(), progress.duration.as_secs(), sides.join("; "))
}

fn side_told(name: &str, side: &ArmProgress, seconds: u64) -> String {
    let told = |us: Option<u64>| us.map_or_else(|| "none".to_owned(), milliseconds);
    format!(
        "{name} {}/s, p50 {}, p95 {}, p99 {}, {} failed",
        side.ok / seconds,
        told(side.p50_us),
        told(side.p95_us),
        told(side.p99_us),
        side.failed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_rate_percentiles_and_failures_of_each_side_that_is_loaded() {
        let candidate =
            ArmProgress { ok: 6_000, failed: 12, p50_us: Some(400), p95_us: Some(2_500), p99_us: None };
        let progress = LoadProgress {
            elapsed: Duration::from_secs(12),
            duration: Duration::from_secs(60),
            candidate: Some(candidate),
            ..LoadProgress::default()
        };
        let told = "12 of 60 s; candidate 500/s, p50 0.400 ms, p95 2.500 ms, p99 none, 12 failed";
        assert_eq!(line(&progress), told);
        assert_eq!(line(&LoadProgress::default()), "warming up");
    }
}
