//! A node and a peer that can only be reached by signals, with a real tracker that passes them on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use freshet_edge_node::{
    Answer, Identity, SeedFor, TrackerClient, TrackerConfig, TrackerEvent, TrackerHandle, Transport,
    TransportConfig, TransportEvent,
};
use freshet_protocol::{
    Announce, BlobKind, Candidate, ClientMessage, ContentName, HaveSummary, RootId, ServerMessage, SwarmId,
    Transport as Way,
};
use freshet_swarm::RequestId;

use crate::site::{Running, Site};
use crate::tree::make_sample;

/// What speaks for a page in this test.
struct Page {
    transport: Transport,
    tracker: TrackerHandle,
    content: ContentName,
    root: RootId,
    chunks: u32,
}

impl Page {
    fn announce(&self) {
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        self.tracker.send(ClientMessage::Announce(Announce {
            content: self.content.clone(),
            root: self.root,
            chunks: self.chunks,
            have: HaveSummary::None,
            left_bytes: 1,
            sharing: false,
            links: 0,
            links_wanted: 8,
            candidates: vec![Candidate { transport: Way::WebRtc, address: unspecified }],
            mapped: Vec::new(),
            local: Vec::new(),
            certificates: Vec::new(),
        }));
    }

    fn follow(&self, event: TrackerEvent) {
        match event {
            TrackerEvent::Up { welcome } => {
                self.transport.trust_trackers(vec![welcome.tracker_key]);
                self.announce();
            }
            TrackerEvent::Message(ServerMessage::Ticket { ticket, .. }) => {
                self.transport.set_ticket(ticket.0)
            }
            TrackerEvent::Message(ServerMessage::Signal { pair, data }) => self.transport.signal(pair, &data),
            TrackerEvent::Message(ServerMessage::Pair { pair, key, candidates, dial, locality, .. }) => {
                assert_eq!(candidates.iter().map(|c| c.transport).collect::<Vec<_>>(), [Way::WebRtc]);
                match dial {
                    true => self.transport.dial(pair, candidates, key, locality),
                    false => self.transport.expect(pair, &candidates, key, locality),
                }
            }
            TrackerEvent::Message(_) | TrackerEvent::Down { .. } => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_serves_who_can_only_be_reached_by_signals() {
    let site = Site::new();
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    // With its STUN service, which the node asks for its address.
    let options = freshet_tracker::Options::new(loopback, site.folder.path().join("tracker"));
    let tracker = freshet_tracker::serve(options).await.expect("tracker");
    let url = format!("ws://{}/", tracker.address);
    let source = site.source("1");
    make_sample(&source);
    let published = site.publish_naming(&source, "1.0", Vec::new()).await;
    let origin = site.serve().await;
    let mut options = site.options(&origin.url(), "seeder");
    (options.policy.p2p, options.policy.sharing) = (true, true);
    (options.trackers, options.listen, options.seed_for) = (vec![url.clone()], loopback, SeedFor::Forever);
    let mut seeder = Running::start(options);
    seeder.installed().await;

    let identity = Arc::new(Identity::generate());
    let bound = Transport::bind(TransportConfig::new(loopback, Arc::clone(&identity))).await;
    let (transport, mut links) = bound.expect("port");
    transport.set_swarm(SwarmId::of_content(&published.content));
    let config = TrackerConfig::new(vec![url], identity, "page");
    let (tracker, mut messages) = TrackerClient::start(config);
    let chunks = published.totals.chunks;
    let page = Page { transport, tracker, content: published.content.clone(), root: published.root, chunks };
    let fetched = async {
        let mut handle = None;
        loop {
            tokio::select! {
                Some(event) = messages.recv() => page.follow(event),
                Some(event) = links.recv() => match event {
                    TransportEvent::Signal { pair, data } => {
                        page.tracker.send(ClientMessage::Signal { pair, data });
                    }
                    TransportEvent::LinkUp { handle: up, peer, .. } => {
                        assert_eq!(peer.transport_name(), "web-rtc");
                        up.request(RequestId(1), BlobKind::Root, page.root.0, 64 << 10);
                        handle = Some(up);
                    }
                    TransportEvent::Answer { answer: Answer::Blob(root), .. } => break (root, handle),
                    TransportEvent::Answer { answer, .. } => panic!("{answer:?}"),
                    TransportEvent::DialFailed { reason, .. } => panic!("{reason}"),
                    _ => {}
                },
            }
        }
    };
    let (root, _handle) = tokio::time::timeout(Duration::from_secs(30), fetched).await.expect("in time");
    assert!(!root.is_empty());
    page.transport.close().await;
    let (report, result) = seeder.stop().await;
    result.expect("installed");
    let sent = report.peer_bytes_by_transport.get("web-rtc").map(|traffic| traffic.sent);
    assert_eq!(sent, Some(root.len() as u64), "{:?}", report.peer_bytes_by_transport);
}
