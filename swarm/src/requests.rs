//! Own requests to peers that are not over, in the order in which they were made.

use crate::by_id::ById;
use crate::input::{ChunkIndex, LinkId, RequestId};

/// An own request to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerRequest {
    pub(crate) link: LinkId,
    pub(crate) chunk: ChunkIndex,
    pub(crate) asked_us: u64,
    /// Bytes of it that came in.
    pub(crate) received: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Requests {
    open: ById<RequestId, PeerRequest>,
    next: u64,
}

impl Requests {
    /// Notes a request that goes out now; its number.
    pub(crate) fn asked(&mut self, now: u64, link: LinkId, chunk: ChunkIndex) -> RequestId {
        let request = RequestId(self.next);
        self.next += 1;
        self.open.insert(request, PeerRequest { link, chunk, asked_us: now, received: 0 });
        request
    }

    /// Bytes came in; the request that they are for, unless it is over.
    pub(crate) fn progress(&mut self, request: RequestId, bytes: u32) -> Option<&PeerRequest> {
        let request = self.open.get_mut(request)?;
        request.received = request.received.saturating_add(bytes);
        Some(request)
    }

    /// A request is over; what it was, unless it was over before.
    pub(crate) fn ended(&mut self, request: RequestId) -> Option<PeerRequest> {
        self.open.remove(request)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Numbers of the requests that fit.
    pub(crate) fn ids_where(&self, fits: impl Fn(&PeerRequest) -> bool) -> Vec<RequestId> {
        self.open.iter().filter(|(_, request)| fits(request)).map(|(id, _)| id).collect()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &PeerRequest> {
        self.open.values()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (RequestId, &PeerRequest)> {
        self.open.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_once() {
        let mut requests = Requests::default();
        let [first, second] = [5, 6].map(|chunk| requests.asked(10, LinkId(1), chunk));
        let request = |chunk, received| PeerRequest { link: LinkId(1), chunk, asked_us: 10, received };
        assert_eq!(requests.progress(second, 3), Some(&request(6, 3)));
        assert_eq!(requests.progress(second, u32::MAX), Some(&request(6, u32::MAX)));
        assert_eq!(requests.ids_where(|request| request.received == 0), [first]);
        assert_eq!(requests.ended(second), Some(request(6, u32::MAX)));
        assert_eq!((requests.ended(second), requests.progress(second, 1)), (None, None));
        let third = requests.asked(10, LinkId(1), 7);
        assert_eq!(requests.iter().map(|(id, _)| id).collect::<Vec<_>>(), [first, third]);
        assert!(third > second && !requests.is_empty());
    }
}
