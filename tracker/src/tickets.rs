//! Signs tickets.

use freshet_protocol::{
    Base64, KeyId, PeerId, RIGHT_RECEIVE, RIGHT_SEND, ServerMessage, SigningKey, SwarmId, Ticket,
};

use crate::clock::unix_now;

/// Signs what the swarms want signed.
#[derive(Debug)]
pub(crate) struct Tickets {
    key: SigningKey,
    life_s: u64,
}

impl Tickets {
    pub(crate) fn new(key: SigningKey, life_s: u64) -> Self {
        Self { key, life_s }
    }

    /// A ticket as a message.
    pub(crate) fn issue(&self, peer: PeerId, key: KeyId, swarms: Vec<SwarmId>) -> ServerMessage {
        let issued = unix_now();
        let expires = issued + self.life_s;
        let rights = RIGHT_RECEIVE | RIGHT_SEND;
        let ticket = Ticket { peer, key, issued, expires, rights, swarms };
        ServerMessage::Ticket { ticket: Base64(ticket.seal(&self.key)), expires }
    }
}
