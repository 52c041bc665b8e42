//! The ledger: each chunk in exactly one state, each byte counted once.

use std::ops::Range;
use std::sync::Arc;

use freshet_protocol::ShardMap;

use crate::bits::Bits;
use crate::input::ChunkIndex;
use crate::limits::LINKS_MAX;
use crate::output::OriginReason;
use crate::upload::Shelf;

const _: () = assert!(LINKS_MAX <= u8::MAX as usize, "holders are counted in bytes");

/// What the ledger knows of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not part of this job, and not held.
    Unwanted,
    /// Wanted, and asked of nobody.
    Free,
    /// Asked of this many sources.
    Asked(u8),
    /// Held.
    Held,
}

/// Where bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Peer,
    Origin(OriginReason),
    Local,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    states: Vec<State>,
    bytes: Arc<[u32]>,
    free: Bits,
    held: Bits,
    /// How many links hold each position, of [`LINKS_MAX`] at most.
    holders: Vec<u8>,
    /// The positions that shards divide.
    leased: Range<u32>,
    shards: ShardMap,
    shard_missing: Vec<u32>,
    shards_done: Vec<u32>,
    mean_bytes: u64,
    pub(crate) job_bytes: u64,
    pub(crate) missing_chunks: u32,
    pub(crate) missing_bytes: u64,
    pub(crate) peer_bytes: u64,
    pub(crate) origin_bytes: [u64; OriginReason::ALL.len()],
    pub(crate) waste_bytes: u64,
    pub(crate) corrupt_bytes: u64,
}

impl Ledger {
    pub(crate) fn new(
        bytes: Arc<[u32]>,
        leased: Range<u32>,
        wanted: &[Range<u32>],
        held: &[Range<u32>],
    ) -> Self {
        let len = bytes.len() as u32;
        let leased = leased.start.min(len)..leased.end.min(len);
        let shards = ShardMap::new(leased.len() as u32);
        let spread = &bytes[leased.start as usize..leased.end as usize];
        let total: u64 = spread.iter().map(|&bytes| u64::from(bytes)).sum();
        let mut ledger = Self {
            states: vec![State::Unwanted; bytes.len()],
            mean_bytes: (total / leased.len().max(1) as u64).max(1),
            bytes,
            free: Bits::new(len),
            held: Bits::new(len),
            holders: vec![0; len as usize],
            leased,
            shards,
            shard_missing: (0..shards.count()).map(|shard| shards.positions(shard).len() as u32).collect(),
            shards_done: Vec::new(),
            job_bytes: 0,
            missing_chunks: 0,
            missing_bytes: 0,
            peer_bytes: 0,
            origin_bytes: [0; OriginReason::ALL.len()],
            waste_bytes: 0,
            corrupt_bytes: 0,
        };
        for chunk in wanted.iter().cloned().flatten().filter(|&chunk| chunk < len) {
            ledger.want(chunk);
        }
        for chunk in held.iter().cloned().flatten().filter(|&chunk| chunk < len) {
            ledger.hold(chunk, Source::Local);
        }
        ledger.job_bytes = ledger.missing_bytes;
        ledger.shards_done.clear();
        ledger
    }

    pub(crate) fn want(&mut self, chunk: ChunkIndex) {
        if self.states[chunk as usize] == State::Unwanted {
            self.states[chunk as usize] = State::Free;
            self.free.insert(chunk);
            self.missing_chunks += 1;
            let bytes = u64::from(self.bytes[chunk as usize]);
            self.missing_bytes += bytes;
            self.job_bytes += bytes;
        }
    }

    /// Bytes of all that was ever wanted and is not missing.
    pub(crate) fn got_bytes(&self) -> u64 {
        self.job_bytes - self.missing_bytes
    }

    pub(crate) fn len(&self) -> u32 {
        self.bytes.len() as u32
    }

    /// Positions of a shard.
    pub(crate) fn shard_positions(&self, shard: u32) -> Range<ChunkIndex> {
        let within = self.shards.positions(shard);
        within.start + self.leased.start..within.end + self.leased.start
    }

    /// The shard that a position belongs to, if any.
    fn shard_of(&self, chunk: ChunkIndex) -> Option<u32> {
        self.leased.contains(&chunk).then(|| self.shards.shard_of(chunk - self.leased.start))
    }

    pub(crate) fn state(&self, chunk: ChunkIndex) -> State {
        self.states.get(chunk as usize).copied().unwrap_or(State::Unwanted)
    }

    pub(crate) fn free(&self) -> &Bits {
        &self.free
    }

    pub(crate) fn held(&self) -> &Bits {
        &self.held
    }

    pub(crate) fn holders(&self, chunk: ChunkIndex) -> u8 {
        self.holders[chunk as usize]
    }

    pub(crate) fn add_holder(&mut self, chunk: ChunkIndex) {
        self.holders[chunk as usize] += 1;
    }

    pub(crate) fn remove_holder(&mut self, chunk: ChunkIndex) {
        self.holders[chunk as usize] -= 1;
    }

    /// A source is asked.
    pub(crate) fn ask(&mut self, chunk: ChunkIndex) {
        let state = &mut self.states[chunk as usize];
        *state = match *state {
            State::Free => {
                self.free.remove(chunk);
                State::Asked(1)
            }
            State::Asked(sources) => State::Asked(sources.saturating_add(1)),
            State::Unwanted | State::Held => unreachable!("only missing chunks are asked for"),
        };
    }

    /// A source that was asked is out of it.
    pub(crate) fn give_up(&mut self, chunk: ChunkIndex) {
        let state = &mut self.states[chunk as usize];
        match *state {
            State::Asked(1) => {
                *state = State::Free;
                self.free.insert(chunk);
            }
            State::Asked(sources) => *state = State::Asked(sources - 1),
            State::Unwanted | State::Free | State::Held => {}
        }
    }

    /// A chunk came in verified. Whether it was news; if not, its bytes are waste.
    pub(crate) fn hold(&mut self, chunk: ChunkIndex, source: Source) -> bool {
        let bytes = u64::from(self.bytes(chunk));
        let before = self.state(chunk);
        if before == State::Held {
            if source != Source::Local {
                self.waste_bytes += bytes;
            }
            return false;
        }
        if before != State::Unwanted {
            self.missing_chunks -= 1;
            self.missing_bytes -= bytes;
        }
        self.free.remove(chunk);
        self.states[chunk as usize] = State::Held;
        self.held.insert(chunk);
        if let Some(shard) = self.shard_of(chunk) {
            self.shard_missing[shard as usize] -= 1;
            if self.shard_missing[shard as usize] == 0 {
                self.shards_done.push(shard);
            }
        }
        match source {
            Source::Peer => self.peer_bytes += bytes,
            Source::Origin(reason) => self.origin_bytes[reason as usize] += bytes,
            Source::Local => {}
        }
        true
    }

    /// A held chunk is gone. It is not wanted again: its owner changed it.
    pub(crate) fn lose(&mut self, chunk: ChunkIndex) -> bool {
        let was_held = self.held.remove(chunk);
        if was_held {
            self.states[chunk as usize] = State::Unwanted;
            if let Some(shard) = self.shard_of(chunk) {
                self.shard_missing[shard as usize] += 1;
                self.shards_done.retain(|&done| done != shard);
            }
        }
        was_held
    }

    pub(crate) fn waste(&mut self, bytes: u64) {
        self.waste_bytes += bytes;
    }

    pub(crate) fn waste_corrupt(&mut self, bytes: u64) {
        self.waste_bytes += bytes;
        self.corrupt_bytes += bytes;
    }

    pub(crate) fn has_shards_done(&self) -> bool {
        !self.shards_done.is_empty()
    }

    /// Shards held whole since the last call, at most `max`.
    pub(crate) fn take_shards_done(&mut self, max: usize) -> Vec<u32> {
        let rest = self.shards_done.split_off(self.shards_done.len().min(max));
        std::mem::replace(&mut self.shards_done, rest)
    }
}

impl Shelf for Ledger {
    fn is_held(&self, chunk: ChunkIndex) -> bool {
        self.held.contains(chunk)
    }

    fn bytes(&self, chunk: ChunkIndex) -> u32 {
        self.bytes.get(chunk as usize).copied().unwrap_or(0)
    }

    fn mean_bytes(&self) -> u64 {
        self.mean_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_walks_through_its_states() {
        let mut ledger = Ledger::new([10; 8].into(), 0..8, &[0..6], &[5..6, 7..8]);
        assert_eq!((ledger.missing_chunks, ledger.missing_bytes, ledger.job_bytes), (5, 50, 50));
        ledger.want(6);
        ledger.want(7);
        assert_eq!((ledger.missing_chunks, ledger.missing_bytes, ledger.job_bytes), (6, 60, 60));
        ledger.hold(6, Source::Local);
        assert!(ledger.lose(6));
        assert_eq!(
            (ledger.state(6), ledger.state(7), ledger.state(9)),
            (State::Unwanted, State::Held, State::Unwanted)
        );
        ledger.ask(0);
        ledger.ask(0);
        assert_eq!(ledger.state(0), State::Asked(2));
        ledger.give_up(0);
        ledger.give_up(0);
        assert_eq!(ledger.state(0), State::Free);
        for chunk in 0..4 {
            ledger.ask(chunk);
            assert!(ledger.hold(chunk, Source::Peer));
        }
        assert!(!ledger.hold(0, Source::Origin(OriginReason::SlowPeers)));
        assert_eq!((ledger.peer_bytes, ledger.waste_bytes), (40, 10));
        assert_eq!(ledger.take_shards_done(9), [0]);
        assert!(ledger.lose(0) && !ledger.lose(0));
        assert_eq!(ledger.state(0), State::Unwanted);
    }
}
