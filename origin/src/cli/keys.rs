//! `keys`: makes a tenant's keys.

use std::path::Path;

use freshet_origin::{Keys, StreamKey};
use freshet_protocol::{PublicKey, Role};
use serde_json::json;

use super::arguments::KeysArguments;
use super::{Failure, print_json};

pub(super) fn run(arguments: &KeysArguments) -> Result<(), Failure> {
    let mut keys = Keys::create(&arguments.keys_dir, &arguments.tenant).map_err(Failure::usage)?;
    for tracker in &arguments.add_tracker {
        keys.add_tracker(*tracker).map_err(Failure::usage)?;
    }
    for stream in &arguments.add_stream {
        let key = stream_key(&arguments.keys_dir, stream)?;
        keys.add_stream(key).map_err(Failure::usage)?;
    }
    let document = keys.document();
    let trackers = document.keys_for(Role::Tracker, 0);
    let streams = document.keys_for(Role::Stream, 0);
    if arguments.json {
        print_json(&json!({
            "tenant": document.tenant,
            "key": keys.public(),
            "online": keys.online().public(),
            "trackers": trackers,
            "streams": streams,
            "sequence": document.sequence,
        }));
        return Ok(());
    }
    println!("{}", keys.public());
    eprintln!(
        "This is the public key of tenant {}: players pin it. {} holds the keys (document {}, {} trackers, {} stream keys); \
         keep tenant.seed offline, publishing does not need it. A tracker started with --publisher {} tells all who follow a \
         channel of a new version at once.",
        document.tenant,
        arguments.keys_dir.display(),
        document.sequence,
        trackers.len(),
        streams.len(),
        keys.online().public()
    );
    Ok(())
}

/// What `--add-stream` names: a public key, or a seed file that is made if missing.
fn stream_key(keys_dir: &Path, named: &str) -> Result<PublicKey, Failure> {
    if named.starts_with("ed25519:") {
        return named
            .parse()
            .map_err(|error| Failure::usage(anyhow::anyhow!("--add-stream {named:?}: {error}")));
    }
    let seed = if named.is_empty() { StreamKey::default_path(keys_dir) } else { named.into() };
    StreamKey::create(&seed).map_err(Failure::usage)
}
