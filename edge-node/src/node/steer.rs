//! Runs a job as its control wants it: ends it for a pause, and begins it anew after one. What was fetched is kept in
//! between, and nobody hears of the node.

use std::time::Duration;

use freshet_swarm::Policy;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::control::Following;
use crate::event::Event;
use crate::job::SeedFor;
use crate::node::get::get_once;
use crate::node::{GetError, GetOptions};
use crate::release::content_of;
use crate::report::Report;

/// Gets a release into a folder and shares it for as long as `options` says. `started` is when the caller's process
/// began; `events` may lag behind, and `stop` ends the job within two seconds with all of its state kept. The options'
/// [`Control`](crate::Control) pauses it and changes its policy meanwhile.
///
/// Returns the report in any case, and why the release is not installed where it is not.
pub async fn get(
    options: GetOptions,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
    started: Instant,
) -> (Report, Result<(), GetError>) {
    let content = content_of(&options.url.target).to_string();
    let mut report = Report { content, ..Report::default() };
    let result = match steer(options, events, stop, started, &mut report).await {
        // It was there before a pause.
        Err(GetError::Stopped) if report.installed => Ok(()),
        result => result,
    };
    report.time_ms = started.elapsed().as_millis() as u64;
    (report, result)
}

async fn steer(
    mut options: GetOptions,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
    started: Instant,
    report: &mut Report,
) -> Result<(), GetError> {
    let (mut following, base) = (options.control.follow(), options.policy);
    loop {
        let policy = wait(&mut following, base, &events, &stop).await.ok_or(GetError::Stopped)?;
        let sent_before = report.sent_bytes;
        let policy = within(policy, sent_before);
        options.policy = policy;
        let (policies, own_stop) = (watch::Sender::new(policy), stop.child_token());
        let job = get_once(&options, policies.subscribe(), events.clone(), own_stop.clone(), started, report);
        let over = until_over(&mut following, base, sent_before, &policies);
        let result = {
            futures_util::pin_mut!(job);
            tokio::select! {
                result = &mut job => Some(result),
                () = over => {
                    own_stop.cancel();
                    // Done at the same moment, it is done.
                    Some(job.await).filter(|_| stop.is_cancelled())
                }
            }
        };
        if let Some(result) = result {
            return result;
        }
        match left(options.seed_for, report, started) {
            Some(left) => options.seed_for = left,
            None => return Ok(()),
        }
    }
}

/// Waits until something may be done, and tells of each pause; none where it is stopped before.
async fn wait(
    following: &mut Following,
    base: Policy,
    events: &mpsc::Sender<Event>,
    stop: &CancellationToken,
) -> Option<Policy> {
    let mut told = None;
    while !stop.is_cancelled() {
        match following.standing(base) {
            Ok(policy) => {
                if told.is_some() {
                    let _ = events.send(Event::Resumed).await;
                }
                return Some(policy);
            }
            Err(pause) if told != Some(pause) => {
                told = Some(pause);
                let _ = events.send(Event::Paused { pause }).await;
            }
            Err(_) => tokio::select! {
                () = following.changed() => {}
                () = stop.cancelled() => {}
            },
        }
    }
    None
}

/// Hands a running job the changes that it can follow, until one comes for which it must end.
async fn until_over(
    following: &mut Following,
    base: Policy,
    sent_before: u64,
    policies: &watch::Sender<Policy>,
) {
    loop {
        following.changed().await;
        let before = *policies.borrow();
        match following.standing(base).map(|policy| within(policy, sent_before)) {
            Ok(policy) if can_follow(before, policy) => {
                policies.send_if_modified(|now| std::mem::replace(now, policy) != policy);
            }
            Ok(_) | Err(_) => return,
        }
    }
}

/// What a job may hand out that comes after others.
fn within(policy: Policy, sent_before: u64) -> Policy {
    let upload_bytes_max = policy.upload_bytes_max.map(|max| max.saturating_sub(sent_before));
    Policy { upload_bytes_max, ..policy }
}

/// Whether a running job can change over: links are made and listened for as the first policy says.
pub(crate) fn can_follow(before: Policy, after: Policy) -> bool {
    (before.p2p, before.sharing) == (after.p2p, after.sharing)
}

/// How long to share after a pause; none where that is over.
fn left(seed_for: SeedFor, report: &Report, started: Instant) -> Option<SeedFor> {
    let (SeedFor::Time(time), Some(installed_ms)) = (seed_for, report.installed_ms) else {
        return Some(seed_for);
    };
    let shared = started.elapsed().saturating_sub(Duration::from_millis(installed_ms));
    (time > shared).then(|| SeedFor::Time(time - shared))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Control, Pause, Wishes};

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_with_the_wish_or_the_job() {
        let (control, stop) = (Control::default(), CancellationToken::new());
        let (events, mut told) = mpsc::channel(9);
        control.change(|wishes| wishes.playing = true);
        let waiting = {
            let (mut following, stop, events) = (control.follow(), stop.clone(), events.clone());
            tokio::spawn(async move { wait(&mut following, Policy::default(), &events, &stop).await })
        };
        tokio::time::sleep(Duration::from_secs(60)).await;
        control.change(|wishes| wishes.paused = true);
        tokio::time::sleep(Duration::from_secs(1)).await;
        control.change(|wishes| *wishes = Wishes::default());
        assert_eq!(waiting.await.expect("ends"), Some(Policy::default()));
        for pause in [Pause::Playing, Pause::Asked] {
            assert_eq!(told.recv().await, Some(Event::Paused { pause }));
        }
        assert_eq!(told.recv().await, Some(Event::Resumed));
        control.change(|wishes| wishes.paused = true);
        stop.cancel();
        assert_eq!(wait(&mut control.follow(), Policy::default(), &events, &stop).await, None);
    }

    #[test]
    fn what_was_handed_out_before_counts() {
        let policy = |upload_bytes_max| Policy { upload_bytes_max, ..Policy::default() };
        assert_eq!(within(policy(Some(100)), 30), policy(Some(70)));
        assert_eq!(within(policy(Some(100)), 130), policy(Some(0)));
        assert_eq!(within(policy(None), 130), policy(None));
    }

    #[test]
    fn the_time_of_sharing_is_counted_from_the_install() {
        let time = |seconds| SeedFor::Time(Duration::from_secs(seconds));
        let report = |installed_ms| Report { installed_ms, ..Report::default() };
        let started = Instant::now() - Duration::from_secs(60);
        assert_eq!(left(time(10), &report(None), started), Some(time(10)));
        assert_eq!(left(time(10), &report(Some(1000)), started), None);
        assert_eq!(left(SeedFor::Forever, &report(Some(1000)), started), Some(SeedFor::Forever));
        let Some(SeedFor::Time(left)) = left(time(100), &report(Some(1000)), started) else {
            panic!("some is left")
        };
        assert!((40..=41).contains(&left.as_secs()), "{left:?}");
    }
}
