//! A report as one page for people: figures, curves, who fed whom, and why the origin was needed. The page holds all it
//! shows, runs no script and fetches nothing.

mod chart;
mod curves;
mod heat;
mod reasons;
mod tables;

use std::fmt::Write;

use super::Report;

const STYLE: &str = include_str!("style.css");

/// The page of one or several runs.
pub fn page(reports: &[Report]) -> String {
    let title = match reports {
        [report] => format!("Freshet run {}", report.run.plan.name),
        _ => format!("{} Freshet runs", reports.len()),
    };
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{0}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>{0}</h1>\n",
        escape(&title)
    );
    if reports.len() > 1 {
        html += &tables::comparison(reports);
    }
    reports.iter().for_each(|report| html += &section(report));
    html += "</main>\n</body>\n</html>\n";
    html
}

fn section(report: &Report) -> String {
    let run = &report.run;
    let mut html = format!(
        "<section>\n<h2>{}</h2>\n<p class=\"about\">{}</p>\n<p class=\"line\">{}</p>\n",
        escape(&tables::name(report)),
        escape(&run.plan.about),
        escape(&report.figures.summary())
    );
    if let Some(live) = &run.live {
        let _ = writeln!(html, "<p class=\"line\">{}</p>", escape(&live.summary()));
        for note in &live.notes {
            let _ = writeln!(html, "<p class=\"note\">{}</p>", escape(note));
        }
    }
    for violation in &run.violations {
        let _ = writeln!(html, "<p class=\"fault\">{}</p>", escape(violation));
    }
    html += &tables::tiles(report);
    html += "<div class=\"grid\">\n";
    html +=
        &figure("Completion", "Share of all bytes held, and of all jobs done.", &curves::completion(report));
    html += &figure(
        "Traffic",
        "What the origin and all peers together send, on the wire.",
        &curves::traffic(report),
    );
    html += &figure("Who fed whom", &heat::caption(&run.fed), &heat::map(&run.fed));
    html += "<div class=\"stack\">\n";
    html += &figure("Why the origin", "Bytes used from the origin, by reason.", &reasons::bars(report));
    html += &tables::facts(report);
    html += "</div>\n</div>\n";
    html += &tables::bounds(report);
    html += "</section>\n";
    html
}

fn figure(title: &str, caption: &str, content: &str) -> String {
    format!(
        "<figure>\n<figcaption><h3>{}</h3><p>{}</p></figcaption>\n{content}</figure>\n",
        escape(title),
        escape(caption)
    )
}

/// Text that cannot be taken for markup.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            _ => out.push(c),
        }
    }
    out
}

/// Bytes for people, in powers of ten.
fn bytes_text(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        _ if bytes >= 1e9 => format!("{:.2} GB", bytes / 1e9),
        _ if bytes >= 1e6 => format!("{:.1} MB", bytes / 1e6),
        _ if bytes >= 1e3 => format!("{:.1} kB", bytes / 1e3),
        _ => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::read_plan;
    use crate::sim::{Options, simulate};

    fn report(settings: &[&str]) -> Report {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let plan = read_plan("tiny", &settings).expect("built in");
        Report::of(simulate(&plan, Options::default()).expect("known"))
    }

    #[test]
    fn names_from_files_are_not_markup() {
        let html = page(&[report(&["name=<script>alert(1)</script>", "about=a & \"b\""])]);
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;alert(1)"), "{html}");
        assert!(html.contains("a &amp; &quot;b&quot;"));
    }

    #[test]
    fn every_kind_of_run_makes_a_page() {
        let check = |reports: &[Report], parts: &[&str]| {
            let html = page(reports);
            for part in parts {
                assert!(html.contains(part), "{part}");
            }
            for broken in ["NaN", "inf", "-0.0"] {
                assert!(!html.contains(broken), "{broken}");
            }
        };
        check(&[report(&[])], &["<h1>Freshet run tiny", "Who fed whom", "Why the origin", "4 of 4"]);
        check(&[report(&["p2p=false"])], &["policy"]);
        check(
            &[report(&["groups.0.count=1"]), report(&["groups.0.count=70"])],
            &["2 Freshet runs", "70 of 70"],
        );
        check(&[report(&["end_after_s=1", "origin.up_mbit=0.1"])], &["unfinished: 0 of 4", "no byte"]);
    }

    #[test]
    fn bytes_for_people() {
        let check = |bytes, text| assert_eq!(bytes_text(bytes), text);
        check(0, "0 B");
        check(1500, "1.5 kB");
        check(67_108_864, "67.1 MB");
        check(2_500_000_000, "2.50 GB");
    }
}
