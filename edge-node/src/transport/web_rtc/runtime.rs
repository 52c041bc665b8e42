//! The library's way to sockets and tasks: Tokio's, with sockets of our own.
//!
//! The library's own socket has the system's small buffers, which overflow at its bursts, and it hands over received
//! datagrams in batches. It acknowledges once a batch, and browsers send only a few packets for each acknowledgement:
//! with a round trip of 40 ms that is the difference between 0.3 and 7 MB/s.

use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::Interest;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, RecvMeta, Runtime,
    TokioRuntime, Transmit, UdpSockRef, UdpSocketState,
};

/// Socket buffers asked for, in bytes; systems cap them.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// Datagrams that a browser sends before the library must have its turn to acknowledge.
const BURST_DATAGRAMS: u32 = 2;

/// Tokio, with other sockets.
#[derive(Debug)]
pub(super) struct ChannelRuntime {
    /// Whether the other side waits for each acknowledgement, as browsers do.
    pub(super) is_paced: bool,
}

impl Runtime for ChannelRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Box<dyn JoinHandle> {
        TokioRuntime.spawn(future)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let buffers = socket2::SockRef::from(&socket);
        // A smaller buffer costs speed, nothing else.
        let _ = buffers.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        let _ = buffers.set_send_buffer_size(SOCKET_BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        let sending = batch_sending(socket.local_addr()?).ok();
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        Ok(Arc::new(ChannelSocket { socket, sending, is_paced: self.is_paced, burst: AtomicU32::new(0) }))
    }

    fn wrap_tcp_listener(&self, _: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn connect_tcp<'a>(
        &'a self,
        _: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<Arc<dyn AsyncTcpStream>>> + Send + 'a>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn resolve_host<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        TokioRuntime.resolve_host(host)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        TokioRuntime.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }
}

/// What the system can send in one call. It is asked about another socket, since asking also lets the socket receive in
/// batches.
fn batch_sending(address: SocketAddr) -> io::Result<UdpSocketState> {
    let unspecified: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let other = std::net::UdpSocket::bind((unspecified, 0))?;
    UdpSocketState::new(UdpSockRef::from(&other))
}

/// A socket that sends in batches and takes one datagram a call.
struct ChannelSocket {
    socket: tokio::net::UdpSocket,
    /// None where the system sends no batches.
    sending: Option<UdpSocketState>,
    is_paced: bool,
    /// Datagrams received since the library last had its turn.
    burst: AtomicU32,
}

impl std::fmt::Debug for ChannelSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ChannelSocket").field(&self.socket).finish()
    }
}

impl AsyncUdpSocket for ChannelSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn poll_send(&self, context: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_send_ready(context))?;
            let sent = match &self.sending {
                Some(sending) => self.socket.try_io(Interest::WRITABLE, || {
                    sending.try_send(UdpSockRef::from(&self.socket), transmit)
                }),
                None => self.socket.try_send_to(transmit.contents, transmit.destination).map(drop),
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent.map(|()| transmit.contents.len())),
            }
        }
    }

    fn max_gso_segments(&self) -> usize {
        self.sending.as_ref().map_or(1, UdpSocketState::max_gso_segments)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (buffers.first_mut(), metas.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        if self.is_paced && self.burst.load(Ordering::Relaxed) >= BURST_DATAGRAMS {
            self.burst.store(0, Ordering::Relaxed);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            ready!(self.socket.poll_recv_ready(context))?;
            match self.socket.try_recv_from(buffer) {
                // Windows tells so that an earlier datagram met nobody.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionReset) => {
                }
                Err(error) => return Poll::Ready(Err(error)),
                Ok((len, address)) => {
                    self.burst.fetch_add(1, Ordering::Relaxed);
                    *meta = RecvMeta::default();
                    (meta.addr, meta.len, meta.stride) = (address, len, len.max(1));
                    return Poll::Ready(Ok(1));
                }
            }
        }
    }
}
