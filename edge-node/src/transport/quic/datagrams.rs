//! Datagrams in and out of a socket: many with one call and with their marks, where the system can do that, or one by one.
//! Wine cannot.

use std::io::{self, IoSliceMut};
use std::net::UdpSocket;

use quinn::udp::{RecvMeta, Transmit, UdpSocketState};

/// Resets in a row that are passed over: each stands for a datagram that went to nobody.
const RESETS_MAX: usize = 64;

#[derive(Debug)]
pub(super) enum Datagrams {
    Many(UdpSocketState),
    Single,
}

impl Datagrams {
    /// Finds out what can be done with a socket, which waits for nothing from then on.
    ///
    /// # Errors
    /// When not even that can be had.
    pub(super) fn of(socket: &UdpSocket) -> io::Result<Self> {
        match UdpSocketState::new(socket.into()) {
            Ok(state) => Ok(Self::Many(state)),
            Err(error) => {
                tracing::debug!(%error, "datagrams go one by one");
                socket.set_nonblocking(true)?;
                Ok(Self::Single)
            }
        }
    }

    pub(super) fn send(&self, socket: &UdpSocket, transmit: &Transmit<'_>) -> io::Result<()> {
        match self {
            Self::Many(state) => state.send(socket.into(), transmit),
            Self::Single => match socket.send_to(transmit.contents, transmit.destination) {
                // As the other way does: what cannot be sent is lost, as on any line.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    tracing::debug!(%error, to = %transmit.destination, "a datagram is not sent");
                    Ok(())
                }
                result => result.map(drop),
            },
        }
    }

    pub(super) fn receive(
        &self,
        socket: &UdpSocket,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> io::Result<usize> {
        match self {
            Self::Many(state) => state.recv(socket.into(), buffers, metas),
            Self::Single => {
                let (Some(buffer), Some(meta)) = (buffers.first_mut(), metas.first_mut()) else {
                    return Ok(0);
                };
                let (len, addr) = receive_one(socket, buffer)?;
                *meta = RecvMeta::default();
                (meta.addr, meta.len, meta.stride) = (addr, len, len);
                Ok(1)
            }
        }
    }

    pub(super) fn max_send_segments(&self) -> usize {
        match self {
            Self::Many(state) => state.max_gso_segments(),
            Self::Single => 1,
        }
    }

    pub(super) fn max_receive_segments(&self) -> usize {
        match self {
            Self::Many(state) => state.gro_segments(),
            Self::Single => 1,
        }
    }

    pub(super) fn may_fragment(&self) -> bool {
        match self {
            Self::Many(state) => state.may_fragment(),
            Self::Single => true,
        }
    }
}

/// Windows tells of datagrams that reached nobody where the next one is read.
fn receive_one(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, std::net::SocketAddr)> {
    for _ in 0..RESETS_MAX {
        match socket.recv_from(buffer) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            received => return received,
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_by_one_they_come_whole_and_in_order() {
        let [one, two] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("bound"));
        for socket in [&one, &two] {
            socket.set_nonblocking(true).expect("set");
        }
        let mut buffer = [0; 2000];
        let mut receive = |metas: &mut [RecvMeta]| {
            Datagrams::Single.receive(&two, &mut [IoSliceMut::new(&mut buffer)], metas)
        };
        let mut metas = [RecvMeta::default()];
        assert_eq!(receive(&mut metas).expect_err("nothing yet").kind(), io::ErrorKind::WouldBlock);
        assert_eq!(receive(&mut []).expect("no room"), 0);
        for len in [1, 1200, 0] {
            let contents = vec![7; len];
            let destination = two.local_addr().expect("address");
            let transmit =
                Transmit { destination, ecn: None, contents: &contents, segment_size: None, src_ip: None };
            Datagrams::Single.send(&one, &transmit).expect("sent");
        }
        for len in [1, 1200, 0] {
            let count = loop {
                match receive(&mut metas) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                    received => break received.expect("received"),
                }
            };
            let from = one.local_addr().expect("address");
            assert_eq!((count, metas[0].addr, metas[0].len), (1, from, len));
        }
    }
}
