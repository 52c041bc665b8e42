//! Which figures there are.

use anyhow::Result;

use super::bench::Bench;
use super::needs::Need;
use super::row::Row;
use super::{
    far, few, flash, flood, gateway, kills, large, memory, patches, reach, reconnect, seeds, simulator,
    survival, updates, wire, yielding,
};

/// When a figure is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    /// By `make bench`.
    Bench,
    /// By `make soak`.
    Soak,
}

/// What is measured under one name.
pub(super) struct Figure {
    pub(super) name: &'static str,
    /// What it is, in one line.
    pub(super) about: &'static str,
    pub(super) tier: Tier,
    pub(super) needs: &'static [Need],
    /// Measures it.
    pub(super) measure: fn(&mut Bench) -> Result<Vec<Row>>,
}

const fn bench(
    name: &'static str,
    about: &'static str,
    needs: &'static [Need],
    measure: fn(&mut Bench) -> Result<Vec<Row>>,
) -> Figure {
    Figure { name, about, tier: Tier::Bench, needs, measure }
}

const fn soak(
    name: &'static str,
    about: &'static str,
    needs: &'static [Need],
    measure: fn(&mut Bench) -> Result<Vec<Row>>,
) -> Figure {
    Figure { name, about, tier: Tier::Soak, needs, measure }
}

/// All of them, in the order of the table.
pub(super) const FIGURES: &[Figure] = &[
    bench("flash-offload", "20 nodes, origin 100 Mbit/s, few origin bytes matter", &[Need::Lab], |bench| {
        flash::measure(bench, &flash::OFFLOAD)
    }),
    bench("flash-speed", "the same crowd, time matters", &[Need::Lab], |bench| {
        flash::measure(bench, &flash::SPEED)
    }),
    bench("flash-poor-origin", "the same crowd, origin 20 Mbit/s", &[Need::Lab], |bench| {
        flash::measure(bench, &flash::POOR_ORIGIN)
    }),
    bench("flash-40ms", "the same crowd, 40 ms round trip, few origin bytes matter", &[Need::Lab], |bench| {
        flash::measure(bench, &flash::FAR_OFFLOAD)
    }),
    bench("flash-40ms-speed", "the same crowd, 40 ms round trip, time matters", &[Need::Lab], |bench| {
        flash::measure(bench, &flash::FAR_SPEED)
    }),
    bench(
        "flash-update",
        "the same crowd has an older version, few origin bytes matter",
        &[Need::Lab],
        flash::measure_update,
    ),
    bench("fifty", "50 nodes, origin 40 Mbit/s", &[Need::Lab], |bench| flash::measure(bench, &flash::FIFTY)),
    bench(
        "two-nats",
        "a player and a seeder, each behind a port-restricted NAT, beside none",
        &[Need::Lab, Need::Program("nft")],
        reach::measure_two,
    ),
    bench(
        "symmetric",
        "20 nodes, of which 14 are behind symmetric NATs",
        &[Need::Lab, Need::Program("nft")],
        reach::measure_symmetric,
    ),
    bench("lan", "50 nodes behind one line", &[Need::Lab, Need::Program("nft")], reach::measure_lan),
    bench("few", "1, 2 and 4 nodes: P2P is not slower than HTTP", &[Need::Lab], few::measure),
    bench(
        "far",
        "P2P off at 40 ms round trip beside curl",
        &[Need::Lab, Need::Program("curl")],
        far::measure,
    ),
    bench("gateway", "the local gateway beside nginx with a cache", gateway::NEEDS, gateway::measure),
    bench("wire", "one node as fast as the machine can", wire::NEEDS, wire::measure),
    bench("yield", "a seeder at home: ping, and an upload beside it", yielding::NEEDS, yielding::measure),
    bench(
        "reconnect",
        "5,000 clients come back to a tracker that was killed",
        &[Need::Optimised],
        reconnect::measure,
    ),
    bench("large", "60 GB in 480,000 chunks: loading and deciding", large::NEEDS, large::measure),
    bench("memory", "publish and get of 4 GiB", memory::NEEDS, memory::measure),
    bench("updates", "updates of real builds beside fixed blocks", updates::NEEDS, updates::measure),
    bench("patches", "publish of 1 GiB with patches from three versions", patches::NEEDS, patches::measure),
    bench("simulator", "2,000 simulated nodes and 1,000 chunks", &[Need::Optimised], simulator::measure),
    bench(
        "origin-flood",
        "1,000 simulated players whose peers are switched off, and a capped origin",
        &[Need::Optimised],
        flood::measure,
    ),
    bench(
        "vanished",
        "40 nodes whose peers vanish, and a capped origin",
        &[Need::Lab],
        flood::measure_vanished,
    ),
    soak("kills", "a get that is killed again and again ends well", kills::NEEDS, kills::measure),
    soak(
        "survival",
        "100 nodes at three trackers, all of which die, and the broker, beside the same without faults",
        &[Need::Lab, Need::Program("curl"), Need::Program("nats-server")],
        survival::measure,
    ),
    soak("seeds", "simulated crowds under many seeds", &[Need::Optimised], seeds::measure),
];
