//! What the job says to the tracker.

use crate::job::Job;
use crate::network::Standing;

impl Job {
    pub(super) fn ask_shards(&mut self, want: u32, done: &[u32]) {
        if let Some(network) = &self.network {
            network.announcer.lease(self.content.files.release.id, want, done);
        }
    }

    /// Something that the tracker knows of has changed.
    pub(super) fn standing_changed(&mut self) {
        if let Some(network) = &mut self.network {
            network.announcer.changed();
        }
    }

    pub(super) fn announce(&mut self) {
        let release = &self.content.files.release;
        let standing = Standing {
            root: release.id,
            chunks: release.chunk_count(),
            left_bytes: self.core.totals().missing_bytes,
            sharing: self.config.policy.sharing,
            links: self.peers.count(),
        };
        if let Some(network) = &mut self.network {
            network.announce(&standing, self.content.held());
        }
    }
}
