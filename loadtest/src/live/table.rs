//! The report of a real run as a table for people.

use std::fmt::Write;

use crate::report::{NodeRun, Report, Shaping};

/// Rows of single nodes that are shown; beyond, the crowd stands for them.
const ROWS_MAX: usize = 24;

/// The table, without the summary.
pub(crate) fn table(report: &Report) -> String {
    let mut text = String::new();
    let nodes = &report.run.nodes;
    line(
        &mut text,
        format_args!(
            "{:>5} {:>8} {:>12} {:>12} {:>10} {:>12}",
            "node", "time", "from peers", "from origin", "wasted", "handed out"
        ),
    );
    for (number, node) in nodes.iter().take(ROWS_MAX).enumerate() {
        row(&mut text, &number.to_string(), node.finish_ms.map(|finish_ms| finish_ms - node.start_ms), node);
    }
    if nodes.len() > ROWS_MAX {
        line(&mut text, format_args!("  and {} more", nodes.len() - ROWS_MAX));
    }
    row(&mut text, "all", None, &sum(nodes));
    let figures = &report.figures;
    if !figures.origin_reasons.is_empty() {
        let reasons: Vec<String> = figures
            .origin_reasons
            .iter()
            .map(|(reason, bytes)| format!("{reason} {}", megabytes(*bytes)))
            .collect();
        line(&mut text, format_args!("origin bytes by reason: {}", reasons.join(", ")));
    }
    if let Some(done) = figures.completion {
        line(
            &mut text,
            format_args!(
                "done within: least {:.1} s, half {:.1} s, 95 of 100 {:.1} s, all {:.1} s",
                done.min_s, done.median_s, done.p95_s, done.max_s
            ),
        );
    }
    if let Some(live) = &report.run.live {
        if live.shaping != Shaping::None {
            let bounds = figures.bounds;
            line(
                &mut text,
                format_args!(
                    "least possible: {:.1} s at these copies, {:.1} s at one copy, {:.1} s over HTTP alone",
                    bounds.at_copies_s, bounds.at_one_copy_s, bounds.http_s
                ),
            );
        }
        line(&mut text, format_args!("{}", live.summary()));
        for note in &live.notes {
            line(&mut text, format_args!("note: {note}"));
        }
    }
    for violation in &report.run.violations {
        line(&mut text, format_args!("not sound: {violation}"));
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to memory does not fail");
}

fn row(text: &mut String, name: &str, took_ms: Option<f64>, node: &NodeRun) {
    let took = took_ms.map_or(String::new(), |ms| format!("{:.1} s", ms / 1000.0));
    line(
        text,
        format_args!(
            "{name:>5} {took:>8} {:>12} {:>12} {:>10} {:>12}",
            megabytes(node.peer_bytes),
            megabytes(node.origin_bytes.values().sum()),
            megabytes(node.waste_bytes),
            megabytes(node.sent_bytes)
        ),
    );
}

fn sum(nodes: &[NodeRun]) -> NodeRun {
    let mut all = NodeRun::default();
    for node in nodes {
        all.peer_bytes += node.peer_bytes;
        all.waste_bytes += node.waste_bytes;
        all.sent_bytes += node.sent_bytes;
        for (reason, bytes) in &node.origin_bytes {
            *all.origin_bytes.entry(reason.clone()).or_insert(0) += bytes;
        }
    }
    all
}

/// In powers of ten, as networks count.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
