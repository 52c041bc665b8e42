//! Bytes on the wire, read from the shapers of a router.
//!
//! Not from the interfaces: Linux hands packet trains of up to 16 KiB (GSO) through virtual links as one piece, and
//! an interface counts such a train with the headers of one packet. A queueing discipline counts it as the packets
//! it stands for, which is what the line's rate is measured in as well.

use anyhow::{Context, Result};
use serde_json::Value;

use super::netns;
use super::topology::{ROUTER_LAN, ROUTER_WAN};

/// What passed a host's line since it was built: Ethernet frames, dropped ones not included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireBytes {
    /// Bytes that the host sent.
    pub up: u64,
    /// Bytes that the host was sent.
    pub down: u64,
    /// Packets, or trains of them, from the host that found the buffer full.
    pub up_drops: u64,
    /// Packets, or trains of them, to the host that found the buffer full.
    pub down_drops: u64,
}

/// Reads the counters of one router.
pub(super) fn read(router: &str) -> Result<WireBytes> {
    let json = netns::within(router, || netns::run_for_output("tc", &["-s", "-j", "qdisc", "show"], ""))?;
    parse(&json).with_context(|| format!("counters of {router}"))
}

fn parse(json: &str) -> Result<WireBytes> {
    let queues: Vec<Value> = serde_json::from_str(json).context("tc printed no JSON")?;
    let counter = |link: &str, name: &str| {
        queues
            .iter()
            .find(|queue| queue["dev"] == link && queue["kind"] == "tbf")
            .and_then(|queue| queue[name].as_u64())
            .with_context(|| format!("tc shows no {name} of {link}"))
    };
    Ok(WireBytes {
        up: counter(ROUTER_WAN, "bytes")?,
        down: counter(ROUTER_LAN, "bytes")?,
        up_drops: counter(ROUTER_WAN, "drops")?,
        down_drops: counter(ROUTER_LAN, "drops")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_both_directions_are_found() {
        let json = r#"[
            {"kind":"noqueue","dev":"lo","bytes":9,"drops":9},
            {"kind":"tbf","dev":"wan","bytes":1514,"drops":1},
            {"kind":"tbf","dev":"lan","bytes":6000000000,"drops":2}]"#;
        let expected = WireBytes { up: 1514, down: 6_000_000_000, up_drops: 1, down_drops: 2 };
        assert_eq!(parse(json).expect("good"), expected);
    }

    #[test]
    fn a_missing_shaper_is_named() {
        let error = parse(r#"[{"kind":"noqueue","dev":"wan","bytes":1,"drops":0}]"#).expect_err("no tbf");
        assert!(error.to_string().contains("bytes of wan"), "{error}");
    }
}
