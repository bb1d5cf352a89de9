//! The processor time that this process and its threads have taken.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Of all threads of this process, since it began.
pub(super) fn time() -> Duration {
    of(ClockId::ProcessCPUTime)
}

fn of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Least length of a span.
const SPAN: Duration = Duration::from_secs(5);
/// So many of them are in the whole of a long load.
const SPANS: u32 = 10;
/// Between two readings at least, so that a load of hours keeps a few thousand.
const APART: Duration = Duration::from_secs(1);

/// How busy a thread was while it was busiest: in the busiest span of a load, a tenth of it or more. Over all of it a ramp, or a wait
/// for its beginning, would hide that. How long a span is turns out at the end only: a load may end long before it has to.
#[derive(Debug)]
pub(super) struct Busy {
    apart: Duration,
    least: Duration,
    /// When the load begins, which may be in the future, or the thread was looked at since; and its own time then. Never empty.
    readings: Vec<(Instant, Duration)>,
}

impl Busy {
    /// Of this thread, from `start` on, for a load of at most that length.
    pub(super) fn new(start: Instant, longest: Duration) -> Self {
        let least = SPAN.min(longest);
        Self { apart: APART.min(least / 5), least, readings: vec![(start, of(ClockId::ThreadCPUTime))] }
    }

    /// To be called now and then, by the thread itself.
    pub(super) fn look(&mut self) {
        let Some((last, spent)) = self.readings.last_mut() else { return };
        let elapsed = last.elapsed();
        if elapsed.is_zero() {
            *spent = of(ClockId::ThreadCPUTime);
        } else if elapsed >= self.apart {
            self.read();
        }
    }

    /// In thousandths of the time, when the load is over.
    pub(super) fn most_permille(mut self) -> u32 {
        self.read();
        let (Some((first, _)), Some((last, _))) = (self.readings.first(), self.readings.last()) else {
            return 0;
        };
        busiest(&self.readings, self.span(last.saturating_duration_since(*first)))
    }

    /// Of a load that took so long.
    fn span(&self, length: Duration) -> Duration {
        (length / SPANS).max(self.least.min(length))
    }

    fn read(&mut self) {
        self.readings.push((Instant::now(), of(ClockId::ThreadCPUTime)));
    }
}

/// In thousandths: of every reading and the first one that is a span later.
fn busiest(readings: &[(Instant, Duration)], span: Duration) -> u32 {
    let from = |(index, (begun, spent)): (usize, &(Instant, Duration))| {
        let later = readings[index..].iter().find(|(at, _)| at.saturating_duration_since(*begun) >= span)?;
        let (elapsed, own) = (later.0.saturating_duration_since(*begun), later.1.saturating_sub(*spent));
        Some(own.as_micros() * 1_000 / elapsed.as_micros().max(1))
    };
    let most = readings.iter().enumerate().filter_map(from).max().unwrap_or(0);
    u32::try_from(most).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the thread busy until it has spent so much.
    fn spend(length: Duration) {
        let begun = of(ClockId::ThreadCPUTime);
        while of(ClockId::ThreadCPUTime) < begun + length {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn the_thread_is_read_from_the_beginning_on_and_what_came_before_does_not_count() {
        let long = Duration::from_millis(40);
        let mut busy = Busy::new(Instant::now() + Duration::from_secs(3_600), long);
        spend(long);
        busy.look();
        assert_eq!(busy.readings.len(), 1);
        let begun = Instant::now();
        busy.readings[0].0 = begun;
        spend(long);
        // However long the machine took for it.
        let seen = u128::from(busy.most_permille());
        let least = long.as_micros() * 1_000 / begun.elapsed().as_micros();
        assert!(seen + 1 >= least, "{seen} of {least}");
    }

    /// Read every second; so busy in each, in thousandths.
    fn read(permilles: impl IntoIterator<Item = u64>) -> Busy {
        let mut busy = Busy::new(Instant::now(), Duration::from_secs(1_800));
        busy.readings[0].1 = Duration::ZERO;
        for permille in permilles {
            let (at, spent) = busy.readings[busy.readings.len() - 1];
            busy.readings.push((at + Duration::from_secs(1), spent + Duration::from_millis(permille)));
        }
        busy
    }

    fn most_permille(busy: &Busy) -> u32 {
        let length = busy.readings[busy.readings.len() - 1].0 - busy.readings[0].0;
        busiest(&busy.readings, busy.span(length))
    }

    #[test]
    fn a_load_that_ends_long_before_it_has_to_is_as_busy_as_it_was() {
        assert_eq!(most_permille(&read(vec![900; 70])), 900);
        assert_eq!(most_permille(&read(vec![900; 3])), 900, "less than a span");
        assert_eq!(most_permille(&read([])), 0);
    }

    #[test]
    fn the_busiest_tenth_counts_wherever_it_begins_and_a_moment_does_not() {
        let burst =
            |seconds| (0..100).map(move |at| if (23..23 + seconds).contains(&at) { 1_000 } else { 200 });
        assert_eq!(most_permille(&read(burst(10))), 1_000);
        assert_eq!(most_permille(&read(burst(1))), 280);
    }
}
