//! Finds a release with the origin gone: peers tell the key document and the newest pointer, and hand over root and
//! pages by hash. All of it is checked as if the origin had sent it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use freshet_protocol::limits::INTEGER_MAX;
use freshet_protocol::origin_path::Target;
use freshet_protocol::{BlobKind, Frame, Hash, Page, PageRef, ROOT_KIND, Root, RootId, envelope_bytes_max};
use freshet_swarm::{LinkId, RequestId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::network::{Documents, Network, Standing};
use crate::node::GetError;
use crate::release::{Release, Span};
use crate::store::{Positions, write_atomic};
use crate::transport::{Answer, LinkHandle, TransportEvent};

/// Requests of this phase; far above the numbers that a core gives.
const FIRST_REQUEST: u64 = 1 << 52;
const _: () = assert!(FIRST_REQUEST < INTEGER_MAX);
/// How long to wait for a newer pointer from another peer once one is known.
const NEWER_POINTER_WAIT: Duration = Duration::from_millis(500);
/// Longest wait for one document; whoever waits for longer waits for somebody to repair the origin.
const PATIENCE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Blobs asked for at the same time.
const BLOBS_PARALLEL: usize = 8;
/// Answers that are no good, by link, before a link is asked for nothing more.
const FAULTS_MAX: u32 = 8;
/// Events kept for the job. A peer that says more before anything is known is not waited for.
const EARLY_EVENTS_MAX: usize = 4096;

/// What is to be found, and for how long to look.
pub(crate) struct Learning<'a> {
    pub(crate) target: &'a Target,
    pub(crate) sharing: bool,
    pub(crate) give_up_after: Duration,
    pub(crate) stop: &'a CancellationToken,
}

impl Learning<'_> {
    /// How long to wait for the next document.
    fn patience(&self) -> Duration {
        self.give_up_after.min(PATIENCE_MAX)
    }
}

/// Learns from peers what `target` names.
///
/// # Errors
/// `unreachable`, the origin's failure, when the peers do not tell in time.
pub(crate) async fn learn(
    network: &mut Network,
    documents: &mut Documents,
    learning: Learning<'_>,
    unreachable: GetError,
) -> Result<Release, GetError> {
    let mut school = School {
        network,
        documents,
        learning: &learning,
        links: BTreeMap::new(),
        asked: BTreeMap::new(),
        next_request: FIRST_REQUEST,
        answers: BTreeMap::new(),
        deadline: Instant::now() + learning.patience(),
    };
    tokio::select! {
        release = school.release() => release,
        () = learning.stop.cancelled() => Err(GetError::Stopped),
    }
    .and_then(|release| release.ok_or(unreachable))
}

struct Teacher {
    handle: LinkHandle,
    faults: u32,
}

struct School<'a> {
    network: &'a mut Network,
    documents: &'a mut Documents,
    learning: &'a Learning<'a>,
    links: BTreeMap<LinkId, Teacher>,
    asked: BTreeMap<RequestId, (LinkId, Hash)>,
    next_request: u64,
    /// Blobs that came, by the hash they were asked for.
    answers: BTreeMap<Hash, (LinkId, Bytes)>,
    /// When nothing more is expected; moves on with every blob.
    deadline: Instant,
}

impl School<'_> {
    /// The release; none when the peers did not tell in time.
    async fn release(&mut self) -> Result<Option<Release>, GetError> {
        let Some(id) = self.root_id().await? else { return Ok(None) };
        // Its documents may be here, sealed until now.
        self.documents.open_sealed(id);
        let root_bytes = envelope_bytes_max(ROOT_KIND) as u32;
        let path = self.documents.layout().root(id);
        let root = match std::fs::read(&path)
            .ok()
            .and_then(|envelope| self.documents.trust().open_root(id, &envelope).ok())
        {
            Some(root) => root,
            None => loop {
                let found = self.blob(BlobKind::Root, id.0, root_bytes).await;
                let Some((link, envelope)) = found else { return Ok(None) };
                match self.documents.trust().open_root(id, &envelope) {
                    Ok(root) => {
                        self.keep(&path, &envelope)?;
                        break root;
                    }
                    Err(_) => self.judge(link, false),
                }
            },
        };
        let Some(pages) = self.pages(&root).await? else { return Ok(None) };
        Ok(Some(Release::build(id, root, &pages)?))
    }

    /// Which root to get: the one asked for, or the one of the newest pointer that the peers know.
    async fn root_id(&mut self) -> Result<Option<RootId>, GetError> {
        let channel = match self.learning.target {
            Target::Root(_, id) => {
                while !self.documents.trust().has_keys() {
                    if !self.turn(self.deadline).await {
                        return Ok(None);
                    }
                }
                return Ok(Some(*id));
            }
            Target::Channel(_, channel) => channel.clone(),
        };
        while self.documents.pointer_envelope().is_none() {
            if !self.turn(self.deadline).await {
                return Ok(None);
            }
        }
        let until = Instant::now() + NEWER_POINTER_WAIT;
        while self.turn(until).await {}
        let envelope = self.documents.pointer_envelope().expect("seen above").to_vec();
        // From here on the folder follows this pointer, as if the origin had shown it.
        let pointer = self.documents.follow(&channel, &envelope)?;
        Ok(Some(self.documents.trust().offer(&pointer).root))
    }

    async fn pages(&mut self, root: &Root) -> Result<Option<Vec<Page>>, GetError> {
        let mut pages: Vec<Option<Page>> = root.pages.iter().map(|page| self.cached(page)).collect();
        loop {
            let missing: Vec<usize> = (0..pages.len()).filter(|&at| pages[at].is_none()).collect();
            let Some(&first) = missing.first() else {
                return Ok(Some(pages.into_iter().flatten().collect()));
            };
            for &at in missing.iter().take(BLOBS_PARALLEL) {
                self.ask(BlobKind::Page, root.pages[at].id.0, root.pages[at].bytes);
            }
            let reference = &root.pages[first];
            let found = self.blob(BlobKind::Page, reference.id.0, reference.bytes).await;
            let Some((link, plain)) = found else { return Ok(None) };
            match Page::open(reference, &plain) {
                Ok(page) => {
                    self.keep(&self.documents.layout().page(reference.id), &plain)?;
                    pages[first] = Some(page);
                }
                Err(_) => self.judge(link, false),
            }
        }
    }

    /// Keeps a checked document; the wait for the next one begins anew.
    fn keep(&mut self, path: &Path, bytes: &[u8]) -> Result<(), GetError> {
        self.deadline = Instant::now() + self.learning.patience();
        write_atomic(path, bytes).map_err(|error| GetError::io(path, &error))
    }

    fn cached(&self, page: &PageRef) -> Option<Page> {
        Page::open(page, &Bytes::from(std::fs::read(self.documents.layout().page(page.id)).ok()?)).ok()
    }

    /// A blob from whichever peer hands it over first; none when nobody does in time.
    async fn blob(&mut self, kind: BlobKind, hash: Hash, bytes: u32) -> Option<(LinkId, Bytes)> {
        loop {
            if let Some(found) = self.answers.remove(&hash) {
                return Some(found);
            }
            self.ask(kind, hash, bytes);
            if !self.turn(self.deadline).await {
                return None;
            }
        }
    }

    /// Asks one peer for a blob, unless it is asked for or here already: the one with the fewest faults and requests.
    fn ask(&mut self, kind: BlobKind, hash: Hash, bytes: u32) {
        let is_asked = self.asked.values().any(|(_, asked)| *asked == hash);
        if is_asked || self.answers.contains_key(&hash) {
            return;
        }
        let load = |link: &LinkId| self.asked.values().filter(|(asked, _)| asked == link).count();
        let able = self.links.iter().filter(|(_, teacher)| teacher.faults < FAULTS_MAX);
        let Some((&link, teacher)) = able.min_by_key(|(link, teacher)| (teacher.faults, load(link))) else {
            return;
        };
        let request = RequestId(self.next_request);
        self.next_request += 1;
        teacher.handle.request(request, kind, hash, bytes);
        self.asked.insert(request, (link, hash));
    }

    /// Waits for one event and follows it; whether there was one before `until`.
    async fn turn(&mut self, until: Instant) -> bool {
        let announce = self.network.due();
        tokio::select! {
            Some(event) = self.network.tracker_events.recv() => {
                self.network.tracker_event(event);
            }
            Some(event) = self.network.transport_events.recv() => {
                self.network.transport_event(&event);
                self.transport_event(event);
            }
            () = tokio::time::sleep_until(announce.unwrap_or(until).min(until)) => {
                if Instant::now() >= until {
                    return false;
                }
                self.announce();
            }
        }
        true
    }

    /// A node that does not know its release yet still wants links.
    fn announce(&mut self) {
        let standing = Standing {
            span: Span { id: RootId(Hash([0; 32])), positions: 0..0 },
            left_bytes: 1,
            sharing: self.learning.sharing,
            links: self.network.link_count(),
        };
        self.network.announce(&standing, &Positions::new(0));
    }

    fn transport_event(&mut self, event: TransportEvent) {
        match event {
            TransportEvent::Answer { link, request, answer } => {
                let Some((_, hash)) = self.asked.remove(&request) else { return };
                match answer {
                    Answer::Blob(bytes) => drop(self.answers.insert(hash, (link, bytes))),
                    Answer::Verified(_)
                    | Answer::Corrupt { .. }
                    | Answer::Refused(_)
                    | Answer::Failed { .. } => {
                        if let Some(teacher) = self.links.get_mut(&link) {
                            teacher.faults += 1;
                        }
                    }
                }
                return;
            }
            TransportEvent::LinkUp { link, ref handle, .. } => {
                self.links.insert(link, Teacher { handle: handle.clone(), faults: 0 });
            }
            TransportEvent::LinkDown { link, .. } => {
                self.links.remove(&link);
                self.asked.retain(|_, (owner, _)| *owner != link);
            }
            TransportEvent::Frame { link, frame: Frame::Keys { ref envelope } } => {
                let taken = self.documents.take_keys(envelope);
                self.judge(link, taken.is_ok());
                return;
            }
            TransportEvent::Frame { link, frame: Frame::Pointer { ref envelope } } => {
                let taken = self.documents.take_pointer(envelope);
                self.judge(link, taken.is_ok());
                return;
            }
            // The network has seen to these.
            TransportEvent::Frame { frame: Frame::Peers { .. } | Frame::Signal { .. }, .. }
            | TransportEvent::Progress { .. }
            | TransportEvent::Signal { .. }
            | TransportEvent::Outside(_) => {
                return;
            }
            TransportEvent::Frame { .. }
            | TransportEvent::Asked { .. }
            | TransportEvent::AskCancelled { .. }
            | TransportEvent::Sent { .. }
            | TransportEvent::DialFailed { .. } => {}
        }
        self.keep_for_the_job(event);
    }

    /// A peer whose documents do not check out is not asked for more of them.
    fn judge(&mut self, link: LinkId, is_good: bool) {
        if let Some(teacher) = self.links.get_mut(&link).filter(|_| !is_good) {
            teacher.faults = FAULTS_MAX;
        }
    }

    fn keep_for_the_job(&mut self, event: TransportEvent) {
        let is_link = matches!(event, TransportEvent::LinkUp { .. } | TransportEvent::LinkDown { .. });
        if is_link || self.network.early.len() < EARLY_EVENTS_MAX {
            return self.network.early.push(event);
        }
        if let TransportEvent::Frame { link, .. } | TransportEvent::Asked { link, .. } = event
            && let Some(teacher) = self.links.get(&link)
        {
            teacher.handle.close("says too much before it is known what about");
        }
    }
}
