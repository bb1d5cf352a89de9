//! A stream that can be taken back from whom it was lent to.
//!
//! Decides how a session's socket comes from the driver, which keeps to itself what it is given, to [`super::wire`]. Once the
//! stream was taken back, whatever the borrower still tries to do with it is an error; once the borrower is gone, so is the stream.
//! Never holds a byte back; reads the server's greeting along.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use super::greeting::{Greeting, Process};

/// What a session's bytes go through: TCP, or TLS above it.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// The stream, as its borrower sees it.
pub(super) struct Lent<S> {
    stream: Arc<Mutex<Option<S>>>,
    greeting: Greeting,
}

impl<S> Drop for Lent<S> {
    fn drop(&mut self) {
        lock(&self.stream).take();
    }
}

/// Takes the stream back.
#[derive(Clone)]
pub(super) struct Lender {
    stream: Arc<dyn Fn() -> Option<Box<dyn Socket>> + Send + Sync>,
    process: Process,
}

impl fmt::Debug for Lender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lender").finish_non_exhaustive()
    }
}

impl Lender {
    /// `None` if the borrower is done with it, or if it was taken back before.
    pub(super) fn take_back(&self) -> Option<Box<dyn Socket>> {
        (self.stream)()
    }

    /// The server process that the login was answered for, where one was named.
    pub(super) fn process(&self) -> Option<i32> {
        self.process.get().copied()
    }
}

impl<S: Socket + 'static> Lent<S> {
    pub(super) fn new(stream: S) -> (Self, Lender) {
        let shared = Arc::new(Mutex::new(Some(stream)));
        let process = Process::default();
        let lent = Self { stream: shared.clone(), greeting: Greeting::new(process.clone()) };
        let take_back = move || {
            let stream = lock(&shared).take()?;
            Some(Box::new(stream) as Box<dyn Socket>)
        };
        (lent, Lender { stream: Arc::new(take_back), process })
    }
}

fn lock<S>(shared: &Mutex<Option<S>>) -> MutexGuard<'_, Option<S>> {
    // Nothing is left half done where the lock is held but by the stream itself.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Unpin> Lent<S> {
    fn with<T>(&self, then: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match lock(&self.stream).as_mut() {
            Some(stream) => then(Pin::new(stream)),
            None => Poll::Ready(Err(io::Error::other("the stream was taken back"))),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lent<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = self.with(|stream| stream.poll_read(cx, buf));
        self.greeting.read(&buf.filled()[before..]);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lent<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}

impl<S: TlsStream + Unpin> TlsStream for Lent<S> {
    fn channel_binding(&self) -> ChannelBinding {
        lock(&self.stream).as_ref().map_or_else(ChannelBinding::none, TlsStream::channel_binding)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_borrower_that_is_done_closes_the_stream() {
        let (near, mut far) = duplex(64);
        let (lent, lender) = Lent::new(near);
        drop(lent);
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
        assert!(lender.take_back().is_none());
    }

    #[tokio::test]
    async fn the_borrower_uses_the_stream_until_it_is_taken_back_and_then_no_more() {
        let (near, mut far) = duplex(64);
        let (mut lent, lender) = Lent::new(near);
        lent.write_all(b"one").await.unwrap();
        let mut stream = lender.take_back().unwrap();
        assert!(lender.take_back().is_none());
        lent.write_all(b"no").await.unwrap_err();
        lent.read_u8().await.unwrap_err();
        drop(lent);
        stream.write_all(b"two").await.unwrap();
        drop(stream);
        let mut seen = Vec::new();
        far.read_to_end(&mut seen).await.unwrap();
        assert_eq!(seen, b"onetwo");
    }
}
