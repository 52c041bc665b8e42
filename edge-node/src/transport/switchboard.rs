//! What all links of a transport share: who may link, who is linked, and the way to the job.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use freshet_protocol::{Hash, KeyId, Locality, PublicKey, Side, Ticket};
use freshet_swarm::LinkId;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use super::admission::Admission;
use super::event::TransportEvent;
use super::hello::{Admit, NotAdmitted};
use super::limits::{FIRST_TICKET_TIME, PAIRING_TIME};
use super::link::{LinkHandle, Mailbox};
use super::seats::{NoSeat, Pairing, Seat, Seats};
use crate::clock::unix_now;
use crate::identity::Identity;
use crate::limiter::Limiter;
use crate::uplink::Uplink;

/// State of a transport. Its locks are held for a few steps, never across a wait.
#[derive(Debug)]
pub(super) struct Switchboard {
    pub(super) identity: Arc<Identity>,
    pub(super) agent: String,
    pub(super) events: mpsc::Sender<TransportEvent>,
    /// Bound of what answers bring.
    pub(super) limiter: Limiter,
    /// What answers leave through, where they yield.
    pub(super) uplink: Option<Uplink>,
    /// Tasks of links, dials and handshakes.
    pub(super) tasks: TaskTracker,
    admission: Mutex<Admission>,
    has_ticket: watch::Sender<bool>,
    /// Rises with each peer that is going to dial.
    expected: watch::Sender<u64>,
    seats: Mutex<Seats>,
    next_link: AtomicU64,
}

/// A link that has its seat.
#[derive(Debug)]
pub(super) struct Seated {
    pub(super) handle: LinkHandle,
    pub(super) mailbox: Mailbox,
    pub(super) pairing: Option<Pairing>,
}

impl Switchboard {
    pub(super) fn new(
        identity: Arc<Identity>,
        agent: String,
        links_max: usize,
        limiter: Limiter,
        uplink: Option<Uplink>,
        events: mpsc::Sender<TransportEvent>,
    ) -> Self {
        let seats = Mutex::new(Seats::new(identity.key_id(), links_max));
        let (tasks, admission, next_link) = (TaskTracker::new(), Mutex::default(), AtomicU64::new(0));
        let (has_ticket, expected) = (watch::Sender::new(false), watch::Sender::new(0));
        Self {
            identity,
            agent,
            events,
            limiter,
            uplink,
            tasks,
            admission,
            has_ticket,
            expected,
            seats,
            next_link,
        }
    }

    pub(super) fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_ticket(&self, ticket: Vec<u8>) {
        self.admission().set_ticket(ticket, unix_now());
        self.has_ticket.send_replace(true);
    }

    /// Takes up a ticket of an earlier run, which came at `arrived`, where none has come since.
    pub(super) fn restore_ticket(&self, ticket: Vec<u8>, arrived: u64) {
        let mut admission = self.admission();
        if admission.own_ticket().is_none() {
            admission.set_ticket(ticket, arrived);
            self.has_ticket.send_replace(true);
        }
    }

    /// The ticket to show to a peer; where none has come yet, it is waited for a little.
    pub(super) async fn own_ticket(&self) -> Option<Vec<u8>> {
        let mut has_ticket = self.has_ticket.subscribe();
        // Whether in time or not, what is there then counts.
        let _ = tokio::time::timeout(FIRST_TICKET_TIME, has_ticket.wait_for(|has| *has)).await;
        self.admission().own_ticket()
    }

    /// Remembers that the owner of `key` is going to dial.
    pub(super) fn expect(&self, key: KeyId, pairing: Pairing) {
        self.seats().expect(key, pairing);
        self.expected.send_modify(|count| *count += 1);
    }

    /// Waits a little for the word that the owner of `key` is going to dial, since it has.
    pub(super) async fn await_pairing(&self, key: KeyId) {
        let mut expected = self.expected.subscribe();
        let is_expected = expected.wait_for(|_| self.seats().is_expected(key));
        // Who comes without one is let in all the same.
        let _ = tokio::time::timeout(PAIRING_TIME, is_expected).await;
    }

    /// How many dials wait for their pairing.
    #[cfg(test)]
    pub(super) fn pairing_waiters(&self) -> usize {
        self.expected.receiver_count()
    }

    /// How many dials wait for the first ticket.
    #[cfg(test)]
    pub(super) fn ticket_waiters(&self) -> usize {
        self.has_ticket.receiver_count()
    }

    /// Refuses the key from now on, and closes its link.
    pub(super) fn ban(&self, key: KeyId) {
        self.admission().ban(key);
        if let Some(link) = self.seats().link_of(key) {
            link.close("this key is banned here");
        }
    }

    /// Seats a peer that has proved its key. `dialed` is the pairing of an own dial.
    pub(super) fn seat(
        &self,
        key: KeyId,
        side: Side,
        certificate: Hash,
        dialed: Option<Pairing>,
    ) -> Result<Seated, NoSeat> {
        let link = LinkId(self.next_link.fetch_add(1, Ordering::Relaxed));
        let (handle, mailbox) = LinkHandle::new(link);
        let mut seats = self.seats();
        let replaced = seats.take(key, Seat { side, certificate, state: Arc::clone(&mailbox.state) })?;
        if let Some(old) = replaced {
            old.state.close("replaced by another link with the same peer");
        }
        let pairing = dialed.or_else(|| seats.take_expected(key, Instant::now()));
        drop(seats);
        // A ban that came during Hello has not found the link.
        if self.admission().is_banned(key) {
            handle.close("this key is banned here");
        }
        Ok(Seated { handle, mailbox, pairing })
    }

    /// Tells the job; false when there is none any more.
    pub(super) async fn tell(&self, event: TransportEvent) -> bool {
        self.events.send(event).await.is_ok()
    }
}

impl Admit for Switchboard {
    fn admit(&self, key: &PublicKey, ticket: &[u8]) -> Result<Ticket, NotAdmitted> {
        let ticket = self.admission().judge(key, ticket, unix_now())?;
        match self.seats().check_room(key.id()) {
            Err(NoSeat::Full(links_max)) => Err(NotAdmitted::Full(links_max)),
            _ => Ok(ticket),
        }
    }
}

impl Seated {
    pub(super) fn locality(&self) -> Locality {
        self.pairing.map_or(Locality::Any, |pairing| pairing.locality)
    }
}
