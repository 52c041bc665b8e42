//! What a job looks like: a bar on a terminal, rare lines in a log, or JSON for programs.

use std::io::{IsTerminal, Write};
use std::time::{Duration, UNIX_EPOCH};

use freshet_edge_node::{Event, GetError, Pause, Report, Sources};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// Time between two lines about progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Least time between two JSON objects about progress: all that the job reports, so that rates can be drawn from them.
const JSON_EVERY: Duration = Duration::from_millis(200);

/// How to show what happens.
pub(crate) struct Output {
    form: Form,
    last_progress: Option<Instant>,
}

enum Form {
    Json,
    Quiet,
    Bar(ProgressBar),
    Lines,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let form = if json {
            Form::Json
        } else if quiet {
            Form::Quiet
        } else if std::io::stderr().is_terminal() {
            Form::Bar(bar())
        } else {
            Form::Lines
        };
        Self { form, last_progress: None }
    }

    /// Shows an event.
    pub(crate) fn event(&mut self, event: &Event) {
        if matches!(event, Event::Progress { .. }) && !self.is_time_for_progress() {
            return;
        }
        match &self.form {
            Form::Json => print_line(&serde_json::to_string(event).expect("an event is valid JSON")),
            Form::Quiet => {}
            Form::Bar(bar) => show(event, bar),
            Form::Lines => {
                if let Some(line) = line(event) {
                    print_line(&line);
                }
            }
        }
    }

    /// Shows how it ended; returns the last JSON object.
    pub(crate) fn end(&mut self, report: &Report, result: &Result<(), GetError>, code: u8) -> String {
        let json = last_object(report, result, code);
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
        match (&self.form, result) {
            (Form::Json, _) => print_line(&json),
            (Form::Quiet, Ok(())) => {}
            (Form::Bar(_) | Form::Lines, Ok(())) => print_line(&summary(report)),
            (Form::Quiet | Form::Bar(_) | Form::Lines, Err(_)) => {}
        }
        if let Err(error) = result {
            eprintln!("freshet-node: {error}");
        }
        json
    }

    fn is_time_for_progress(&mut self) -> bool {
        let every = match self.form {
            Form::Json => JSON_EVERY,
            Form::Lines => LINE_EVERY,
            Form::Quiet | Form::Bar(_) => Duration::ZERO,
        };
        let now = Instant::now();
        let is_time = self.last_progress.is_none_or(|last| now - last >= every);
        if is_time {
            self.last_progress = Some(now);
        }
        is_time
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{bar:30} {decimal_bytes:>9} of {decimal_total_bytes}  {decimal_bytes_per_sec:>11}  {eta:>4} left  {msg}",
    )
    .expect("the template is good");
    ProgressBar::new(0).with_style(style)
}

fn show(event: &Event, bar: &ProgressBar) {
    if let Event::Progress { done_bytes, total_bytes, bytes, links, .. } = event {
        bar.set_length(*total_bytes);
        bar.set_position(*done_bytes);
        bar.set_message(sources(bytes, *links));
    } else if let Some(line) = line(event) {
        bar.suspend(|| print_line(&line));
    }
}

fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Listening { address } => format!("listening at {address}"),
        Event::Gateway { address } => format!("gateway at http://{address}/"),
        Event::Release { version, bytes, files, missing_bytes, fetch_bytes, .. } => format!(
            "version {version}: {files} files, {}, of which {} are missing here; {} to fetch",
            HumanBytes(*bytes),
            HumanBytes(*missing_bytes),
            HumanBytes(*fetch_bytes)
        ),
        Event::Progress { done_bytes, total_bytes, bytes, links, .. } => {
            format!("{} of {}, {}", HumanBytes(*done_bytes), HumanBytes(*total_bytes), sources(bytes, *links))
        }
        Event::Installed => "installed".to_owned(),
        Event::NewVersion { version, .. } => format!("version {version} is out"),
        Event::NewPreload { version, opens, .. } => {
            format!("version {version} can be fetched ahead; it opens at {}", date(*opens))
        }
        Event::Preload { version, bytes, missing_bytes, .. } => format!(
            "fetching version {version} ahead: {}, of which {} are missing here",
            HumanBytes(*bytes),
            HumanBytes(*missing_bytes)
        ),
        Event::Preloaded { version, opens } => {
            format!("version {version} is here, it opens at {}", date(*opens))
        }
        Event::Paused { pause } => match pause {
            Pause::Asked => "paused".to_owned(),
            Pause::Playing => "paused while the game is played".to_owned(),
            Pause::Hours => "paused until it is time".to_owned(),
        },
        Event::Resumed => "going on".to_owned(),
        Event::Note { message } => format!("note: {message}"),
    })
}

/// Unix seconds for people.
pub(super) fn date(seconds: u64) -> String {
    match UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        Some(time) if seconds < 1 << 37 => humantime::format_rfc3339_seconds(time).to_string(),
        _ => format!("second {seconds}"),
    }
}

fn sources(bytes: &Sources, links: u32) -> String {
    let [peer, origin] = [bytes.peer, bytes.origin].map(HumanBytes);
    format!("{peer} from {links} peers, {origin} from the origin")
}

fn summary(report: &Report) -> String {
    let preloaded = report.preloaded.as_deref();
    let is = match preloaded {
        Some(version) if !report.installed => return ahead(report, version),
        Some(version) => format!("is installed, {version} waits for its time"),
        None => "is installed".to_owned(),
    };
    let [peer, origin, local] = [report.bytes.peer, report.bytes.origin, report.bytes.local].map(HumanBytes);
    let sent = HumanBytes(report.sent_bytes);
    let Some(version) = &report.version else {
        return format!("{peer} came from peers, {origin} from the origin; {sent} handed to peers");
    };
    let seconds = report.installed_ms.unwrap_or(report.time_ms) as f64 / 1000.0;
    format!(
        "{} {version} {is}: {peer} from peers, {origin} from the origin, {local} were here; {seconds:.1} s; {sent} handed to peers",
        report.content
    )
}

/// What a job did that only fetched ahead.
fn ahead(report: &Report, version: &str) -> String {
    let [peer, origin, local] = [report.bytes.peer, report.bytes.origin, report.bytes.local].map(HumanBytes);
    let seconds = report.time_ms as f64 / 1000.0;
    format!(
        "{} {version} is here, and opens later: {peer} from peers, {origin} from the origin, {local} were here; {seconds:.1} s",
        report.content
    )
}

fn last_object(report: &Report, result: &Result<(), GetError>, code: u8) -> String {
    let mut object = serde_json::to_value(report).expect("a report is valid JSON");
    let fields = object.as_object_mut().expect("a report is an object");
    match result {
        Ok(()) => fields.insert("event".to_owned(), "done".into()),
        Err(error) => {
            fields.insert("code".to_owned(), code.into());
            fields.insert("message".to_owned(), error.to_string().into());
            fields.insert("event".to_owned(), "failed".into())
        }
    };
    object.to_string()
}

/// A reader that went away does not end the job.
fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
