//! A limit to how long something is waited for, again and again.
//!
//! A timer of its own for each statement would cost as much as the statement's bookkeeping. This one goes on from statement to
//! statement: it is set anew only when it has run out, which most statements do not live to see.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Poll, ready},
    time::{Duration, Instant},
};

use tokio::time::{Sleep, sleep_until};

/// The limit, and its timer.
#[derive(Debug)]
pub(super) struct Patience {
    limit: Duration,
    /// `None` before the first wait.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// What comes of `work`, which begins `now`; `None` if it takes longer than the limit, and is then dropped.
    pub(super) async fn wait_for<T>(&mut self, work: impl Future<Output = T>, now: Instant) -> Option<T> {
        let deadline = now + self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            loop {
                ready!(timer.as_mut().poll(context));
                if Instant::now() >= deadline {
                    return Poll::Ready(None);
                }
                // It was set for an earlier one.
                timer.as_mut().reset(deadline.into());
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn each_has_the_whole_limit_however_long_the_ones_before_it_took() {
        let mut patience = Patience::new(LIMIT);
        for part in [0.9, 0.1, 0.0, 0.7] {
            let brief = sleep(LIMIT.mul_f64(part));
            assert_eq!(patience.wait_for(brief, Instant::now()).await, Some(()));
            let begun = Instant::now();
            assert_eq!(patience.wait_for(pending::<()>(), begun).await, None);
            assert!(begun.elapsed() >= LIMIT);
        }
    }
}
