//! Completion and traffic over time.

use super::chart::{Chart, Line, Mark};
use crate::report::Report;

/// Share of bytes held and of jobs done, beside the least possible times.
pub(super) fn completion(report: &Report) -> String {
    let (run, figures) = (&report.run, &report.figures);
    let held = std::iter::once((0.0, 0.0))
        .chain(run.series.iter().map(|sample| (sample.at_ms / 1000.0, sample.completion * 100.0)))
        .collect();
    let mut finishes: Vec<f64> =
        run.nodes.iter().filter(|node| node.is_counted).filter_map(|node| node.finish_ms).collect();
    finishes.sort_by(f64::total_cmp);
    let share = |done: usize| done as f64 * 100.0 / f64::from(figures.jobs.max(1));
    let mut done: Vec<(f64, f64)> = std::iter::once((0.0, 0.0))
        .chain(finishes.iter().enumerate().map(|(number, &at_ms)| (at_ms / 1000.0, share(number + 1))))
        .collect();
    done.push((run.end_ms / 1000.0, share(finishes.len())));
    let first_s = first_start_s(report);
    let copies = format!("bound at {:.2} copies", figures.copies);
    let marks = [(figures.bounds.best_s, "best bound".to_owned()), (figures.bounds.at_copies_s, copies)]
        .map(|(bound_s, name)| Mark { at_s: first_s + bound_s, name });
    let hint = |sample: &crate::report::Sample| {
        format!(
            "{:.1} s: {:.1} % held, {} of {} jobs done",
            sample.at_ms / 1000.0,
            sample.completion * 100.0,
            sample.finished,
            figures.jobs
        )
    };
    Chart {
        unit: "%",
        value_max: 100.0,
        lines: vec![
            Line { class: "held", name: "bytes held", points: held, is_stepped: false },
            Line { class: "done", name: "jobs done", points: done, is_stepped: true },
        ],
        marks: marks.into(),
        hints: run.series.iter().map(|sample| (sample.at_ms / 1000.0, hint(sample))).collect(),
    }
    .draw()
}

/// What the origin and the peers send.
pub(super) fn traffic(report: &Report) -> String {
    let series = &report.run.series;
    let line = |value: fn(&crate::report::Sample) -> f64| {
        series.iter().map(|sample| (sample.at_ms / 1000.0, value(sample))).collect()
    };
    let hint = |sample: &crate::report::Sample| {
        let at_s = sample.at_ms / 1000.0;
        format!("{at_s:.1} s: origin {:.1}, peers {:.1} Mbit/s", sample.origin_mbit, sample.peers_mbit)
    };
    Chart {
        unit: "Mbit/s",
        value_max: 1.0,
        lines: vec![
            Line {
                class: "peers",
                name: "peers",
                points: line(|sample| sample.peers_mbit),
                is_stepped: false,
            },
            Line {
                class: "origin",
                name: "origin",
                points: line(|sample| sample.origin_mbit),
                is_stepped: false,
            },
        ],
        marks: Vec::new(),
        hints: series.iter().map(|sample| (sample.at_ms / 1000.0, hint(sample))).collect(),
    }
    .draw()
}

fn first_start_s(report: &Report) -> f64 {
    let starts = report.run.nodes.iter().filter(|node| node.is_counted).map(|node| node.start_ms / 1000.0);
    let first_s = starts.fold(f64::INFINITY, f64::min);
    if first_s.is_finite() { first_s } else { 0.0 }
}
