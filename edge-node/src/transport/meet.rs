//! From a connection to a link: the control frames, Hello and Proof, and a seat.

use std::sync::Arc;

use freshet_protocol::{FEATURE_INTRODUCTIONS, Hash, KeyId, LinkBinding, Side};

use super::PeerInfo;
use super::frames::FrameReader;
use super::hello::{HelloError, Introduction, Met, introduce};
use super::limits::HELLO_TIME;
use super::link_task::Opened;
use super::seats::Pairing;
use super::switchboard::Switchboard;
use super::wire::{CloseCode, Halves, Wire};

/// A connection whose two ends are known.
pub(super) struct Ends<W> {
    pub(super) wire: W,
    /// This node's side.
    pub(super) side: Side,
    /// What Proof signs of this node's end of the connection.
    pub(super) own: Hash,
    /// The same of the other's end.
    pub(super) theirs: Hash,
}

/// Whom a dialer means, and the pairing that its dial answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meant {
    pub(super) key: KeyId,
    pub(super) pairing: Pairing,
}

impl<W: Wire> Ends<W> {
    /// Takes the connection to a link. A dialer says whom it means.
    pub(super) async fn meet(
        self,
        board: &Arc<Switchboard>,
        meant: Option<Meant>,
    ) -> Result<Opened<W>, String> {
        let halves = tokio::time::timeout(HELLO_TIME, self.wire.control(self.side))
            .await
            .map_err(|_| refuse(&self.wire, &HelloError::TooSlow.to_string()))??;
        self.introduce(board, halves, meant).await
    }

    fn binding(&self) -> LinkBinding {
        match self.side {
            Side::Dialer => LinkBinding { dialer: self.own, acceptor: self.theirs },
            Side::Acceptor => LinkBinding { dialer: self.theirs, acceptor: self.own },
        }
    }

    async fn introduce(
        self,
        board: &Arc<Switchboard>,
        (mut send, recv): Halves<W>,
        meant: Option<Meant>,
    ) -> Result<Opened<W>, String> {
        let ticket =
            board.own_ticket().await.ok_or_else(|| refuse(&self.wire, "this node has no ticket yet"))?;
        let introduction = Introduction {
            identity: &board.identity,
            agent: &board.agent,
            ticket,
            side: self.side,
            binding: self.binding(),
            expected: meant.map(|meant| meant.key),
        };
        let mut reader = FrameReader::new(recv);
        let met = match introduce(&introduction, board.as_ref(), &mut reader, &mut send).await {
            Ok(met) => met,
            Err(error) => {
                // Where the other side has closed, its word says more than the broken stream.
                let theirs = self.wire.close_reason();
                return Err(theirs.map_or_else(|| refuse(&self.wire, &error.to_string()), |e| e.to_string()));
            }
        };
        if meant.is_none() {
            board.await_pairing(met.key.id()).await;
        }
        self.seat(board, met, meant.map(|meant| meant.pairing), (send, reader))
    }

    fn seat(
        self,
        board: &Arc<Switchboard>,
        met: Met,
        dialed: Option<Pairing>,
        (send, reader): (W::Sending, FrameReader<W::Receiving>),
    ) -> Result<Opened<W>, String> {
        let key = met.key.id();
        let seated = board
            .seat(key, self.side, self.theirs, dialed)
            .map_err(|error| refuse(&self.wire, &error.to_string()))?;
        let remote = self.wire.remote_address();
        let peer = PeerInfo {
            key,
            peer: met.ticket.peer,
            pair: seated.pairing.map(|pairing| pairing.pair),
            transport: W::TRANSPORT,
            address: (remote.ip().to_canonical(), remote.port()).into(),
            rtt: self.wire.rtt(),
            link_time: seated.pairing.map(|pairing| pairing.since.elapsed()),
            locality: seated.locality(),
            introduces: met.features & FEATURE_INTRODUCTIONS != 0,
            agent: met.agent,
        };
        seated.mailbox.state.measured(peer.rtt);
        let (board, rights) = (Arc::clone(board), met.ticket.rights);
        Ok(Opened { board, wire: self.wire, seated, peer, rights, send, reader })
    }
}

/// Closes the connection, telling why; the reason again, for own use.
fn refuse(wire: &impl Wire, reason: &str) -> String {
    wire.close(CloseCode::Refused, reason);
    reason.to_owned()
}
