//! Connection ids of half the usual length: every packet carries one, and home uplinks are narrow.

use std::time::Duration;

use quinn::{ConnectionId, ConnectionIdGenerator};

use crate::random::random_bytes;

/// Bytes of an id. A node has some hundreds at most, and the endpoint draws again where one is taken.
const BYTES: usize = 4;

/// Draws random ids. A stranger's packet that meets none is answered by a reset, at most every 20 ms.
pub(super) struct ConnectionIds;

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&random_bytes::<BYTES>())
    }

    fn cid_len(&self) -> usize {
        BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
