//! Who reaches whom: two homes, crowds of which most are behind symmetric NATs, and crowds behind one line.

use anyhow::{Context, Result};

use super::bench::Bench;
use super::row::{Row, Unit, Wanted, median};
use crate::live::Release;
use crate::plan::read_plan;
use crate::report::Report;

/// Most time from a pairing to its link.
const LINK_S_MAX: f64 = 0.5;
/// Least rate behind NATs / without them.
const NAT_RATE_MIN: f64 = 0.9;
/// Most time / what the lines and NATs allow at these copies.
const SYMMETRIC_MAX: f64 = 1.12;
/// Most copies over the line of a LAN.
const LAN_COPIES_MAX: f64 = 1.1;

/// Two homes, each behind a NAT that lets in whom it has sent to.
///
/// # Errors
/// When a run fails.
pub(super) fn measure_two(bench: &mut Bench) -> Result<Vec<Row>> {
    let behind = runs(bench, "two-behind-nats", &[])?;
    let without = runs(bench, "two-behind-nats", &["groups.0.nat=open", "groups.1.nat=open"])?;
    let times = |reports: &[Report]| {
        let time_s = |report: &Report| Ok(report.figures.completion.context("a run has not finished")?.max_s);
        reports.iter().map(time_s).collect::<Result<Vec<f64>>>()
    };
    let (behind_s, without_s) = (times(&behind)?, times(&without)?);
    let rates = behind_s.iter().zip(&without_s).map(|(behind_s, without_s)| without_s / behind_s).collect();
    let link_s =
        |report: &Report| report.run.live.as_ref().map_or(f64::NAN, |run| run.link_times.max_ms as f64 / 1e3);
    let links_s = behind.iter().map(link_s).collect();
    let without_link_s = median(&without.iter().map(link_s).collect::<Vec<_>>());
    Ok(vec![
        Row::new("pairing to link", Unit::Milliseconds, Wanted::AtMost(LINK_S_MAX), links_s)
            .beside(format!("{:.0} ms without NATs", without_link_s * 1e3))
            .every_run(),
        Row::new("rate behind NATs / without", Unit::Ratio, Wanted::AtLeast(NAT_RATE_MIN), rates)
            .beside(format!("{:.1} s against {:.1} s", median(&behind_s), median(&without_s))),
    ])
}

/// Most nodes reach only the others.
///
/// # Errors
/// When a run fails.
pub(super) fn measure_symmetric(bench: &mut Bench) -> Result<Vec<Row>> {
    let live = runs(bench, "flash-symmetric", &[])?;
    let ratio = |report: &Report| {
        let time_s = report.figures.time_s.context("a run has not finished")?;
        Ok(time_s / report.figures.bounds.at_copies_s)
    };
    let ratios = live.iter().map(ratio).collect::<Result<Vec<f64>>>()?;
    let of = |value: fn(&Report) -> f64| median(&live.iter().map(value).collect::<Vec<_>>());
    let reference = format!(
        "bound {:.1} s at {:.2} copies; libtorrent 1.17",
        of(|report| report.figures.bounds.at_copies_s),
        of(|report| report.figures.copies),
    );
    Ok(vec![Row::new("time / bound", Unit::Ratio, Wanted::AtMost(SYMMETRIC_MAX), ratios).beside(reference)])
}

/// All share one line.
///
/// # Errors
/// When a run fails.
pub(super) fn measure_lan(bench: &mut Bench) -> Result<Vec<Row>> {
    let live = runs(bench, "lan", &[])?;
    let copies = |report: &Report| {
        let wire = report.run.live.as_ref().and_then(|run| run.node_wire).context("no line was counted")?;
        Ok(wire.down_bytes as f64 / report.run.needed_bytes as f64)
    };
    let copies = live.iter().map(copies).collect::<Result<Vec<f64>>>()?;
    let times = live.iter().map(|report| report.figures.time_s.context("a run has not finished"));
    let time = median(&times.collect::<Result<Vec<f64>>>()?);
    let bound = live.first().map_or(0.0, |report| report.figures.bounds.at_one_copy_s);
    let reference = format!("bound 1.00; done in {time:.1} s, the line alone {bound:.1} s");
    let row = Row::new("copies over the line", Unit::Copies, Wanted::AtMost(LAN_COPIES_MAX), copies);
    Ok(vec![row.beside(reference)])
}

fn runs(bench: &mut Bench, name: &str, settings: &[&str]) -> Result<Vec<Report>> {
    let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
    let plan = read_plan(name, &settings)?;
    let mut live = Vec::new();
    for seed in bench.seeds() {
        let report = bench.live(&plan, Release::OfPlan, seed)?;
        bench.keep(&format!("{name}{}-{seed}", if settings.is_empty() { "" } else { "-set" }), &report)?;
        live.push(report);
    }
    Ok(live)
}
