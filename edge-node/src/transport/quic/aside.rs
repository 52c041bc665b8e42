//! Datagrams on the node's socket that are not QUIC's: STUN, told apart by the first byte.

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use freshet_protocol::stun;
use quinn::udp::RecvMeta;
use tokio::sync::mpsc;

use super::socket::GatheringSocket;
use crate::transport::interface::own_ip_towards;

/// A datagram, and who sent it.
pub(in crate::transport) type Aside = (SocketAddr, Vec<u8>);

/// Takes them out of what was received.
#[derive(Debug)]
pub(super) struct Sorter(mpsc::Sender<Aside>);

impl Sorter {
    /// Hands them on there; what finds no room is lost, as on any line.
    pub(super) fn new(aside: mpsc::Sender<Aside>) -> Self {
        Self(aside)
    }

    /// Leaves QUIC's datagrams in the buffers. A buffer holds several of one size, of which the last may be smaller.
    pub(super) fn sort(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) {
        for (buffer, meta) in buffers.iter_mut().zip(metas) {
            let stride = meta.stride.max(1);
            if !buffer[..meta.len].chunks(stride).any(stun::is_stun) {
                continue;
            }
            let mut kept = 0;
            for start in (0..meta.len).step_by(stride) {
                let end = (start + stride).min(meta.len);
                if stun::is_stun(&buffer[start..end]) {
                    let _ = self.0.try_send((meta.addr, buffer[start..end].to_vec()));
                } else {
                    buffer.copy_within(start..end, kept);
                    kept += end - start;
                }
            }
            meta.len = kept;
        }
    }
}

/// The socket, for those who send what is not QUIC's.
#[derive(Debug, Clone)]
pub(in crate::transport) struct AsideSocket {
    pub(super) socket: Arc<GatheringSocket>,
    pub(in crate::transport) bound: SocketAddr,
}

impl AsideSocket {
    /// Sends a datagram; what the system does not take is lost, as on any line.
    pub(in crate::transport) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        let to = match to.ip() {
            IpAddr::V4(v4) if self.bound.is_ipv6() => SocketAddr::new(v4.to_ipv6_mapped().into(), to.port()),
            _ => to,
        };
        let _ = self.socket.send_aside(to, datagram);
    }

    /// Whether it reaches addresses of a family.
    pub(in crate::transport) fn speaks(&self, is_ipv6: bool) -> bool {
        is_ipv6 == self.bound.is_ipv6() || self.bound.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    }

    /// Its address on this machine towards another one.
    pub(in crate::transport) fn own_address(&self, there: SocketAddr) -> Option<SocketAddr> {
        if !self.bound.ip().is_unspecified() {
            return Some(self.bound);
        }
        Some(SocketAddr::new(own_ip_towards(there).ok()?, self.bound.port()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_quic_is_taken_out_wherever_it_stands() {
        let check = |datagrams: &[u8], left: &[u8]| {
            let (aside, mut taken) = mpsc::channel(3);
            let mut bytes: Vec<u8> = datagrams.iter().flat_map(|&first| [first; 20]).collect();
            let mut meta = RecvMeta::default();
            (meta.len, meta.stride) = (bytes.len(), 20);
            let mut metas = [meta];
            Sorter::new(aside).sort(&mut [IoSliceMut::new(&mut bytes)], &mut metas);
            let kept: Vec<u8> = bytes[..metas[0].len].chunks(20).map(|datagram| datagram[0]).collect();
            assert_eq!(kept, left, "{datagrams:02x?}");
            let others = datagrams.len() - left.len();
            let count = std::iter::from_fn(|| taken.try_recv().ok()).count();
            assert_eq!(count, others.min(3), "{datagrams:02x?}");
        };
        check(&[], &[]);
        check(&[0x40, 0xc0, 0x41], &[0x40, 0xc0, 0x41]);
        check(&[0x00], &[]);
        check(&[0x01, 0x40, 0x41], &[0x40, 0x41]);
        check(&[0x40, 0x01, 0x41], &[0x40, 0x41]);
        check(&[0x40, 0x41, 0x01], &[0x40, 0x41]);
        check(&[0x00, 0x40, 0x01, 0x02, 0x41, 0x03], &[0x40, 0x41]);
    }

    #[test]
    fn a_smaller_one_at_the_end_is_one_too() {
        let (aside, mut taken) = mpsc::channel(1);
        let mut bytes = [vec![0x40; 100], vec![0x00; 30]].concat();
        let mut meta = RecvMeta::default();
        (meta.len, meta.stride) = (130, 100);
        let mut metas = [meta];
        Sorter::new(aside).sort(&mut [IoSliceMut::new(&mut bytes)], &mut metas);
        assert_eq!(metas[0].len, 100);
        assert_eq!(taken.try_recv().expect("taken out").1, [0x00; 30]);
    }
}
