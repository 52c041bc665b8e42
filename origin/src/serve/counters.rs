//! The honest count of what the origin sends: body bytes as they are handed to the connection, and bytes on the wire.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use freshet_listen::http::Meter;
use serde::{Deserialize, Serialize};

use super::admission::Class;

/// What a request asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pointer,
    Keys,
    Root,
    Patch,
    Page,
    Index,
    Pack,
    File,
    Version,
    Media,
    Playlist,
    Entries,
    /// Refused, or nothing that exists.
    Other,
}

const KINDS: usize = 13;

impl Kind {
    /// Who has to wait for whom.
    pub(super) fn class(self) -> Class {
        match self {
            Self::Pack | Self::File => Class::Bulk,
            Self::Media => Class::Media,
            Self::Pointer
            | Self::Keys
            | Self::Root
            | Self::Patch
            | Self::Page
            | Self::Index
            | Self::Version
            | Self::Playlist
            | Self::Entries
            | Self::Other => Class::Document,
        }
    }
}

/// Requests and bytes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KindCount {
    /// Requests answered, whatever the answer.
    pub requests: u64,
    /// Those of them that were told to come back later.
    #[serde(default)]
    pub refused: u64,
    /// Body bytes sent.
    pub body_bytes: u64,
}

/// What an origin has sent since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// TLS handshakes that failed, or took too long.
    pub handshakes_failed: u64,
    /// Bytes written to connections: heads, bodies, framing, and what TLS adds.
    pub wire_bytes: u64,
    /// Body bytes of all kinds.
    pub body_bytes: u64,
    /// Channel pointers.
    pub pointer: KindCount,
    /// Key documents.
    pub keys: KindCount,
    /// Roots.
    pub root: KindCount,
    /// Patches; their pages count as pages, their deltas as packs.
    #[serde(default)]
    pub patch: KindCount,
    /// Pages.
    pub page: KindCount,
    /// Pack indexes.
    pub index: KindCount,
    /// Packs.
    pub pack: KindCount,
    /// The plain file view.
    pub file: KindCount,
    /// Documents that name the root of a version.
    #[serde(default)]
    pub version: KindCount,
    /// Files of streams: segments, initialisations, keys.
    #[serde(default)]
    pub media: KindCount,
    /// Playlists of streams.
    #[serde(default)]
    pub playlist: KindCount,
    /// Pages of entries of streams.
    #[serde(default)]
    pub entries: KindCount,
    /// Refused requests.
    pub other: KindCount,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    connections: AtomicU64,
    wire_bytes: AtomicU64,
    requests: [AtomicU64; KINDS],
    refused: [AtomicU64; KINDS],
    body_bytes: [AtomicU64; KINDS],
}

impl Meter for Tally {
    fn connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    fn wire(&self, bytes: usize) {
        self.wire_bytes.fetch_add(bytes as u64, Relaxed);
    }
}

impl Tally {
    pub(super) fn request(&self, kind: Kind) {
        self.requests[kind as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn refused(&self, kind: Kind) {
        self.refused[kind as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn body(&self, kind: Kind, bytes: usize) {
        self.body_bytes[kind as usize].fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn read(&self) -> Counters {
        let count = |kind: Kind| KindCount {
            requests: self.requests[kind as usize].load(Relaxed),
            refused: self.refused[kind as usize].load(Relaxed),
            body_bytes: self.body_bytes[kind as usize].load(Relaxed),
        };
        Counters {
            connections: self.connections.load(Relaxed),
            // Counted where handshakes are.
            handshakes_failed: 0,
            wire_bytes: self.wire_bytes.load(Relaxed),
            body_bytes: self.body_bytes.iter().map(|bytes| bytes.load(Relaxed)).sum(),
            pointer: count(Kind::Pointer),
            keys: count(Kind::Keys),
            root: count(Kind::Root),
            patch: count(Kind::Patch),
            page: count(Kind::Page),
            index: count(Kind::Index),
            pack: count(Kind::Pack),
            file: count(Kind::File),
            version: count(Kind::Version),
            media: count(Kind::Media),
            playlist: count(Kind::Playlist),
            entries: count(Kind::Entries),
            other: count(Kind::Other),
        }
    }
}
