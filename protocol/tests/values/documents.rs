//! Generated documents.

use freshet_protocol::limits::START_WINDOW_S_MAX;
use freshet_protocol::{
    Chunker, Grant, Hash, KeyDocument, PARTS_FEATURE, PATCH_ALGORITHM, PageId, PageRef, Part, Patch, PatchId,
    PatchPageRef, PatchRef, Pointer, Preload, ReleaseKey, Role, Rollout, Root, Unsealed,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::{content_name, hash, integer, name, path, public_key, root_id};

/// Roots whose numbers add up.
pub(crate) fn root() -> impl Strategy<Value = Root> {
    let page = (hash(), 0..=256_u32 << 10, 0..8000_u32, path()).prop_map(|(id, bytes, chunks, first)| {
        PageRef { id: PageId(id), bytes, chunks, first: first.to_string() }
    });
    (content_name(), name(), chunker(), 0..=4_u32 << 20, integer(), vec(page, 0..6), parts()).prop_map(
        |(content, version, chunker, entries, bytes, pages, parts)| Root {
            schema: 1,
            content,
            version,
            chunker,
            entries,
            bytes: parts.iter().map(|part| part.bytes).sum::<u64>().max(bytes),
            chunks: pages.iter().map(|page| page.chunks).sum(),
            pages,
            sealed: None,
            requires: parts.iter().take(1).map(|_| PARTS_FEATURE.to_owned()).collect(),
            parts,
        },
    )
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    btree_map(name(), (any::<bool>(), 0..1_u64 << 40), 0..4).prop_map(|parts| {
        let part = |(name, (default, bytes))| Part { name, default, bytes };
        parts.into_iter().map(part).collect()
    })
}

fn chunker() -> impl Strategy<Value = Chunker> {
    [1..=2_u32 << 20, 1..=2 << 20, 1..=2 << 20].prop_map(|mut sizes| {
        sizes.sort_unstable();
        let [bytes_min, bytes_avg, bytes_max] = sizes;
        Chunker { algorithm: "fastcdc-2020".to_owned(), bytes_min, bytes_avg, bytes_max }
    })
}

/// Channel pointers.
pub(crate) fn pointer() -> impl Strategy<Value = Pointer> {
    let trackers = vec("wss?://\\PC{1,40}", 0..=8);
    let patches = || {
        let patch = (root_id(), hash()).prop_map(|(from, patch)| PatchRef { from, patch: PatchId(patch) });
        vec(patch, 0..=4)
    };
    let rollout = proptest::option::of((1..1000_u32, root_id(), name(), patches()));
    let numbers = (integer(), integer(), 0..=START_WINDOW_S_MAX);
    let preload = (root_id(), name(), integer());
    let preload = preload.prop_map(|(root, version, opens)| Preload { root, version, opens });
    let unsealed = (root_id(), hash()).prop_map(|(root, Hash(key))| Unsealed { root, key: ReleaseKey(key) });
    let sealed = (option::of(preload), option::of(unsealed));
    (content_name(), name(), numbers, root_id(), name(), trackers, patches(), rollout, sealed).prop_map(
        |(
            content,
            channel,
            (sequence, expires, start_window_s),
            root,
            version,
            trackers,
            patches,
            rollout,
            (preload, unsealed),
        )| Pointer {
            schema: 1,
            content,
            channel,
            sequence,
            expires,
            root,
            version,
            trackers,
            patches,
            rollout: rollout
                .map(|(permille, root, version, patches)| Rollout { permille, root, version, patches })
                .filter(|rollout| rollout.root != root),
            preload,
            unsealed,
            start_window_s,
        },
    )
}

/// Patches whose numbers add up.
pub(crate) fn patch() -> impl Strategy<Value = Patch> {
    let page = (hash(), 0..=256_u32 << 10, 0..8000_u32).prop_map(|(id, bytes, chunks)| PatchPageRef {
        id: PageId(id),
        bytes,
        chunks,
    });
    (content_name(), root_id(), root_id(), integer(), vec(page, 0..6)).prop_map(
        |(content, from, to, bytes, pages)| Patch {
            schema: 1,
            content,
            from,
            to,
            algorithm: PATCH_ALGORITHM.to_owned(),
            chunks: pages.iter().map(|page| page.chunks).sum(),
            bytes,
            pages,
        },
    )
}

/// Key documents.
pub(crate) fn key_document() -> impl Strategy<Value = KeyDocument> {
    let role = prop_oneof![
        Just(Role::Pointer),
        Just(Role::Root),
        Just(Role::Tracker),
        Just(Role::Stream),
        Just(Role::Unknown)
    ];
    let grant = (public_key(), vec(role, 0..4), option::of(integer()))
        .prop_map(|(key, roles, expires)| Grant { key, roles, expires });
    ("\\PC{0,20}", integer(), vec(grant, 0..=64)).prop_map(|(tenant, sequence, keys)| KeyDocument {
        schema: 1,
        tenant,
        sequence,
        keys,
    })
}
