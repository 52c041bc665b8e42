//! Simulated crowds under many seeds: what holds in the median must hold for every order of events.

use anyhow::{Context, Result};

use super::bench::Bench;
use super::row::{Row, Unit, Wanted};
use crate::plan::read_plan;
use crate::report::Report;
use crate::sim::{Options, simulate};

/// Seeds of each plan.
const SEEDS: u64 = 50;
/// Plans, with the most copies and seconds that any seed may need. Times leave a tenth more than the median may take.
/// Crowds at `speed` take their whole budget of the origin here, and about nine tenths of it in real runs, where news of
/// peers is later; so their copies leave a tenth too.
const PLANS: [(&str, f64, f64); 5] = [
    ("flash-offload", 1.3, 34.0),
    ("flash-speed", 4.4, 27.5),
    ("flash-poor-origin", 1.15, 37.0),
    ("flash-40ms", 1.3, 37.5),
    ("flash-40ms-speed", 4.4, 30.0),
];

/// Simulates them.
///
/// # Errors
/// When a simulation breaks a rule or does not end; names its seed.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, copies_max, time_max_s) in PLANS {
        let (mut copies, mut times) = (Vec::new(), Vec::new());
        for seed in bench.seeds().start..bench.seeds().start + SEEDS {
            let (seed_copies, time_s) = simulated(name, seed)?;
            copies.push(seed_copies);
            times.push(time_s);
            bench.go_on()?;
        }
        let of = |measure: &str, unit, max, values: Vec<f64>| {
            let row = Row::new(format!("{name}, {measure}"), unit, Wanted::AtMost(max), values).every_run();
            let worst = worst(&row) + bench.seeds().start;
            row.beside(format!("worst of {SEEDS} seeds: {worst}"))
                .repeat(format!("freshet-loadtest sim {name} --seed {worst}"))
        };
        rows.push(of("copies", Unit::Copies, copies_max, copies));
        rows.push(of("time", Unit::Seconds, time_max_s, times));
    }
    Ok(rows)
}

fn simulated(name: &str, seed: u64) -> Result<(f64, f64)> {
    let again = || format!("freshet-loadtest sim {name} --seed {seed}");
    let run = simulate(&read_plan(name, &[])?, Options { seed, verbose: None })?;
    anyhow::ensure!(run.violations.is_empty(), "{}: {}", again(), run.violations.join("; "));
    let figures = Report::of(run).figures;
    Ok((figures.copies, figures.time_s.with_context(|| format!("{}: not done in time", again()))?))
}

/// Number of the run with the value that counts.
fn worst(row: &Row) -> u64 {
    let reached = row.reached();
    row.values.iter().position(|&value| value == reached).unwrap_or(0) as u64
}
