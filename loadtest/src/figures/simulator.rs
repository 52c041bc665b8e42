//! How fast the simulator is, and with it the core: the plan `big` in a process of its own.

use anyhow::{Context, Result};

use super::bench::{Bench, roomy_folder};
use super::child;
use super::row::{Row, Unit, Wanted};
use crate::report::Report;

/// Least chunks delivered for each second of one core.
const DELIVERIES_PER_CPU_S_MIN: f64 = 35_000.0;
/// Room for its report.
const REPORT_BYTES: u64 = 64 << 20;

/// Simulates it once: it takes a minute, and processor time varies little.
///
/// # Errors
/// When the simulation fails.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let folder = roomy_folder(REPORT_BYTES)?;
    let path = folder.path().join("big.json");
    let mut command = bench.own(&["sim", "big", "--out"])?;
    command.arg(&path);
    let ended = bench.wait(child::run(command, &folder.path().join("log")))?;
    let json = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let report: Report = serde_json::from_slice(&json).context("read the report of `sim big`")?;
    let rate = report.figures.deliveries_per_cpu_s.context("the system tells no processor time")?;
    let wanted = Wanted::AtLeast(DELIVERIES_PER_CPU_S_MIN);
    let reference = format!("{} deliveries in {:.0} s", report.run.deliveries, ended.took.as_secs_f64());
    let row = Row::new("deliveries per CPU second", Unit::PerSecond, wanted, vec![rate]);
    Ok(vec![row.beside(reference).repeat("freshet-loadtest sim big")])
}
