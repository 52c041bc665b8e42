//! `limits.json`: every limit by name, for the twin to compare its own with.

use freshet_protocol::limits;
use serde_json::{Map, Value, json};

use super::keep;

macro_rules! values {
    ($($name:ident)*) => {
        [$((stringify!($name), json!(limits::$name))),*]
    };
}

#[test]
fn limits() {
    let values = values! {
        INTEGER_MAX CHUNK_BYTES_MAX CHUNKS_MAX ROOT_BYTES_MAX PAGE_BYTES_MAX PAGES_MAX PAGE_ENTRIES_MAX ENTRIES_MAX
        PARTS_MAX POINTER_BYTES_MAX PATCH_BYTES_MAX PATCHES_MAX DELTA_BASE_CHUNKS_MAX DELTA_BASE_BYTES_MAX
        SEALED_CHUNK_BYTES_MIN SEALED_HEAD_BYTES_MAX SEALED_ITEM_BYTES_MAX KEY_DOCUMENT_BYTES_MAX KEYS_MAX SIGNATURES_MAX URLS_MAX URL_BYTES_MAX START_WINDOW_S_MAX
        PIECE_BYTES SEGMENT_BYTES_MAX SEGMENT_ENTRY_BYTES_MAX PAGE_SEQUENCES ENTRY_PAGE_ENTRIES_MAX
        ENTRY_PAGE_BYTES_MAX PUSHED_ENTRY_BYTES_MAX ENTRY_EXTENSION_BYTES_MAX
        PATH_BYTES_MAX NAME_BYTES_MAX CONTENT_BYTES_MAX VERSION_BYTES_MAX
        FRAME_BYTES_MAX DATA_BYTES_MAX DATA_CHANNEL_BYTES_MAX HAVE_RANGES_MAX LINK_RELEASES_MAX LINK_REQUESTS_MAX
        AGENT_BYTES_MAX BYE_BYTES_MAX SIGNAL_BYTES_MAX PEERS_MAX TICKET_BYTES_MAX TICKET_SWARMS_MAX
        TRACKER_MESSAGE_BYTES_MAX HOST_BYTES_MAX ADDRESSES_MAX MAPPED_MAX ADDRESS_PROOF_BYTES LOCAL_MAX CERTIFICATES_MAX SHARDS_MAX SHARD_CHUNKS_MIN SHARDS_PER_MESSAGE_MAX LINKS_WANTED_MAX
        PACK_INDEX_BYTES_MAX PACK_INDEX_PACKS_MAX RANGE_BYTES
    };
    let source = include_str!("../../src/limits.rs");
    let declared: Vec<_> =
        source.split("pub const ").skip(1).filter_map(|rest| rest.split(':').next()).collect();
    assert_eq!(
        values.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        declared,
        "each limit, in its order"
    );
    let map: Map<String, Value> = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let lines: Vec<_> = declared.iter().map(|name| format!("{}: {}", json!(name), map[*name])).collect();
    let what =
        "every limit of the protocol by name; the cases that reach them stand in the files of their forms";
    keep(
        "limits",
        &format!("{{\n\"what\": {},\n\"limits\": {{\n{}\n}}\n}}\n", json!(what), lines.join(",\n")),
    );
}
