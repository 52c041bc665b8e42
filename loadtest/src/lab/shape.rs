//! A line's rate and its drop-tail buffer, as `tc` commands for the router at its end.
//!
//! Both directions are shaped in the router and at its egress: up at `wan`, down at `lan`. The router has received
//! the packet by then, which takes it off the sender's socket, so a sender sees loss and delay as at a real access
//! line and never back-pressure from the queue.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::topology::{ROUTER_LAN, ROUTER_WAN};

/// How long a packet waits at most in a full buffer, where a plan says nothing else.
pub const BUFFER: Duration = Duration::from_millis(100);
/// The bucket holds this much time of the line. Too little, and a timer that fires late loses rate; more, and bursts
/// leave at the speed of the machine.
const BURST: Duration = Duration::from_millis(2);
/// The bucket of a slow line holds a train of packets (ten full ones, what QUIC hands over at once), so that the train
/// passes as one piece. Cut up, it costs a timer's interrupt a packet, which is most of the price of a lab.
const TRAIN_BYTES: u64 = 11 * 1514;
/// But never more time of the line than this.
const TRAIN_TIME: Duration = Duration::from_millis(10);
/// Two full frames: with less, TBF drops what it cannot ever send.
const BURST_BYTES_MIN: u64 = 2 * 1514;
/// Below, the buffer would hold less than a full packet.
const RATE_BITS_S_MIN: u64 = 200_000;
/// A line without a limit is shaped as well, far above what the machine can do, because only a queueing discipline
/// counts the bytes of a packet train as they would be on the wire (see `counters`). Above it, `tc` counts in 32 bits.
const RATE_BITS_S_MAX: u64 = 40_000_000_000;

/// Rate of one direction, in bits per second of Ethernet frames (without preamble and checksum).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// As fast as the machine can; counted all the same.
    Unlimited,
    /// Shaped to so many bits a second.
    BitsPerSecond(u64),
}

impl Rate {
    /// A rate in Mbit/s.
    pub fn mbit(mbit: f64) -> Self {
        Self::BitsPerSecond((mbit * 1e6).round() as u64)
    }

    fn bits_s(self) -> u64 {
        match self {
            Self::Unlimited => RATE_BITS_S_MAX,
            Self::BitsPerSecond(bits) => bits,
        }
    }

    fn bytes_in(self, time: Duration) -> u64 {
        let bytes = u128::from(self.bits_s()) * time.as_micros() / 8_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    pub(super) fn check(self) -> Result<()> {
        ensure!(
            (RATE_BITS_S_MIN..=RATE_BITS_S_MAX).contains(&self.bits_s()),
            "a rate of {} bit/s is not between 200 kbit/s and 40 Gbit/s",
            self.bits_s()
        );
        Ok(())
    }
}

/// Lines for `tc -batch` inside the router of a host with this line.
pub(super) fn commands(up: Rate, down: Rate, buffer: Duration) -> String {
    format!("{}\n{}\n", tbf(ROUTER_WAN, up, buffer), tbf(ROUTER_LAN, down, buffer))
}

fn tbf(link: &str, rate: Rate, buffer: Duration) -> String {
    let train = rate.bytes_in(TRAIN_TIME).min(TRAIN_BYTES);
    let burst = rate.bytes_in(BURST).max(train).max(BURST_BYTES_MIN);
    let limit = rate.bytes_in(buffer).max(BURST_BYTES_MIN);
    format!("qdisc replace dev {link} root tbf rate {}bit burst {burst} limit {limit}", rate.bits_s())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_holds_its_time_of_the_line() {
        assert_eq!(
            commands(Rate::mbit(20.0), Rate::mbit(100.0), BUFFER),
            "qdisc replace dev wan root tbf rate 20000000bit burst 16654 limit 250000\n\
             qdisc replace dev lan root tbf rate 100000000bit burst 25000 limit 1250000\n"
        );
        let slow = commands(Rate::mbit(5.0), Rate::mbit(20.0), Duration::from_millis(500));
        assert!(slow.contains("dev wan root tbf rate 5000000bit burst 6250 limit 312500\n"), "{slow}");
    }

    #[test]
    fn rates_out_of_reach_are_refused() {
        let check = |rate: Rate, expected| assert_eq!(rate.check().is_ok(), expected, "{rate:?}");
        check(Rate::BitsPerSecond(0), false);
        check(Rate::BitsPerSecond(RATE_BITS_S_MIN - 1), false);
        check(Rate::BitsPerSecond(RATE_BITS_S_MIN), true);
        check(Rate::Unlimited, true);
        check(Rate::BitsPerSecond(RATE_BITS_S_MAX + 1), false);
        check(Rate::BitsPerSecond(u64::MAX), false);
    }
}
