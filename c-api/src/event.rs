//! What a job tells.

use std::ffi::{CString, c_char, c_void};
use std::mem::size_of;

use freshet_edge_node::{Event, GetError, Pause, Report};

use crate::error::FRESHET_OK;

/// What happened.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub enum FreshetEventKind {
    /// Links to peers are accepted at `text`.
    FRESHET_LISTENING = 1,
    /// The release is known: its version is `text`; `total_bytes`, and `fetch_bytes` that are going to be fetched.
    FRESHET_RELEASE = 2,
    /// How far it is; about four times a second.
    FRESHET_PROGRESS = 3,
    /// The release is installed; sharing may go on.
    FRESHET_INSTALLED = 4,
    /// The channel shows another version, `text`.
    FRESHET_NEW_VERSION = 5,
    /// Nothing is done until `pause` has passed.
    FRESHET_PAUSED = 6,
    /// The job goes on after a pause.
    FRESHET_RESUMED = 7,
    /// Something that the player should know: `text`.
    FRESHET_NOTE = 8,
    /// The job is over, well or not: `result` says so, and `text` why. Always the last one, and there is always one.
    FRESHET_ENDED = 9,
    /// The channel prepares a version that can be fetched ahead of its time, `text`.
    FRESHET_NEW_PRELOAD = 10,
    /// A sealed version, `text`, is being fetched ahead of its time; progress is about it. `total_bytes`, and `fetch_bytes`
    /// that are not here yet.
    FRESHET_PRELOAD = 11,
    /// A sealed version, `text`, is here. It opens when the channel tells its key.
    FRESHET_PRELOADED = 12,
}

/// Why a job is paused.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub enum FreshetPause {
    /// It is not.
    FRESHET_NO_PAUSE = 0,
    /// The launcher wants it so.
    FRESHET_PAUSE_ASKED = 1,
    /// The game is played.
    FRESHET_PAUSE_PLAYING = 2,
    /// It is not the time of the day.
    FRESHET_PAUSE_HOURS = 3,
}

/// What happened, and how far the job is. Valid, with its texts, until the callback returns.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct FreshetEvent {
    /// Size of this struct in the library: fields beyond it are not there.
    pub size: u32,
    /// A FreshetEventKind. There may be more in newer libraries; pass over those.
    pub kind: i32,
    /// A FreshetResult, where the job has ended.
    pub result: i32,
    /// A FreshetPause.
    pub pause: i32,
    /// Bytes of the release that are here.
    pub done_bytes: u64,
    /// Bytes of the release.
    pub total_bytes: u64,
    /// Bytes that are going to be fetched for it, or were to be.
    pub fetch_bytes: u64,
    /// Verified bytes that came from peers.
    pub peer_bytes: u64,
    /// Verified bytes that came from the origin.
    pub origin_bytes: u64,
    /// Bytes that were here already.
    pub local_bytes: u64,
    /// Bytes handed to peers.
    pub sent_bytes: u64,
    /// Links to peers.
    pub links: u32,
    /// What is left free for later.
    pub reserved: u32,
    /// Words, by kind; never NULL.
    pub text: *const c_char,
    /// All of it, as `freshet-node --json` prints it; never NULL.
    pub json: *const c_char,
}

/// Is called with each event, on one thread of the job, and never twice at once. What it takes holds the next events up,
/// and not the job.
/// NULL where nobody wants to know.
pub type FreshetEventCallback = Option<extern "C" fn(user: *mut c_void, event: *const FreshetEvent)>;

/// Fills events in: what does not change from one to the next is kept.
pub(crate) struct Teller {
    callback: FreshetEventCallback,
    user: *mut c_void,
    event: FreshetEvent,
}

impl Teller {
    pub(crate) fn new(callback: FreshetEventCallback, user: *mut c_void) -> Self {
        let event = FreshetEvent {
            size: size_of::<FreshetEvent>() as u32,
            kind: 0,
            result: FRESHET_OK as i32,
            pause: FreshetPause::FRESHET_NO_PAUSE as i32,
            done_bytes: 0,
            total_bytes: 0,
            fetch_bytes: 0,
            peer_bytes: 0,
            origin_bytes: 0,
            local_bytes: 0,
            sent_bytes: 0,
            links: 0,
            reserved: 0,
            text: c"".as_ptr(),
            json: c"".as_ptr(),
        };
        Self { callback, user, event }
    }

    pub(crate) fn tell(&mut self, event: &Event) {
        let json = serde_json::to_string(event).expect("an event is valid JSON");
        let (kind, text) = self.take(event);
        self.call(kind, text, json);
    }

    /// The last word.
    pub(crate) fn ended(&mut self, report: &Report, result: &Result<(), GetError>, code: i32) {
        let json = serde_json::to_string(report).expect("a report is valid JSON");
        self.event.result = code;
        self.event.pause = FreshetPause::FRESHET_NO_PAUSE as i32;
        (self.event.peer_bytes, self.event.origin_bytes) = (report.bytes.peer, report.bytes.origin);
        (self.event.local_bytes, self.event.sent_bytes) = (report.bytes.local, report.sent_bytes);
        let text = result.as_ref().err().map_or_else(String::new, ToString::to_string);
        self.call(FreshetEventKind::FRESHET_ENDED, text, json);
    }

    fn take(&mut self, event: &Event) -> (FreshetEventKind, String) {
        use FreshetEventKind as Kind;
        let own = &mut self.event;
        match event {
            // Only the program runs a gateway.
            Event::Listening { address } | Event::Gateway { address } => {
                (Kind::FRESHET_LISTENING, address.to_string())
            }
            Event::Release { version, bytes, missing_bytes, fetch_bytes, .. } => {
                (own.total_bytes, own.fetch_bytes) = (*bytes, *fetch_bytes);
                own.done_bytes = bytes.saturating_sub(*missing_bytes);
                (Kind::FRESHET_RELEASE, version.clone())
            }
            Event::Progress { done_bytes, total_bytes, bytes, sent_bytes, links } => {
                (own.done_bytes, own.total_bytes) = (*done_bytes, *total_bytes);
                (own.peer_bytes, own.origin_bytes, own.local_bytes) = (bytes.peer, bytes.origin, bytes.local);
                (own.sent_bytes, own.links) = (*sent_bytes, *links);
                (Kind::FRESHET_PROGRESS, String::new())
            }
            Event::Installed => {
                own.done_bytes = own.total_bytes;
                (Kind::FRESHET_INSTALLED, String::new())
            }
            Event::NewVersion { version, .. } => (Kind::FRESHET_NEW_VERSION, version.clone()),
            Event::NewPreload { version, .. } => (Kind::FRESHET_NEW_PRELOAD, version.clone()),
            Event::Preload { version, bytes, missing_bytes, .. } => {
                (own.total_bytes, own.fetch_bytes) = (*bytes, *missing_bytes);
                own.done_bytes = bytes.saturating_sub(*missing_bytes);
                (Kind::FRESHET_PRELOAD, version.clone())
            }
            Event::Preloaded { version, .. } => (Kind::FRESHET_PRELOADED, version.clone()),
            Event::Paused { pause } => {
                own.links = 0;
                own.pause = match pause {
                    Pause::Asked => FreshetPause::FRESHET_PAUSE_ASKED,
                    Pause::Playing => FreshetPause::FRESHET_PAUSE_PLAYING,
                    Pause::Hours => FreshetPause::FRESHET_PAUSE_HOURS,
                } as i32;
                (Kind::FRESHET_PAUSED, String::new())
            }
            Event::Resumed => {
                own.pause = FreshetPause::FRESHET_NO_PAUSE as i32;
                (Kind::FRESHET_RESUMED, String::new())
            }
            Event::Note { message } => (Kind::FRESHET_NOTE, message.clone()),
        }
    }

    fn call(&mut self, kind: FreshetEventKind, text: String, json: String) {
        let Some(callback) = self.callback else { return };
        let [text, json] = [text, json].map(|text| CString::new(text).unwrap_or_default());
        let event =
            FreshetEvent { kind: kind as i32, text: text.as_ptr(), json: json.as_ptr(), ..self.event };
        callback(self.user, &raw const event);
    }
}
