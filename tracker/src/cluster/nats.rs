//! A cluster over NATS core. Nothing of the library crosses this file.
//!
//! What is said to all goes out under one subject, what is said to one tracker under a subject of its own; both have the
//! cluster's name in them, so that several clusters can share a broker. While it is gone nothing is kept for it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event as NatsEvent, Message, ServerAddr};
use freshet_protocol::PublicKey;
use futures_util::StreamExt;
use percent_encoding::percent_decode_str;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::seal::{Opener, Sealer, Secret};
use super::{Cluster, ClusterEvent, ClusterOptions, ClusterOptionsError};
use crate::counters::Counters;
use crate::engine::Event;
use crate::random::random_u64;
use crate::swarms::{ClusterMessage, NodeId, To};

/// Messages that wait to be sent; a full queue drops what comes.
const OUTGOING_MAX: usize = 1024;
/// Messages within the library: to be sent, and, of each of the two subjects, to be read. Who reads too slowly loses some.
const LIBRARY_OUTGOING_MAX: usize = 256;
const LIBRARY_INCOMING_MAX: usize = 1024;
/// Time to connect, and for a broker to answer.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How often a sign of life is asked for; after two without an answer the broker is gone.
const PING_TIME: Duration = Duration::from_secs(5);
/// Time for the library to take a message; it takes none while a connection hangs and its queue is full.
const PUBLISH_TIME: Duration = Duration::from_millis(500);
/// Longest first wait before a broker is tried again, and longest of all.
const WAIT: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The brokers, and by which name they let in.
pub(super) struct Brokers {
    addresses: Vec<ServerAddr>,
    user: String,
    password: Option<String>,
}

impl Brokers {
    pub(super) fn parse(texts: &[String]) -> Result<Self, ClusterOptionsError> {
        let mut addresses = Vec::new();
        for (number, text) in (1..).zip(texts) {
            let address: ServerAddr = text.parse().map_err(|_| ClusterOptionsError::Address(number))?;
            if !["nats", "tls"].contains(&address.scheme()) || address.host().is_empty() {
                return Err(ClusterOptionsError::Address(number));
            }
            addresses.push(address);
        }
        let name = |address: &ServerAddr| {
            let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            (address.username().map(decoded).unwrap_or_default(), address.password().map(decoded))
        };
        let first = addresses.first().ok_or(ClusterOptionsError::NoBroker)?;
        if let Some(other) = addresses.iter().position(|address| name(address) != name(first)) {
            return Err(ClusterOptionsError::Mixed(other + 1));
        }
        let (user, password) = name(first);
        Ok(Self { addresses, user, password })
    }

    fn let_in(&self, options: ConnectOptions) -> ConnectOptions {
        match &self.password {
            _ if self.user.is_empty() => options,
            Some(password) => options.user_and_password(self.user.clone(), password.clone()),
            None => options.token(self.user.clone()),
        }
    }
}

/// The way out.
pub(crate) struct Nats {
    sealer: Sealer,
    outgoing: mpsc::Sender<(To, Vec<u8>)>,
    counters: Arc<Counters>,
}

/// What the task works with.
struct Broker {
    client: Client,
    own: NodeId,
    /// The part of subjects that is the cluster's.
    name: String,
    opener: Opener,
    events: mpsc::Sender<Event>,
    counters: Arc<Counters>,
}

impl Nats {
    /// Starts to connect, and goes on trying until `stop`, or until this is dropped: then what waits is sent before the end.
    ///
    /// # Errors
    /// [`ClusterOptionsError`] when an address is none.
    pub(crate) async fn start(
        options: &ClusterOptions,
        (secret, cluster): (Secret, PublicKey),
        events: mpsc::Sender<Event>,
        counters: Arc<Counters>,
        (tasks, stop): (&TaskTracker, CancellationToken),
    ) -> Result<Self, ClusterOptionsError> {
        let brokers = Brokers::parse(&options.brokers)?;
        let own = NodeId(random_u64());
        let (state_in, state) = watch::channel(false);
        let connecting = connect_options(&brokers, options, state_in).connect(brokers.addresses.clone());
        let client = Box::pin(connecting).await.map_err(|_| ClusterOptionsError::Address(1))?;
        let (outgoing, queue) = mpsc::channel(OUTGOING_MAX);
        let sealer = Sealer::new(&secret, own);
        let name = format!("freshet.1.{:016x}", cluster_name(&cluster));
        let opener = Opener::new(secret, own);
        let broker = Broker { client, own, name, opener, events, counters: Arc::clone(&counters) };
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = broker.run(queue, state) => {}
            }
        });
        Ok(Self { sealer, outgoing, counters })
    }
}

impl Cluster for Nats {
    fn send(&self, to: To, message: &ClusterMessage) {
        let sealed = self.sealer.seal(to, message.encode());
        if self.outgoing.try_send((to, sealed)).is_err() {
            self.counters.cluster_dropped.add(1);
        }
    }
}

impl Broker {
    async fn run(mut self, mut queue: mpsc::Receiver<(To, Vec<u8>)>, mut state: watch::Receiver<bool>) {
        let own = To::Node(self.own);
        let subscribed = async |to| self.client.subscribe(self.subject(to)).await;
        let (Ok(mut all), Ok(mut mine)) = (subscribed(To::All).await, subscribed(own).await) else {
            tracing::error!("the client of the cluster's broker has ended; this tracker stays alone");
            return;
        };
        loop {
            tokio::select! {
                changed = state.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let is_up = *state.borrow_and_update();
                    self.turned(is_up).await;
                }
                sent = queue.recv() => match sent {
                    None => {
                        // The tracker stops; a broker that is gone has no part in that.
                        let _ = tokio::time::timeout(PUBLISH_TIME, self.client.flush()).await;
                        return;
                    }
                    Some((to, sealed)) => {
                        let is_up = *state.borrow();
                        self.publish(to, sealed, is_up).await;
                    }
                },
                Some(message) = all.next() => self.take(To::All, &message).await,
                Some(message) = mine.next() => self.take(own, &message).await,
            }
        }
    }

    async fn turned(&self, is_up: bool) {
        // Its answer says that the subscriptions are in force.
        let is_there =
            is_up && matches!(tokio::time::timeout(CONNECT_TIME, self.client.flush()).await, Ok(Ok(())));
        let event = if is_there {
            tracing::info!(node = %self.own, "the cluster's broker answers");
            ClusterEvent::Up(self.own)
        } else {
            tracing::warn!("the cluster's broker does not answer; this tracker goes on alone");
            ClusterEvent::Down
        };
        // An engine that is gone is seen by the task that started it.
        let _ = self.events.send(Event::Cluster(event)).await;
    }

    async fn publish(&self, to: To, sealed: Vec<u8>, is_up: bool) {
        // What the library would keep for a broker that is gone would all come out at once when it is back.
        let publish = self.client.publish(self.subject(to), sealed.into());
        if !is_up || !matches!(tokio::time::timeout(PUBLISH_TIME, publish).await, Ok(Ok(()))) {
            self.counters.cluster_dropped.add(1);
        }
    }

    async fn take(&mut self, to: To, message: &Message) {
        let Some((from, text)) = self.opener.open(to, &message.payload) else {
            self.counters.cluster_refused.add(1);
            return;
        };
        match ClusterMessage::decode(&text) {
            Ok(message) => {
                let _ = self.events.send(Event::Cluster(ClusterEvent::Message { from, message })).await;
            }
            Err(error) => {
                tracing::debug!(%from, %error, "malformed message from another tracker");
                self.counters.cluster_refused.add(1);
            }
        }
    }

    fn subject(&self, to: To) -> String {
        match to {
            To::All => format!("{}.all", self.name),
            To::Node(node) => format!("{}.node.{node}", self.name),
        }
    }
}

fn connect_options(
    brokers: &Brokers,
    options: &ClusterOptions,
    state: watch::Sender<bool>,
) -> ConnectOptions {
    let state = Arc::new(state);
    let connect = ConnectOptions::new()
        .name("freshet-tracker")
        .no_echo()
        .retry_on_initial_connect()
        .connection_timeout(CONNECT_TIME)
        .ping_interval(PING_TIME)
        .client_capacity(LIBRARY_OUTGOING_MAX)
        .subscription_capacity(LIBRARY_INCOMING_MAX)
        .reconnect_delay_callback(|attempts| if attempts <= 1 { Duration::ZERO } else { wait(attempts) })
        .event_callback(move |event| {
            let state = Arc::clone(&state);
            async move {
                let is_up = match event {
                    NatsEvent::Connected => true,
                    NatsEvent::Disconnected | NatsEvent::Closed => false,
                    other => return tracing::debug!(%other, "broker"),
                };
                state.send_replace(is_up);
            }
        });
    let connect = brokers.let_in(connect);
    match &options.authorities {
        Some(path) => connect.add_root_certificates(path.clone()),
        None => connect,
    }
}

/// Exponential back-off with full jitter, so that not all trackers come to a new broker at once.
fn wait(attempts: usize) -> Duration {
    let longest = WAIT.saturating_mul(1 << attempts.min(16)).min(WAIT_MAX);
    longest.mul_f64((random_u64() >> 11) as f64 / (1_u64 << 53) as f64)
}

/// Keeps clusters that share a broker apart.
fn cluster_name(key: &PublicKey) -> u64 {
    let id = key.id().0.0;
    u64::from_be_bytes(id[..8].try_into().expect("eight of 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_up_to_a_bound() {
        let waits: Vec<Duration> = (0..200).map(|_| wait(usize::MAX)).collect();
        assert!(waits.iter().all(|wait| *wait <= WAIT_MAX));
        assert!(waits.iter().any(|wait| *wait < WAIT_MAX / 4));
        assert!(waits.iter().any(|wait| *wait > WAIT_MAX * 3 / 4));
        assert!((0..200).all(|_| wait(1) <= WAIT * 2));
    }
}
