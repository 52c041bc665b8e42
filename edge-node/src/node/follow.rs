//! Keeps a folder at what a channel shows.

use std::time::Duration;

use freshet_protocol::origin_path::Target;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, jitter};
use crate::event::Event;
use crate::job::SeedFor;
use crate::node::{GetError, GetOptions, Preload, get};
use crate::report::Report;

/// Events of a job that wait to be passed on.
const EVENTS_MAX: usize = 64;
/// Longest first wait after a failure, and longest of all.
const RETRY: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(300);

/// Gets what a channel shows into a folder and shares it, as [`get`] does, and gets each version that it shows from then on,
/// within the channel's start window. What the channel prepares is fetched ahead of its time where the options say
/// [`Preload::Also`]. News come from peers at once, and from the origin every
/// [`look_every`](GetOptions::look_every). Failures that may pass are told as a note, and tried again. Goes on until
/// `stop`.
///
/// Returns the report of the last job.
///
/// # Errors
/// Those of `get` that do not pass by themselves; without a channel to follow [`GetError::Usage`].
pub async fn follow(
    options: GetOptions,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
) -> (Report, Result<(), GetError>) {
    if let Target::Root(..) = options.url.target {
        let message = "a root never changes; name a channel to follow".to_owned();
        return (Report::default(), Err(GetError::Usage(message)));
    }
    let (mut backoff, mut has_installed) = (Backoff::new(RETRY, RETRY_MAX), false);
    let mut options = options;
    loop {
        let begun = Instant::now();
        let (report, result) = until_news(&options, &events, &stop).await;
        if report.installed {
            has_installed = true;
            // What was said of parts is remembered in the folder, and a later version may not have them.
            options.parts = None;
        }
        match result {
            _ if stop.is_cancelled() => return (report, result),
            // Something newer is out, whether the last one was installed or not.
            Ok(()) | Err(GetError::Stopped) => {}
            Err(error) if !may_pass(&error, has_installed) => return (report, Err(error)),
            Err(error) => {
                let wait = jitter(backoff.ended(begun.elapsed()));
                let message = format!("{error}; trying again in {} s", wait.as_secs());
                let _ = events.send(Event::Note { message }).await;
                tokio::select! {
                    () = sleep(wait) => {}
                    () = stop.cancelled() => return (report, Err(GetError::Stopped)),
                }
            }
        }
    }
}

/// Gets and shares one version until it is time to get another one.
async fn until_news(
    options: &GetOptions,
    events: &mpsc::Sender<Event>,
    stop: &CancellationToken,
) -> (Report, Result<(), GetError>) {
    let options = GetOptions { seed_for: SeedFor::Forever, ..options.clone() };
    let preload = options.preload;
    let (sender, mut job_events) = mpsc::channel(EVENTS_MAX);
    let stop_job = stop.child_token();
    let job = tokio::spawn(get(options, sender, stop_job.clone(), Instant::now()));
    let mut start: Option<Instant> = None;
    loop {
        tokio::select! {
            event = job_events.recv() => {
                let Some(event) = event else { break };
                let window_s = match event {
                    Event::NewVersion { start_window_s, .. } => Some(start_window_s),
                    Event::NewPreload { start_window_s, .. } if preload == Preload::Also => Some(start_window_s),
                    _ => None,
                };
                if let Some(window_s) = window_s {
                    // The first word counts: who has waited for a version waits no longer for the one after it.
                    let window = Duration::from_secs(window_s.into());
                    start.get_or_insert_with(|| Instant::now() + jitter(window));
                }
                let _ = events.send(event).await;
            }
            () = at(start) => {
                stop_job.cancel();
                start = None;
            }
        }
    }
    job.await.expect("a job reports its faults and does not panic")
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Whether waiting may help. What does not check out at first is rather a wrong key than a wrong origin.
fn may_pass(error: &GetError, has_installed: bool) -> bool {
    match error {
        GetError::Usage(_) | GetError::NotWritable { .. } | GetError::PortInUse(_) => false,
        GetError::Forged(_) => has_installed,
        GetError::Origin(_)
        | GetError::Outdated(_)
        | GetError::DiskFull { .. }
        | GetError::Stopped
        | GetError::Other(_) => true,
    }
}
