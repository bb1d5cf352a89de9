//! How far a check has come, on standard error: a bar where that is a terminal, else a line now and then.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, interval_at};

use crate::{checks::Progress, cli::say};

/// How often a bar is drawn.
const REFRESH: Duration = Duration::from_millis(200);
/// Least time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Runs `question` to its end and shows how far it has come meanwhile.
pub(super) async fn watched<T>(name: &str, progress: &Progress, question: impl Future<Output = T>) -> T {
    let mut question = std::pin::pin!(question);
    let shown = Shown::new(name);
    let steps = progress.subscribe();
    let started = Instant::now();
    let period = if std::io::stderr().is_terminal() { REFRESH } else { LINE_EVERY };
    let mut ticks = interval_at(started + period, period);
    loop {
        tokio::select! {
            answer = &mut question => {
                shown.end();
                return answer;
            }
            _ = ticks.tick() => {
                let step = steps.borrow().clone();
                shown.show(&step.what, step.done, step.total, started.elapsed());
            }
        }
    }
}

enum Shown {
    Bar(ProgressBar),
    Lines(String),
}

impl Shown {
    fn new(name: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines(name.to_owned());
        }
        let style = ProgressStyle::with_template("{spinner} {prefix} {wide_bar} {percent}% {msg} {elapsed}");
        let bar = ProgressBar::new(0).with_prefix(name.to_owned());
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self::Bar(bar)
    }

    fn show(&self, what: &str, done: u64, total: u64, elapsed: Duration) {
        match self {
            Self::Bar(bar) => {
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(what.to_owned());
                bar.tick();
            }
            Self::Lines(name) if total > 0 => {
                say(format_args!("{name}: {done} of {total}, {what}, after {} s", elapsed.as_secs()));
            }
            Self::Lines(name) => say(format_args!("{name}: not over after {} s", elapsed.as_secs())),
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
