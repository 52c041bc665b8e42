//! One WebSocket connection, from its first message to its last.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use freshet_listen::{Proxies, Tls};
use freshet_protocol::{Base64, ClientMessage, PeerId, PublicKey, ServerMessage};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use crate::counters::Counters;
use crate::door::Caller;
use crate::engine::{ClientLink, Event};
use crate::handshake::{self, Greeting, NONCE_BYTES};
use crate::options::ConnectionLimits;
use crate::rate::{Meter, Rate};

/// Pings within an idle timeout, so that one lost ping cuts nobody.
const PINGS_PER_IDLE_TIMEOUT: u32 = 3;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) tls: Option<Tls>,
    pub(crate) proxies: Proxies,
    pub(crate) limits: ConnectionLimits,
    pub(crate) tracker_key: PublicKey,
    pub(crate) stun_ports: Vec<u16>,
    pub(crate) stun_host: Option<String>,
    pub(crate) announce_ms: u32,
    pub(crate) stop: CancellationToken,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Ending {
    #[error("the client closed it")]
    Closed,
    #[error("the client broke the WebSocket protocol or a size limit: {0}")]
    Broken(String),
    #[error("no good hello came: {message}")]
    Refused { code: &'static str, message: String },
    #[error("nothing came for too long")]
    Idle,
    #[error("the client does not read")]
    Slow,
    #[error("too many malformed messages")]
    Faulty,
    #[error("the tracker stops")]
    Stopping,
}

impl Ending {
    fn close_code(&self) -> u16 {
        match self {
            Self::Closed => close_code::NORMAL,
            Self::Broken(_) => close_code::PROTOCOL,
            Self::Refused { .. } | Self::Faulty => close_code::POLICY,
            Self::Idle | Self::Slow | Self::Stopping => close_code::AWAY,
        }
    }
}

/// Serves one client until either side ends.
pub(crate) async fn run(socket: WebSocket, caller: Caller, room: Arc<Room>) {
    let (sink, stream) = socket.split();
    let cut = room.stop.child_token();
    let mut connection = Connection { sink, stream, room, cut, faults: 0 };
    let ending = connection.serve(&caller).await;
    tracing::debug!(address = %caller.address, %ending, "connection ended");
    connection.close(&ending).await;
}

struct Connection {
    sink: SplitSink<WebSocket, Message>,
    stream: SplitStream<WebSocket>,
    room: Arc<Room>,
    cut: CancellationToken,
    faults: u32,
}

impl Connection {
    async fn serve(&mut self, caller: &Caller) -> Ending {
        let greeted = timeout(self.room.limits.hello_timeout, self.greet()).await;
        let greeting = match greeted {
            Ok(Ok(greeting)) => greeting,
            Ok(Err(ending)) => return self.refused(ending),
            Err(_) => return self.refused(Ending::Idle),
        };
        tracing::debug!(address = %caller.address, agent = %greeting.agent, "client");
        caller.admission.grant();
        let (outgoing, queue) = mpsc::channel(self.room.limits.outgoing_max);
        let link = ClientLink { outgoing, cut: self.cut.clone() };
        let peer = match self.enter(&greeting, caller, link).await {
            Ok(peer) => peer,
            Err(ending) => return self.refused(ending),
        };
        let ending = match self.welcome(&greeting, caller, peer).await {
            Ok(()) => self.relay(peer, queue).await,
            Err(ending) => ending,
        };
        // The engine may have stopped before, and then knows.
        let _ = self.room.events.send(Event::Disconnected { peer }).await;
        ending
    }

    fn refused(&self, ending: Ending) -> Ending {
        self.room.counters.hellos_refused.add(1);
        ending
    }

    async fn greet(&mut self) -> Result<Greeting, Ending> {
        let mut nonce = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut nonce).map_err(|_| Ending::Stopping)?;
        self.send(&ServerMessage::Challenge { nonce: Base64(nonce.to_vec()) }).await?;
        loop {
            let text = match self.stream.next().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Binary(_))) => return Err(malformed("messages are text, not binary")),
                Some(Ok(Message::Close(_))) | None => return Err(Ending::Closed),
                Some(Err(error)) => return Err(Ending::Broken(error.to_string())),
            };
            self.count_received(text.len());
            let message =
                ClientMessage::decode(text.as_bytes()).map_err(|error| malformed(&error.to_string()))?;
            return handshake::check(message, &nonce)
                .map_err(|error| Ending::Refused { code: error.code(), message: error.to_string() });
        }
    }

    async fn enter(&self, greeting: &Greeting, caller: &Caller, link: ClientLink) -> Result<PeerId, Ending> {
        let (reply, answer) = oneshot::channel();
        let event = Event::Connected { key: greeting.key, address: caller.address.ip(), link, reply };
        self.room.events.send(event).await.map_err(|_| Ending::Stopping)?;
        answer
            .await
            .map_err(|_| Ending::Stopping)?
            .map_err(|refused| Ending::Refused { code: "tracker-full", message: refused.to_string() })
    }

    async fn welcome(&mut self, greeting: &Greeting, caller: &Caller, peer: PeerId) -> Result<(), Ending> {
        let welcome = ServerMessage::Welcome {
            version: greeting.version,
            peer,
            tracker_key: self.room.tracker_key,
            address: caller.address,
            stun_ports: self.room.stun_ports.clone(),
            stun_host: self.room.stun_host.clone(),
            announce_ms: self.room.announce_ms,
        };
        self.send(&welcome).await
    }

    async fn relay(&mut self, peer: PeerId, mut queue: mpsc::Receiver<ServerMessage>) -> Ending {
        let idle_timeout = self.room.limits.idle_timeout;
        let mut pings = tokio::time::interval(idle_timeout / PINGS_PER_IDLE_TIMEOUT);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pace = Pace::new(&self.room.limits);
        let mut heard = Instant::now();
        let cut = self.cut.clone();
        loop {
            let step = tokio::select! {
                () = cut.cancelled() => Err(Ending::Slow),
                message = queue.recv() => match message {
                    Some(message) => self.send(&message).await,
                    None => Err(Ending::Stopping),
                },
                message = next_message(&mut self.stream, &pace) => {
                    heard = Instant::now();
                    pace.count();
                    self.receive(peer, message).await
                }
                _ = pings.tick() => {
                    if heard.elapsed() >= idle_timeout {
                        Err(Ending::Idle)
                    } else {
                        self.write(Message::Ping(bytes::Bytes::new())).await
                    }
                }
            };
            if let Err(ending) = step {
                return ending;
            }
        }
    }

    async fn receive(
        &mut self,
        peer: PeerId,
        message: Option<Result<Message, axum::Error>>,
    ) -> Result<(), Ending> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => return self.fault("messages are text, not binary").await,
            Some(Ok(Message::Close(_))) | None => return Err(Ending::Closed),
            Some(Err(error)) => return Err(Ending::Broken(error.to_string())),
        };
        self.count_received(text.len());
        match ClientMessage::decode(text.as_bytes()) {
            Ok(message) => {
                self.room.events.send(Event::Message { peer, message }).await.map_err(|_| Ending::Stopping)
            }
            Err(error) => self.fault(&error.to_string()).await,
        }
    }

    /// A malformed message is harmless by itself; many are not.
    async fn fault(&mut self, message: &str) -> Result<(), Ending> {
        self.room.counters.messages_malformed.add(1);
        self.faults += 1;
        if self.faults > self.room.limits.faults_max {
            return Err(Ending::Faulty);
        }
        self.send(&ServerMessage::Error { code: "malformed".to_owned(), message: message.to_owned() }).await
    }

    async fn send(&mut self, message: &ServerMessage) -> Result<(), Ending> {
        let text = message.encode();
        let length = text.len() as u64;
        self.write(Message::Text(text.into())).await?;
        self.room.counters.messages_sent.add(1);
        self.room.counters.bytes_sent.add(length);
        Ok(())
    }

    async fn write(&mut self, message: Message) -> Result<(), Ending> {
        tokio::select! {
            () = self.cut.cancelled() => Err(Ending::Slow),
            written = timeout(self.room.limits.write_timeout, self.sink.send(message)) => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(Ending::Closed),
                Err(_) => {
                    self.room.counters.slow_cut.add(1);
                    Err(Ending::Slow)
                }
            },
        }
    }

    fn count_received(&self, bytes: usize) {
        self.room.counters.messages_received.add(1);
        self.room.counters.bytes_received.add(bytes as u64);
    }

    /// Says why and closes, as far as the client still listens.
    async fn close(mut self, ending: &Ending) {
        if matches!(ending, Ending::Slow) || self.cut.is_cancelled() {
            return;
        }
        if let Ending::Refused { code, message } = ending {
            let error = ServerMessage::Error { code: (*code).to_owned(), message: message.clone() };
            if self.send(&error).await.is_err() {
                return;
            }
        }
        let frame = CloseFrame { code: ending.close_code(), reason: "".into() };
        // Who is gone already needs no goodbye.
        let _ = self.write(Message::Close(Some(frame))).await;
    }
}

/// How fast a client's messages are taken; faster ones wait in its own socket.
struct Pace {
    rate: Rate,
    meter: Meter,
    start: Instant,
}

impl Pace {
    fn new(limits: &ConnectionLimits) -> Self {
        let rate = Rate::new(limits.messages_per_s, limits.messages_burst);
        Self { rate, meter: Meter::default(), start: Instant::now() }
    }

    fn count(&mut self) {
        self.rate.count(&mut self.meter, self.start.elapsed().as_micros() as u64);
    }

    async fn ready(&self) {
        tokio::time::sleep_until(self.start + Duration::from_micros(self.rate.ready_us(self.meter))).await;
    }
}

async fn next_message(
    stream: &mut SplitStream<WebSocket>,
    pace: &Pace,
) -> Option<Result<Message, axum::Error>> {
    pace.ready().await;
    stream.next().await
}

fn malformed(message: &str) -> Ending {
    Ending::Refused { code: "malformed", message: message.to_owned() }
}
