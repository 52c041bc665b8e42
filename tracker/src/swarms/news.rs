//! Entries of streams and pointers of channels, on their way from the publisher to the swarm. They are signed, so nothing is
//! checked here but who may fill everybody's line.

use freshet_protocol::{ContentName, PeerId, ServerMessage};

use super::state::Swarms;

impl Swarms {
    /// Passes on what is new of a content to all peers of its swarm; nobody may be there yet.
    pub(super) fn news(
        &mut self,
        now_us: u64,
        client: PeerId,
        content: &ContentName,
        message: &ServerMessage,
    ) {
        let Some(state) = self.clients.get(&client) else { return };
        if !self.config.publishers.contains(&state.client.key) {
            self.refuse(
                client,
                "not-a-publisher",
                "This tracker does not take news signed in with this key.",
            );
            return;
        }
        let Some(swarm) = self.names.get(content).and_then(|number| self.swarms.get(number)) else {
            return;
        };
        if let ServerMessage::Pointer { pointer, .. } = message {
            self.uptakes.watch(now_us, swarm, &pointer.0);
        }
        let readers: Vec<PeerId> = swarm.members.keys().copied().filter(|&peer| peer != client).collect();
        for reader in readers {
            self.outputs.send(reader, message.clone());
        }
    }
}
