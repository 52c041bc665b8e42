//! A connection that may be one over TLS. Its handshake is part of its first reading or writing, so whoever accepts
//! connections never waits for one client's handshake, and what bounds the connection bounds the handshake too.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_rustls::Accept;
use tokio_rustls::server::TlsStream;

use super::Tls;

/// The connection, plain or over TLS.
pub struct Secured<S>(State<S>);

enum State<S> {
    Plain(S),
    // Boxed, since a TLS session is much larger than a plain stream.
    Handshaking(Box<Handshake<S>>),
    Open(Box<TlsStream<S>>),
    Ended,
}

struct Handshake<S> {
    /// Dropped first, so that whoever sees the connection closed finds it counted.
    counted: Counted,
    accept: Accept<S>,
    timer: Pin<Box<Sleep>>,
}

/// Counts a handshake that ends before it is done, in whichever way.
struct Counted {
    tls: Tls,
    is_done: bool,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.is_done {
            self.tls.0.handshakes_failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Secured<S> {
    /// Over TLS where there is one, plain otherwise.
    pub fn new(stream: S, tls: Option<&Tls>) -> Self {
        match tls {
            Some(tls) => tls.secure(stream),
            None => Self(State::Plain(stream)),
        }
    }

    pub(super) fn handshaking(stream: S, tls: &Tls) -> Self {
        let accept = tls.0.acceptor.accept(stream);
        let timer = Box::pin(tokio::time::sleep(tls.0.options.handshake_timeout));
        let counted = Counted { tls: tls.clone(), is_done: false };
        Self(State::Handshaking(Box::new(Handshake { counted, accept, timer })))
    }

    /// The stream to read from and write to, once the handshake is done.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Stream>>> {
        if let State::Handshaking(handshake) = &mut self.0 {
            let result = match Pin::new(&mut handshake.accept).poll(context) {
                Poll::Ready(result) => result,
                Poll::Pending => {
                    ready!(handshake.timer.as_mut().poll(context));
                    Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long"))
                }
            };
            handshake.counted.is_done = result.is_ok();
            // Drops what failed, and with it the connection.
            self.0 = State::Ended;
            self.0 = State::Open(Box::new(result?));
        }
        Poll::Ready(match &mut self.0 {
            State::Plain(stream) => Ok(Pin::new(stream)),
            State::Open(stream) => Ok(Pin::new(&mut **stream)),
            State::Handshaking(_) | State::Ended => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.get_mut().poll_open(context))?.poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.get_mut().poll_open(context))?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.get_mut().poll_open(context))?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            State::Plain(stream) => stream.is_write_vectored(),
            // As TLS streams do.
            State::Handshaking(_) | State::Open(_) | State::Ended => true,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            State::Plain(stream) => Pin::new(stream).poll_flush(context),
            State::Open(stream) => Pin::new(&mut **stream).poll_flush(context),
            // Nothing has been written yet.
            State::Handshaking(_) | State::Ended => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.0 {
            State::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            State::Open(stream) => Pin::new(&mut **stream).poll_shutdown(context),
            State::Handshaking(_) | State::Ended => {
                this.0 = State::Ended;
                Poll::Ready(Ok(()))
            }
        }
    }
}
