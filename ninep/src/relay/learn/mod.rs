//! How answers of the upstream server change what is known.

mod changes;
mod devices;

use super::data::cache::Cache;
use super::data::hash::Hash;
use super::data::job::{Job, Task};
use super::data::node::{Found, Moment, NodeId, OpenId};
use super::data::request::Request;
use super::state::Relay;
use crate::errno::Errno;
use crate::msg::Message;
use crate::types::{Attr, Qid, qt, setattr as set};

impl Relay<'_> {
    /// Takes in the attributes of a node, unless newer ones are known.
    fn learn(&mut self, id: NodeId, qid: &Qid, attr: &Attr, moment: Moment, cache: &mut Cache<'_>) {
        let node = self.tree.node(id);
        if moment.seq < node.asked.seq {
            return;
        }
        let Attr { size: own_size, mode: own_mode, .. } = node.attr;
        node.attr = *attr;
        if node.own & set::SIZE != 0 {
            node.attr.size = own_size;
        }
        if node.own & set::MODE != 0 {
            node.attr.mode = own_mode;
        }
        let known = node.key != Hash::default() && !node.absent;
        let qid = Qid { path: if known { node.qid.path } else { qid.path }, ..*qid };
        let Attr { mode, size, mtime_sec, mtime_nsec, ctime_sec, ctime_nsec, .. } = node.attr;
        let device = u64::from(node.device);
        // Those of a directory of /proc or /sys stay as they are when names come and go.
        let untold = qid.kind & qt::DIR != 0 && (self.freshness_ms == 0 || (size == 0 && attr.blocks == 0));
        let once = if untold { (moment.ms << 32) ^ moment.seq } else { 0 };
        let file = [mode.into(), device, qid.path, size, mtime_sec, mtime_nsec, ctime_sec, ctime_nsec, once];
        let key = Hash::of_words(&file);
        if node.asked.seq < node.changed
            && let Some(at) = cache.find(key)
        {
            // Another session has kept it, maybe within the tick of the clock that our change was made in.
            cache.forget(at);
        }
        node.linked |= attr.nlink > 1 && qid.kind & qt::DIR == 0;
        let changed = node.key != key && node.key != Hash::default();
        (node.again, node.wanted) = (node.again || node.key != Hash::default(), false);
        (node.qid, node.key, node.absent) = (qid, key, false);
        node.asked = moment.unless_overtaken_by(if node.changing == 0 { node.changed } else { u64::MAX });
        if changed && node.ffid != 0 {
            // Whoever opens it from now on may not be allowed to any more.
            self.drop_idle_opens(id);
        }
    }

    /// A walk has found the file that a name stands for.
    pub(super) fn learn_child(&mut self, parent: NodeId, name: Hash, found: &Found, cache: &mut Cache<'_>) {
        let &Found { ref qid, ref attr, ffid, moment } = found;
        if self.tree.node(parent).gone {
            return self.queue_clunk(ffid);
        }
        let mut known = self.tree.find(parent, name);
        if let Some(id) = known {
            let same = self.is_same(id, qid, attr);
            let node = self.tree.node(id);
            if !same && node.is_newer_than(moment) {
                // The name has been given away, or to another file, while the answer was on its way.
                return self.queue_clunk(ffid);
            }
            if !same && !node.absent {
                self.remove(id, cache);
                known = None;
            }
        }
        let new = known.is_none();
        let Some(id) = known.or_else(|| self.make_node(parent, name)) else {
            return self.queue_clunk(ffid);
        };
        self.place_node(id, qid);
        let node = self.tree.node(id);
        if node.ffid == 0 {
            node.ffid = ffid;
        } else {
            self.queue_clunk(ffid);
        }
        // The name may have been given away while the answer was on its way.
        let moment = moment.unless_overtaken_by(self.tree.node(parent).changed);
        self.learn(id, qid, attr, moment, cache);
        if new {
            self.look_for_mounts(id);
        }
    }

    /// The session has created a file.
    pub(super) fn learn_new(&mut self, parent: NodeId, name: Hash, found: &Found, cache: &mut Cache<'_>) {
        let &Found { ref qid, ref attr, ffid, moment } = found;
        if let Some(known) = self.tree.find(parent, name) {
            self.remove(known, cache);
        }
        match self.make_node(parent, name) {
            Some(id) => {
                self.place_node(id, qid);
                self.tree.node(id).ffid = ffid;
                self.learn(id, qid, attr, moment, cache);
            }
            None if ffid != 0 => self.queue_clunk(ffid),
            None => {}
        }
    }

    /// Nothing has a name.
    pub(super) fn learn_absent(&mut self, parent: NodeId, name: Hash, moment: Moment, cache: &mut Cache<'_>) {
        if self.tree.node(parent).gone {
            return;
        }
        let mut known = self.tree.find(parent, name);
        if let Some(id) = known.filter(|&id| !self.tree.nodes[id as usize].absent) {
            if self.tree.node(id).is_newer_than(moment) {
                return;
            }
            self.remove(id, cache);
            known = None;
        }
        let Some(id) = known.or_else(|| self.make_node(parent, name)) else { return };
        let changed = self.tree.node(parent).changed;
        let node = self.tree.node(id);
        (node.absent, node.asked) = (true, moment.unless_overtaken_by(node.changed.max(changed)));
    }

    /// The name of a node is not this file's any more.
    pub(super) fn remove(&mut self, id: NodeId, cache: &mut Cache<'_>) {
        self.tree.detach(id);
        self.drop_idle_opens(id);
        let node = self.tree.node(id);
        if node.qid.kind & qt::DIR == 0 && node.asking == 0 && node.cloning == 0 {
            // It stands for the name, which may be another file's later.
            self.queue_clunk_of(id);
        }
        self.release(id, 0, cache);
    }

    /// A file has another name now.
    pub(super) fn renamed(&mut self, (node, old): (NodeId, Hash), (other, new): (NodeId, Hash), cache: &mut Cache<'_>) {
        if node == other && old == new {
            return;
        }
        let child = self.tree.find(node, old).filter(|&id| !self.tree.nodes[id as usize].absent);
        let replaced = self.tree.find(other, new);
        if let Some((child, replaced)) = child.zip(replaced) {
            let (moved, other) = (self.tree.view(child), self.tree.view(replaced));
            if !other.absent && moved.qid.path == other.qid.path && moved.device == other.device {
                // Two names of one file: rename(2) leaves both, and the stock server takes the one for the other now,
                // and the other for gone.
                self.queue_clunk_of(child);
                self.queue_clunk_of(replaced);
                return;
            }
        }
        if let Some(replaced) = replaced {
            self.remove(replaced, cache);
        }
        let Some(child) = child else { return };
        self.tree.detach(child);
        self.tree.attach(child, other, new);
        if self.tree.node(child).linked {
            // Of two names of one file rename(2) leaves both, and the other may be one that nobody has looked for: then
            // the upstream fid still stands for the old name.
            self.queue_clunk_of(child);
            return;
        }
        let moment = self.next_moment();
        self.learn_absent(node, old, moment, cache);
    }

    /// The upstream server opens by path, so what it has opened may be another file by now. Then whoever wants the file
    /// gets ESTALE and looks it up again. Returns the error number of the request, or 0.
    pub(super) fn check_opened(
        &mut self,
        request: &Request,
        message: &Message<'_>,
        code: u32,
        cache: &mut Cache<'_>,
    ) -> u32 {
        let fickle = self.is_fickle(request.node);
        let node = self.tree.node(request.node);
        match message {
            Message::Rlopen(opened) if opened.qid.path != node.qid.path && opened.qid.path != 0 && !fickle => {
                node.asked = Moment::default();
                if node.ffid == request.ffid {
                    (node.ffid, node.dir_open) = (0, false);
                    self.queue_clunk(request.ffid);
                }
                // What was read by way of it is the other's.
                self.forget_content(request.node, cache);
                Errno::ESTALE.0
            }
            _ => code,
        }
    }

    /// Attributes have come by a fid of a node. False: they are another file's.
    pub(super) fn learn_again(&mut self, id: NodeId, found: &Found, cache: &mut Cache<'_>) -> bool {
        let &Found { ref qid, ref attr, ffid, moment } = found;
        let node = self.tree.view(id);
        let first = node.key == Hash::default();
        if first || self.is_same(id, qid, attr) {
            self.learn(id, qid, attr, moment, cache);
            return true;
        }
        if node.gone || node.parent == 0 || node.ffid != ffid {
            return false;
        }
        // By path there is another file now. Those who have the old one open keep it, all others mean the new one.
        self.tree.node(id).ffid = 0;
        self.remove(id, cache);
        if node.qid.kind != qid.kind || node.dir_open || self.requests.iter().any(|r| r.ffid == ffid) {
            self.queue_clunk(ffid);
            return false;
        }
        self.learn_child(node.parent, node.name, found, cache);
        let Some(new) = self.tree.find(node.parent, node.name) else { return false };
        let mut moved = 0;
        for fid in self.tree.fids.iter_mut().filter(|f| f.node == id && f.open == 0) {
            fid.node = new;
            moved += 1;
        }
        // A change that is under way is one of the old file.
        let moves = |j: &Job| !matches!(j.task, Task::None | Task::Create(_) | Task::Forward(_));
        for job in self.jobs.iter_mut().filter(|j| moves(j) && j.node == id && j.open == 0) {
            job.node = new;
            moved += 1;
        }
        self.tree.node(new).pins += moved;
        self.tree.node(id).pins -= moved;
        true
    }

    /// The upstream server has opened a file, or would not.
    pub(super) fn learn_opened(&mut self, id: NodeId, open: OpenId, ffid: u32, code: u32, cache: &mut Cache<'_>) {
        let key = self.tree.node(id).key;
        let o = self.tree.open(open);
        o.opening = 0;
        if code == 0 {
            o.ffid = ffid;
            if o.access == 0
                && let Some(at) = cache.find_or_make(key)
                && let Some(content) = cache.get(at)
            {
                content.readable = true;
            }
            return;
        }
        let unused = o.refs == 0;
        o.refused = true;
        match &mut self.tree.node(id).ffid {
            own @ 0 if code != Errno::ESTALE.0 => *own = ffid,
            _ => self.queue_clunk(ffid),
        }
        if unused {
            self.tree.drop_open(open, &mut self.clunks);
        }
    }
}
