//! What the session changes itself. What was known before is forgotten.

use crate::relay::data::cache::{Cache, absence};
use crate::relay::data::node::{EMPTY, Moment, NodeId};
use crate::relay::state::Relay;

impl Relay<'_> {
    /// The attributes of a file are out of date.
    pub(crate) fn stale(&mut self, node: NodeId) {
        let seq = self.next_moment().seq;
        let n = self.tree.node(node);
        (n.asked, n.changed) = (Moment::default(), seq);
        let (linked, gone, file) = (n.linked, n.gone, n.qid.path);
        if linked {
            self.linked = seq;
        }
        if linked && gone {
            // Names that were found after this one went do not know that there was another.
            for other in self.tree.nodes.iter_mut().filter(|n| n.used && n.qid.path == file) {
                (other.asked, other.changed) = (Moment::default(), seq);
            }
        }
    }

    /// The session begins to change a file. Its old bytes are forgotten, even if its times stay the same.
    pub(crate) fn change_begins(&mut self, node: NodeId, cache: &mut Cache<'_>) {
        self.stale(node);
        self.tree.node(node).changing += 1;
        self.forget_content(node, cache);
    }

    pub(crate) fn change_ends(&mut self, node: NodeId, cache: &mut Cache<'_>) {
        self.stale(node);
        self.tree.node(node).changing -= 1;
        self.forget_content(node, cache);
    }

    /// Forgets the bytes of a file, also those that were read by another name of it.
    pub(crate) fn forget_content(&mut self, node: NodeId, cache: &mut Cache<'_>) {
        let n = self.tree.view(node);
        let nodes = if n.linked { &self.tree.nodes[..] } else { &[] };
        let others = nodes.iter().filter(|other| other.qid.path == n.qid.path);
        for key in others.map(|other| other.key).chain([n.key]) {
            if let Some(at) = cache.find(key) {
                cache.forget(at);
            }
        }
    }

    /// Names in a job's directories change: neither the names nor the directories are what they were.
    pub(crate) fn names_change(&mut self, j: usize, cache: &mut Cache<'_>) {
        for (directory, name) in self.job(j).names() {
            if directory == 0 {
                continue;
            }
            self.stale(directory);
            self.tree.node(directory).own &= !EMPTY;
            self.forget_content(directory, cache);
            // A second change may leave the directory's times as the first has made them.
            if let Some(at) = cache.find(absence(self.tree.node(directory).key, name)) {
                cache.forget(at);
            }
            if let Some(child) = self.tree.find(directory, name) {
                self.stale(child);
            }
        }
    }
}
