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

/// How busy a thread was while it was busiest: in the busiest span of a load, a tenth of it or more. Over all of it a ramp, or a wait
/// for its beginning, would hide that.
#[derive(Debug)]
pub(super) struct Busy {
    span: Duration,
    /// Of the present span, which is in the future before the load begins.
    begun: Instant,
    /// The thread's time then.
    spent: Duration,
    most_permille: u32,
}

impl Busy {
    /// Of this thread, from `start` on, for a load of that length.
    pub(super) fn new(start: Instant, length: Duration) -> Self {
        let span = (length / SPANS).max(SPAN.min(length));
        Self { span, begun: start, spent: of(ClockId::ThreadCPUTime), most_permille: 0 }
    }

    /// To be called now and then, by the thread itself.
    pub(super) fn look(&mut self) {
        let elapsed = self.begun.elapsed();
        if elapsed.is_zero() {
            self.spent = of(ClockId::ThreadCPUTime);
        } else if elapsed >= self.span {
            self.close(elapsed);
        }
    }

    /// In thousandths of the time, when the load is over.
    pub(super) fn most_permille(mut self) -> u32 {
        let elapsed = self.begun.elapsed();
        // The rest of a span tells something only if it is much of one.
        if elapsed >= self.span / 2 {
            self.close(elapsed);
        }
        self.most_permille
    }

    fn close(&mut self, elapsed: Duration) {
        let spent = of(ClockId::ThreadCPUTime);
        let own = spent.saturating_sub(self.spent);
        let permille = own.as_micros() * 1_000 / elapsed.as_micros().max(1);
        self.most_permille = self.most_permille.max(u32::try_from(permille).unwrap_or(u32::MAX));
        (self.begun, self.spent) = (self.begun + elapsed, spent);
    }
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
    fn the_busiest_span_counts_and_what_came_before_the_beginning_does_not() {
        let long = Duration::from_millis(40);
        let mut busy = Busy::new(Instant::now() + Duration::from_secs(3_600), long);
        spend(long);
        busy.look();
        assert_eq!(busy.most_permille, 0);
        busy.begun = Instant::now();
        std::thread::sleep(long * 2);
        let begun = Instant::now();
        busy.look();
        let idle = busy.most_permille;
        assert!(idle < 200, "{idle}");
        spend(long);
        // However long the machine took for it.
        let seen = u128::from(busy.most_permille());
        let least = long.as_micros() * 1_000 / begun.elapsed().as_micros();
        assert!(seen + 1 >= least.max(idle.into()), "{seen} of {least}");
    }
}
