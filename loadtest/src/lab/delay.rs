//! The distance between hosts: a program in the core namespace that holds every packet for half a round trip.
//!
//! Where the kernel has no netem, the core routes all packets between hosts into a TUN device; this relay reads them
//! there and writes them back to it after the delay, and a routing rule sends what comes *from* the device on to the
//! routers. Packet trains (GSO) pass as one piece: the header that says how they are to be cut is read and written
//! unchanged, which keeps the relay cheap.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::{DeviceBuilder, SyncDevice};

use super::relay::{DelayReport, READY};
use super::topology::DELAY_LINK;

/// Packets are taken and released this often and not one by one, which saves a fifth of the CPU. On average a packet
/// is seen half a tick late and released half a tick late, so it is due one tick early.
const TICK: Duration = Duration::from_micros(500);
/// A train and its header: more than the kernel ever hands out.
const PACKET_BYTES_MAX: usize = 65_536 + 64;
/// Bytes held: 3 Gbit/s over 170 ms. More is dropped and counted.
const HELD_BYTES_MAX: usize = 64 << 20;
/// Packets read before the due ones are looked at again.
const READS_MAX: usize = 128;
/// A packet this late means that the machine was too busy, and that the run's figures are not to be trusted.
const LATE: Duration = Duration::from_millis(5);

/// The relay itself, run in the core namespace. Ends when standard input does.
///
/// # Errors
/// When the TUN device of the lab's core cannot be opened, read or waited for.
pub(crate) fn serve_delay(one_way: Duration) -> Result<()> {
    let device =
        DeviceBuilder::new().name(DELAY_LINK).offload(true).build_sync().context("open the delay link")?;
    ensure!(device.tcp_gso() && device.udp_gso(), "the kernel's TUN device takes no packet trains");
    device.set_nonblocking(true).context("set the delay link non-blocking")?;

    let mut out = std::io::stdout();
    writeln!(out, "{READY}").and_then(|()| out.flush()).context("say ready")?;
    let report = Line::new(one_way).relay(&device)?;
    // The lab may have been killed: then nobody reads this.
    let _ = writeln!(out, "{report}");
    Ok(())
}

struct Held {
    due: Instant,
    packet: Box<[u8]>,
}

/// One delay for all, so that the first packet in is the first one due.
struct Line {
    one_way: Duration,
    held: VecDeque<Held>,
    held_bytes: usize,
    late_sum: Duration,
    report: DelayReport,
}

impl Line {
    fn new(one_way: Duration) -> Self {
        Self {
            one_way,
            held: VecDeque::new(),
            held_bytes: 0,
            late_sum: Duration::ZERO,
            report: DelayReport::default(),
        }
    }

    fn relay(mut self, device: &SyncDevice) -> Result<DelayReport> {
        let stdin = std::io::stdin();
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        loop {
            // Busy: one look per tick, however many packets come. Idle: asleep until there is one.
            let is_busy = !self.held.is_empty();
            let wait = is_busy.then(|| timespec(TICK));
            let wanted = if is_busy { PollFlags::empty() } else { PollFlags::IN };
            let mut fds = [
                PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(device.as_fd(), wanted),
            ];
            match poll(&mut fds, wait.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("wait for packets"),
            }
            // Anything but the end is noise.
            if !fds[0].revents().is_empty() && stdin.lock().read(&mut [0; 64]).context("standard input")? == 0
            {
                return Ok(self.finish());
            }
            self.take(device, &mut buffer)?;
            self.release(device);
        }
    }

    fn take(&mut self, device: &SyncDevice, buffer: &mut [u8]) -> Result<()> {
        for _ in 0..READS_MAX {
            let length = match device.recv(buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("read from the delay link"),
            };
            if self.held_bytes + length > HELD_BYTES_MAX {
                self.report.dropped += 1;
                continue;
            }
            self.held_bytes += length;
            let due = Instant::now() + self.one_way.saturating_sub(TICK);
            self.held.push_back(Held { due, packet: buffer[..length].into() });
        }
        Ok(())
    }

    fn release(&mut self, device: &SyncDevice) {
        let now = Instant::now();
        while let Some(held) = self.held.pop_front_if(|held| held.due <= now) {
            self.held_bytes -= held.packet.len();
            let late = now.saturating_duration_since(held.due);
            self.late_sum += late;
            self.report.late += u64::from(late > LATE);
            self.report.worst_late_us = self.report.worst_late_us.max(micros(late));
            match device.send(&held.packet) {
                Ok(_) => {
                    self.report.packets += 1;
                    self.report.bytes += held.packet.len() as u64;
                }
                // As on a real line, what cannot be sent is lost.
                Err(_) => self.report.dropped += 1,
            }
        }
    }

    fn finish(mut self) -> DelayReport {
        self.report.mean_late_us = micros(self.late_sum) / self.report.packets.max(1);
        self.report
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}
