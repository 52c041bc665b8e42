//! Clients that asked for more shards than they got, in the order in which they asked.

use std::collections::BTreeMap;

use freshet_protocol::PeerId;

use super::limits::ASKS_MAX;

#[derive(Debug, Clone, Copy)]
struct Ask {
    order: u64,
    want: u32,
}

#[derive(Debug, Default)]
pub(super) struct Asks {
    by_client: BTreeMap<PeerId, Ask>,
    by_order: BTreeMap<u64, PeerId>,
    next_order: u64,
}

impl Asks {
    pub(super) fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }

    /// Remembers that `client` wants `want` further shards; replaces what it asked for before. Where too many wait
    /// already, it is forgotten, and the client asks again in its own time.
    pub(super) fn remember(&mut self, client: PeerId, want: u32) {
        self.forget(client);
        if want > 0 && self.by_client.len() < ASKS_MAX {
            self.by_client.insert(client, Ask { order: self.next_order, want });
            self.by_order.insert(self.next_order, client);
            self.next_order += 1;
        }
    }

    pub(super) fn forget(&mut self, client: PeerId) {
        if let Some(ask) = self.by_client.remove(&client) {
            self.by_order.remove(&ask.order);
        }
    }

    /// Lowers what `client` wants by what it got; its place in the order stays.
    pub(super) fn got(&mut self, client: PeerId, count: u32) {
        if let Some(ask) = self.by_client.get_mut(&client) {
            ask.want = ask.want.saturating_sub(count);
            if ask.want == 0 {
                self.forget(client);
            }
        }
    }

    /// The first that asked at or after `order`: the order to go on from, the client, and what it wants.
    pub(super) fn from(&self, order: u64) -> Option<(u64, PeerId, u32)> {
        let (&order, &client) = self.by_order.range(order..).next()?;
        Some((order + 1, client, self.by_client.get(&client)?.want))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: usize) -> PeerId {
        PeerId::try_from(n as u64).expect("small")
    }

    #[test]
    fn first_come_first_served() {
        let mut asks = Asks::default();
        asks.remember(peer(2), 5);
        asks.remember(peer(1), 5);
        asks.got(peer(2), 3);
        assert_eq!(asks.from(0), Some((1, peer(2), 2)));
        asks.remember(peer(2), 4);
        assert_eq!(asks.from(0), Some((2, peer(1), 5)), "a new ask goes to the end");
        asks.got(peer(1), 5);
        asks.remember(peer(2), 0);
        assert!(asks.is_empty());
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut asks = Asks::default();
        (0..ASKS_MAX + 1).for_each(|n| asks.remember(peer(n), 1));
        assert_eq!(asks.by_client.len(), ASKS_MAX);
        assert!(!asks.by_client.contains_key(&peer(ASKS_MAX)));
    }
}
