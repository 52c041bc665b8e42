//! The division of releases into shards.

use freshet_protocol::ShardMap;
use serde_json::json;

use super::case::Case;
use super::{Cases, Form, Judged};
use crate::faults::{Fault, fault};

pub(super) const FORM: Form = Form {
    file: "shard",
    what: "shard maps: the number of shards of a release of chunks positions, and the positions of one shard; an invalid shard has none",
    build,
    judge,
    corpus: None,
};

fn judge(case: &Case) -> Result<Judged, Fault> {
    let map = ShardMap::new(case.number("chunks") as u32);
    let positions = map.positions(case.number("shard") as u32);
    if positions.is_empty() {
        return Err(fault("no-such-shard"));
    }
    let last = positions.end - 1;
    assert_eq!(map.shard_of(positions.start), map.shard_of(last), "{}", case.name());
    Ok(Judged::read(json!({
        "count": map.count(),
        "start": positions.start,
        "end": positions.end,
        "shard_of_last": map.shard_of(last),
    })))
}

fn build(cases: &mut Cases) {
    let mut check = |chunks: u32, shard: u32, count: u32, start: u32, end: u32| {
        let name = format!("shard {shard} of {chunks} positions");
        let fields = json!({ "count": count, "start": start, "end": end, "shard_of_last": shard });
        cases.valid(&name, json!({ "chunks": chunks, "shard": shard }), fields);
    };
    check(1, 0, 1, 0, 1);
    check(4, 0, 1, 0, 4);
    check(5, 1, 2, 4, 5);
    check(16_384, 4095, 4096, 16_380, 16_384);
    check(16_385, 2048, 2049, 16_384, 16_385);
    check(480_000, 1, 3750, 128, 256);
    check(524_288, 4095, 4096, 524_160, 524_288);

    let mut refuse = |chunks: u32, shard: u32| {
        let name = format!("shard {shard} of {chunks} positions does not exist");
        cases.invalid(&name, json!({ "chunks": chunks, "shard": shard }), fault("no-such-shard"));
    };
    refuse(0, 0);
    refuse(1, 1);
    refuse(4, 1);
    refuse(5, 2);
    refuse(16_384, 4096);
    refuse(16_385, 2049);
    refuse(524_288, 4096);
    refuse(524_288, u32::MAX);
}
