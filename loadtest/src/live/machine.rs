//! What the machine and its processes spend, from /proc.

use std::fs;

/// Clock ticks a second in /proc: fixed by Linux towards programs, whatever the kernel's own timer does.
const TICKS_PER_S: f64 = 100.0;

/// Processor time of the whole machine so far, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct MachineTime {
    idle: u64,
    all: u64,
}

impl MachineTime {
    /// Reads it, where the system tells.
    pub(super) fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        let fields = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = fields.split_whitespace().map_while(|field| field.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guests are part of user.
        let idle = ticks.get(3)? + ticks.get(4)?;
        Some(Self { idle, all: ticks.iter().take(8).sum() })
    }

    /// Share of the time since `before` that was idle, 0 to 1; none if no time has passed.
    pub(super) fn idle_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|&ticks| ticks > 0)?;
        Some(self.idle.saturating_sub(before.idle) as f64 / all as f64)
    }
}

/// What one process has spent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ProcessUse {
    /// Processor time, user and system, in seconds.
    pub(crate) cpu_s: f64,
    /// Most memory that was resident at a time, in bytes.
    pub(crate) resident_bytes: u64,
}

impl ProcessUse {
    /// Reads it; none: the process has ended.
    pub(crate) fn read(pid: u32) -> Option<Self> {
        let cpu_s = cpu_s(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        let resident_bytes = resident_bytes(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)?;
        Some(Self { cpu_s, resident_bytes })
    }
}

fn cpu_s(stat: &str) -> Option<f64> {
    // The name in brackets may hold anything; what follows it does not.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(|field| field.parse::<u64>().ok());
    Some((ticks.next()?? + ticks.next()??) as f64 / TICKS_PER_S)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let kib: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_files_are_read() {
        let before = MachineTime::parse("cpu  100 0 50 800 50 0 0 0 7 7\ncpu0 1 2 3 4\n").expect("good");
        let after = MachineTime::parse("cpu  180 0 50 810 60 0 0 0 9 9\n").expect("good");
        assert_eq!(after.idle_since(before), Some(0.2));
        assert_eq!(after.idle_since(after), None);
        assert_eq!(MachineTime::parse("intr 1"), None);

        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_s(stat), Some(3.0));
        assert_eq!(cpu_s("7 (a"), None);
        assert_eq!(resident_bytes("Name:\tx\nVmHWM:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!(resident_bytes("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn this_process_has_spent_something() {
        let spent = ProcessUse::read(std::process::id()).expect("it runs");
        assert!(spent.resident_bytes > 0);
        assert!(MachineTime::read().is_some());
        assert_eq!(ProcessUse::read(u32::MAX), None);
    }
}
