//! `publish --sealed` and `unseal`: what players fetch ahead of its time.

use freshet_origin::{
    Opened, Opening, Progress, SealOptions, SealedPublished, UnsealOptions, publish_sealed, unseal,
};
use freshet_protocol::SEALED_FULL;

use super::arguments::UnsealArguments;
use super::channel::{channel_options, shows};
use super::publish::{failure, print_updates, size};
use super::store::date;
use super::{Failure, print_json};

pub(super) async fn run_publish(
    options: SealOptions,
    is_json: bool,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), Failure> {
    let sealed = publish_sealed(options, report).await.map_err(failure)?;
    if is_json {
        print_json(&sealed);
        return Ok(());
    }
    let SealedPublished { content, version, sealed_version, channel, sequence, opens, dry_run, .. } = &sealed;
    let is = shows(*dry_run);
    println!(
        "{content} {version} {is} prepared on channel {channel} (sequence {sequence}) as {sealed_version}; it opens at {}",
        date(*opens)
    );
    for file in &sealed.files {
        let who = match (&file.from, file.path.as_str()) {
            (Some(version), _) => format!("who has {version}"),
            (None, SEALED_FULL) => "who has nothing".to_owned(),
            (None, _) => "everybody".to_owned(),
        };
        println!("for {who}: {}", size(file.bytes));
    }
    println!("{} stored", size(sealed.totals.stored_bytes));
    if let Some(path) = &sealed.key_file {
        println!("its key is {}: keep it secret, and where `unseal` runs", path.display());
    }
    Ok(())
}

pub(super) async fn run_unseal(arguments: UnsealArguments) -> Result<(), Failure> {
    let is_json = arguments.channel.json;
    let opening = match arguments.at {
        Some(at) => Opening::At(at),
        None if arguments.now => Opening::Now,
        None => Opening::AsPublished,
    };
    let channel = channel_options(arguments.channel)?;
    let options = UnsealOptions { channel, version: arguments.release, opening };
    let opened = unseal(options).await.map_err(failure)?;
    if is_json {
        print_json(&opened);
        return Ok(());
    }
    let Opened { content, version, channel, sequence, root, patches, updates, dry_run, .. } = &opened;
    let is = shows(*dry_run);
    let patches = if *patches == 1 { "1 patch".to_owned() } else { format!("{patches} patches") };
    println!(
        "{content} {version} {is} open on channel {channel} (sequence {sequence}), with {patches}, root {root}"
    );
    print_updates(updates, &[]);
    Ok(())
}
