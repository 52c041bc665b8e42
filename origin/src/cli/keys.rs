//! `keys`: makes a tenant's keys.

use freshet_origin::Keys;
use freshet_protocol::Role;
use serde_json::json;

use super::arguments::KeysArguments;
use super::{Failure, print_json};

pub(super) fn run(arguments: &KeysArguments) -> Result<(), Failure> {
    let mut keys = Keys::create(&arguments.keys_dir, &arguments.tenant).map_err(Failure::usage)?;
    for tracker in &arguments.add_tracker {
        keys.add_tracker(*tracker).map_err(Failure::usage)?;
    }
    let document = keys.document();
    let trackers = document.keys_for(Role::Tracker, 0);
    if arguments.json {
        print_json(&json!({
            "tenant": document.tenant,
            "key": keys.public(),
            "online": keys.online().public(),
            "trackers": trackers,
            "sequence": document.sequence,
        }));
        return Ok(());
    }
    println!("{}", keys.public());
    eprintln!(
        "This is the public key of tenant {}: players pin it. {} holds the keys (document {}, {} trackers); \
         keep tenant.seed offline, publishing does not need it.",
        document.tenant,
        arguments.keys_dir.display(),
        document.sequence,
        trackers.len()
    );
    Ok(())
}
