//! Which of this machine's addresses another machine sees, but for NATs.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// The own address at the interface from which the system would send there. Nothing is sent.
///
/// # Errors
/// The system knows no way there.
pub(super) fn own_ip_towards(there: SocketAddr) -> io::Result<IpAddr> {
    let anywhere = if there.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(anywhere)?;
    socket.connect(there)?;
    Ok(socket.local_addr()?.ip())
}
