//! A peer that says it holds everything and hands out garbage.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use freshet_edge_node::{
    Identity, LinkHandle, TrackerClient, TrackerConfig, TrackerEvent, TrackerHandle, Transport,
    TransportConfig, TransportEvent,
};
use freshet_protocol::{
    Announce, Candidate, ClientMessage, ContentName, Frame, HaveSummary, KeyId, RootId, ServerMessage,
    SwarmId,
};
use freshet_swarm::LinkId;
use tokio::sync::oneshot;

/// The release that it pretends to hold.
#[derive(Clone)]
pub(crate) struct Pretence {
    pub(crate) content: ContentName,
    pub(crate) root: RootId,
    pub(crate) chunks: u32,
}

/// Joins a swarm; returns its key once the tracker has let it in.
pub(crate) async fn join(tracker: String, pretence: Pretence) -> KeyId {
    let identity = Arc::new(Identity::generate());
    let key = identity.key_id();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let bound = Transport::bind(TransportConfig::new(listen, Arc::clone(&identity))).await;
    let (transport, mut links) = bound.expect("port");
    transport.set_swarm(SwarmId::of_content(&pretence.content));
    let agent = "evil".to_owned();
    let (handle, mut messages) = TrackerClient::start(TrackerConfig::new(vec![tracker], identity, agent));
    let (joined, is_in) = oneshot::channel();
    tokio::spawn(async move {
        let mut joined = Some(joined);
        let mut handles = BTreeMap::new();
        loop {
            tokio::select! {
                Some(event) = messages.recv() => {
                    let is_ticket = matches!(event, TrackerEvent::Message(ServerMessage::Ticket { .. }));
                    follow(&transport, &handle, &pretence, event);
                    if let Some(joined) = joined.take_if(|_| is_ticket) {
                        // The test may be over.
                        let _ = joined.send(());
                    }
                }
                Some(event) = links.recv() => betray(&pretence, &mut handles, event),
                else => return,
            }
        }
    });
    is_in.await.expect("the tracker lets it in");
    key
}

fn follow(transport: &Transport, tracker: &TrackerHandle, pretence: &Pretence, event: TrackerEvent) {
    match event {
        TrackerEvent::Up { welcome } => {
            transport.trust_trackers(vec![welcome.tracker_key]);
            let address = transport.local_address();
            tracker.send(ClientMessage::Announce(Announce {
                content: pretence.content.clone(),
                root: pretence.root,
                chunks: pretence.chunks,
                have: HaveSummary::All,
                left_bytes: 0,
                sharing: true,
                links: 0,
                links_wanted: 0,
                mapped: Vec::new(),
                local: Vec::new(),
                certificates: Vec::new(),
                candidates: vec![Candidate { transport: freshet_protocol::Transport::Quic, address }],
            }));
        }
        TrackerEvent::Message(ServerMessage::Ticket { ticket, .. }) => transport.set_ticket(ticket.0),
        TrackerEvent::Message(ServerMessage::Pair { pair, key, candidates, dial, locality, .. }) => {
            if dial {
                transport.dial(pair, candidates, key, locality);
            } else {
                transport.expect(pair, &[], key, locality);
            }
        }
        TrackerEvent::Message(_) | TrackerEvent::Down { .. } => {}
    }
}

fn betray(pretence: &Pretence, handles: &mut BTreeMap<LinkId, LinkHandle>, event: TransportEvent) {
    match event {
        TransportEvent::LinkUp { link, handle, .. } => {
            let Pretence { root, chunks, .. } = *pretence;
            handle.send(Frame::Release { release: 0, root, chunks, sharing: true });
            handle.send(Frame::Have { release: 0, ranges: std::iter::once(0..u64::from(chunks)).collect() });
            handles.insert(link, handle);
        }
        TransportEvent::Asked { link, asked } => {
            if let Some(handle) = handles.get(&link) {
                handle.serve(asked.request, Bytes::from(vec![0; 100_000]));
            }
        }
        _ => {}
    }
}
