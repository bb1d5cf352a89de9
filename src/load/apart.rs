//! A thread of its own for a load.
//!
//! Pacing and connections share it, and nothing else runs there: what the rest of the process does, such as looking after
//! rollouts, makes no arrival late and no answer look slow.

use std::{io, thread};

use tokio::{runtime::Builder, select, sync::oneshot};

/// Why nothing came of it.
#[derive(thiserror::Error, Debug)]
pub(super) enum Ended {
    #[error("the load generator's thread could not be started ({0}); give the process more resources")]
    NotStarted(#[from] io::Error),
    #[error("the load generator's thread ended early; this is a bug of cutover")]
    Early,
}

/// Carries `work` out on a thread, and in a runtime, of its own. Dropping the future ends both.
pub(super) async fn apart<T: Send + 'static, F: Future<Output = T>>(
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<T, Ended> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut answer, answered) = oneshot::channel();
    thread::Builder::new().name("load".to_owned()).spawn(move || {
        let done = runtime.block_on(async {
            select! {
                biased;
                () = answer.closed() => None,
                done = work() => Some(done),
            }
        });
        // With it goes what is left of the connections. A name that is still being looked up is not waited for.
        runtime.shutdown_background();
        done.map(|done| answer.send(done))
    })?;
    answered.await.map_err(|_| Ended::Early)
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn work_is_done_on_another_thread_and_answers() {
        let here = thread::current().id();
        let there = apart(|| async { thread::current().id() }).await.unwrap();
        assert_ne!(here, there);
    }

    #[tokio::test]
    async fn a_panic_there_is_an_error_here() {
        let ended = apart(|| async { assert_eq!(1, 2) }).await;
        assert!(matches!(ended, Err(Ended::Early)));
    }

    #[tokio::test]
    async fn what_is_not_waited_for_any_more_is_dropped_with_all_that_it_spawned() {
        let (work, spawned) = (CancellationToken::new(), CancellationToken::new());
        let (its, their) = (work.clone().drop_guard(), spawned.clone().drop_guard());
        let (begun, begins) = oneshot::channel();
        let load = apart(move || async move {
            tokio::spawn(async move {
                let _their = their;
                begun.send(()).unwrap();
                std::future::pending::<()>().await;
            });
            let _its = its;
            std::future::pending::<()>().await;
        });
        select! {
            _ = load => unreachable!("it does not end by itself"),
            _ = begins => {}
        }
        work.cancelled().await;
        spawned.cancelled().await;
    }
}
