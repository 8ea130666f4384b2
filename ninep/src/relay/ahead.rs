//! What is asked for before the kernel asks, because of what it has asked for; all of it only while there is room.

use super::cache::Cache;
use super::far::{Ahead, Request};
use super::habit;
use super::hash::Hash;
use super::listing::{ENTRY, HEAD};
use super::run::read_entry;
use super::tree::{Moment, Node, NodeId};
use super::{JOB_FAR, Relay};
use crate::types::qt;

impl Relay<'_> {
    /// Asks for what is expected to be asked for after a name.
    pub(super) fn ask_next(&mut self, parent: NodeId, name: &[u8]) {
        let Some((below, next)) = self.habit.next(name) else { return };
        if !self.has_far_room(JOB_FAR) {
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

    /// A walk has found a file: what will be asked next is asked now.
    pub(super) fn go_on_with(&mut self, child: NodeId, request: &Request, cache: &mut Cache<'_>) {
        let n = self.tree.view(child);
        if request.node == self.root && n.qid.kind & qt::DIR != 0 && self.asking_devices().is_some() {
            // The session begins: links in the root that were found before it may lead into it.
            for id in 1..self.tree.end() as NodeId {
                let Node { parent, qid, absent, gone, .. } = self.tree.nodes[id as usize];
                if parent == self.root && qid.kind & qt::SYMLINK != 0 && !absent && !gone {
                    self.read_link(id, cache);
                }
            }
        }
        if n.qid.kind & qt::SYMLINK != 0 {
            self.read_link(child, cache);
        } else if n.qid.kind & qt::DIR == 0 {
            if request.ahead == Ahead::Use {
                self.open_ahead(child, cache);
            }
        } else if request.ahead == Ahead::List {
            self.list_ahead(child, cache);
        } else if request.ahead == Ahead::Use {
            let name = core::mem::take(&mut self.habit.waiting);
            self.ask_next(request.node, &name);
        } else if n.children == 0
            && let Some(name) = self.habit.entry(request.node)
            && self.freshness_ms > 0
            && self.has_far_room(JOB_FAR)
        {
            self.send_name(child, &name, Ahead::Enter);
            self.ask_next(child, &name);
        }
    }

    /// Who has read a link is about to ask for the first name of its target that is not known.
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
                if self.freshness_ms == 0 || name.len() > 255 || !self.has_far_room(JOB_FAR) {
                    return;
                }
                self.send_name(at, name, Ahead::No);
            }
            // What was a directory is asked about the next name at the same time.
            let Some(id) = known else { return };
            at = id;
        }
    }

    /// Who asks again for something is about to ask again for what came after it.
    pub(super) fn ask_followers(&mut self, before: Moment) {
        if before.ms == 0 || self.freshness_ms == 0 {
            return;
        }
        for node in self.tree.asked_after(before.seq, |n| n.asked.ms != 0 && !self.is_fresh(n, u64::MAX)) {
            if self.has_far_room(64) {
                let fid = self.tree.node(node).ffid;
                self.send_getattr(node, fid);
            }
        }
    }

    /// Who has asked for names of a directory in the order of its listing is about to ask for as many more of that type.
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
                } else if left == 0 || !self.has_far_room(JOB_FAR) {
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
