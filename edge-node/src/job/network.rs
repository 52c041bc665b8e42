//! Links and the tracker, as the job's outputs need them.

use freshet_protocol::KeyId;

use crate::job::Job;
use crate::job::peers::Link;

impl Job {
    pub(super) fn ask_shards(&mut self, _want: u32, _done: &[u32]) {}

    pub(super) fn ban(&mut self, key: KeyId) {
        self.peers.banned.push(key);
    }

    pub(super) fn link_gone(&mut self, _gone: &Link) {}
}
