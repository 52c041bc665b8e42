//! The network: lines, connections and transfers.
//!
//! Each host has an uplink and a downlink of a set rate. A transfer is cut into quanta. An uplink takes quanta from its
//! transfers in turn and keeps a queue of `buffer_us` full, as loss-based congestion control does; control messages wait
//! in the same queue. A quantum then travels half a round trip and passes the receiver's downlink, first come first
//! served. A sender pauses a transfer while the receiver's downlink has a queue longer than the buffer and one round
//! trip: an ideal congestion control, which neither overfills a receiver nor leaves it idle. A connection starts slowly
//! (its rate doubles each round trip from its first window on). A lost packet costs its bytes again and a round trip of
//! delay, not rate, as with BBR.

use std::collections::VecDeque;

use super::connection::{Connection, Path};
use super::line::Line;
use super::queue::{Event, Queue, TransferId};
use super::wire::{self, Overhead};
use crate::random::Random;

/// Where a transfer's bytes belong; the network only carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A node's root and pages, before its job starts.
    Manifest { node: u32 },
    /// A run of chunks from the origin.
    Fetch { node: u32, fetch: u64 },
    /// A chunk from a peer: the asker, its link and request; the server's own link.
    Chunk { asker: u32, link: u32, request: u64, server: u32, server_link: u32 },
}

/// Something that the nodes must hear of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Note {
    /// The sender is done: with a fetch when the last byte is in its uplink's queue, which is all that HTTP knows; with
    /// a chunk when it hears that the last byte came.
    Sent { purpose: Purpose, payload_bytes: u64 },
    /// Bytes came in.
    Came { purpose: Purpose, payload_bytes: u32, is_last: bool },
}

#[derive(Debug)]
struct Transfer {
    serial: u32,
    connection: u32,
    purpose: Purpose,
    payload_bytes: u64,
    unsent_bytes: u64,
    uncome_bytes: u64,
    is_live: bool,
}

#[derive(Debug)]
struct Host {
    up: Line,
    down: Line,
    /// Round trip to a host with the same value; to another it is the mean of both.
    rtt_us: u64,
    ready: VecDeque<TransferId>,
    is_pumping: bool,
    blocked: VecDeque<TransferId>,
    is_unblocking: bool,
    payload_bytes: u64,
}

/// How a network behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) quantum_bytes: u32,
    pub(super) buffer_us: u64,
    /// Packets lost, in millionths.
    pub(super) loss_ppm: u64,
}

#[derive(Debug)]
pub(super) struct Net {
    settings: Settings,
    random: Random,
    hosts: Vec<Host>,
    connections: Vec<Connection>,
    transfers: Vec<Transfer>,
    free_slots: Vec<u32>,
    notes: VecDeque<Note>,
}

impl Net {
    pub(super) fn new(settings: Settings, random: Random) -> Self {
        Self {
            settings,
            random,
            hosts: Vec::new(),
            connections: Vec::new(),
            transfers: Vec::new(),
            free_slots: Vec::new(),
            notes: VecDeque::new(),
        }
    }

    /// Adds a host with the given lines, in bytes a second; returns its number.
    pub(super) fn add_host(&mut self, up_bytes_s: u64, down_bytes_s: u64, rtt_us: u64) -> u32 {
        self.hosts.push(Host {
            up: Line::new(up_bytes_s),
            down: Line::new(down_bytes_s),
            rtt_us,
            ready: VecDeque::new(),
            is_pumping: false,
            blocked: VecDeque::new(),
            is_unblocking: false,
            payload_bytes: 0,
        });
        self.hosts.len() as u32 - 1
    }

    pub(super) fn uplink(&self, host: u32) -> &Line {
        &self.hosts[host as usize].up
    }

    /// Payload that a host has sent.
    pub(super) fn payload_bytes(&self, host: u32) -> u64 {
        self.hosts[host as usize].payload_bytes
    }

    /// Transfers that could use a host's uplink now but for its rate.
    pub(super) fn ready(&self, host: u32) -> usize {
        self.hosts[host as usize].ready.len()
    }

    /// Round trip between two hosts, in microseconds.
    pub(super) fn rtt_us(&self, a: u32, b: u32) -> u64 {
        self.hosts[a as usize].rtt_us.midpoint(self.hosts[b as usize].rtt_us)
    }

    /// Opens one direction between two hosts.
    pub(super) fn connect(&mut self, path: Path) -> u32 {
        let one_way_us = self.rtt_us(path.from, path.to) / 2;
        self.connections.push(Connection::new(path, one_way_us));
        self.connections.len() as u32 - 1
    }

    /// Sends `wire_bytes` of a control message; returns when its last bit is at the receiver's line.
    pub(super) fn send_message(&mut self, now_us: u64, from: u32, to: u32, wire_bytes: u64) -> u64 {
        let one_way_us = self.rtt_us(from, to) / 2;
        self.hosts[from as usize].up.carry(now_us, wire_bytes) + one_way_us
    }

    /// A control message passes its receiver's downlink; returns when it is through.
    pub(super) fn message_at_line(&mut self, now_us: u64, to: u32, wire_bytes: u64) -> u64 {
        let down = &mut self.hosts[to as usize].down;
        let from_us = now_us.saturating_sub(down.time_us(wire_bytes));
        down.carry(from_us, wire_bytes)
    }

    /// Starts a transfer.
    pub(super) fn start(
        &mut self,
        queue: &mut Queue,
        connection: u32,
        payload_bytes: u64,
        purpose: Purpose,
    ) -> TransferId {
        let from = self.connections[connection as usize].from;
        let slot = self.free_slots.pop().unwrap_or(self.transfers.len() as u32);
        let serial = self.transfers.get(slot as usize).map_or(0, |transfer| transfer.serial.wrapping_add(1));
        let transfer = Transfer {
            serial,
            connection,
            purpose,
            payload_bytes,
            unsent_bytes: payload_bytes,
            uncome_bytes: payload_bytes,
            is_live: true,
        };
        match self.transfers.get_mut(slot as usize) {
            Some(place) => *place = transfer,
            None => self.transfers.push(transfer),
        }
        let id = TransferId { slot, serial };
        self.make_ready(queue, from, id);
        id
    }

    /// Breaks a transfer off; what is in a queue already still travels. Returns the payload bytes that were sent.
    pub(super) fn stop(&mut self, id: TransferId) -> Option<u64> {
        let transfer = self.live(id)?;
        let sent_bytes = transfer.payload_bytes - transfer.unsent_bytes;
        self.free(id);
        Some(sent_bytes)
    }

    pub(super) fn poll_note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    /// The next quanta of a host's transfers go into its uplink's queue.
    pub(super) fn pump(&mut self, queue: &mut Queue, host: u32) {
        let now_us = queue.now_us();
        let buffer_us = self.settings.buffer_us;
        self.hosts[host as usize].is_pumping = false;
        while self.hosts[host as usize].up.backlog_us(now_us) <= buffer_us {
            let Some(id) = self.hosts[host as usize].ready.pop_front() else { return };
            if self.live(id).is_none() {
                continue;
            }
            if self.may_send(queue, id) {
                self.send_quantum(queue, id);
            }
        }
        self.schedule_pump(queue, host);
    }

    /// A transfer that its window held back goes on.
    pub(super) fn resume(&mut self, queue: &mut Queue, id: TransferId) {
        if let Some(transfer) = self.live(id) {
            let from = self.connections[transfer.connection as usize].from;
            self.make_ready(queue, from, id);
        }
    }

    /// Transfers that a host's full downlink held back go on.
    pub(super) fn unblock(&mut self, queue: &mut Queue, host: u32) {
        self.hosts[host as usize].is_unblocking = false;
        for _ in 0..self.hosts[host as usize].blocked.len() {
            if let Some(id) = self.hosts[host as usize].blocked.pop_front() {
                self.resume(queue, id);
            }
        }
    }

    /// A quantum has come to its receiver's line.
    pub(super) fn at_line(&mut self, queue: &mut Queue, id: TransferId, host: u32, payload_bytes: u32) {
        let now_us = queue.now_us();
        let connection = self.live(id).map(|transfer| &self.connections[transfer.connection as usize]);
        let overhead = connection.map_or(Overhead::Quic, |connection| connection.overhead);
        let wire_bytes = overhead.wire_bytes(u64::from(payload_bytes));
        // The quantum was coming in for as long as the slower of both lines needed for it.
        let up_us = connection.map_or(0, |c| self.hosts[c.from as usize].up.time_us(wire_bytes));
        let there_us = self.hosts[host as usize].down.carry(now_us.saturating_sub(up_us), wire_bytes);
        if there_us <= now_us {
            self.delivered(queue, id, payload_bytes);
        } else {
            queue.push(there_us, Event::Delivered { transfer: id, payload_bytes });
        }
    }

    /// A quantum is there.
    pub(super) fn delivered(&mut self, queue: &mut Queue, id: TransferId, payload_bytes: u32) {
        if self.live(id).is_none() {
            return;
        }
        let transfer = &mut self.transfers[id.slot as usize];
        transfer.uncome_bytes -= u64::from(payload_bytes);
        let (purpose, is_last) = (transfer.purpose, transfer.uncome_bytes == 0);
        if is_last {
            if matches!(purpose, Purpose::Chunk { .. }) {
                let back_us = self.connections[transfer.connection as usize].one_way_us;
                queue.push(queue.now_us() + back_us, Event::Acknowledged { transfer: id });
            } else {
                self.free(id);
            }
        }
        self.notes.push_back(Note::Came { purpose, payload_bytes, is_last });
    }

    /// The sender of a chunk hears that all of it came.
    pub(super) fn acknowledged(&mut self, id: TransferId) {
        let Some(&Transfer { purpose, payload_bytes, .. }) = self.live(id) else { return };
        self.free(id);
        self.notes.push_back(Note::Sent { purpose, payload_bytes });
    }

    fn live(&self, id: TransferId) -> Option<&Transfer> {
        self.transfers
            .get(id.slot as usize)
            .filter(|transfer| transfer.serial == id.serial && transfer.is_live)
    }

    fn free(&mut self, id: TransferId) {
        self.transfers[id.slot as usize].is_live = false;
        self.free_slots.push(id.slot);
    }

    fn make_ready(&mut self, queue: &mut Queue, host: u32, id: TransferId) {
        self.hosts[host as usize].ready.push_back(id);
        self.schedule_pump(queue, host);
    }

    fn schedule_pump(&mut self, queue: &mut Queue, host: u32) {
        let buffer_us = self.settings.buffer_us;
        let place = &mut self.hosts[host as usize];
        if !place.is_pumping && !place.ready.is_empty() {
            place.is_pumping = true;
            queue.push(place.up.free_at_us().saturating_sub(buffer_us), Event::Pump { host });
        }
    }

    /// Whether the window and the receiver's downlink let a transfer send now; else it is set aside until they do.
    fn may_send(&mut self, queue: &mut Queue, id: TransferId) -> bool {
        let now_us = queue.now_us();
        let connection = &self.connections[self.transfers[id.slot as usize].connection as usize];
        if connection.next_at_us > now_us {
            queue.push(connection.next_at_us, Event::Resume { transfer: id });
            return false;
        }
        let to = connection.to;
        let queue_us_max = self.settings.buffer_us + 2 * connection.one_way_us;
        let receiver = &mut self.hosts[to as usize];
        if receiver.down.backlog_us(now_us) <= queue_us_max {
            return true;
        }
        receiver.blocked.push_back(id);
        if !receiver.is_unblocking {
            receiver.is_unblocking = true;
            let at_us = (receiver.down.free_at_us() - queue_us_max).max(now_us + 1);
            queue.push(at_us, Event::Unblock { host: to });
        }
        false
    }

    fn send_quantum(&mut self, queue: &mut Queue, id: TransferId) {
        let now_us = queue.now_us();
        let transfer = &mut self.transfers[id.slot as usize];
        let payload_bytes = transfer.unsent_bytes.min(u64::from(self.settings.quantum_bytes));
        transfer.unsent_bytes -= payload_bytes;
        let connection = &mut self.connections[transfer.connection as usize];
        let (from, to) = (connection.from as usize, connection.to);
        let (lost_bytes, delay_us) =
            wire::loss(&mut self.random, self.settings.loss_ppm, payload_bytes, 2 * connection.one_way_us);
        let wire_bytes = connection.overhead.wire_bytes(payload_bytes) + lost_bytes;
        connection.sent(now_us, wire_bytes);
        self.hosts[from].payload_bytes += payload_bytes;
        let through_us = self.hosts[from].up.carry(now_us, wire_bytes);
        let at_us = through_us + connection.one_way_us + delay_us;
        queue.push(at_us, Event::AtLine { transfer: id, host: to, payload_bytes: payload_bytes as u32 });
        if transfer.unsent_bytes > 0 {
            self.hosts[from].ready.push_back(id);
        } else if !matches!(transfer.purpose, Purpose::Chunk { .. }) {
            let note = Note::Sent { purpose: transfer.purpose, payload_bytes: transfer.payload_bytes };
            self.notes.push_back(note);
        }
    }
}
