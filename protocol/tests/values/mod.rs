//! Generated values of every type on the wire, each within its limits.

mod documents;
mod frames;
mod messages;

use freshet_protocol::limits::PARTS_MAX;
use freshet_protocol::{
    ChunkId, ChunkRef, ContentName, Delta, Encoding, Entry, FileExtent, Hash, KeyId, Name, PackId, PackIndex,
    Page, PatchChunk, PatchPage, PeerId, Place, PublicKey, RelPath, RootId, SealedBlob, SealedItem,
    SegmentEntry, SegmentKind, SegmentPlace, SwarmId, Ticket, check_link_target, limits,
};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

pub(crate) use documents::{key_document, patch, pointer, root};
pub(crate) use frames::frame;
pub(crate) use messages::{client_message, server_message};

/// Integers of the wire, small and large ones alike often.
pub(crate) fn integer() -> impl Strategy<Value = u64> {
    (0..=53_u32, any::<u64>()).prop_map(|(bits, value)| value & ((1 << bits) - 1))
}

pub(crate) fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn root_id() -> impl Strategy<Value = RootId> {
    hash().prop_map(RootId)
}

fn public_key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_map(PublicKey)
}

fn peer_id() -> impl Strategy<Value = PeerId> {
    integer().prop_map(|id| PeerId::try_from(id).expect("within the limit"))
}

fn content_name() -> impl Strategy<Value = ContentName> {
    "[a-z0-9][a-z0-9._-]{0,20}(/[a-z0-9][a-z0-9._-]{0,20}){1,3}"
        .prop_filter_map("no reserved segment", |text| text.parse().ok())
}

fn name() -> impl Strategy<Value = Name> {
    "[A-Za-z0-9][A-Za-z0-9._+-]{0,63}".prop_map(|text| text.parse().expect("a good name"))
}

/// Paths of all kinds of characters.
pub(crate) fn path() -> impl Strategy<Value = RelPath> {
    "[^/\\\\\\pC<>:\"|?*]{1,9}(/[^/\\\\\\pC<>:\"|?*]{1,9}){0,4}"
        .prop_filter_map("a good path", |text| text.parse().ok())
}

fn part() -> impl Strategy<Value = Option<u8>> {
    option::of(0..PARTS_MAX as u8)
}

fn folder(path: RelPath) -> impl Strategy<Value = Entry> {
    part().prop_map(move |part| Entry::Folder { path: path.clone(), part })
}

fn file(path: RelPath) -> impl Strategy<Value = Entry> {
    let chunk = (hash(), 1..=2_u32 << 20).prop_map(|(id, bytes)| ChunkRef { id: ChunkId(id), bytes });
    (part(), any::<bool>(), 0..1_u64 << 52, 0..1_u64 << 40, vec(chunk, 0..5)).prop_map(
        move |(part, executable, offset, more, chunks)| {
            let end = offset + chunks.iter().map(|chunk| u64::from(chunk.bytes)).sum::<u64>();
            Entry::File(FileExtent { path: path.clone(), part, executable, size: end + more, offset, chunks })
        },
    )
}

fn link(path: RelPath) -> impl Strategy<Value = Entry> {
    let target = "(\\.\\./)?[a-z가-힣]{1,8}(/[a-z]{1,8})?";
    (part(), target).prop_filter_map("stays inside", move |(part, target)| {
        check_link_target(&path, &target).ok()?;
        Some(Entry::Link { path: path.clone(), part, target })
    })
}

pub(crate) fn page() -> impl Strategy<Value = Page> {
    let entry = |path: RelPath| {
        // A link beside the release's root has few good targets; a file stands in where none comes up.
        let deep = if path.parts().count() > 1 { 1 } else { 0 };
        prop_oneof![3 => file(path.clone()), 1 => folder(path.clone()), deep => link(path)]
    };
    btree_set(path(), 0..6)
        .prop_flat_map(move |paths| paths.into_iter().map(entry).collect::<Vec<_>>())
        .prop_map(|entries| Page { entries })
}

pub(crate) fn patch_page() -> impl Strategy<Value = PatchPage> {
    let base = (0..limits::CHUNKS_MAX - 256, 1..=256_u32);
    let delta = (hash(), 1..=2_u32 << 20, base).prop_map(|(id, bytes, (base, chunks))| Delta {
        id: ChunkId(id),
        bytes,
        base: base..base + chunks,
    });
    vec((0..limits::CHUNKS_MAX / 8, option::of(delta)), 0..6).prop_map(|chunks| {
        let mut next = 0;
        let place = |(gap, delta)| {
            let target = next + gap;
            next = target + 1;
            PatchChunk { target, delta }
        };
        PatchPage { chunks: chunks.into_iter().map(place).collect() }
    })
}

/// Heads of sealed files.
pub(crate) fn sealed_head() -> impl Strategy<Value = Vec<SealedItem>> {
    let blob =
        (hash(), 1..=2_u32 << 20, 1..=2_u32 << 20, any::<bool>()).prop_map(|(id, bytes, stored, zstd)| {
            let (stored_bytes, encoding) =
                if zstd { (stored, Encoding::Zstd) } else { (bytes, Encoding::Identity) };
            SealedBlob { id: ChunkId(id), bytes, stored_bytes, encoding }
        });
    let bytes = || vec(any::<u8>(), 0..300);
    let item = prop_oneof![
        bytes().prop_map(SealedItem::Root),
        bytes().prop_map(SealedItem::Page),
        bytes().prop_map(SealedItem::Patch),
        bytes().prop_map(SealedItem::PatchPage),
        vec(blob, 0..9).prop_map(SealedItem::Blobs),
    ];
    vec(item, 0..6)
}

pub(crate) fn pack_index() -> impl Strategy<Value = PackIndex> {
    let encoding = prop_oneof![Just(Encoding::Identity), Just(Encoding::Zstd)];
    let pack = any::<u8>().prop_map(|byte| PackId([byte % 4; 16]));
    let place = (pack, 0..1_u64 << 52, 0..=2_u32 << 20, encoding)
        .prop_map(|(pack, offset, stored_bytes, encoding)| Place { pack, offset, stored_bytes, encoding });
    vec(place, 0..20).prop_map(|places| PackIndex { places })
}

/// Entries whose pieces fit their size.
pub(crate) fn segment() -> impl Strategy<Value = SegmentEntry> {
    let text = || "[a-z0-9%/_-]{1,12}\\.ts";
    let numbers = (integer(), integer(), 0..1_u64 << 52, 1..=5_u64 << 16, integer());
    (content_name(), text(), text(), numbers, option::of(0..1_u64 << 52), any::<bool>()).prop_map(
        |(stream, rendition, path, (epoch, sequence, offset, bytes, duration_us), init, is_media)| {
            let kind = if is_media { SegmentKind::Media } else { SegmentKind::Init };
            let pieces = (0..bytes.div_ceil(u64::from(limits::PIECE_BYTES)))
                .map(|piece| ChunkId::of(&piece.to_be_bytes()))
                .collect();
            let place = SegmentPlace { epoch, rendition, kind, sequence };
            SegmentEntry {
                stream,
                place,
                path,
                offset,
                bytes,
                duration_us,
                init: init.filter(|_| is_media),
                pieces,
            }
        },
    )
}

pub(crate) fn ticket() -> impl Strategy<Value = Ticket> {
    let swarms = vec(hash().prop_map(SwarmId), 0..=16);
    (peer_id(), hash().prop_map(KeyId), integer(), integer(), integer(), swarms).prop_map(
        |(peer, key, issued, expires, rights, swarms)| Ticket { peer, key, issued, expires, rights, swarms },
    )
}
