//! `publish-hls`, `ingest` and `index`: streams.

use freshet_listen::StopSignal;
use freshet_origin::{
    HlsOptions, IndexInput, IndexOptions, IngestError, IngestOptions, Input, ServeOptions, Store, StreamKey,
};
use serde_json::json;

use super::arguments::{IndexArguments, IngestArguments, PublishHlsArguments, StreamArguments};
use super::publish::size;
use super::ready::write_json;
use super::{Failure, print_json, token};

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

pub(super) async fn ingest(arguments: IngestArguments) -> Result<(), Failure> {
    let (store, key) = open(&arguments.stream)?;
    let input = match arguments.watch {
        Some(folder) => Input::Watch(folder),
        None => {
            let token =
                arguments.token_file.as_deref().map(token::read).transpose().map_err(Failure::usage)?;
            Input::Http { listen: arguments.listen, token }
        }
    };
    let options = IngestOptions {
        trackers: arguments.push.trackers,
        dvr: arguments.push.dvr,
        ..IngestOptions::new(store.clone(), key, arguments.stream.content, input)
    };
    // Before the address is told, so that who reads it may stop the program at once.
    let stop = StopSignal::new().map_err(Failure::failed)?;
    let ingesting = freshet_origin::ingest(options).await.map_err(of_ingest)?;
    let serving = match arguments.serve {
        Some(listen) => {
            let serving = freshet_origin::serve(ServeOptions::new(store, listen)).await;
            Some(serving.map_err(Failure::usage)?)
        }
        None => None,
    };
    if let Some(address) = ingesting.address() {
        println!("{address}");
    }
    let url = serving.as_ref().map(|serving| serving.url());
    tracing::info!(address = ?ingesting.address(), serving = url, "taking in the stream");
    if let Some(path) = &arguments.ready_file {
        write_json(path, &json!({ "address": ingesting.address(), "url": url })).map_err(Failure::usage)?;
    }
    stop.received().await;
    ingesting.shutdown().await;
    if let Some(serving) = serving {
        print_json(&serving.shutdown().await);
    }
    Ok(())
}

pub(super) async fn index(arguments: IndexArguments) -> Result<(), Failure> {
    let (store, key) = open(&arguments.stream)?;
    let input = match (arguments.watch, arguments.playlist) {
        (Some(folder), _) => IndexInput::Watch(folder),
        (None, Some(url)) => IndexInput::Playlist { url, allow_hosts: arguments.allow_hosts },
        (None, None) => unreachable!("the command line asks for one of them"),
    };
    let options = IndexOptions {
        trackers: arguments.push.trackers,
        dvr: arguments.push.dvr,
        is_once: arguments.once,
        ..IndexOptions::new(store, key, arguments.stream.content, input)
    };
    let stop = StopSignal::new().map_err(Failure::failed)?;
    let indexed = tokio::select! {
        indexed = freshet_origin::index(options) => indexed.map_err(of_ingest)?,
        // It goes on from here the next time.
        () = stop.received() => return Ok(()),
    };
    if arguments.json {
        print_json(&indexed);
    } else {
        println!("{} renditions, {} segments newly signed", indexed.renditions, indexed.new_segments);
    }
    Ok(())
}

fn of_ingest(error: IngestError) -> Failure {
    match error {
        IngestError::Stream(error) => Failure::of_stream(error),
        error @ IngestError::Playlist { .. } => Failure::failed(error),
        error => Failure::usage(error),
    }
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
