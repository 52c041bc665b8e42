//! What a node remembers of a swarm beyond its own run, to find the way back while no tracker answers: peers that it was
//! linked with, and its last ticket.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use freshet_protocol::limits::TICKET_BYTES_MAX;
use freshet_protocol::{Base64, KeyId, PublicKey, SwarmId};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::store::write_atomic;
use crate::transport::GRACE_S;

/// Folder of these files within a state folder.
const FOLDER: &str = "peers";
/// Peers remembered of a swarm; the oldest is forgotten first.
const PEERS_MAX: usize = 64;
/// Swarms remembered; what was written longest ago is forgotten first.
const SWARMS_MAX: usize = 32;
/// Largest file that is read, in bytes: several times of what is written.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Trackers' keys remembered.
const TRACKERS_MAX: usize = 16;
/// Peers that are written as soon as each of them is known: a run may be short, and of a few only one may be of use.
const WRITTEN_AT_ONCE: usize = 8;
/// Other news are written this often at most.
const WRITE_EVERY: Duration = Duration::from_secs(10);
/// And what is not news this often: links that live are young.
const RENEW_EVERY: Duration = Duration::from_secs(600);

/// The memory of one swarm.
#[derive(Debug)]
pub(super) struct PeerCache {
    path: PathBuf,
    kept: Kept,
    is_changed: bool,
    written: Option<Instant>,
    peers_written: usize,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<KeptTicket>,
    /// Latest first.
    peers: Vec<KeptPeer>,
}

/// This node's last ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptTicket {
    pub(super) ticket: Base64,
    /// When it came, Unix seconds of this node's clock.
    pub(super) arrived: u64,
    /// Who was trusted to sign tickets.
    pub(super) trackers: Vec<PublicKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct KeptPeer {
    key: KeyId,
    address: SocketAddr,
    /// When it was linked last, Unix seconds of this node's clock.
    seen: u64,
}

impl PeerCache {
    /// What is remembered of `swarm` in a state folder at `now` (Unix seconds). A file that cannot be read is as good as
    /// none.
    pub(super) fn open(state_dir: &Path, swarm: SwarmId, now: u64) -> Self {
        let folder = state_dir.join(FOLDER);
        let path = folder.join(format!("{}.json", swarm.0));
        let mut kept = read(&path).unwrap_or_else(|why| {
            tracing::warn!(file = %path.display(), why, "what was remembered of peers is of no use");
            Kept::default()
        });
        forget_swarms(&folder, &path);
        // A clock that was set back makes nobody young.
        let is_young = |at: u64| at <= now.saturating_add(GRACE_S) && now <= at.saturating_add(GRACE_S);
        kept.peers.retain(|peer| is_young(peer.seen));
        kept.peers.truncate(PEERS_MAX);
        kept.ticket.take_if(|ticket| {
            ticket.ticket.0.len() > TICKET_BYTES_MAX || ticket.trackers.len() > TRACKERS_MAX
        });
        Self { path, kept, is_changed: false, written: None, peers_written: 0 }
    }

    pub(super) fn ticket(&self) -> Option<&KeptTicket> {
        self.kept.ticket.as_ref()
    }

    /// Peers and where they were, the latest first.
    pub(super) fn peers(&self) -> impl Iterator<Item = (KeyId, SocketAddr)> {
        self.kept.peers.iter().map(|peer| (peer.key, peer.address))
    }

    pub(super) fn set_ticket(&mut self, mut ticket: KeptTicket) {
        ticket.trackers.truncate(TRACKERS_MAX);
        self.kept.ticket = Some(ticket);
        self.is_changed = true;
    }

    /// A peer is linked at `now` (Unix seconds), or was until then.
    pub(super) fn seen(&mut self, key: KeyId, address: SocketAddr, now: u64) {
        self.kept.peers.retain(|peer| peer.key != key);
        self.kept.peers.insert(0, KeptPeer { key, address, seen: now });
        self.kept.peers.truncate(PEERS_MAX);
        self.is_changed = true;
    }

    /// Whether it is time to write it.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let since = |every: Duration| self.written.is_none_or(|at| at + every <= now);
        let is_early = self.peers_written < self.kept.peers.len().min(WRITTEN_AT_ONCE);
        (self.is_changed && (is_early || since(WRITE_EVERY)))
            || (self.written.is_some() && since(RENEW_EVERY))
    }

    /// What is to be written now, with the peers that are `linked` at `unix_now`.
    pub(super) fn write(
        &mut self,
        now: Instant,
        unix_now: u64,
        linked: impl Iterator<Item = (KeyId, SocketAddr)>,
    ) -> Writing {
        linked.for_each(|(key, address)| self.seen(key, address, unix_now));
        (self.is_changed, self.written) = (false, Some(now));
        self.peers_written = self.kept.peers.len();
        let json = serde_json::to_vec(&self.kept).expect("it is JSON");
        Writing { path: self.path.clone(), json }
    }
}

/// A file to be written.
#[derive(Debug)]
pub(super) struct Writing {
    path: PathBuf,
    json: Vec<u8>,
}

impl Writing {
    /// Writes it; blocks on the disk. A node goes on without.
    pub(super) fn run(self) {
        let folder = self.path.parent().expect("it lies in a folder");
        let written = std::fs::create_dir_all(folder).and_then(|()| write_atomic(&self.path, &self.json));
        if let Err(error) = written {
            tracing::warn!(file = %self.path.display(), %error, "cannot remember peers for the next start");
        }
    }
}

fn read(path: &Path) -> Result<Kept, String> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() > FILE_BYTES_MAX => Err(format!("it has {} bytes", found.len())),
        Ok(_) => {
            let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
            serde_json::from_slice(&bytes).map_err(|error| error.to_string())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(error) => Err(error.to_string()),
    }
}

/// Leaves room for the swarm at `own`. Nothing depends on what cannot be removed.
fn forget_swarms(folder: &Path, own: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let others = entries.map(|entry| entry.path()).filter(|path| path != own);
    let age = |path: &PathBuf| std::fs::metadata(path).and_then(|found| found.modified()).ok();
    let mut others: Vec<_> = others.map(|path| (age(&path), path)).collect();
    others.sort_unstable_by(|a, b| b.cmp(a));
    for (_, path) in others.into_iter().skip(SWARMS_MAX - 1) {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use freshet_protocol::Hash;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn swarm(number: usize) -> SwarmId {
        SwarmId::of(&number.to_be_bytes())
    }

    fn key(number: usize) -> KeyId {
        KeyId(Hash::of(&number.to_be_bytes()))
    }

    fn address(number: usize) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, 1], 1000 + number as u16))
    }

    #[test]
    fn peers_and_ticket_outlive_the_run() {
        let folder = tempfile::tempdir().expect("folder");
        let mut cache = PeerCache::open(folder.path(), swarm(1), NOW);
        assert!(!cache.is_due(Instant::now()), "nothing is known yet");
        let ticket =
            KeptTicket { ticket: Base64(vec![1; 9]), arrived: NOW, trackers: vec![PublicKey([7; 32])] };
        cache.set_ticket(ticket.clone());
        cache.seen(key(1), address(1), NOW);
        cache.seen(key(2), address(2), NOW + 1);
        cache.seen(key(1), address(9), NOW + 2);
        let now = Instant::now();
        assert!(cache.is_due(now));
        cache.write(now, NOW + 2, std::iter::once((key(3), address(3)))).run();
        assert!(!cache.is_due(now + WRITE_EVERY), "there are no news");
        assert!(cache.is_due(now + RENEW_EVERY));
        let again = PeerCache::open(folder.path(), swarm(1), NOW + 3);
        assert_eq!(again.ticket(), Some(&ticket));
        let found: Vec<_> = again.peers().collect();
        assert_eq!(found, [(key(3), address(3)), (key(1), address(9)), (key(2), address(2))]);
        assert_eq!(PeerCache::open(folder.path(), swarm(2), NOW).peers().count(), 0);
        // Beyond the grace nobody would let it in.
        let late = PeerCache::open(folder.path(), swarm(1), NOW + 2 + GRACE_S);
        assert_eq!(late.peers().count(), 2);
        assert_eq!(PeerCache::open(folder.path(), swarm(1), NOW + 3 + GRACE_S).peers().count(), 0);
        assert_eq!(PeerCache::open(folder.path(), swarm(1), NOW - 2 * GRACE_S).peers().count(), 0);
    }

    #[test]
    fn a_few_peers_are_written_at_once_and_others_now_and_then() {
        let folder = tempfile::tempdir().expect("folder");
        let mut cache = PeerCache::open(folder.path(), swarm(1), NOW);
        let now = Instant::now();
        let ticket = KeptTicket { ticket: Base64(vec![1; 9]), arrived: NOW, trackers: Vec::new() };
        cache.set_ticket(ticket);
        cache.write(now, NOW, std::iter::empty()).run();
        for number in 0..WRITTEN_AT_ONCE {
            cache.seen(key(number), address(number), NOW);
            assert!(cache.is_due(now));
            cache.write(now, NOW, std::iter::empty()).run();
        }
        cache.seen(key(0), address(0), NOW);
        cache.seen(key(WRITTEN_AT_ONCE), address(0), NOW);
        assert!(!cache.is_due(now) && cache.is_due(now + WRITE_EVERY));
    }

    #[test]
    fn damaged_files_are_as_good_as_none() {
        let folder = tempfile::tempdir().expect("folder");
        let check = |content: &[u8]| {
            let path = folder.path().join(FOLDER).join(format!("{}.json", swarm(1).0));
            std::fs::create_dir_all(path.parent().expect("folder")).expect("made");
            std::fs::write(&path, content).expect("written");
            let mut cache = PeerCache::open(folder.path(), swarm(1), NOW);
            assert_eq!((cache.peers().count(), cache.ticket()), (0, None));
            cache.seen(key(1), address(1), NOW);
            cache.write(Instant::now(), NOW, std::iter::empty()).run();
            assert_eq!(PeerCache::open(folder.path(), swarm(1), NOW).peers().count(), 1, "and is mended");
        };
        check(b"");
        check(b"{");
        check(b"[]");
        check(&[0xff; 100]);
        check(br#"{"peers":[{"key":"x","address":"host:1","seen":1}]}"#);
        check(&vec![b' '; FILE_BYTES_MAX as usize + 1]);
        let ticket = KeptTicket { ticket: Base64(vec![0; 1025]), arrived: NOW, trackers: Vec::new() };
        let long = Kept { ticket: Some(ticket), peers: Vec::new() };
        check(&serde_json::to_vec(&long).expect("JSON"));
    }

    #[test]
    fn memory_is_bounded() {
        let folder = tempfile::tempdir().expect("folder");
        for number in 0..SWARMS_MAX + 5 {
            let mut cache = PeerCache::open(folder.path(), swarm(number), NOW);
            (0..PEERS_MAX + 5).for_each(|peer| cache.seen(key(peer), address(peer), NOW));
            assert_eq!(cache.peers().count(), PEERS_MAX);
            assert_eq!(cache.peers().next(), Some((key(PEERS_MAX + 4), address(PEERS_MAX + 4))));
            let writing = cache.write(Instant::now(), NOW, std::iter::empty());
            assert!((writing.json.len() as u64) < FILE_BYTES_MAX / 4);
            writing.run();
        }
        let files = std::fs::read_dir(folder.path().join(FOLDER)).expect("listed").count();
        assert_eq!(files, SWARMS_MAX);
        let last = PeerCache::open(folder.path(), swarm(SWARMS_MAX + 4), NOW);
        assert_eq!(last.peers().count(), PEERS_MAX);
    }
}
