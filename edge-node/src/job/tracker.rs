//! What the job says to the tracker.

use crate::job::Job;
use crate::network::Standing;

impl Job {
    pub(super) fn ask_shards(&mut self, want: u32, done: &[u32]) {
        if let Some(network) = &self.network {
            network.announcer.lease(self.content.files.release.fetched_span().id, want, done);
        }
    }

    /// Something that the tracker knows of has changed.
    pub(super) fn standing_changed(&mut self) {
        if let Some(network) = &mut self.network {
            network.announcer.changed();
        }
    }

    pub(super) fn announce(&mut self) {
        let standing = Standing {
            span: self.content.files.release.fetched_span(),
            left_bytes: self.core.totals().missing_bytes,
            sharing: self.config.policy.sharing,
            links: self.links.count(),
        };
        if let Some(network) = &mut self.network {
            network.announce(&standing, self.content.held());
        }
    }
}
