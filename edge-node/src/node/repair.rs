//! Mends an installation, whatever the channel shows by now.

use freshet_protocol::origin_path::Target;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::event::Event;
use crate::network::Documents;
use crate::node::folder::{load_installed, no_installation};
use crate::node::{GetError, GetOptions, get};
use crate::release::{Trust, channel_of, content_of};
use crate::report::Report;
use crate::store::{Layout, pending};

/// Hashes the release that is installed in a folder, and gets from peers and the origin what is not as it must be. Another
/// release is not installed, even where the channel of `options` shows one. Otherwise as [`get`].
///
/// Returns the report in any case, and why the installation is not whole where it is not; without one
/// [`GetError::Usage`].
pub async fn repair(
    options: GetOptions,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
    started: Instant,
) -> (Report, Result<(), GetError>) {
    match of_installed(options) {
        Ok(options) => Box::pin(get(options, events, stop, started)).await,
        Err(error) => (Report::default(), Err(error)),
    }
}

/// The options to get the installed release anew, by the trackers of the channel that they name.
fn of_installed(mut options: GetOptions) -> Result<GetOptions, GetError> {
    let layout = Layout::new(&options.folder);
    // An install that was cut off is ended first.
    let begun = pending(&layout).map_err(|error| GetError::io(&layout.intent(), &error))?;
    let installed = load_installed(&layout)?.map(|installed| installed.root);
    let root = begun.map(|begun| begun.root).or(installed).ok_or_else(|| no_installation(&options.folder))?;
    let content = content_of(&options.url.target).clone();
    if options.trackers.is_empty() {
        let trust = Trust::open(&layout, &content, options.key)?;
        options.trackers = Documents::new(trust, layout, channel_of(&options.url.target)).trackers();
    }
    options.url.target = Target::Root(content, root);
    options.verify = true;
    Ok(options)
}
