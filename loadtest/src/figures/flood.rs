//! A crowd that has only the origin left, which may send a part of what all of them could take: every download completes, and
//! few requests are refused.

use anyhow::{Context, Result};

use super::bench::Bench;
use super::row::{Row, Unit, Wanted, median};
use crate::live::Release;
use crate::plan::{Plan, read_plan};
use crate::report::Report;
use crate::sim::{Options, simulate};

/// Least share of the bytes that come from peers until they are switched off.
const OFFLOAD_MIN: f64 = 0.95;
/// Most requests, those refused included, for each that is needed.
const REQUESTS_MAX: f64 = 2.0;
/// Most time, for each second in which the capped line carries what the origin sent.
const TIME_MAX: f64 = 1.3;
/// The caps, as shares of what all players could take together.
const CAPS: [(&str, f64); 2] = [("a fifth", 0.2), ("a hundredth", 0.01)];

/// Simulates the plan `origin-flood` under each cap, and once under none.
///
/// # Errors
/// When a simulation breaks a rule.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let seed = bench.seeds().start;
    let plan = read_plan("origin-flood", &[])?;
    let demand_mbit: f64 = plan.groups.iter().map(|group| f64::from(group.count) * group.down_mbit).sum();
    let off_s = f64::from(plan.p2p_off_at_ms.context("the plan switches peers off")?) / 1000.0;
    let run = |bench: &mut Bench, settings: &[String]| {
        let report = simulated(&read_plan("origin-flood", settings)?, seed)?;
        bench.go_on()?;
        Ok::<Report, anyhow::Error>(report)
    };
    let offload = run(bench, &[format!("end_after_s={off_s}")])?.figures.offload;
    let free = run(bench, &[format!("origin.up_mbit={demand_mbit}"), "origin.refuses=false".to_owned()])?;
    let needed = free.run.origin.requests as f64;
    let mut rows = vec![Row::new(
        "from peers until they are switched off",
        Unit::Share,
        Wanted::AtLeast(OFFLOAD_MIN),
        vec![offload],
    )];
    for (name, share) in CAPS {
        let mbit = demand_mbit * share;
        let settings = [format!("origin.up_mbit={mbit}")];
        let report = run(bench, &settings)?;
        let (figures, origin) = (&report.figures, &report.run.origin);
        let repeat = format!("freshet-loadtest sim origin-flood --seed {seed} --set {}", settings[0]);
        let of = |measure: &str, unit, wanted, value: f64| {
            Row::new(format!("capped at {name}, {measure}"), unit, wanted, vec![value]).repeat(repeat.clone())
        };
        let jobs = f64::from(figures.jobs);
        rows.push(of("downloads that complete", Unit::Count, Wanted::AtLeast(jobs), figures.finished.into()));
        let requests =
            of("requests", Unit::Ratio, Wanted::Below(REQUESTS_MAX), origin.requests as f64 / needed);
        rows.push(requests.beside(format!("{needed} without a cap; {} refused", origin.refused)));
        let least_s = origin.wire_bytes as f64 / (mbit * 125_000.0);
        let time_s = figures.time_s.unwrap_or(f64::INFINITY);
        let time = of("time", Unit::Ratio, Wanted::AtMost(TIME_MAX), (time_s - off_s) / least_s);
        rows.push(time.beside(format!("{least_s:.0} s that the line needs")));
    }
    Ok(rows)
}

fn simulated(plan: &Plan, seed: u64) -> Result<Report> {
    let run = simulate(plan, Options { seed, verbose: None })?;
    anyhow::ensure!(run.violations.is_empty(), "{}", run.violations.join("; "));
    Ok(Report::of(run))
}

/// Runs the plan `vanished` in the laboratory.
///
/// # Errors
/// When a run fails, which one does in which a download fails.
pub(super) fn measure_vanished(bench: &mut Bench) -> Result<Vec<Row>> {
    let plan = read_plan("vanished", &[])?;
    let (mut served, mut refused, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for seed in bench.seeds() {
        let report = bench.live(&plan, Release::OfPlan, seed)?;
        bench.keep(&format!("vanished-{seed}"), &report)?;
        let origin = &report.run.origin;
        served.push(origin.requests as f64 / origin.requests.saturating_sub(origin.refused).max(1) as f64);
        refused.push(origin.refused as f64);
        let least_s = origin.wire_bytes as f64 / (plan.origin.up_mbit * 125_000.0);
        times.push(report.figures.time_s.unwrap_or(f64::INFINITY) / least_s);
    }
    let repeat = format!("freshet-loadtest live vanished --seed {}", bench.seeds().start);
    let rows = vec![
        Row::new("requests, for each one served", Unit::Ratio, Wanted::Below(REQUESTS_MAX), served)
            .beside(format!("{:.0} refused", median(&refused)))
            .every_run(),
        Row::new("time", Unit::Ratio, Wanted::AtMost(TIME_MAX), times).beside("what the line needs"),
    ];
    Ok(rows.into_iter().map(|row| row.repeat(repeat.clone())).collect())
}
