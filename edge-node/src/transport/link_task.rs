//! The task of a link: it owns the link's state, starts a task for each request, and tells the job what happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use freshet_protocol::limits::LINK_REQUESTS_MAX;
use freshet_protocol::{Decoded, Frame, Locality, RIGHT_RECEIVE, RIGHT_SEND, RefuseReason, Request};
use freshet_swarm::{LinkId, RequestId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::PeerInfo;
use super::ask::AskTask;
use super::control::ControlWriter;
use super::event::{Answer, TransportEvent};
use super::frames::{FrameReadError, FrameReader, ReadFrame};
use super::limits::{BYE_TIME, CONTROL_BURST_FRAMES, CONTROL_FRAMES_S, CONTROL_UNIT_BYTES};
use super::link::{Ask, Command, LinkState, Reply};
use super::printable::printable;
use super::rtt::RttMark;
use super::serve::{ServeTask, read_request};
use super::switchboard::{Seated, Switchboard};
use super::wire::{CloseCode, LinkLost, Wire};
use crate::meter::Meter;
use crate::uplink::UplinkShare;

/// Time that earns a peer one control frame.
const CONTROL_FRAME_TIME: Duration = Duration::from_nanos(1_000_000_000 / CONTROL_FRAMES_S as u64);
/// How often the round-trip time is taken from the connection.
const MEASURE_TIME: Duration = Duration::from_secs(1);
/// The same while answers leave that yield to what else uses the line.
const YIELD_TIME: Duration = Duration::from_millis(50);

/// A link whose Hello is done.
pub(super) struct Opened<W: Wire> {
    pub(super) board: Arc<Switchboard>,
    pub(super) wire: W,
    pub(super) seated: Seated,
    pub(super) peer: PeerInfo,
    /// What the peer's ticket allows.
    pub(super) rights: u64,
    pub(super) send: W::Sending,
    pub(super) reader: FrameReader<W::Receiving>,
}

/// How a task of a stream ended.
pub(super) enum StreamEnd<S> {
    /// A request came in; its answer goes onto the stream.
    Asked {
        asked: Request,
        send: S,
    },
    AskEnded(RequestId),
    ServeEnded(u64),
    /// The peer broke a rule.
    Misbehaved(String),
    /// The control stream cannot be written any more.
    ControlLost,
    /// Nothing that matters.
    Nothing,
}

/// Why a link ends.
enum LinkEnd {
    /// This side wants it.
    Closing(String),
    /// The peer said Bye.
    Bye(String),
    Misbehaved(String),
    /// The connection is gone.
    Lost(String),
}

impl From<LinkLost> for LinkEnd {
    fn from(lost: LinkLost) -> Self {
        match lost {
            LinkLost::Lost(reason) => Self::Lost(reason),
            LinkLost::Misbehaved(why) => Self::Misbehaved(why),
        }
    }
}

struct LinkTask<W: Wire> {
    board: Arc<Switchboard>,
    wire: W,
    link: LinkId,
    rights: u64,
    state: Arc<LinkState>,
    commands: mpsc::Receiver<Command>,
    control: FrameReader<W::Receiving>,
    meter: Meter,
    /// Own requests that wait for their end.
    asks: BTreeMap<RequestId, CancellationToken>,
    /// The peer's requests that wait for the job's word; none once it has been given.
    asked: BTreeMap<u64, Option<oneshot::Sender<Reply>>>,
    /// What answers leave through; none where they need not yield.
    uplink: Option<Arc<UplinkShare>>,
    rtt_mark: RttMark,
    tasks: JoinSet<StreamEnd<W::Sending>>,
    bye: oneshot::Sender<String>,
}

impl<W: Wire> Opened<W> {
    /// Runs the link to its end.
    pub(super) async fn run(self) {
        let Self { board, wire, seated, peer, rights, send, reader } = self;
        let (key, link) = (peer.key, seated.handle.link());
        let state = Arc::clone(&seated.mailbox.state);
        // What stays behind the own line cannot fill it.
        let leaves = peer.locality != Locality::SameAddress && !peer.address.ip().is_loopback();
        let uplink = board.uplink.as_ref().filter(|_| leaves).map(|uplink| Arc::new(uplink.join()));
        let (bye, bye_out) = oneshot::channel();
        let writer = ControlWriter {
            sending: send,
            frames: seated.mailbox.frames,
            state: Arc::clone(&state),
            bye: bye_out,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            match writer.run().await {
                Ok(()) => StreamEnd::Nothing,
                Err(_) => StreamEnd::ControlLost,
            }
        });
        // A job that is gone is seen by the link's task.
        let _ = board.tell(TransportEvent::LinkUp { link, handle: seated.handle, peer }).await;
        let running = LinkTask {
            board: Arc::clone(&board),
            wire,
            link,
            rights,
            state,
            commands: seated.mailbox.commands,
            control: reader,
            meter: Meter::new(Instant::now(), CONTROL_FRAME_TIME, CONTROL_BURST_FRAMES),
            asks: BTreeMap::new(),
            asked: BTreeMap::new(),
            uplink,
            rtt_mark: RttMark::default(),
            tasks,
            bye,
        };
        let reason = running.run().await;
        board.seats().leave(key, link);
        let _ = board.tell(TransportEvent::LinkDown { link, reason }).await;
    }
}

impl<W: Wire> LinkTask<W> {
    async fn run(mut self) -> String {
        let end = self.drive().await;
        self.end(end).await
    }

    async fn drive(&mut self) -> LinkEnd {
        let mut measure = tokio::time::interval(MEASURE_TIME);
        let mut yielding = tokio::time::interval(YIELD_TIME);
        yielding.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (state, events) = (Arc::clone(&self.state), self.board.events.clone());
        let closing = state.closing();
        tokio::pin!(closing);
        loop {
            let yields = self.uplink.is_some() && !self.asked.is_empty();
            let ended = tokio::select! {
                reason = &mut closing => Err(LinkEnd::Closing(reason.to_owned())),
                () = events.closed() => Err(LinkEnd::Closing("this node stops".to_owned())),
                Some(command) = self.commands.recv() => {
                    self.obey(command).await;
                    Ok(())
                }
                frame = self.control.next() => self.take_control(frame).await,
                halves = self.wire.accept() => match halves {
                    Ok((send, recv)) => {
                        self.tasks.spawn(read_request(send, recv));
                        Ok(())
                    }
                    Err(lost) => Err(lost.into()),
                },
                Some(end) = self.tasks.join_next() => self.stream_ended(end).await,
                _ = measure.tick() => {
                    self.state.measured(self.wire.rtt());
                    self.tell_uplink();
                    Ok(())
                }
                _ = yielding.tick(), if yields => {
                    self.tell_uplink();
                    Ok(())
                }
            };
            if let Err(end) = ended {
                return end;
            }
        }
    }

    /// Tells what the connection has measured to those who decide how fast answers leave.
    fn tell_uplink(&mut self) {
        if let Some(uplink) = &self.uplink
            && let Some(rtt) = self.wire.rtt_since(&mut self.rtt_mark)
        {
            uplink.measured(rtt);
        }
    }

    /// Why the connection is gone, or else what was seen of it.
    fn lost(&self, seen: impl FnOnce() -> String) -> LinkEnd {
        self.wire.close_reason().map_or_else(|| LinkEnd::Lost(seen()), LinkEnd::from)
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Request(ask) => self.ask(ask).await,
            Command::Cancel(request) => {
                if let Some(cancelled) = self.asks.get(&request) {
                    cancelled.cancel();
                }
            }
            Command::Reply { request, reply } => {
                // A request that was taken back meanwhile has no receiver any more.
                if let Some(waiting) = self.asked.get_mut(&request).and_then(Option::take) {
                    let _ = waiting.send(reply);
                }
            }
        }
    }

    async fn ask(&mut self, ask: Ask) {
        let refusal = if self.rights & RIGHT_SEND == 0 {
            Some(RefuseReason::NotSharing)
        } else if self.asks.len() >= LINK_REQUESTS_MAX {
            Some(RefuseReason::Busy)
        } else {
            None
        };
        if let Some(reason) = refusal {
            let (link, request, answer) = (self.link, ask.request, Answer::Refused(reason));
            let _ = self.board.tell(TransportEvent::Answer { link, request, answer }).await;
            return;
        }
        let cancelled = CancellationToken::new();
        self.asks.insert(ask.request, cancelled.clone());
        let (board, wire) = (Arc::clone(&self.board), self.wire.clone());
        self.tasks.spawn(AskTask { board, wire, link: self.link, ask, cancelled }.run());
    }

    async fn take_control(
        &mut self,
        frame: Result<Option<ReadFrame>, FrameReadError>,
    ) -> Result<(), LinkEnd> {
        let frame = match frame {
            Ok(Some(frame)) => frame,
            Err(FrameReadError::Frame(error)) => return Err(LinkEnd::Misbehaved(error.to_string())),
            Ok(None) | Err(FrameReadError::Truncated) => {
                return Err(self.lost(|| "the peer ended the control stream".to_owned()));
            }
            Err(FrameReadError::Io(error)) => {
                return Err(self.lost(|| printable(&error.to_string())));
            }
        };
        if !self.meter.charge(Instant::now(), control_units(frame.bytes)) {
            return Err(LinkEnd::Misbehaved(format!("more than {CONTROL_FRAMES_S} control frames a second")));
        }
        let frame = match frame.decoded {
            Decoded::Skipped(_) => return Ok(()),
            Decoded::Frame(frame) => frame,
        };
        let bye = match &frame {
            Frame::Release { .. }
            | Frame::Rendition { .. }
            | Frame::Entry { .. }
            | Frame::Have { .. }
            | Frame::Withdraw { .. }
            | Frame::Fetching { .. }
            | Frame::Pointer { .. }
            | Frame::Keys { .. }
            | Frame::Ticket { .. }
            | Frame::Peers { .. }
            | Frame::Signal { .. } => None,
            Frame::Bye { reason } => Some(printable(reason)),
            Frame::Hello(_)
            | Frame::Proof { .. }
            | Frame::Request(_)
            | Frame::Data(_)
            | Frame::Refuse { .. }
            | Frame::Cancel { .. } => {
                return Err(LinkEnd::Misbehaved(
                    "a frame that does not belong on the control stream".to_owned(),
                ));
            }
        };
        let _ = self.board.tell(TransportEvent::Frame { link: self.link, frame }).await;
        bye.map_or(Ok(()), |reason| Err(LinkEnd::Bye(reason)))
    }

    async fn stream_ended(
        &mut self,
        end: Result<StreamEnd<W::Sending>, tokio::task::JoinError>,
    ) -> Result<(), LinkEnd> {
        match end {
            Ok(StreamEnd::Asked { asked, send }) => return self.asked(asked, send).await,
            Ok(StreamEnd::AskEnded(request)) => drop(self.asks.remove(&request)),
            Ok(StreamEnd::ServeEnded(request)) => drop(self.asked.remove(&request)),
            Ok(StreamEnd::Misbehaved(why)) => return Err(LinkEnd::Misbehaved(why)),
            Ok(StreamEnd::ControlLost) => return Err(LinkEnd::Lost("the control stream broke".to_owned())),
            Ok(StreamEnd::Nothing) => {}
            Err(error) => return Err(LinkEnd::Lost(format!("a task of the link failed: {error}"))),
        }
        Ok(())
    }

    async fn asked(&mut self, asked: Request, send: W::Sending) -> Result<(), LinkEnd> {
        let request = asked.request;
        if self.asked.contains_key(&request) {
            return Err(LinkEnd::Misbehaved(format!("request number {request} is in use")));
        }
        let (waiting, reply) = oneshot::channel();
        let refusal = if self.rights & RIGHT_RECEIVE == 0 {
            Some(RefuseReason::NotSharing)
        } else if self.asked.len() >= LINK_REQUESTS_MAX {
            Some(RefuseReason::Busy)
        } else {
            None
        };
        match refusal {
            Some(reason) => {
                // The receiver is here.
                let _ = waiting.send(Reply::Refuse(reason));
                self.asked.insert(request, None);
            }
            None => {
                self.asked.insert(request, Some(waiting));
                let _ = self.board.tell(TransportEvent::Asked { link: self.link, asked }).await;
            }
        }
        let (board, wire, state) = (Arc::clone(&self.board), self.wire.clone(), Arc::clone(&self.state));
        let uplink = self.uplink.clone();
        self.tasks.spawn(ServeTask { board, wire, state, uplink, asked, send, reply, sent: None }.run());
        Ok(())
    }

    /// Closes the connection, waits for the tasks of all streams to tell their ends, and says why the link is down.
    async fn end(self, end: LinkEnd) -> String {
        // Without its other end the writer of the control stream ends as well.
        let Self { wire, bye, mut tasks, .. } = self;
        let reason = match end {
            LinkEnd::Closing(reason) => {
                // The peer answers Bye by closing; one that does not is closed without.
                let _ = bye.send(reason.clone());
                let _ = tokio::time::timeout(BYE_TIME, wire.closed()).await;
                wire.close(CloseCode::Bye, &reason);
                reason
            }
            LinkEnd::Bye(reason) => {
                drop(bye);
                wire.close(CloseCode::Bye, "bye");
                format!("the peer closed: {reason}")
            }
            LinkEnd::Misbehaved(why) => {
                drop(bye);
                wire.close(CloseCode::Misbehaved, &why);
                format!("the peer misbehaved: {why}")
            }
            LinkEnd::Lost(reason) => {
                drop(bye);
                wire.close(CloseCode::Bye, "");
                reason
            }
        };
        // What is said last goes out before this link counts as gone.
        let _ = tokio::time::timeout(BYE_TIME, wire.closed()).await;
        while tasks.join_next().await.is_some() {}
        reason
    }
}

/// How much a control frame of so many bytes counts.
fn control_units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(CONTROL_UNIT_BYTES)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_frames_count_more() {
        let check = |bytes: usize, units: u32| assert_eq!(control_units(bytes), units, "{bytes}");
        check(0, 1);
        check(CONTROL_UNIT_BYTES, 1);
        check(CONTROL_UNIT_BYTES + 1, 2);
        check(CONTROL_UNIT_BYTES * 8, 8);
    }
}
