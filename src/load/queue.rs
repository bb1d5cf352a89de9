//! What is due and waits for a free connection, first come, first served.
//!
//! Decides who is woken when something comes: one of those who wait, and nobody else. Those who share the receiver of a channel wake
//! each other as well, which is felt in what a statement costs. Never loses anything, and never takes more than it has room for.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    /// Told once for everything that comes, and to everybody at the end.
    news: Notify,
    room: usize,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    is_over: bool,
}

/// The end that things come in by. Dropping it says that there will be no more.
#[derive(Debug)]
pub(super) struct Sender<T>(Arc<Shared<T>>);

/// The end that things are taken out of, by any number of takers at the same time.
#[derive(Debug)]
pub(super) struct Queue<T>(Arc<Shared<T>>);

/// There was no room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// A queue in which so many may wait.
pub(super) fn queue<T>(room: usize) -> (Sender<T>, Queue<T>) {
    let state = Mutex::new(State { waiting: VecDeque::new(), is_over: false });
    let shared = Arc::new(Shared { state, news: Notify::new(), room });
    (Sender(shared.clone()), Queue(shared))
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing is left half done where the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Sender<T> {
    /// Puts something at the end of the queue.
    pub(super) fn send(&self, item: T) -> Result<(), Full> {
        let mut state = self.0.state();
        if state.waiting.len() >= self.0.room {
            return Err(Full);
        }
        state.waiting.push_back(item);
        drop(state);
        self.0.news.notify_one();
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state().is_over = true;
        self.0.news.notify_waiters();
    }
}

impl<T> Queue<T> {
    /// What has waited longest, as soon as there is something; `None` when there will be nothing any more.
    pub(super) async fn next(&self) -> Option<T> {
        loop {
            let mut news = pin!(self.0.news.notified());
            // Before looking, so that nothing can come unnoticed in between.
            news.as_mut().enable();
            {
                let mut state = self.0.state();
                let item = state.waiting.pop_front();
                if item.is_some() || state.is_over {
                    return item;
                }
            }
            news.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::{task::yield_now, time::timeout};

    use super::*;

    /// Longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn everything_is_taken_once_in_order_and_then_all_learn_that_it_is_over() {
        let (sender, queue) = queue(1_000);
        let take = async |queue: &Queue<u32>| {
            let mut taken = Vec::new();
            while let Some(item) = queue.next().await {
                taken.push(item);
                yield_now().await;
            }
            taken
        };
        let send = async {
            for item in 0..1_000 {
                sender.send(item).unwrap();
                if item % 7 == 0 {
                    yield_now().await;
                }
            }
            drop(sender);
        };
        let all = async { tokio::join!(join_all((0..5).map(|_| take(&queue))), send) };
        let (taken, ()) = timeout(PATIENCE, all).await.expect("nobody waits for what is there");
        assert!(taken.iter().all(|taken| taken.is_sorted() && taken.len() > 100), "{taken:?}");
        let mut all = taken.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1_000));
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_refused_and_the_rest_stays() {
        let (sender, queue) = queue(2);
        assert_eq!([1, 2, 3].map(|item| sender.send(item)), [Ok(()), Ok(()), Err(Full)]);
        drop(sender);
        assert_eq!((queue.next().await, queue.next().await, queue.next().await), (Some(1), Some(2), None));
    }

    #[tokio::test]
    async fn one_who_gives_up_passes_the_news_on() {
        let (sender, queue) = queue(2);
        let queue = Arc::new(queue);
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.next().await })
            })
            .collect();
        yield_now().await;
        sender.send(7).unwrap();
        // It has been told and has not looked yet.
        waiters[0].abort();
        let [gone, other] = <[_; 2]>::try_from(waiters).unwrap();
        assert!(gone.await.unwrap_err().is_cancelled());
        let other = timeout(PATIENCE, other).await.expect("it is told");
        assert_eq!(other.unwrap(), Some(7));
    }
}
