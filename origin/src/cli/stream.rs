//! `publish-hls`: streams.

use freshet_origin::{HlsOptions, Store, StreamKey};

use super::arguments::{PublishHlsArguments, StreamArguments};
use super::publish::size;
use super::{Failure, print_json};

pub(super) async fn publish_hls(arguments: PublishHlsArguments) -> Result<(), Failure> {
    let (store, key) = open(&arguments.stream)?;
    let content = arguments.stream.content;
    let options = HlsOptions { store, key, content, folder: arguments.folder, first: arguments.master };
    let published = freshet_origin::publish_hls(options).await.map_err(Failure::of_stream)?;
    if arguments.json {
        print_json(&published);
    } else {
        println!(
            "{} is published: {} renditions, {} segments, {} of them new; {} of {} files stored, {}",
            published.playlist,
            published.renditions,
            published.segments,
            published.new_segments,
            published.stored_files,
            published.files,
            size(published.stored_bytes)
        );
    }
    Ok(())
}

/// The store and the key of a stream.
fn open(arguments: &StreamArguments) -> Result<(Store, StreamKey), Failure> {
    let store = Store::open(&arguments.store.store).map_err(Failure::usage)?;
    let key = match (&arguments.key, &arguments.keys_dir) {
        (Some(seed), Some(keys_dir)) => StreamKey::load_with_document(seed, keys_dir),
        (None, Some(keys_dir)) => StreamKey::load_with_document(&StreamKey::default_path(keys_dir), keys_dir),
        (Some(seed), None) => StreamKey::load(seed),
        (None, None) => unreachable!("the command line asks for one of them"),
    };
    Ok((store, key.map_err(Failure::usage)?))
}
