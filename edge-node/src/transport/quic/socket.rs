//! The node's one UDP socket, which lets datagrams gather before it is read.
//!
//! A system's event queue wakes a program for each datagram that comes, and again for each one that has left, since
//! that makes room to send. At the rates of homes that is thousands of wake-ups a second, which cost a fifth of a
//! node's CPU. So while datagrams come and go steadily the queue does not watch the socket: it is read by the clock.
//! Only a quiet socket, which should answer at once, and a fast one, where datagrams gather by themselves, are left to
//! the queue.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::io::Interest;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep};

use super::aside::{Aside, Sorter};
use super::datagrams::Datagrams;
use super::gather::{By, GATHER_TIME, Gather};

/// When to try again to send where the system had no room. The smallest send buffers hold more than leaves meanwhile.
const ROOM_TIME: Duration = Duration::from_millis(1);

/// The socket as QUIC's endpoint sees it.
#[derive(Debug)]
pub(super) struct GatheringSocket {
    socket: UdpSocket,
    datagrams: Datagrams,
    /// The last datagram to send found no room.
    is_full: AtomicBool,
    /// Sends since the socket was last read.
    sends: AtomicU32,
    reading: Mutex<Reading>,
    sorter: Sorter,
}

#[derive(Debug)]
struct Reading {
    gather: Gather,
    watch: Watch,
}

/// How the next datagram is noticed.
#[derive(Debug)]
enum Watch {
    /// Registered while it is here.
    Queue(tokio::net::UdpSocket),
    Clock {
        gathering: Pin<Box<Sleep>>,
        is_over: bool,
    },
}

impl GatheringSocket {
    /// Takes a bound socket; what is not QUIC's goes to `aside`.
    ///
    /// # Errors
    /// When the system does not let the socket be set up or watched.
    pub(super) fn new(socket: UdpSocket, aside: mpsc::Sender<Aside>) -> io::Result<Self> {
        let datagrams = Datagrams::of(&socket)?;
        let reading =
            Mutex::new(Reading { gather: Gather::new(Instant::now()), watch: Watch::queue(&socket)? });
        let (is_full, sends) = (AtomicBool::new(false), AtomicU32::new(0));
        Ok(Self { socket, datagrams, is_full, sends, reading, sorter: Sorter::new(aside) })
    }

    /// Sends a datagram that is not QUIC's.
    pub(super) fn send_aside(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.socket.send_to(datagram, to).map(drop)
    }

    fn take_sends(&self) -> u32 {
        self.sends.swap(0, Ordering::Relaxed)
    }
}

impl AsyncUdpSocket for GatheringSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Room { socket: self, wait: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sent = self.datagrams.send(&self.socket, transmit);
        self.sends.fetch_add(1, Ordering::Relaxed);
        if sent.as_ref().is_err_and(is_would_block) {
            self.is_full.store(true, Ordering::Relaxed);
        }
        sent
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut receive = || self.datagrams.receive(&self.socket, buffers, metas);
        let count = loop {
            let received = match &mut reading.watch {
                Watch::Queue(socket) => {
                    ready!(socket.poll_recv_ready(context))?;
                    socket.try_io(Interest::READABLE, &mut receive)
                }
                Watch::Clock { gathering, is_over } => {
                    if !*is_over {
                        ready!(gathering.as_mut().poll(context));
                        *is_over = true;
                    }
                    receive()
                }
            };
            match received {
                Err(error) if is_would_block(&error) => reading.emptied(self.take_sends(), &self.socket)?,
                received => break received?,
            }
        };
        self.sorter.sort(buffers, &mut metas[..count]);
        reading.received(metas[..count].iter().map(|meta| meta.len).sum(), self.take_sends());
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.datagrams.max_send_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.datagrams.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.datagrams.may_fragment()
    }
}

impl Reading {
    fn received(&mut self, bytes: usize, sends: u32) {
        self.gather.received(bytes, sends, Instant::now());
        if self.gather.by() == By::Clock && matches!(self.watch, Watch::Queue(_)) {
            self.watch = Watch::Clock { gathering: Box::pin(sleep(GATHER_TIME)), is_over: false };
        }
    }

    fn emptied(&mut self, sends: u32, socket: &UdpSocket) -> io::Result<()> {
        // The queue has said so too early, and goes on to wait.
        let Watch::Clock { gathering, is_over } = &mut self.watch else { return Ok(()) };
        let now = Instant::now();
        self.gather.emptied(sends, now);
        match self.gather.by() {
            By::Queue => self.watch = Watch::queue(socket)?,
            By::Clock => {
                gathering.as_mut().reset(now + GATHER_TIME);
                *is_over = false;
            }
        }
        Ok(())
    }
}

impl Watch {
    fn queue(socket: &UdpSocket) -> io::Result<Self> {
        tokio::net::UdpSocket::from_std(socket.try_clone()?).map(Self::Queue)
    }
}

/// Where a connection waits for room to send.
#[derive(Debug)]
struct Room {
    socket: Arc<GatheringSocket>,
    wait: Option<Pin<Box<Sleep>>>,
}

impl UdpPoller for Room {
    fn poll_writable(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.wait.is_none() && !self.socket.is_full.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let wait = self.wait.get_or_insert_with(|| Box::pin(sleep(ROOM_TIME)));
        ready!(wait.as_mut().poll(context));
        self.wait = None;
        self.socket.is_full.store(false, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

fn is_would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
