//! Ids, manifests, messages, tickets and limits of Freshet. Pure: no IO, clock, randomness or threads.
//!
//! `docs/PROTOCOL.md` is the normative text; `vectors/*.json` hold good and bad bytes for every form, which this crate
//! and its TypeScript twin both must judge alike.

mod answer;
mod chunk;
mod entry_page;
mod envelope;
mod frame;
mod id;
mod introduction;
mod key;
mod key_document;
pub mod limits;
mod line;
mod manifest;
pub mod origin_path;
mod pack_index;
mod patch;
mod path;
mod pointer;
mod preload;
mod ranges;
mod rendezvous;
mod rollout;
mod sealed;
mod segment;
mod shard;
pub mod stun;
mod ticket;
mod tracker;
mod wire;

pub use answer::{AnswerFrame, DataHead};
pub use chunk::{Mismatch, VerifiedChunk};
pub use entry_page::{decode_entry_page, encode_entry_page};
pub use envelope::{DocumentKind, EnvelopeError, envelope_bytes_max};
pub use frame::{
    BlobKind, DATA_HEAD_BYTES_MAX, Data, Decoded, Encoding, FEATURE_INTRODUCTIONS, Frame, FrameError, Hello,
    PEER_ALPN, PEER_VERSION, RefuseReason, Request, Seen, frame_head_len,
};
pub use id::{ChunkId, ContentName, Hash, IdError, KeyId, Name, PageId, PatchId, PeerId, RootId, SwarmId};
pub use introduction::{INTRODUCED_PAIRS_MIN, Introduction, IntroductionError, Party, Placed};
pub use key::{BadSignature, KeyError, PublicKey, SigningKey};
pub use key_document::{Grant, KEY_DOCUMENT_KIND, KEY_DOCUMENT_SCHEMA, KeyDocument, KeyDocumentError, Role};
pub use line::{is_private, line};
pub use manifest::cut::PageCutter;
pub use manifest::in_place::{is_changed_in_place, staying_chunks};
pub use manifest::page::{ChunkRef, Entry, FileExtent, Page, PageError};
pub use manifest::root::{
    Chunker, FIXED_CHUNKER, PARTS_FEATURE, PageRef, Part, ROOT_KIND, ROOT_SCHEMA, Root, RootError,
    SEALED_FEATURE, Sealed,
};
pub use manifest::walk::Walk;
pub use pack_index::{PackId, PackIndex, Place};
pub use patch::document::{PATCH_ALGORITHM, PATCH_KIND, PATCH_SCHEMA, Patch, PatchError, PatchPageRef};
pub use patch::page::{Delta, PatchChunk, PatchPage};
pub use path::{PathError, RelPath, check_link_target};
pub use pointer::{
    Offer, POINTER_KIND, POINTER_SCHEMA, PatchRef, Pointer, PointerError, check_tracker_addresses,
};
pub use preload::{Preload, Unsealed};
pub use ranges::{ranges_of, ranges_within, wire_ranges};
pub use rendezvous::rendezvous_order;
pub use rollout::Rollout;
pub use sealed::head::{
    SealedBlob, SealedHead, SealedHeadError, SealedHeadReader, SealedItem, sealed_head_start,
};
pub use sealed::key::{BadSeal, ReleaseKey};
pub use sealed::paths::{SEALED_FULL, SEALED_INNER, parse_sealed_from, sealed_from};
pub use sealed::size::{SEAL_BYTES, padded_chunks};
pub use segment::{SegmentEntry, SegmentError, SegmentKind, SegmentPlace, piece_at, piece_position};
pub use shard::ShardMap;
pub use ticket::{LinkBinding, RIGHT_RECEIVE, RIGHT_SEND, Side, Ticket, TicketError, proof_message};
pub use tracker::{
    Announce, Base64, Candidate, ClientMessage, Dialer, HaveSummary, Locality, MappedAddress, Nat,
    PairOutcome, ServerMessage, TRACKER_VERSION, TrackerMessageError, Transport, tracker_proof_message,
};
pub use wire::{Reader, WireError, put_bytes, put_varint, varint_len};
