//! Why bytes came from the origin, as bars.

use std::fmt::Write;

use super::{bytes_text, escape};
use crate::report::Report;

/// One bar a reason, longest first.
pub(super) fn bars(report: &Report) -> String {
    let mut reasons: Vec<_> = report.figures.origin_reasons.iter().filter(|&(_, &bytes)| bytes > 0).collect();
    reasons.sort_by_key(|&(name, &bytes)| (std::cmp::Reverse(bytes), name));
    let Some(&(_, &most)) = reasons.first() else {
        return "<p class=\"empty\">The jobs used no byte of the origin's.</p>\n".to_owned();
    };
    let all: u64 = reasons.iter().map(|&(_, &bytes)| bytes).sum();
    let mut html = String::from("<div class=\"bars\">\n");
    for (name, &bytes) in reasons {
        let _ = writeln!(
            html,
            "<span>{}</span><span class=\"track\"><i style=\"width:{:.1}%\"></i></span><span>{}</span><span>{:.1} %</span>",
            escape(name),
            bytes as f64 * 100.0 / most as f64,
            bytes_text(bytes),
            bytes as f64 * 100.0 / all as f64
        );
    }
    html += "</div>\n";
    let sent = &report.run.origin;
    let unused = sent.bytes.saturating_sub(all).saturating_sub(sent.manifest_bytes);
    let _ = writeln!(
        html,
        "<p class=\"legend\">Beside these: {} of roots and pages, {} sent and not used, {} of overhead.</p>",
        bytes_text(sent.manifest_bytes),
        bytes_text(unused),
        bytes_text(sent.wire_bytes.saturating_sub(sent.bytes))
    );
    html
}
