//! Crowds that want one release at once, in the laboratory: how long it takes and what the origin sends. The simulator
//! runs the same plans with the same seeds, and must agree.

use anyhow::{Context, Result};

use super::bench::Bench;
use super::row::{Row, Unit, Wanted, median};
use crate::live::Release;
use crate::plan::{Plan, read_plan};
use crate::report::Report;
use crate::sim::{Options, simulate};

/// Most bytes fetched and not used / bytes delivered.
const WASTE_MAX: f64 = 0.03;
/// How far the simulator may be from real load, in time and copies.
const SIM_OFF_MAX: f64 = 0.2;

/// What is wanted of a crowd.
pub(super) struct Crowd {
    plan: &'static str,
    /// Time until the last one is done, in seconds, and what is aimed at.
    time: Option<(Wanted, Option<f64>)>,
    /// Copies that the origin sends, and what is aimed at.
    copies: Option<(Wanted, Option<f64>)>,
    /// Share of the bytes that does not come from the origin.
    offload: Option<Wanted>,
    /// What others reach with the same lines (FIELD.md).
    field: &'static str,
}

pub(super) const OFFLOAD: Crowd = Crowd {
    plan: "flash-offload",
    time: Some((Wanted::AtMost(31.0), Some(29.0))),
    copies: Some((Wanted::AtMost(1.3), Some(1.1))),
    offload: None,
    field: "libtorrent super-seeding 38.2 s at 1.33",
};
pub(super) const SPEED: Crowd = Crowd {
    plan: "flash-speed",
    time: Some((Wanted::Below(25.0), None)),
    copies: Some((Wanted::Below(4.0), None)),
    offload: None,
    field: "libtorrent + web seed 25.1 s at 4.5",
};
pub(super) const POOR_ORIGIN: Crowd = Crowd {
    plan: "flash-poor-origin",
    time: Some((Wanted::AtMost(33.5), None)),
    copies: Some((Wanted::AtMost(1.15), None)),
    offload: None,
    field: "libtorrent 40.4 s at 1.10",
};
pub(super) const FAR_OFFLOAD: Crowd = Crowd {
    plan: "flash-40ms",
    time: Some((Wanted::AtMost(34.0), None)),
    copies: Some((Wanted::AtMost(1.3), None)),
    offload: None,
    field: "libtorrent + web seed 27.1 s at 4.3",
};
pub(super) const FAR_SPEED: Crowd = Crowd {
    plan: "flash-40ms-speed",
    time: Some((Wanted::Below(27.0), None)),
    copies: None,
    offload: None,
    field: "libtorrent + web seed 27.1 s at 4.3",
};
pub(super) const FIFTY: Crowd =
    Crowd { plan: "fifty", time: None, copies: None, offload: Some(Wanted::AtLeast(0.96)), field: "" };

/// Most copies of what an update needs.
const UPDATE_COPIES_MAX: f64 = 1.3;
/// How far what a node says before may be from what it has to fetch.
const ANNOUNCED_OFF_MAX: f64 = 0.01;

/// Runs a crowd that has an older version and wants the newer one.
///
/// # Errors
/// When a run fails.
pub(super) fn measure_update(bench: &mut Bench) -> Result<Vec<Row>> {
    let plan = read_plan(OFFLOAD.plan, &[])?;
    let mut live = Vec::new();
    for seed in bench.seeds() {
        let report = bench.live(&plan, Release::Update, seed)?;
        bench.keep(&format!("flash-update-{seed}"), &report)?;
        live.push(report);
    }
    let needed = live.first().map_or(0, |report| report.run.needed_bytes) as f64;
    let of = |value: fn(&Report) -> f64| live.iter().map(value).collect::<Vec<f64>>();
    let reference = format!(
        "{} for each of {} nodes; lists {:.2}; done in {}",
        Unit::Mebibytes.show(needed),
        plan.nodes(),
        median(&of(|report| report.run.origin.manifest_bytes as f64)) / needed,
        Unit::Seconds.show(median(&times(&live)?)),
    );
    let announced = live
        .iter()
        .map(|report| report.run.live.as_ref().and_then(|run| run.announced_off_max))
        .collect::<Option<Vec<f64>>>()
        .context("a node did not say how much it was going to fetch")?;
    let row = |measure, unit, wanted, values| Row::new(measure, unit, Wanted::AtMost(wanted), values);
    let rows = vec![
        row("copies", Unit::Copies, UPDATE_COPIES_MAX, of(|report| report.figures.copies)).beside(reference),
        row("sizes said before are off by", Unit::Share, ANNOUNCED_OFF_MAX, announced),
        row("waste", Unit::Share, WASTE_MAX, of(|report| report.figures.waste)),
    ];
    let repeat = format!("freshet-loadtest live {} --update --seed {}", OFFLOAD.plan, bench.seeds().start);
    Ok(rows.into_iter().map(|row| row.repeat(repeat.clone())).collect())
}

/// Runs the crowd in the laboratory and in the simulator.
///
/// # Errors
/// When a run fails.
pub(super) fn measure(bench: &mut Bench, crowd: &Crowd) -> Result<Vec<Row>> {
    let plan = read_plan(crowd.plan, &[])?;
    let mut live = Vec::new();
    let mut simulated = Vec::new();
    for seed in bench.seeds() {
        let report = bench.live(&plan, Release::OfPlan, seed)?;
        bench.keep(&format!("{}-{seed}", crowd.plan), &report)?;
        live.push(report);
        simulated.push(Report::of(simulate(&plan, Options { seed, verbose: None })?));
    }
    let mut rows = rows(crowd, &plan, &live)?;
    rows.push(agreement(&live, &simulated)?);
    let repeat = format!("freshet-loadtest live {} --seed {}", crowd.plan, bench.seeds().start);
    Ok(rows.into_iter().map(|row| row.repeat(repeat.clone())).collect())
}

fn rows(crowd: &Crowd, plan: &Plan, live: &[Report]) -> Result<Vec<Row>> {
    let times = times(live)?;
    let of = |value: fn(&Report) -> f64| live.iter().map(value).collect::<Vec<f64>>();
    let bound_s = median(&of(|report| report.figures.bounds.at_copies_s));
    let bound = format!("bound {bound_s:.1} s");
    let beside =
        |bound: String| if crowd.field.is_empty() { bound } else { format!("{bound}; {}", crowd.field) };
    let aimed = |row: Row, aim: Option<f64>| aim.into_iter().fold(row, Row::aim);
    let mut rows = Vec::new();
    if let Some((wanted, aim)) = crowd.time {
        let row = Row::new("time", Unit::Seconds, wanted, times).beside(beside(bound));
        rows.push(aimed(machine_bound(row, live), aim));
    }
    if let Some((wanted, aim)) = crowd.copies {
        let row = Row::new("copies", Unit::Copies, wanted, of(|report| report.figures.copies));
        rows.push(aimed(row.beside("bound 1.00"), aim));
    }
    if let Some(wanted) = crowd.offload {
        let row = Row::new("offload", Unit::Share, wanted, of(|report| report.figures.offload));
        let bound = 1.0 - 1.0 / f64::from(plan.nodes());
        let time = Unit::Seconds.show(median(&self::times(live)?));
        rows.push(row.beside(beside(format!("bound {}; done in {time}", Unit::Share.show(bound)))));
    }
    let waste = Row::new("waste", Unit::Share, Wanted::AtMost(WASTE_MAX), of(|report| report.figures.waste));
    rows.push(waste);
    Ok(rows)
}

fn times(reports: &[Report]) -> Result<Vec<f64>> {
    let time = |report: &Report| report.figures.time_s.context("a run has not finished");
    reports.iter().map(time).collect()
}

/// Says so where the machine had too little processor time left for the times to be those of the lines.
fn machine_bound(row: Row, live: &[Report]) -> Row {
    let runs = live.iter().filter_map(|report| report.run.live.as_ref());
    let bound = runs.filter(|run| run.is_machine_bound).count();
    if bound == 0 { row } else { row.note(format!("machine-bound in {bound} of {} runs", live.len())) }
}

/// How far the simulator is from real load, in whichever of time and copies it is farther.
fn agreement(live: &[Report], simulated: &[Report]) -> Result<Row> {
    let copies =
        |reports: &[Report]| median(&reports.iter().map(|report| report.figures.copies).collect::<Vec<_>>());
    let (live_s, sim_s) = (median(&times(live)?), median(&times(simulated)?));
    let (live_copies, sim_copies) = (copies(live), copies(simulated));
    let off = (sim_s / live_s - 1.0).abs().max((sim_copies / live_copies - 1.0).abs());
    let reference = format!("sim {sim_s:.1} s at {sim_copies:.2}; live {live_s:.1} s at {live_copies:.2}");
    Ok(Row::new("sim is off by", Unit::Share, Wanted::AtMost(SIM_OFF_MAX), vec![off]).beside(reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, settings: &[&str]) -> Report {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let plan = read_plan(name, &settings).expect("built in");
        Report::of(simulate(&plan, Options { seed: 1, verbose: None }).expect("simulated"))
    }

    #[test]
    fn a_crowd_gives_what_is_wanted_of_it() {
        let report = report("tiny", &[]);
        let plan = &report.run.plan.clone();
        let check = |crowd: &Crowd, expected: &[&str]| {
            let rows = rows(crowd, plan, std::slice::from_ref(&report)).expect("finished");
            assert_eq!(rows.iter().map(|row| row.measure.as_str()).collect::<Vec<_>>(), expected);
        };
        check(&OFFLOAD, &["time", "copies", "waste"]);
        check(&FAR_SPEED, &["time", "waste"]);
        check(&FIFTY, &["offload", "waste"]);
    }

    #[test]
    fn the_simulator_is_compared_in_both() {
        let fast = report("tiny", &[]);
        let slow = report("tiny", &["groups.0.up_mbit=2", "groups.0.down_mbit=5", "origin.up_mbit=5"]);
        let check = |live: &Report, simulated: &Report, agrees: bool| {
            let row =
                agreement(std::slice::from_ref(live), std::slice::from_ref(simulated)).expect("finished");
            assert_eq!(row.is_reached(), agrees, "{row:?}");
        };
        check(&fast, &fast, true);
        check(&fast, &slow, false);
        check(&slow, &fast, false);
    }

    #[test]
    fn an_unfinished_run_is_no_figure() {
        let late = report("tiny", &["end_after_s=1", "origin.up_mbit=0.1"]);
        assert!(rows(&OFFLOAD, &late.run.plan.clone(), &[late]).is_err());
    }
}
