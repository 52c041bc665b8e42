//! One, two and four nodes: with peers allowed, `speed` is not slower than HTTP alone.

use anyhow::{Context, Result};

use super::bench::Bench;
use super::row::{Row, Unit, Wanted, median};
use crate::live::Release;
use crate::plan::{Plan, read_plan};

/// Most time with P2P / time without.
const RATIO_MAX: f64 = 1.05;
/// Plans with P2P, and the same without.
const PAIRS: [(&str, &str); 3] = [("one", "one-http"), ("two", "two-http"), ("four", "four-http")];

/// Runs each pair of plans, in turns.
///
/// # Errors
/// When a run fails.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    PAIRS.into_iter().map(|pair| compare(bench, pair)).collect()
}

fn compare(bench: &mut Bench, (p2p, http): (&str, &str)) -> Result<Row> {
    let plans = [read_plan(p2p, &[])?, read_plan(http, &[])?];
    let (mut p2p_s, mut http_s) = (Vec::new(), Vec::new());
    for (turn, seed) in bench.seeds().enumerate() {
        // Whoever comes second finds a warmer machine, so they take turns.
        let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let took = time(bench, &plans[which], seed)?;
            if which == 0 { p2p_s.push(took) } else { http_s.push(took) }
        }
    }
    let ratios = p2p_s.iter().zip(&http_s).map(|(p2p, http)| p2p / http).collect();
    let reference = format!("{:.2} s, over HTTP {:.2} s", median(&p2p_s), median(&http_s));
    let row = Row::new(format!("{p2p}: P2P on / off"), Unit::Ratio, Wanted::AtMost(RATIO_MAX), ratios);
    Ok(row.beside(reference).repeat(format!("freshet-loadtest live {p2p} --seed {}", bench.seeds().start)))
}

fn time(bench: &mut Bench, plan: &Plan, seed: u64) -> Result<f64> {
    bench.live(plan, Release::OfPlan, seed)?.figures.time_s.context("a run has not finished")
}
