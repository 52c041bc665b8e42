//! Tells whoever started the program where it can be reached.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use freshet_protocol::PublicKey;
use freshet_tracker::Serving;
use serde::Serialize;

#[derive(Serialize)]
struct Ready<'a> {
    address: SocketAddr,
    url: String,
    stun: &'a [SocketAddr],
    key: PublicKey,
}

/// Writes addresses and key to `file` as JSON, whole or not at all, then prints them.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn announce(serving: &Serving, file: Option<&Path>) -> anyhow::Result<()> {
    let url = serving.url();
    let Serving { address, key, stun_addresses, .. } = serving;
    if let Some(path) = file {
        write(path, &Ready { address: *address, url: url.clone(), stun: stun_addresses, key: *key })?;
    }
    let stun: String = stun_addresses.iter().map(|address| format!("STUN on {address}\n")).collect();
    // Nobody has to listen.
    let _ = write!(std::io::stdout(), "tracker on {url}\n{stun}ticket key {key}\n");
    Ok(())
}

fn write(path: &Path, ready: &Ready<'_>) -> anyhow::Result<()> {
    let json = serde_json::to_vec(ready).context("cannot write the addresses as JSON")?;
    let temporary = path.with_extension("tmp");
    std::fs::write(&temporary, json).and_then(|()| std::fs::rename(&temporary, path)).with_context(|| {
        format!("cannot write --ready-file {}; check the folder and its rights", path.display())
    })
}
