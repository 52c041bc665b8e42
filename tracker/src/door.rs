//! The TCP side: how many connections there may be, and how long one may take to become a client.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use freshet_listen::{Secured, Tls};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use crate::counters::Counters;

/// Kernel memory for what a client has not read yet, in bytes; small, since messages are, and connections are many.
const SEND_BUFFER_BYTES: usize = 64 << 10;
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 55\r\n\
    Connection: close\r\n\r\nthis tracker has no room for more clients; use origin.\n";

/// Accepts connections up to a number; beyond it, each is told so where it can be, and closed.
pub(crate) struct Door {
    listener: TcpListener,
    tls: Option<Tls>,
    places: Arc<Semaphore>,
    counters: Arc<Counters>,
    patience: Duration,
}

impl Door {
    pub(crate) fn new(
        listener: TcpListener,
        tls: Option<Tls>,
        connections_max: usize,
        patience: Duration,
        counters: Arc<Counters>,
    ) -> Self {
        Self { listener, tls, places: Arc::new(Semaphore::new(connections_max)), counters, patience }
    }
}

impl Listener for Door {
    type Io = Guarded;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guarded, SocketAddr) {
        loop {
            // The listener of the framework waits out lasting errors, like having no file descriptors left.
            let (stream, address) = Listener::accept(&mut self.listener).await;
            let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
                self.counters.connections_refused.add(1);
                // Over TLS it would take a handshake, which is most of what a client costs.
                if self.tls.is_none() {
                    // As far as it goes: who is refused may not wait for the answer.
                    let _ = stream.try_write(FULL);
                }
                continue;
            };
            self.counters.connections.add(1);
            // Without these a connection works too, only slower or with more memory.
            let _ = stream.set_nodelay(true);
            let _ = socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES);
            let guarded = Guarded {
                stream: Secured::new(stream, self.tls.as_ref()),
                patience: Box::pin(tokio::time::sleep(self.patience)),
                admission: Admission::default(),
                _place: place,
            };
            return (guarded, address);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Lifts the time limit of a connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Admission(Arc<AtomicBool>);

impl Admission {
    /// The client has proved its key.
    pub(crate) fn grant(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_granted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// A proxy's, where one stands between.
    pub(crate) address: SocketAddr,
    pub(crate) admission: Admission,
}

impl Connected<IncomingStream<'_, Door>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self { address: *stream.remote_addr(), admission: stream.io().admission.clone() }
    }
}

/// A connection that ends by itself unless it is admitted in time. It holds its place until it is closed.
pub(crate) struct Guarded {
    /// Dropped first, so that whoever sees the connection closed finds its place free.
    _place: OwnedSemaphorePermit,
    stream: Secured<TcpStream>,
    patience: Pin<Box<Sleep>>,
    admission: Admission,
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.admission.is_granted() && self.patience.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_refusal_says_its_length() {
        let text = std::str::from_utf8(super::FULL).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }
}
