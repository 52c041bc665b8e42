//! Figures as tiles and tables.

use std::fmt::Write;

use super::{bytes_text, escape};
use crate::report::figures::percent;
use crate::report::{Report, Source};

/// What a run is called.
pub(super) fn name(report: &Report) -> String {
    let run = &report.run;
    let source = match run.source {
        Source::Sim => "simulated",
        Source::Live => "real processes",
    };
    match run.seed {
        Some(seed) => format!("{}, {source}, seed {seed}", run.plan.name),
        None => format!("{}, {source}", run.plan.name),
    }
}

fn seconds(time_s: f64) -> String {
    format!("{time_s:.1} s")
}

fn time(report: &Report) -> String {
    report.figures.time_s.map_or_else(|| "unfinished".to_owned(), seconds)
}

/// How near a time is to its bound.
fn reached(report: &Report, bound_s: f64) -> String {
    report
        .figures
        .time_s
        .map_or_else(|| "none".to_owned(), |time_s| format!("{:.0} %", bound_s * 100.0 / time_s))
}

/// The four figures that people ask for first.
pub(super) fn tiles(report: &Report) -> String {
    let figures = &report.figures;
    let waste: u64 = report.run.nodes.iter().map(|node| node.waste_bytes).sum();
    let unused = format!("{} fetched and not used", bytes_text(waste));
    let bound = format!("bound at these copies {}", seconds(figures.bounds.at_copies_s));
    let paid = format!("{} sent by the origin", bytes_text(report.run.origin.bytes));
    let wire = format!("{} on its line", bytes_text(report.run.origin.wire_bytes));
    let tiles = [
        ("Offload", format!("{} %", percent(figures.offload)), paid),
        ("Origin copies", format!("{:.2}", figures.copies), wire),
        ("Waste", format!("{} %", percent(figures.waste)), unused),
        ("Time", time(report), bound),
    ];
    let mut html = String::from("<div class=\"tiles\">\n");
    for (name, value, note) in tiles {
        let _ = writeln!(html, "<div><span>{name}</span><b>{value}</b><span>{note}</span></div>");
    }
    html += "</div>\n";
    html
}

/// Achieved beside possible.
pub(super) fn bounds(report: &Report) -> String {
    let figures = &report.figures;
    let bounds = &figures.bounds;
    let mut rows = vec![
        ["First start to last finish".to_owned(), time(report), String::new()],
        row("Bound with the origin as one more source throughout", bounds.best_s, report),
        row(&format!("Bound with {:.2} copies from the origin", figures.copies), bounds.at_copies_s, report),
        row("Bound with one copy from the origin", bounds.at_one_copy_s, report),
        row("Bound over HTTP alone", bounds.http_s, report),
    ];
    if let Some(completion) = &figures.completion {
        let times = [
            ("shortest", completion.min_s),
            ("median", completion.median_s),
            ("95th percentile", completion.p95_s),
            ("longest", completion.max_s),
        ];
        rows.extend(times.map(|(what, time_s)| [format!("One job, {what}"), seconds(time_s), String::new()]));
    }
    table(&["", "time", "bound / reached"], &rows)
}

fn row(what: &str, bound_s: f64, report: &Report) -> [String; 3] {
    [what.to_owned(), seconds(bound_s), reached(report, bound_s)]
}

/// What ran, for whom wants to repeat it.
pub(super) fn facts(report: &Report) -> String {
    let run = &report.run;
    let mut rows: Vec<[String; 2]> = Vec::new();
    let mut fact = |what: &str, value: String| rows.push([what.to_owned(), value]);
    fact("Jobs done", format!("{} of {}", report.figures.finished, report.figures.jobs));
    let size = bytes_text(run.needed_bytes);
    fact("Content", format!("{size} in {} chunks", run.chunks));
    let (requests, refused) = (run.origin.requests, run.origin.refused);
    fact("Origin", format!("{} Mbit/s, {requests} requests, {refused} refused", run.plan.origin.up_mbit));
    for group in &run.plan.groups {
        let behaviour = serde_json::to_value(group.behaviour).ok();
        let behaviour = behaviour.as_ref().and_then(|value| value.as_str()).unwrap_or_default();
        let sharing = if group.sharing { "" } else { ", not sharing" };
        let lines = format!("{}/{} Mbit/s, {} ms", group.up_mbit, group.down_mbit, group.rtt_ms);
        fact("Nodes", format!("{} {behaviour} at {lines}{sharing}", group.count));
    }
    let bans: u32 = run.nodes.iter().map(|node| node.bans).sum();
    fact("Bans", bans.to_string());
    if let Some(rate) = report.figures.deliveries_per_cpu_s {
        fact("Deliveries per CPU second", format!("{rate:.0}"));
    }
    if let Some(trace) = &run.trace {
        fact("Trace", trace.clone());
    }
    table(&["", ""], &rows)
}

/// Several runs side by side.
pub(super) fn comparison(reports: &[Report]) -> String {
    let heads = ["run", "jobs", "offload", "copies", "waste", "time", "bound at copies", "median", "p95"];
    let rows: Vec<[String; 9]> = reports
        .iter()
        .map(|report| {
            let figures = &report.figures;
            let one = |pick: fn(&crate::report::Completion) -> f64| {
                figures.completion.as_ref().map_or_else(|| "none".to_owned(), |times| seconds(pick(times)))
            };
            [
                name(report),
                format!("{} of {}", figures.finished, figures.jobs),
                format!("{} %", percent(figures.offload)),
                format!("{:.2}", figures.copies),
                format!("{} %", percent(figures.waste)),
                time(report),
                seconds(figures.bounds.at_copies_s),
                one(|times| times.median_s),
                one(|times| times.p95_s),
            ]
        })
        .collect();
    table(&heads, &rows)
}

fn table<const N: usize>(heads: &[&str; N], rows: &[[String; N]]) -> String {
    let mut html = String::from("<div class=\"scroll\"><table>\n");
    if heads.iter().any(|head| !head.is_empty()) {
        html += "<tr>";
        heads.iter().for_each(|head| html += &format!("<th>{}</th>", escape(head)));
        html += "</tr>\n";
    }
    for row in rows {
        html += "<tr>";
        row.iter().for_each(|cell| html += &format!("<td>{}</td>", escape(cell)));
        html += "</tr>\n";
    }
    html += "</table></div>\n";
    html
}
