//! The shards that nobody holds and nobody leases, as runs, so that one client gets neighbours (long ranges are few
//! origin requests) and different clients work far apart.

use std::collections::BTreeMap;

use freshet_protocol::PeerId;

/// A run of free shards; its start is the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    end: u32,
    /// The client whose last shard lies right before the run: it goes on from there.
    heir: Option<PeerId>,
}

#[derive(Debug, Default)]
pub(super) struct FreeRuns {
    runs: BTreeMap<u32, Run>,
    count: u32,
}

impl FreeRuns {
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Adds a shard.
    pub(super) fn put(&mut self, shard: u32) {
        if self.run_of(shard).is_some() {
            return;
        }
        self.count += 1;
        let mut run = Run { end: shard + 1, heir: None };
        let mut start = shard;
        if let Some(after) = self.runs.remove(&run.end) {
            run.end = after.end;
        }
        let before = self.runs.range(..shard).next_back().map(|(&start, &before)| (start, before));
        if let Some((before_start, before)) = before.filter(|(_, before)| before.end == shard) {
            start = before_start;
            run.heir = before.heir;
        }
        self.runs.insert(start, run);
    }

    /// Takes a shard out; what follows it goes to `heir`. Whether it was in.
    pub(super) fn take(&mut self, shard: u32, heir: Option<PeerId>) -> bool {
        let Some((start, run)) = self.run_of(shard) else {
            return false;
        };
        self.count -= 1;
        self.runs.remove(&start);
        if start < shard {
            self.runs.insert(start, Run { end: shard, ..run });
        }
        if shard + 1 < run.end {
            self.runs.insert(shard + 1, Run { end: run.end, heir });
        }
        true
    }

    /// Takes the best next shard for `client`: the one at its `cursor`, otherwise one in the largest run, at its start
    /// or, where a client that `is_active` is working towards it from there, in its middle.
    pub(super) fn take_next(
        &mut self,
        client: PeerId,
        cursor: u32,
        is_active: impl Fn(PeerId) -> bool,
    ) -> Option<u32> {
        if self.take(cursor, Some(client)) {
            return Some(cursor);
        }
        // The first of the largest, so that the choice does not depend on how the map walks.
        let largest = |best: Option<(u32, Run)>, (&start, &run): (&u32, &Run)| match best {
            Some((best_start, best)) if best.end - best_start >= run.end - start => Some((best_start, best)),
            _ => Some((start, run)),
        };
        let (start, run) = self.runs.iter().fold(None, largest)?;
        let is_claimed = run.heir.is_some_and(|heir| heir != client && is_active(heir));
        let shard = if is_claimed { start + (run.end - start) / 2 } else { start };
        self.take(shard, Some(client));
        Some(shard)
    }

    fn run_of(&self, shard: u32) -> Option<(u32, Run)> {
        let (&start, &run) = self.runs.range(..=shard).next_back()?;
        (shard < run.end).then_some((start, run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u64) -> PeerId {
        PeerId::try_from(n).expect("small")
    }

    fn runs(shards: impl IntoIterator<Item = u32>) -> FreeRuns {
        let mut free = FreeRuns::default();
        shards.into_iter().for_each(|shard| free.put(shard));
        free
    }

    #[test]
    fn runs_join_and_split() {
        let shape = |free: &FreeRuns| free.runs.iter().map(|(&s, r)| (s, r.end)).collect::<Vec<_>>();
        let mut free = runs([3, 1, 2, 7, 7]);
        assert_eq!((shape(&free), free.count()), (vec![(1, 4), (7, 8)], 4));
        assert!(free.take(2, None) && !free.take(2, None) && !free.take(9, None));
        assert_eq!((shape(&free), free.count()), (vec![(1, 2), (3, 4), (7, 8)], 3));
        free.put(2);
        assert_eq!(shape(&free), [(1, 4), (7, 8)]);
    }

    #[test]
    fn clients_work_far_apart_in_long_runs() {
        let mut free = runs(0..64);
        let mut cursors = [u32::MAX; 4];
        let mut taken = vec![Vec::new(); 4];
        for round in 0..64 {
            let client = round % 4;
            let shard =
                free.take_next(peer(client as u64), cursors[client], |_| true).expect("some are free");
            cursors[client] = shard + 1;
            taken[client].push(shard);
        }
        assert_eq!(free.count(), 0);
        let starts: Vec<_> = taken.iter().map(|shards| shards[0]).collect();
        assert_eq!(starts, [0, 32, 16, 48]);
        let jumps = |shards: &Vec<u32>| shards.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
        assert!(taken.iter().all(|shards| jumps(shards) <= 2), "{taken:?}");
    }

    #[test]
    fn a_run_whose_client_left_is_taken_from_its_start() {
        let mut free = runs(0..64);
        assert_eq!(free.take_next(peer(1), u32::MAX, |_| true), Some(0));
        assert_eq!(free.take_next(peer(2), u32::MAX, |_| false), Some(1));
    }
}
