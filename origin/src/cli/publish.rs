//! `publish`: publishes a folder.

use freshet_origin::{
    Progress, PublishError, PublishOptions, Published, Rewritten, Rules, SealOptions, UpdateFrom,
    publish_reporting,
};
use freshet_protocol::Part;
use serde_json::json;

use super::arguments::PublishArguments;
use super::channel::{channel_options, shows};
use super::{Failure, print_json, seal};

pub(super) async fn run(arguments: PublishArguments) -> Result<(), Failure> {
    let (is_json, opens) = (arguments.channel.json, arguments.opens);
    let rules = arguments.rules.as_deref().map(Rules::load).transpose().map_err(Failure::usage)?;
    let options = PublishOptions {
        rules: rules.unwrap_or_default(),
        chunk_avg_bytes: arguments.chunk_avg,
        zstd_level: arguments.zstd_level,
        ..PublishOptions::new(channel_options(arguments.channel)?, arguments.folder, arguments.release)
    };
    let mut report = |progress: Progress| {
        if is_json {
            print_json(&json!({ "progress": progress }));
        } else {
            println!("{} read, {} new stored", size(progress.bytes), size(progress.stored_bytes));
        }
    };
    if let Some(opens) = opens {
        return seal::run_publish(SealOptions { publish: options, opens }, is_json, &mut report).await;
    }
    let published = publish_reporting(options, &mut report).await.map_err(failure)?;
    if is_json {
        print_json(&published);
    } else {
        print_human(&published);
    }
    Ok(())
}

/// Whether other arguments would cure it.
pub(super) fn failure(error: PublishError) -> Failure {
    match error {
        PublishError::Knob(_)
        | PublishError::OtherTenant { .. }
        | PublishError::StoreInside { .. }
        | PublishError::NoChannel(_)
        | PublishError::IsOpen(_)
        | PublishError::NotSealed(_)
        | PublishError::SealedName(_) => Failure::usage(error),
        error => Failure::failed(error),
    }
}

fn print_human(published: &Published) {
    let Published { content, version, channel, sequence, root, totals, dry_run, .. } = published;
    let is = shows(*dry_run);
    println!("{content} {version} {is} on channel {channel} (sequence {sequence}), root {root}");
    println!(
        "{} in {} entries, {} chunks, {} pages; {} chunks were new, stored as {} ({} before compression)",
        size(totals.bytes),
        published.entries,
        totals.chunks,
        published.pages,
        totals.new_chunks,
        size(totals.stored_bytes),
        size(totals.new_bytes),
    );
    for Part { name, default, bytes } in &published.parts {
        let left_out = if *default { "" } else { ", left out unless asked for" };
        println!("part {name}: {}{left_out}", size(*bytes));
        if *bytes == 0 {
            eprintln!("warning: nothing is in part {name}; look at its patterns in the rules");
        }
    }
    print_updates(&published.updates, &published.rewritten);
}

/// What players on older versions will fetch, and what makes that more than it need be.
pub(super) fn print_updates(updates: &[UpdateFrom], rewritten: &[Rewritten]) {
    for UpdateFrom { version, update } in updates {
        println!(
            "from {version}: {} to fetch, without deltas {} ({} in {} deltas, {} in {} chunks, {} of file lists); {} to \
             write",
            size(update.fetched_bytes()),
            size(update.without_deltas_bytes),
            size(update.delta_bytes),
            update.deltas,
            size(update.chunk_bytes),
            update.chunks,
            size(update.page_bytes),
            size(update.written_bytes),
        );
    }
    for file in rewritten {
        eprintln!("warning: {file}");
    }
}

/// Bytes for people, in powers of ten as networks and disks count.
pub(super) fn size(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let step = (bytes.checked_ilog10().unwrap_or(0) / 3) as usize;
    match step {
        0 => format!("{bytes} B"),
        step => format!("{:.1} {}", bytes as f64 / 1000_f64.powi(step as i32), units[step]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |bytes, expected| assert_eq!(size(bytes), expected);
        check(0, "0 B");
        check(999, "999 B");
        check(1000, "1.0 kB");
        check(67_108_864, "67.1 MB");
        check(u64::MAX, "18.4 EB");
    }
}
