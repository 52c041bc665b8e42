//! From a pairing to an open data channel: descriptions and candidates go back and forth through the tracker.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use freshet_protocol::{Hash, Side};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::error::Error;
use webrtc::peer_connection::{
    RTCIceCandidate, RTCIceCandidateInit, RTCIceCandidateType, RTCIceProtocol, RTCPeerConnectionState,
    RTCSessionDescription,
};

use super::candidate::{IceCandidate, Kind};
use super::connection::{Connection, ConnectionConfig, ConnectionEvent};
use super::description::Description;
use super::partners::Partner;
use super::signal::Signal;
use super::wire::{ChannelWire, MESSAGE_BYTES_NEEDED};
use crate::transport::event::TransportEvent;
use crate::transport::limits::{CANDIDATES_MAX, CHANNEL_TIME};
use crate::transport::meet::Ends;
use crate::transport::switchboard::Switchboard;

/// Name of the channel.
const LABEL: &str = "freshet/1";

/// A connection that is being made.
pub(super) struct SetUp {
    board: Arc<Switchboard>,
    partner: Partner,
    connection: Connection,
    /// What the peer says.
    signals: mpsc::Receiver<Signal>,
    own: Description,
    theirs: Option<Description>,
    /// Candidates that came before the description.
    early: Vec<IceCandidate>,
    candidates_taken: usize,
    channel: Option<Arc<dyn DataChannel>>,
}

/// Who begins.
pub(super) enum Begin {
    /// This side offers.
    Offer,
    /// The other side has offered this.
    Answer(String),
}

/// Makes a connection. It is closed again where no channel comes of it.
pub(super) async fn connect(
    board: &Arc<Switchboard>,
    config: ConnectionConfig,
    partner: Partner,
    begin: Begin,
    signals: mpsc::Receiver<Signal>,
    place: OwnedSemaphorePermit,
) -> Result<Ends<ChannelWire>, String> {
    let side = match begin {
        Begin::Offer => Side::Dialer,
        Begin::Answer(_) => Side::Acceptor,
    };
    let connection = Connection::open(config).await.map_err(describe)?;
    let peer = Arc::clone(&connection.peer);
    let begun = SetUp::begin(Arc::clone(board), partner, connection, begin, signals);
    let connected = async { begun.await?.run(side, place).await };
    let connected = match tokio::time::timeout(CHANNEL_TIME, connected).await {
        Ok(connected) => connected,
        Err(_) => Err(format!("no channel within {} s", CHANNEL_TIME.as_secs())),
    };
    if connected.is_err() {
        // Fails only for what is closed already.
        let _ = peer.close().await;
    }
    connected
}

impl SetUp {
    async fn begin(
        board: Arc<Switchboard>,
        partner: Partner,
        connection: Connection,
        begin: Begin,
        signals: mpsc::Receiver<Signal>,
    ) -> Result<Self, String> {
        let peer = &connection.peer;
        let (local, theirs, channel) = match begin {
            Begin::Offer => {
                let init = RTCDataChannelInit { ordered: true, ..RTCDataChannelInit::default() };
                let channel = peer.create_data_channel(LABEL, Some(init)).await.map_err(describe)?;
                let offer = peer.create_offer(None).await.map_err(describe)?;
                (offer, None, Some(channel))
            }
            Begin::Answer(sdp) => {
                let (theirs, candidates) = read_description(&sdp)?;
                let offer = RTCSessionDescription::offer(theirs.write()).map_err(describe)?;
                peer.set_remote_description(offer).await.map_err(describe)?;
                (peer.create_answer(None).await.map_err(describe)?, Some((theirs, candidates)), None)
            }
        };
        let is_offer = theirs.is_none();
        let (own, _) = Description::read(&local.sdp).map_err(|error| format!("own description: {error}"))?;
        peer.set_local_description(local).await.map_err(describe)?;
        let (theirs, candidates) =
            theirs.map_or((None, Vec::new()), |(theirs, candidates)| (Some(theirs), candidates));
        let (early, candidates_taken) = (Vec::new(), 0);
        let mut set_up =
            Self { board, partner, connection, signals, own, theirs, early, candidates_taken, channel };
        let sdp = set_up.own.write();
        set_up.say(if is_offer { Signal::Offer { sdp } } else { Signal::Answer { sdp } }).await;
        for candidate in candidates {
            set_up.take_candidate(&candidate).await;
        }
        Ok(set_up)
    }

    async fn run(mut self, side: Side, place: OwnedSemaphorePermit) -> Result<Ends<ChannelWire>, String> {
        let channel = loop {
            let channel = self.channel.clone();
            tokio::select! {
                Some(signal) = self.signals.recv() => self.take_signal(signal).await?,
                Some(event) = self.connection.events.recv() => self.take_event(event).await?,
                opened = opened(channel.as_deref()), if channel.is_some() => {
                    opened?;
                    break channel.expect("looked at above");
                }
            }
        };
        check_channel(channel.as_ref()).await?;
        let theirs = self.theirs.as_ref().ok_or("a channel before any description")?;
        if !theirs.takes(MESSAGE_BYTES_NEEDED) {
            return Err("the peer takes no messages of the size that is needed".to_owned());
        }
        let (own, theirs): (Hash, Hash) = (self.own.certificate(), theirs.certificate());
        let remote = SocketAddr::new(self.partner.seen.first().copied().unwrap_or([0; 4].into()), 0);
        let wire = ChannelWire::start(self.connection, channel, remote, &self.board.tasks, place).await;
        Ok(Ends { wire, side, own, theirs })
    }

    async fn take_signal(&mut self, signal: Signal) -> Result<(), String> {
        match signal {
            Signal::Answer { sdp } if self.theirs.is_none() => {
                let (theirs, candidates) = read_description(&sdp)?;
                let answer = RTCSessionDescription::answer(theirs.write()).map_err(describe)?;
                self.connection.peer.set_remote_description(answer).await.map_err(describe)?;
                self.theirs = Some(theirs);
                for candidate in std::mem::take(&mut self.early) {
                    self.add(&candidate).await;
                }
                for candidate in candidates {
                    self.take_candidate(&candidate).await;
                }
            }
            Signal::Candidate { candidate, .. } => self.take_candidate(&candidate).await,
            // One offer and one answer make a connection; what else is said about it is of no use.
            Signal::Offer { .. } | Signal::Answer { .. } | Signal::End | Signal::Unknown => {}
        }
        Ok(())
    }

    async fn take_candidate(&mut self, text: &str) {
        let Partner { seen, pairing, .. } = &self.partner;
        let read = IceCandidate::read(text);
        let Some(candidate) = read.filter(|candidate| candidate.is_of(seen, pairing.locality)) else {
            return;
        };
        if self.candidates_taken == CANDIDATES_MAX {
            return;
        }
        self.candidates_taken += 1;
        match self.theirs {
            Some(_) => self.add(&candidate).await,
            None => self.early.push(candidate),
        }
    }

    async fn add(&self, candidate: &IceCandidate) {
        let init = RTCIceCandidateInit {
            candidate: candidate.write(),
            sdp_mid: self.theirs.as_ref().map(|theirs| theirs.mid().to_owned()),
            sdp_mline_index: Some(0),
            ..RTCIceCandidateInit::default()
        };
        // One address less.
        if let Err(error) = self.connection.peer.add_ice_candidate(init).await {
            tracing::debug!(%error, "a candidate is of no use");
        }
    }

    async fn take_event(&mut self, event: ConnectionEvent) -> Result<(), String> {
        match event {
            ConnectionEvent::Candidate(candidate) => {
                let Partner { seen, pairing, .. } = &self.partner;
                let own = own_candidate(candidate).filter(|own| own.is_for(seen, pairing.locality));
                if let Some(own) = own {
                    let mid = Some(self.own.mid().to_owned());
                    self.say(Signal::Candidate { candidate: own.write(), mid }).await;
                }
            }
            ConnectionEvent::Gathered => self.say(Signal::End).await,
            ConnectionEvent::State(RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed) => {
                return Err("no pair of addresses works".to_owned());
            }
            ConnectionEvent::State(_) => {}
            ConnectionEvent::Channel(channel) if self.channel.is_none() => self.channel = Some(channel),
            ConnectionEvent::Channel(_) => return Err("the peer opens more than one channel".to_owned()),
        }
        Ok(())
    }

    async fn say(&self, signal: Signal) {
        let signal = TransportEvent::Signal { pair: self.partner.pairing.pair, data: signal.write() };
        // Without a job nobody waits for the outcome.
        let _ = self.board.tell(signal).await;
    }
}

/// Waits until the channel is open.
async fn opened(channel: Option<&dyn DataChannel>) -> Result<(), String> {
    let Some(channel) = channel else { return std::future::pending().await };
    loop {
        match channel.poll().await {
            Some(DataChannelEvent::OnOpen) => return Ok(()),
            Some(DataChannelEvent::OnClose | DataChannelEvent::OnClosing) | None => {
                return Err("the channel closed before it was open".to_owned());
            }
            Some(_) => {}
        }
    }
}

async fn check_channel(channel: &dyn DataChannel) -> Result<(), String> {
    let is_ours = channel.label().await.map_err(describe)? == LABEL
        && channel.ordered().await.map_err(describe)?
        && channel.max_packet_life_time().await.map_err(describe)?.is_none()
        && channel.max_retransmits().await.map_err(describe)?.is_none();
    if is_ours { Ok(()) } else { Err(format!("a channel that is not {LABEL}, ordered and reliable")) }
}

fn read_description(sdp: &str) -> Result<(Description, Vec<String>), String> {
    Description::read(sdp).map_err(|error| error.to_string())
}

fn own_candidate(candidate: RTCIceCandidate) -> Option<IceCandidate> {
    let kind = match candidate.typ {
        RTCIceCandidateType::Host => Kind::Host,
        RTCIceCandidateType::Srflx => Kind::Reflexive,
        _ => return None,
    };
    let ip: IpAddr = candidate.address.parse().ok()?;
    let is_udp = candidate.protocol == RTCIceProtocol::Udp;
    (is_udp && candidate.component == 1 && !ip.is_unspecified()).then_some(IceCandidate {
        foundation: candidate.foundation,
        priority: candidate.priority,
        ip,
        port: candidate.port,
        kind,
    })
}

fn describe(error: Error) -> String {
    crate::transport::printable::printable(&error.to_string())
}
