//! `ls`, `gc` and `scrub`: look after a store.

use std::time::{Duration, UNIX_EPOCH};

use freshet_origin::{Collected, ContentListing, GcOptions, Scrubbed, Store};

use super::arguments::{GcArguments, LsArguments, ScrubArguments, StoreArguments};
use super::publish::size;
use super::{Failure, print_json};

pub(super) async fn ls(arguments: &LsArguments) -> Result<(), Failure> {
    let store = open(&arguments.store)?;
    for content in freshet_origin::list(&store).await.map_err(Failure::failed)? {
        if arguments.json {
            print_json(&content);
        } else {
            print_content(&content);
        }
    }
    Ok(())
}

fn print_content(content: &ContentListing) {
    println!("{}: {} stored in {} packs", content.content, size(content.stored_bytes), content.packs);
    if content.media + content.entry_pages > 0 {
        println!("  stream: {} files, {} pages of entries", content.media, content.entry_pages);
    }
    for version in &content.versions {
        let sealed =
            version.sealed_until.map_or_else(String::new, |opens| format!(" (sealed until {})", date(opens)));
        println!(
            "  version {}{sealed}: {} in {} entries, {} chunks, published {}, root {}",
            version.version,
            size(version.bytes),
            version.entries,
            version.chunks,
            date(version.published),
            version.root
        );
    }
    for channel in &content.channels {
        let rollout = channel.rollout.as_ref().map_or_else(String::new, |rollout| {
            format!(", {} to {}", rollout.version, percent(rollout.permille))
        });
        let preload = channel.preload.as_ref().map_or_else(String::new, |preload| {
            format!(", prepares {} for {}", preload.version, date(preload.opens))
        });
        println!(
            "  channel {}: shows {}{rollout}{preload} (sequence {}) until {}",
            channel.channel,
            channel.version,
            channel.sequence,
            date(channel.expires)
        );
    }
}

/// A share for people.
pub(super) fn percent(permille: u32) -> String {
    match permille % 10 {
        0 => format!("{} %", permille / 10),
        tenths => format!("{}.{tenths} %", permille / 10),
    }
}

/// Unix seconds for people.
pub(super) fn date(seconds: u64) -> String {
    match UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        Some(time) if seconds < 1 << 37 => humantime::format_rfc3339_seconds(time).to_string(),
        _ => format!("second {seconds}"),
    }
}

pub(super) async fn gc(arguments: GcArguments) -> Result<(), Failure> {
    let options = GcOptions {
        store: open(&arguments.store)?,
        content: arguments.content,
        keep: arguments.keep,
        grace: arguments.grace,
        is_delete: arguments.delete,
    };
    for collected in freshet_origin::gc(&options).await.map_err(Failure::failed)? {
        if arguments.json {
            print_json(&collected);
        } else {
            print_collected(&collected, arguments.delete);
        }
    }
    Ok(())
}

fn print_collected(collected: &Collected, is_delete: bool) {
    let names = |names: &[freshet_protocol::Name]| match names {
        [] => "none".to_owned(),
        names => names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "),
    };
    let (removes, frees) = if is_delete { ("removed", "freed") } else { ("would remove", "would free") };
    println!("{}: keeps versions {}", collected.content, names(&collected.kept));
    println!(
        "  {removes} versions {}, with {} packs among {} objects; {frees} {}",
        names(&collected.removed),
        collected.packs,
        collected.objects,
        size(collected.bytes)
    );
    if collected.abandoned > 0 {
        println!("  {removes} {} unfinished files of killed writers", collected.abandoned);
    }
    if collected.spared > 0 {
        println!("  spared {} objects of no version that are younger than --grace", collected.spared);
    }
    for pack in &collected.partly_used {
        println!("  pack {} stays for {} of its {}", pack.pack, size(pack.used_bytes), size(pack.bytes));
    }
}

pub(super) async fn scrub(arguments: &ScrubArguments) -> Result<(), Failure> {
    let store = open(&arguments.store)?;
    let scrubbed = freshet_origin::scrub(&store, arguments.key).await.map_err(Failure::failed)?;
    if arguments.json {
        print_json(&scrubbed);
    } else {
        print_scrubbed(&scrubbed, arguments.key.is_some());
    }
    match scrubbed.damage_count {
        0 => Ok(()),
        count => Err(Failure::failed(anyhow::anyhow!(
            "{count} damages in store {}; restore the named objects from a copy, or publish the versions anew",
            store.name()
        ))),
    }
}

fn print_scrubbed(scrubbed: &Scrubbed, has_key: bool) {
    for damage in &scrubbed.damages {
        println!("{}: {}", damage.object, damage.reason);
    }
    let signatures = if has_key { "signatures checked" } else { "signatures not checked without --key" };
    println!(
        "{} versions, {} pages, {} chunks, {} read; {} segments of streams by {} pages of entries; {signatures}",
        scrubbed.versions,
        scrubbed.pages,
        scrubbed.chunks,
        size(scrubbed.bytes),
        scrubbed.segments,
        scrubbed.entry_pages,
    );
}

fn open(arguments: &StoreArguments) -> Result<Store, Failure> {
    Store::open(&arguments.store).map_err(Failure::usage)
}
