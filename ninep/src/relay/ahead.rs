//! What is asked for before the kernel asks, because of what it has asked for. All of it is done only while there is
//! room.

use super::data::cache::Cache;
use super::data::habit;
use super::data::hash::Hash;
use super::data::listing::{ENTRY, HEAD, read_entry};
use super::data::node::{Moment, Node, NodeId};
use super::data::request::Ahead;
use super::state::{JOB_UPSTREAM, Relay};
use crate::types::{open, qt};

impl Relay<'_> {
    /// The root is there. What a session asks for first is asked for at once.
    pub(super) fn root_known(&mut self) {
        for name in core::mem::take(&mut self.names).split(|&b| b == b'/').filter(|name| !name.is_empty()) {
            if self.freshness_ms > 0 && self.has_room(JOB_UPSTREAM) {
                self.send_name(self.root, name, Ahead::No);
            }
        }
        self.ask_devices();
    }

    /// Reads a link, or follows it if its target is known and it is in the root, where sessions begin.
    pub(super) fn read_link(&mut self, link: NodeId, cache: &mut Cache<'_>) {
        let n = self.tree.view(link);
        let target = cache.find(n.key).and_then(|at| cache.get(at)).and_then(|c| c.link());
        if let Some(target) = target {
            if n.parent == self.root {
                self.follow_link(link, target);
            }
        } else if n.ffid != 0 && self.freshness_ms > 0 && self.has_room(64) && self.reading(link).is_none() {
            self.send_readlink(0, link, n.ffid);
        }
    }

    /// Opens a file before somebody wants it, unless all of it is here.
    pub(super) fn open_ahead(&mut self, node: NodeId, cache: &mut Cache<'_>) {
        let n = self.tree.view(node);
        if !n.is_kept() || n.ffid == 0 || n.opens != 0 || self.is_whole(&n, cache) || !self.has_room(128) {
            return;
        }
        if let Some(opened) = self.new_open(node, open::RDONLY) {
            self.tree.node(node).ffid = 0;
            self.send_open(opened, n.ffid, open::RDONLY);
        }
    }

    /// Asks for what is expected to be asked for after a name.
    pub(super) fn ask_next(&mut self, parent: NodeId, name: &[u8]) {
        let Some((below, next)) = self.habit.next(name) else { return };
        if !self.has_room(JOB_UPSTREAM) {
            return;
        }
        match self.tree.find(parent, Hash::of(&below)).map(|id| (id, self.tree.view(id))) {
            Some((_, directory)) if directory.ffid == 0 || directory.absent => {}
            Some((directory, _)) => {
                let known = self.tree.find(directory, Hash::of(&next)).is_some_and(|id| self.fresh(id, u64::MAX));
                if !known {
                    self.send_name(directory, &next, Ahead::Use);
                }
            }
            None => {
                self.habit.waiting = habit::short(name);
                self.send_name(parent, &below, Ahead::Use);
            }
        }
    }

    /// A walk has found a file in a directory. What will be asked next is asked now.
    pub(super) fn go_on_with(&mut self, child: NodeId, parent: NodeId, ahead: Ahead, cache: &mut Cache<'_>) {
        let n = self.tree.view(child);
        if parent == self.root && n.qid.kind & qt::DIR != 0 && self.asking_devices().is_some() {
            // The session begins: links in the root that were found before it may lead into it.
            for id in 1..self.tree.end() as NodeId {
                let Node { parent: above, qid, absent, gone, .. } = self.tree.nodes[id as usize];
                if above == self.root && qid.kind & qt::SYMLINK != 0 && !absent && !gone {
                    self.read_link(id, cache);
                }
            }
        }
        if n.qid.kind & qt::SYMLINK != 0 {
            self.read_link(child, cache);
        } else if n.qid.kind & qt::DIR == 0 {
            if ahead == Ahead::Use {
                self.open_ahead(child, cache);
            }
        } else if ahead == Ahead::List {
            self.list_ahead(child, cache);
        } else if ahead == Ahead::Use {
            let name = core::mem::take(&mut self.habit.waiting);
            self.ask_next(parent, &name);
        } else if n.children == 0
            && let Some(name) = self.habit.entry(parent)
            && self.freshness_ms > 0
            && self.has_room(JOB_UPSTREAM)
        {
            self.send_name(child, &name, Ahead::Enter);
            self.ask_next(child, &name);
        }
    }

    /// Whoever has read a link is about to ask for the first name on the way to its target that is not known.
    pub(super) fn follow_link(&mut self, link: NodeId, target: &[u8]) {
        let Node { parent, name, .. } = self.tree.view(link);
        if parent == self.root && name == Hash::of(b"sbin") {
            // cpud makes that link again in each session, and goes nowhere by it.
            return;
        }
        let mut at = if target.starts_with(b"/") { self.root } else { parent };
        for name in target.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".") {
            if name == b".." {
                at = self.tree.node(at).parent;
                continue;
            }
            let directory = self.tree.view(at);
            if directory.ffid == 0 || directory.gone || directory.qid.kind & qt::DIR == 0 {
                return;
            }
            let known = self.tree.find(at, Hash::of(name));
            if !known.is_some_and(|id| self.fresh(id, u64::MAX)) {
                if self.freshness_ms == 0 || name.len() > 255 || !self.has_room(JOB_UPSTREAM) {
                    return;
                }
                self.send_name(at, name, Ahead::No);
            }
            // What was a directory is asked about the next name at the same time.
            let Some(id) = known else { return };
            at = id;
        }
    }

    /// Whoever asks again for something is about to ask again for what came after it.
    pub(super) fn ask_followers(&mut self, before: Moment) {
        if before.ms == 0 || self.freshness_ms == 0 {
            return;
        }
        for node in self.tree.asked_after(before.seq, |n| n.asked.ms != 0 && !self.is_fresh(n, u64::MAX)) {
            if self.has_room(64) {
                let fid = self.tree.node(node).ffid;
                self.send_getattr(node, fid);
            }
        }
    }

    /// Whoever has asked for some names of a directory in the order of its listing is about to ask for as many more, of
    /// the same type.
    pub(super) fn ask_ahead(&mut self, parent: NodeId, name: &[u8], cache: &mut Cache<'_>) {
        const MOST: usize = 16;
        /// So many names are asked for in a directory before it is worth a listing.
        const MANY: u32 = 10;
        const DT_DIR: u8 = 4;
        let Node { key, children, .. } = self.tree.view(parent);
        let Some((listing, end)) = cache.listing(key) else {
            if children >= MANY {
                self.list_ahead(parent, cache);
            }
            return;
        };
        let mut entry = [0; ENTRY];
        // How many names before this one are known, of directories and of all others; the type that is asked for.
        let (mut run, mut wanted, mut left) = ([0; 2], None, 0);
        let mut at = 0;
        while at < end
            && let Some(n) = read_entry(cache, listing, at, &mut entry)
        {
            let other = &entry[HEAD..HEAD + n];
            at += (HEAD + n) as u64;
            let class = usize::from(entry[HEAD - 3] == DT_DIR);
            if wanted.is_none() && other == name {
                (wanted, left) = (Some(class), run[class].min(MOST));
            } else if wanted.is_none_or(|wanted| wanted == class) {
                let known = self.tree.find(parent, Hash::of(other));
                if wanted.is_none() {
                    // The first directory is asked for by whoever visits all of them.
                    run[class] = if known.is_some() || other == b".." { run[class] + 1 } else { 0 };
                } else if left == 0 || !self.has_room(JOB_UPSTREAM) {
                    return;
                } else {
                    left -= 1;
                    if !known.is_some_and(|id| self.fresh(id, u64::MAX)) {
                        self.send_name(parent, other, if class == 1 { Ahead::List } else { Ahead::No });
                    }
                }
            }
        }
    }
}
