//! A bound on what a server may send.
//!
//! Decides when a session has received too much: the driver holds one message in memory at a time, however large, so
//! a hostile server or a row of a gigabyte could take it all. The bytes are counted below TLS, as they arrive.
//! Never drops or alters a byte: beyond the bound, reading is an error, and the session is over.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::{ErrorClass, Fault};

/// How many more bytes may be received. Shared by the stream and the session that refills it.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    limit: u64,
    left: Arc<AtomicU64>,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, left: Arc::new(AtomicU64::new(limit)) }
    }

    /// Grants the whole bound again, for the next statement.
    pub(super) fn refill(&self) {
        self.left.store(self.limit, Ordering::Relaxed);
    }

    fn spend(&self, received: u64) {
        // Always `Some`, so this can't fail.
        let _ = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(received)));
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    /// What is wrong with a session whose bound is used up.
    pub(super) fn fault(&self) -> Option<Fault> {
        if !self.is_exceeded() {
            return None;
        }
        tracing::debug!(limit_bytes = self.limit, "byte budget exceeded");
        Some(Fault::local(ErrorClass::TooMuchData))
    }
}

/// A stream that fails once its [`Budget`] is used up.
#[derive(Debug)]
pub(super) struct ByteBudget<S> {
    stream: S,
    budget: Budget,
}

impl<S> ByteBudget<S> {
    pub(super) fn new(stream: S, budget: Budget) -> Self {
        Self { stream, budget }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ByteBudget<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.budget.is_exceeded() {
            return Poll::Ready(Err(io::Error::other("byte budget exceeded")));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let received = u64::try_from(buf.filled().len() - before).unwrap_or(u64::MAX);
        self.budget.spend(received);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ByteBudget<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn reading_fails_once_the_budget_is_used_up_and_goes_on_after_a_refill() {
        let budget = Budget::new(4);
        let mut stream = ByteBudget::new([7_u8; 12].as_slice(), budget.clone());
        let mut four = [0; 4];
        stream.read_exact(&mut four).await.unwrap();
        assert!(budget.is_exceeded());
        stream.read_exact(&mut four).await.unwrap_err();
        budget.refill();
        stream.read_exact(&mut four).await.unwrap();
    }
}
