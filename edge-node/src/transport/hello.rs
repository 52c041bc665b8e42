//! Hello and Proof: who the other side of a fresh connection is, alike on all transports (PROTOCOL.md 7).
//!
//! Each side shows a ticket and a nonce, and signs the other's nonce together with both ends of this very channel. So
//! a stolen ticket is worthless without its key, and a relay in the middle has other ends than those that were signed.

use freshet_protocol::{
    Decoded, FEATURE_INTRODUCTIONS, Frame, Hello, KeyId, LinkBinding, PEER_VERSION, PublicKey, Side, Ticket,
    TicketError, proof_message,
};
use tokio::io::AsyncRead;

use super::frames::{FrameReadError, FrameReader};
use super::limits::HELLO_TIME;
use super::printable::printable;
use super::wire::{Gone, Sending};
use crate::identity::Identity;
use crate::random::random_bytes;

/// Optional frames of unknown type that may stand between Hello and Proof.
const SKIPPED_FRAMES_MAX: usize = 16;

/// Why two sides did not come to terms.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelloError {
    #[error("the other side did not finish its Hello in {} s", HELLO_TIME.as_secs())]
    TooSlow,
    #[error("the peer refused: {0}")]
    Refused(String),
    #[error("the other side left during Hello")]
    Left,
    #[error("hello: {0}")]
    Read(#[from] FrameReadError),
    #[error("hello: {0}")]
    Write(#[from] Gone),
    #[error("hello: another frame came instead of {0}")]
    Unexpected(&'static str),
    #[error("the other side speaks versions {min} to {max}, this one {PEER_VERSION}")]
    Version { min: u64, max: u64 },
    #[error("hello: it is this node's own key")]
    OwnKey,
    #[error("hello: another peer than the one dialed")]
    OtherPeer,
    #[error("{0}")]
    NotAdmitted(#[from] NotAdmitted),
    #[error("proof does not match: another key, or a relay in the middle")]
    Proof,
}

/// Why a peer may not link.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAdmitted {
    #[error("{0}")]
    Ticket(#[from] TicketError),
    #[error("this key is banned here")]
    Banned,
    #[error("no swarm is joined here yet")]
    NoSwarm,
    #[error("all {0} links are taken")]
    Full(usize),
}

/// What one side brings.
pub(super) struct Introduction<'a> {
    pub(super) identity: &'a Identity,
    pub(super) agent: &'a str,
    pub(super) ticket: Vec<u8>,
    pub(super) side: Side,
    /// Both ends of this channel, as this side saw them.
    pub(super) binding: LinkBinding,
    /// Whom the dialer means.
    pub(super) expected: Option<KeyId>,
}

/// Who the other side proved to be.
#[derive(Debug)]
pub(super) struct Met {
    pub(super) key: PublicKey,
    pub(super) ticket: Ticket,
    /// What it speaks beside the version: `FEATURE_*`.
    pub(super) features: u64,
    pub(super) agent: String,
}

/// Says whether a key may link with a ticket.
pub(super) trait Admit {
    fn admit(&self, key: &PublicKey, ticket: &[u8]) -> Result<Ticket, NotAdmitted>;
}

/// Runs Hello and Proof both ways. A silent or slow peer costs no more than [`HELLO_TIME`].
pub(super) async fn introduce<R, W>(
    own: &Introduction<'_>,
    admit: &(impl Admit + Sync),
    reader: &mut FrameReader<R>,
    writer: &mut W,
) -> Result<Met, HelloError>
where
    R: AsyncRead + Unpin,
    W: Sending,
{
    tokio::time::timeout(HELLO_TIME, exchange(own, admit, reader, writer))
        .await
        .map_err(|_| HelloError::TooSlow)?
}

async fn exchange<R, W>(
    own: &Introduction<'_>,
    admit: &(impl Admit + Sync),
    reader: &mut FrameReader<R>,
    writer: &mut W,
) -> Result<Met, HelloError>
where
    R: AsyncRead + Unpin,
    W: Sending,
{
    let own_hello = Hello {
        version_min: PEER_VERSION,
        version_max: PEER_VERSION,
        features: FEATURE_INTRODUCTIONS,
        nonce: random_bytes(),
        key: own.identity.key(),
        ticket: own.ticket.clone(),
        agent: own.agent.to_owned(),
    };
    let own_nonce = own_hello.nonce;
    write_frame(writer, &Frame::Hello(own_hello)).await?;

    let Frame::Hello(hello) = next_frame(reader).await? else {
        return Err(HelloError::Unexpected("Hello"));
    };
    let ticket = judge(own, admit, &hello)?;

    // Only who may link gets a signature, so strangers learn nothing from it.
    let message = proof_message(own.side, &hello.nonce, &own_nonce, &own.binding);
    write_frame(writer, &Frame::Proof { signature: own.identity.sign(&message) }).await?;

    let Frame::Proof { signature } = next_frame(reader).await? else {
        return Err(HelloError::Unexpected("Proof"));
    };
    let message = proof_message(other(own.side), &own_nonce, &hello.nonce, &own.binding);
    hello.key.verify(&message, &signature).map_err(|_| HelloError::Proof)?;
    Ok(Met { key: hello.key, ticket, features: hello.features, agent: printable(&hello.agent) })
}

fn judge(own: &Introduction<'_>, admit: &impl Admit, hello: &Hello) -> Result<Ticket, HelloError> {
    if hello.common_version(PEER_VERSION, PEER_VERSION).is_none() {
        return Err(HelloError::Version { min: hello.version_min, max: hello.version_max });
    }
    if hello.key == own.identity.key() {
        return Err(HelloError::OwnKey);
    }
    if own.expected.is_some_and(|expected| expected != hello.key.id()) {
        return Err(HelloError::OtherPeer);
    }
    Ok(admit.admit(&hello.key, &hello.ticket)?)
}

fn other(side: Side) -> Side {
    match side {
        Side::Dialer => Side::Acceptor,
        Side::Acceptor => Side::Dialer,
    }
}

async fn write_frame(writer: &mut impl Sending, frame: &Frame) -> Result<(), HelloError> {
    Ok(writer.write(frame.encode().into()).await?)
}

async fn next_frame<R: AsyncRead + Unpin>(reader: &mut FrameReader<R>) -> Result<Frame, HelloError> {
    for _ in 0..=SKIPPED_FRAMES_MAX {
        match reader.next().await?.ok_or(HelloError::Left)?.decoded {
            // On a data channel a refusal has no other way to come.
            Decoded::Frame(Frame::Bye { reason }) => return Err(HelloError::Refused(printable(&reason))),
            Decoded::Frame(frame) => return Ok(frame),
            Decoded::Skipped(_) => {}
        }
    }
    Err(HelloError::Unexpected("one that this version knows"))
}
