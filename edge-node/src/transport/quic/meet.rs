//! From a connection to a link: the control stream, Hello and Proof, and a seat.

use std::sync::Arc;

use freshet_protocol::{Hash, KeyId, LinkBinding, Side};
use quinn::{Connection, RecvStream, SendStream};

use super::link::Opened;
use super::{CODE_REFUSED, describe};
use crate::transport::PeerInfo;
use crate::transport::frames::FrameReader;
use crate::transport::hello::{HelloError, Introduction, Met, introduce};
use crate::transport::limits::HELLO_TIME;
use crate::transport::printable::cut;
use crate::transport::seats::Pairing;
use crate::transport::switchboard::Switchboard;
use crate::transport::tls;

/// Longest reason sent with a close, in bytes.
pub(super) const REASON_BYTES_MAX: usize = 256;

/// A connection whose two ends are known.
struct Ends {
    connection: Connection,
    side: Side,
    own: Hash,
    theirs: Hash,
}

/// Meets the peer that was dialed and must be `expected`.
pub(super) async fn as_dialer(
    board: &Arc<Switchboard>,
    connection: Connection,
    expected: KeyId,
    pairing: Pairing,
) -> Result<Opened, String> {
    let ends = Ends::of(board, connection, Side::Dialer)?;
    let streams = ends.connection.open_bi().await.map_err(|error| describe(&error))?;
    ends.meet(board, streams, Some(expected), Some(pairing)).await
}

/// Meets whoever has dialed.
pub(super) async fn as_acceptor(board: &Arc<Switchboard>, connection: Connection) -> Result<Opened, String> {
    let ends = Ends::of(board, connection, Side::Acceptor)?;
    let streams = tokio::time::timeout(HELLO_TIME, ends.connection.accept_bi())
        .await
        .map_err(|_| refuse(&ends.connection, &HelloError::TooSlow.to_string()))?
        .map_err(|error| describe(&error))?;
    ends.meet(board, streams, None, None).await
}

impl Ends {
    fn of(board: &Switchboard, connection: Connection, side: Side) -> Result<Self, String> {
        let theirs = tls::peer_certificate(&connection)
            .ok_or_else(|| refuse(&connection, "a freshet/1 peer shows a certificate"))?;
        Ok(Self { side, own: board.identity.certificate().hash(), theirs, connection })
    }

    fn binding(&self) -> LinkBinding {
        match self.side {
            Side::Dialer => LinkBinding { dialer: self.own, acceptor: self.theirs },
            Side::Acceptor => LinkBinding { dialer: self.theirs, acceptor: self.own },
        }
    }

    async fn meet(
        self,
        board: &Arc<Switchboard>,
        (mut send, recv): (SendStream, RecvStream),
        expected: Option<KeyId>,
        dialed: Option<Pairing>,
    ) -> Result<Opened, String> {
        let ticket = board
            .own_ticket()
            .await
            .ok_or_else(|| refuse(&self.connection, "this node has no ticket yet"))?;
        let introduction = Introduction {
            identity: &board.identity,
            agent: &board.agent,
            ticket,
            side: self.side,
            binding: self.binding(),
            expected,
        };
        let mut reader = FrameReader::new(recv);
        let met = match introduce(&introduction, board.as_ref(), &mut reader, &mut send).await {
            Ok(met) => met,
            Err(error) => {
                // Where the other side has closed, its word says more than the broken stream.
                let theirs = self.connection.close_reason();
                return Err(
                    theirs.map_or_else(|| refuse(&self.connection, &error.to_string()), |e| describe(&e))
                );
            }
        };
        self.seat(board, met, dialed, (send, reader))
    }

    fn seat(
        self,
        board: &Arc<Switchboard>,
        met: Met,
        dialed: Option<Pairing>,
        (send, reader): (SendStream, FrameReader<RecvStream>),
    ) -> Result<Opened, String> {
        let key = met.key.id();
        let seated = board
            .seat(key, self.side, self.theirs, dialed)
            .map_err(|error| refuse(&self.connection, &error.to_string()))?;
        let remote = self.connection.remote_address();
        let peer = PeerInfo {
            key,
            peer: met.ticket.peer,
            pair: seated.pairing.map(|pairing| pairing.pair),
            address: (remote.ip().to_canonical(), remote.port()).into(),
            rtt: self.connection.rtt(),
            locality: seated.locality(),
            agent: met.agent,
        };
        seated.mailbox.state.measured(peer.rtt);
        let (board, rights) = (Arc::clone(board), met.ticket.rights);
        Ok(Opened { board, connection: self.connection, seated, peer, rights, send, reader })
    }
}

/// Closes the connection, telling why; the reason again, for own use.
fn refuse(connection: &Connection, reason: &str) -> String {
    connection.close(CODE_REFUSED, cut(reason, REASON_BYTES_MAX).as_bytes());
    reason.to_owned()
}
