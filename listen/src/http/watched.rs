//! A connection that ends itself when its peer does nothing, or reads so slowly that it only holds a place.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::Meter;

/// Least bytes that a peer must take within the window while there is something to send.
const WRITE_BYTES_MIN: u64 = 16 << 10;

/// The connection. A window that ends without progress ends the connection.
pub(super) struct Watched<S> {
    stream: S,
    meter: Arc<dyn Meter>,
    window: Duration,
    timer: Pin<Box<Sleep>>,
    /// Bytes moved in this window, either way.
    moved: u64,
    /// The peer takes no more for now.
    is_write_waiting: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, meter: Arc<dyn Meter>, window: Duration) -> Self {
        let timer = Box::pin(tokio::time::sleep(window));
        Self { stream, meter, window, timer, moved: 0, is_write_waiting: false }
    }

    /// Pending, or an error once the window ends without progress.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let wanted = if self.is_write_waiting { WRITE_BYTES_MIN } else { 1 };
            if self.moved < wanted {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.moved = 0;
            self.timer.as_mut().reset(Instant::now() + self.window);
        }
    }

    fn written(
        &mut self,
        context: &mut Context<'_>,
        poll: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.is_write_waiting = poll.is_pending();
        match poll {
            Poll::Pending => self.wait(context),
            Poll::Ready(result) => {
                let bytes = result?;
                self.moved += bytes as u64;
                self.meter.wire(bytes);
                Poll::Ready(Ok(bytes))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let poll = Pin::new(&mut this.stream).poll_read(context, buffer);
        if poll.is_pending() {
            return this.wait(context);
        }
        this.moved += (buffer.filled().len() - before) as u64;
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.written(context, poll)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.written(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Meter for Counted {
        fn wire(&self, bytes: usize) {
            self.0.fetch_add(bytes, Relaxed);
        }
    }

    #[tokio::test]
    async fn an_idle_peer_is_left() {
        let (_peer, stream) = duplex(1024);
        let mut watched = Watched::new(stream, Arc::new(()), Duration::from_millis(20));
        let error = watched.read_u8().await.expect_err("idle");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_takes_too_little_is_left() {
        // It takes less than WRITE_BYTES_MIN, which would do for one that has nothing to take.
        let (_peer, stream) = duplex(WRITE_BYTES_MIN as usize - 1);
        let mut watched = Watched::new(stream, Arc::new(()), Duration::from_millis(20));
        let error = watched.write_all(&vec![0; 1 << 20]).await.expect_err("slow");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_takes_all_is_served_and_counted() {
        let (mut peer, stream) = duplex(16 << 10);
        let counted = Arc::new(Counted::default());
        let mut watched = Watched::new(stream, counted.clone(), Duration::from_secs(60));
        let reading = tokio::spawn(async move {
            let mut taken = Vec::new();
            peer.read_to_end(&mut taken).await.map(|_| taken.len())
        });
        watched.write_all(&vec![0; 1 << 20]).await.expect("served");
        drop(watched);
        assert_eq!(reading.await.expect("no panic").expect("read"), 1 << 20);
        assert_eq!(counted.0.load(Relaxed), 1 << 20);
    }
}
