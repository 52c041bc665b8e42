//! `promote`, `rollback` and `history`: what a channel shows.

use std::time::{Duration, UNIX_EPOCH};

use freshet_origin::{
    ChannelOptions, Keys, PromoteOptions, PromoteTo, Promoted, PublishError, Shown, Store, channel_history,
    promote,
};

use super::arguments::{ChannelArguments, HistoryArguments, PromoteArguments, RollbackArguments};
use super::publish::print_updates;
use super::store::percent;
use super::{Failure, print_json};

pub(super) async fn run_promote(arguments: PromoteArguments) -> Result<(), Failure> {
    let PromoteArguments { channel, release, from, percent } = arguments;
    let to = match (release, from) {
        (Some(version), _) => PromoteTo::Version(version),
        (None, Some(from)) => PromoteTo::Channel(from),
        (None, None) => unreachable!("one of both is required"),
    };
    show(channel, to, Some(percent).filter(|&permille| permille < 1000)).await
}

pub(super) async fn run_rollback(arguments: RollbackArguments) -> Result<(), Failure> {
    show(arguments.channel, PromoteTo::Before, None).await
}

/// What became of a version, or would become of it.
pub(super) fn shows(dry_run: bool) -> &'static str {
    if dry_run { "would be" } else { "is" }
}

/// The channel, and how it shows releases.
pub(super) fn channel_options(arguments: ChannelArguments) -> Result<ChannelOptions, Failure> {
    let store = Store::open(&arguments.store.store).map_err(Failure::usage)?;
    let keys = Keys::load(&arguments.keys_dir).map_err(Failure::usage)?;
    let ChannelArguments { content, channel, trackers, no_tracker, .. } = arguments;
    Ok(ChannelOptions {
        name: channel,
        patches: usize::from(arguments.patches),
        delta_level: arguments.delta_level,
        expires_in: arguments.expires,
        start_window: arguments.start_window,
        dry_run: arguments.dry_run,
        trackers: (no_tracker || !trackers.is_empty()).then_some(trackers),
        ..ChannelOptions::new(store, keys, content)
    })
}

async fn show(arguments: ChannelArguments, to: PromoteTo, permille: Option<u32>) -> Result<(), Failure> {
    let is_json = arguments.json;
    let options = PromoteOptions { permille, ..PromoteOptions::new(channel_options(arguments)?, to) };
    let promoted = promote(options).await.map_err(|error| match error {
        PublishError::Knob(_)
        | PublishError::OtherTenant { .. }
        | PublishError::NoVersion(_)
        | PublishError::NoChannel(_)
        | PublishError::NotAShare(_)
        | PublishError::IsSealed(_)
        | PublishError::NothingBefore(_) => Failure::usage(error),
        error => Failure::failed(error),
    })?;
    if is_json {
        print_json(&promoted);
        return Ok(());
    }
    let Promoted { content, channel, version, before, sequence, dry_run, updates, rewritten, .. } = &promoted;
    let is = shows(*dry_run);
    let share = permille.map_or_else(String::new, |permille| format!(" for {}", percent(permille)));
    let before = before.as_ref().map_or_else(String::new, |before| format!(", before {before}"));
    println!("{content} {version} {is} on channel {channel}{share} (sequence {sequence}){before}");
    print_updates(updates, rewritten);
    Ok(())
}

pub(super) async fn run_history(arguments: &HistoryArguments) -> Result<(), Failure> {
    let store = Store::open(&arguments.store.store).map_err(Failure::usage)?;
    let shown =
        channel_history(&store, &arguments.content, &arguments.channel).await.map_err(Failure::failed)?;
    if arguments.json {
        print_json(&shown);
        return Ok(());
    }
    println!("{:<10}{:<22}{:<20}{:<8}root", "sequence", "since", "version", "share");
    for Shown { sequence, root, version, since, permille } in &shown {
        let since = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(*since)).to_string();
        let (version, share) = (version.to_string(), percent(permille.unwrap_or(1000)));
        println!("{sequence:<10}{since:<22}{version:<20}{share:<8}{root}");
    }
    Ok(())
}
