//! A crowd whose trackers and broker die, one after the other and all at once: it goes on, and comes back without a storm.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::bench::Bench;
use super::row::{Row, Unit, Wanted};
use crate::live::Release;
use crate::plan::{Deed, Plan, Whom, read_plan};
use crate::report::{Report, TrackerBeat};

/// Most of the offload, in shares of all bytes, that the deaths may cost.
const OFFLOAD_LOST_MAX: f64 = 0.05;
/// Most time until all are back.
const BACK_S_MAX: f64 = 60.0;
/// Most messages meanwhile, for each that comes in normal times.
const RATE_MAX: f64 = 2.0;
/// Rates are means over so long.
const RATE_OVER_S: f64 = 10.0;

/// Runs the plan `drill-cluster`, and the same without faults.
///
/// # Errors
/// When a run fails, which one does in which a download fails.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let plan = read_plan("drill-cluster", &[])?;
    let calm_plan = Plan { faults: Vec::new(), ..plan.clone() };
    let returned_s = returned_s(&plan).context("the plan's trackers come back")?;
    let seed = bench.seeds().start;
    let calm = bench.live(&calm_plan, Release::OfPlan, seed)?;
    bench.keep("survival-calm", &calm)?;
    let report = bench.live(&plan, Release::OfPlan, seed)?;
    bench.keep("survival", &report)?;

    let lost = calm.figures.offload - report.figures.offload;
    let back_s =
        all_back_s(beats(&report), returned_s, u64::from(report.figures.jobs)).unwrap_or(f64::INFINITY);
    let normal = rate_max(beats(&calm), returned_s).context("nothing was counted")?;
    let storm = rate_max(beats(&report), returned_s).context("nothing was counted")?;
    Ok(vec![
        Row::new("offload lost", Unit::Share, Wanted::Below(OFFLOAD_LOST_MAX), vec![lost]).beside(format!(
            "{:.1} % beside {:.1} % without deaths",
            report.figures.offload * 100.0,
            calm.figures.offload * 100.0
        )),
        Row::new("all back", Unit::Seconds, Wanted::AtMost(BACK_S_MAX), vec![back_s]),
        Row::new(
            "messages meanwhile / normally",
            Unit::Ratio,
            Wanted::AtMost(RATE_MAX),
            vec![storm / normal],
        )
        .beside(format!("{storm:.0} beside {normal:.0} a second")),
    ])
}

fn beats(report: &Report) -> &[TrackerBeat] {
    report.run.live.as_ref().map_or(&[], |run| &run.trackers)
}

/// When the trackers that all died start again.
fn returned_s(plan: &Plan) -> Option<f64> {
    let all = |deed: Deed| {
        let mut faults = plan.faults.iter().rev();
        faults.find(|fault| (fault.deed, fault.who, fault.number) == (deed, Whom::Tracker, None))
    };
    all(Deed::Kill)?;
    Some(f64::from(all(Deed::Start)?.at_ms) / 1000.0)
}

/// How long after `returned_s` that many clients are connected to all trackers together.
fn all_back_s(beats: &[TrackerBeat], returned_s: f64, clients: u64) -> Option<f64> {
    let after = beats.iter().filter(|beat| beat.at_ms / 1000.0 > returned_s);
    let all: Vec<&TrackerBeat> = after.collect();
    let rounds = all.chunk_by(|a, b| a.at_ms == b.at_ms);
    let mut full = rounds.filter(|round| round.iter().map(|beat| beat.clients).sum::<u64>() >= clients);
    full.next().map(|round| round[0].at_ms / 1000.0 - returned_s)
}

/// The highest rate of messages of clients in the time after `returned_s`, all trackers together.
fn rate_max(beats: &[TrackerBeat], returned_s: f64) -> Option<f64> {
    let mut last = BTreeMap::new();
    let mut steps = [0; (BACK_S_MAX / RATE_OVER_S) as usize];
    let mut is_counted = false;
    for beat in beats {
        let before = last.insert(beat.tracker, beat.messages_total);
        // Who counts from the start again has started again.
        let messages =
            before.map_or(0, |before| beat.messages_total.checked_sub(before).unwrap_or(beat.messages_total));
        let step = (beat.at_ms / 1000.0 - returned_s) / RATE_OVER_S;
        if let Some(sum) = steps.get_mut(step as usize).filter(|_| step >= 0.0) {
            *sum += messages;
            is_counted = true;
        }
    }
    let most = steps.into_iter().max().filter(|_| is_counted)?;
    Some(most as f64 / RATE_OVER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(at_s: f64, tracker: u32, clients: u64, messages_total: u64) -> TrackerBeat {
        TrackerBeat { at_ms: at_s * 1000.0, tracker, clients, pairs_linked: 0, messages_total }
    }

    #[test]
    fn they_are_back_when_all_together_have_all() {
        let beats = [
            beat(9.0, 0, 3, 9),
            beat(11.0, 0, 1, 0),
            beat(11.0, 1, 1, 0),
            beat(12.0, 0, 2, 0),
            beat(12.0, 1, 1, 0),
        ];
        assert_eq!(all_back_s(&beats, 10.0, 3), Some(2.0));
        assert_eq!(all_back_s(&beats, 10.0, 4), None);
    }

    #[test]
    fn the_highest_rate_of_all_trackers_counts() {
        let beats = [
            beat(0.0, 0, 5, 100),
            beat(0.0, 1, 0, 900),
            beat(9.0, 0, 5, 150),
            beat(9.0, 1, 5, 50),
            beat(10.0, 0, 5, 160),
            beat(19.0, 0, 5, 170),
        ];
        assert_eq!(rate_max(&beats, 0.0), Some(10.0));
        assert_eq!(rate_max(&beats, 10.0), Some(2.0));
        assert_eq!(rate_max(&beats, 100.0), None);
    }

    #[test]
    fn the_plan_lets_all_trackers_come_back() {
        let plan = read_plan("drill-cluster", &[]).expect("built in");
        assert_eq!(returned_s(&plan), Some(360.0));
    }
}
