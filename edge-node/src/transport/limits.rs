//! Every bound of the transport, in one place. What a peer may make this node hold or do is limited here or in
//! [`freshet_protocol::limits`].

use std::time::Duration;

/// Addresses that wait for a dial from which its peer is heard; more are not needed.
pub(super) const HEARD_MAX: usize = 4;
/// Links held at once where the configuration says nothing else.
pub const LINKS_MAX: usize = 24;
/// Events that wait for the job; links stop reading when it is full.
pub(super) const EVENTS_MAX: usize = 1024;

/// Commands that wait for a link's task. A job that is so far ahead of a link has lost it.
pub(super) const LINK_COMMANDS_MAX: usize = 1024;
/// Control frames that wait to be sent on one link.
pub(super) const CONTROL_QUEUE_FRAMES_MAX: usize = 1024;
/// Bytes of control frames that wait to be sent on one link: a peer that stops reading is cut off.
pub(super) const CONTROL_QUEUE_BYTES_MAX: usize = 1 << 20;
/// Control frames that a peer may send in a burst: its whole have-state in the worst case.
pub(super) const CONTROL_BURST_FRAMES: u32 = 1024;
/// Control frames a second that a peer may send in the long run.
pub(super) const CONTROL_FRAMES_S: u32 = 100;
/// A longer control frame counts as several: one for each started unit of so many bytes.
pub(super) const CONTROL_UNIT_BYTES: usize = 8 << 10;
/// Bytes of optional frames of unknown type that a peer may put into one answer.
pub(super) const ANSWER_SKIPPED_BYTES_MAX: usize = 64 << 10;

/// Time for Hello and Proof, from the end of the TLS handshake.
pub(super) const HELLO_TIME: Duration = Duration::from_secs(5);
/// Time for the TLS handshake, over all candidates of a dial.
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Head start of each candidate over the next one.
pub(super) const CANDIDATE_STAGGER: Duration = Duration::from_millis(100);
/// How long a dialer is kept waiting for this node's first ticket: the tracker names a newcomer to others at the moment it
/// issues the ticket, and their dials may be here before it is read.
pub(super) const FIRST_TICKET_TIME: Duration = Duration::from_secs(4);
/// How long a dialer is kept waiting for the tracker's word about it, which was sent to both sides at once: without it the link
/// answers no pairing, and nobody knows how near the peer is.
pub(super) const PAIRING_TIME: Duration = Duration::from_millis(100);
/// Time for a peer to write its Request onto a stream it has opened.
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(5);
/// Time for a peer to answer Bye by closing.
pub(super) const BYE_TIME: Duration = Duration::from_millis(200);
/// Time for [`super::Transport::close`].
pub(super) const CLOSE_TIME: Duration = Duration::from_millis(500);

/// Connections of WebRTC at once, with those that are being made; more are refused. Each has sockets of its own.
pub(super) const CHANNELS_MAX: usize = 32;
/// Time from the first signal of a connection of WebRTC to its open channel.
pub(super) const CHANNEL_TIME: Duration = Duration::from_secs(15);
/// How long a connection of WebRTC may be in doubt before it is lost; it is in doubt after 5 s of silence.
pub(super) const DOUBT_TIME_MAX: Duration = Duration::from_secs(5);
/// Candidates taken from one peer.
pub(super) const CANDIDATES_MAX: usize = 16;
/// Signals of one peer that wait to be looked at; more are dropped.
pub(super) const SIGNALS_MAX: usize = 32;
/// Events of one connection of WebRTC that wait to be looked at; more are dropped.
pub(super) const CHANNEL_EVENTS_MAX: usize = 64;
/// Messages with control frames that wait for the link on a data channel; the peer is kept waiting by more.
pub(super) const CONTROL_MESSAGES_MAX: usize = 64;
/// Messages of one answer that wait to be looked at on a data channel; the peer is kept waiting by more.
pub(super) const ANSWER_MESSAGES_MAX: usize = 16;
/// Requests taken back whose answers may still come on a data channel; the oldest is forgotten first.
pub(super) const TAKEN_BACK_MAX: usize = 1024;

/// Connections that are still in their handshake or Hello; more are refused.
pub(super) const HANDSHAKES_MAX: usize = 64;
/// Handshakes beyond which a dialer must first prove its address (QUIC Retry), against spoofed floods.
pub(super) const HANDSHAKES_UNPROVEN_MAX: usize = 16;
/// Dials at once; more fail.
pub(super) const DIALS_MAX: usize = 32;
/// Banned keys remembered; the oldest is forgotten first.
pub(super) const BANS_MAX: usize = 4096;
/// Announced peers remembered; the oldest is forgotten first.
pub(super) const EXPECTED_MAX: usize = 64;
/// How long a peer announced by [`super::Transport::expect`] is remembered.
pub(super) const EXPECTED_TIME: Duration = Duration::from_secs(30);
/// How long a ticket stays good beyond its expiry while no tracker answers.
pub(crate) const GRACE_S: u64 = 6 * 60 * 60;
/// Longest reason of a remote side that is kept, in characters.
pub(super) const REASON_CHARS_MAX: usize = 128;
