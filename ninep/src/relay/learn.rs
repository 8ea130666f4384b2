//! How what is known changes.

use super::Relay;
use super::cache::Cache;
use super::far::{Request, RequestKind};
use super::hash::Hash;
use super::kernel::set;
use super::run::{Job, JobKind};
use super::tree::{Moment, Node, NodeId};
use crate::errno::Errno;
use crate::limits::NOTAG;
use crate::msg::{
    Message, Rfsync, Rgetattr, Rlink, Rmknod, Rrenameat, Rsetattr, Rsymlink, Runlinkat, Rwrite, Tgetattr, Type,
};
use crate::types::{Attr, Qid, getattr, qt};

impl Relay<'_> {
    /// A far fid is not needed any more.
    pub(super) fn let_go(&mut self, ffid: u32) {
        // A listing lets go of it at its end.
        if !self.requests.iter().any(|r| r.kind == RequestKind::Listing && r.ffid == ffid) {
            // One that cannot be noted goes with the session.
            let _ = self.clunks.push(ffid);
        }
    }

    /// Nor is the one that stands for a node's name.
    fn let_go_of(&mut self, id: NodeId) {
        match core::mem::take(&mut self.tree.node(id).ffid) {
            0 => {}
            ffid => self.let_go(ffid),
        }
    }

    fn make_node(&mut self, parent: NodeId, name: Hash) -> Option<NodeId> {
        let Self { tree, clunks, .. } = self;
        tree.make(parent, name, clunks)
    }

    /// Ends those opens of a node that nobody uses.
    fn drop_idle_opens(&mut self, id: NodeId) {
        let Self { tree, clunks, .. } = self;
        let mut open = tree.node(id).opens;
        while open != 0 {
            let o = *tree.open(open);
            if o.refs == 0 && o.opening == 0 {
                tree.drop_open(open, clunks);
            }
            open = o.next;
        }
    }

    /// Takes in the attributes of a node; what is known to be newer stays.
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
    pub(super) fn learn_child(&mut self, request: &Request, qid: &Qid, attr: &Attr, cache: &mut Cache<'_>) {
        let &Request { node: parent, name, ffid, moment, .. } = request;
        if self.tree.node(parent).gone {
            return self.let_go(ffid);
        }
        let mut known = self.tree.find(parent, name);
        if let Some(id) = known {
            let same = self.is_same(id, qid, attr);
            let node = self.tree.node(id);
            if !same && node.is_newer_than(moment) {
                // The name has been given away, or to another file, while the answer was on its way.
                return self.let_go(ffid);
            }
            if !same && !node.absent {
                self.remove(id, cache);
                known = None;
            }
        }
        let new = known.is_none();
        let Some(id) = known.or_else(|| self.make_node(parent, name)) else {
            return self.let_go(ffid);
        };
        self.place_node(id, qid);
        let node = self.tree.node(id);
        if node.ffid == 0 {
            node.ffid = ffid;
        } else {
            self.let_go(ffid);
        }
        // The name may have been given away while the answer was on its way.
        let moment = moment.unless_overtaken_by(self.tree.node(parent).changed);
        self.learn(id, qid, attr, moment, cache);
        if new {
            self.look_for_mounts(id);
        }
    }

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

    /// A name does not stand for this file any more.
    pub(super) fn remove(&mut self, id: NodeId, cache: &mut Cache<'_>) {
        self.tree.detach(id);
        self.drop_idle_opens(id);
        let node = self.tree.node(id);
        if node.qid.kind & qt::DIR == 0 && node.asking == 0 && node.cloning == 0 {
            // It stands for the name, which may be another file's later.
            self.let_go_of(id);
        }
        self.release(id, 0, cache);
    }

    /// The far side opens by path: what it has opened may be another file by now, which nobody has asked for. Then whoever
    /// wants it looks again.
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
                    self.let_go(request.ffid);
                }
                // What was read by way of it is the other's.
                self.forget_content(request.node, cache);
                Errno::ESTALE.0
            }
            _ => code,
        }
    }

    /// Attributes have come by way of a fid of a node. False when they are another file's.
    pub(super) fn learn_again(&mut self, request: &Request, qid: &Qid, attr: &Attr, cache: &mut Cache<'_>) -> bool {
        let &Request { node: id, ffid, moment, .. } = request;
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
            self.let_go(ffid);
            return false;
        }
        let walked = Request { node: node.parent, name: node.name, ..*request };
        self.learn_child(&walked, qid, attr, cache);
        let Some(new) = self.tree.find(node.parent, node.name) else { return false };
        let mut moved = 0;
        for fid in self.tree.fids.iter_mut().filter(|f| f.node == id && f.open == 0) {
            fid.node = new;
            moved += 1;
        }
        // A change that is under way is one of the old file.
        let moves = |kind| !matches!(kind, JobKind::None | JobKind::Create | JobKind::Forward(_));
        for job in self.jobs.iter_mut().filter(|j| moves(j.kind) && j.node == id && j.open == 0) {
            job.node = new;
            moved += 1;
        }
        self.tree.node(new).pins += moved;
        self.tree.node(id).pins -= moved;
        true
    }

    pub(super) fn cloned(&mut self, tag: usize, request: &Request, code: u32, cache: &mut Cache<'_>) {
        let &Request { node: id, ffid, .. } = request;
        let node = self.tree.node(id);
        node.cloning = if code == 0 { 0 } else { NOTAG };
        let Node { parent, name, gone, qid, .. } = *node;
        if code == 0 {
            let unused = if node.ffid == 0 || node.dir_open {
                node.dir_open = false;
                core::mem::replace(&mut node.ffid, ffid)
            } else {
                ffid
            };
            if unused != 0 {
                self.let_go(unused);
            }
        } else if code == Errno::ENOENT.0 && !gone && qid.kind & qt::DIR == 0 {
            self.learn_absent(parent, name, request.moment, cache);
        }
        self.wake_and_release(tag, code, id, cache);
    }

    pub(super) fn opened(&mut self, tag: usize, request: &Request, code: u32, cache: &mut Cache<'_>) {
        let &Request { node: id, open, ffid, .. } = request;
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
        } else {
            let unused = o.refs == 0;
            o.refused = true;
            match &mut self.tree.node(id).ffid {
                own @ 0 if code != Errno::ESTALE.0 => *own = ffid,
                _ => self.let_go(ffid),
            }
            if unused {
                self.tree.drop_open(open, &mut self.clunks);
            }
        }
        self.wake_and_release(tag, code, id, cache);
    }

    pub(super) fn create_goes_on(
        &mut self,
        tag: usize,
        request: &Request,
        message: &Message<'_>,
        code: u32,
        cache: &mut Cache<'_>,
    ) {
        let j = request.job as usize;
        if j == 0 {
            return;
        }
        match message {
            Message::Rlcreate(created) => {
                self.names_change(j, cache);
                if !self.ask_created(request, created.qid.path) {
                    self.ask_opened(request);
                }
            }
            Message::Rgetattr(Rgetattr { qid, attr, .. }) => self.learn_created(tag, request, qid, attr, cache),
            Message::Rwalkgetattr(found) if self.is_created(j, found) => {
                self.learn_created(tag, request, &found.wqid[0], &found.attr, cache);
            }
            // Another file than the one that was created, or none, has the name.
            message if request.ffid != 0 => {
                if matches!(message, Message::Rwalkgetattr(_)) {
                    self.let_go(request.ffid);
                }
                self.ask_opened(&Request { ffid: 0, ..*request });
            }
            Message::Rwalk(_) => self.wake(tag, 0, cache),
            _ => {
                if request.name == Hash::default() {
                    // The clone was not made.
                    self.job(j).ffid = 0;
                }
                // The name is not what Twalk looked for.
                self.job(j).error = code;
                self.job(j).wait = self.job(j).wait.map(|w| if usize::from(w) == tag { 0 } else { w });
                self.run(j, cache);
            }
        }
    }

    /// Asks for the attributes of what has been created.
    fn ask_opened(&mut self, request: &Request) {
        let j = request.job as usize;
        let getattr = Tgetattr { fid: self.job(j).ffid, request_mask: getattr::BASIC };
        let next = self.send(RequestKind::Create, &getattr, *request);
        self.job(j).wait = [next, 0];
    }

    /// The attributes of what has been created have come; with a far fid for its name if there is one.
    fn learn_created(&mut self, tag: usize, request: &Request, qid: &Qid, attr: &Attr, cache: &mut Cache<'_>) {
        if let Some(known) = self.tree.find(request.node, request.name) {
            self.remove(known, cache);
        }
        match self.make_node(request.node, request.name) {
            Some(id) => {
                self.place_node(id, qid);
                self.tree.node(id).ffid = request.ffid;
                self.learn(id, qid, attr, request.moment, cache);
            }
            None if request.ffid != 0 => self.let_go(request.ffid),
            None => {}
        }
        self.job(request.job as usize).created = true;
        self.wake(tag, 0, cache);
    }

    /// A change has been made or refused.
    pub(super) fn forwarded(&mut self, request: &Request, message: &Message<'_>, code: u32, cache: &mut Cache<'_>) {
        let j = request.job as usize;
        let job = *self.job(j);
        let JobKind::Forward(kind) = job.kind else { return };
        match kind {
            Type::Twrite | Type::Tsetattr => self.change_ends(job.node, cache),
            Type::Tfsync => {}
            _ => self.names_change(j, cache),
        }
        if request.node != 0 {
            // The file that has got another name.
            self.stale(request.node);
            self.release_node(request.node, cache);
        }
        self.job(j).wait = [0; 2];
        let tag = job.tag;
        if code != 0 {
            if self.grow_by_writing(j, Errno(code), cache) {
                return;
            }
            // The stock server has one number for errors that Go thinks alike, and EIO for a chmod(2) that fails.
            let errno = match (kind, Errno(code)) {
                (Type::Tmknod, Errno::ENOSYS) => Errno::EPERM,
                (Type::Tsetattr, errno) if self.is_not_his(&job, errno) => Errno::EPERM,
                (Type::Tunlinkat | Type::Trenameat, Errno::EEXIST) => Errno::ENOTEMPTY,
                (_, errno) => errno,
            };
            return self.fail(j, errno, cache);
        }
        match message {
            Message::Rwrite(Rwrite { count: 1 }) if kind == Type::Tsetattr => self.to_kernel.message(tag, &Rsetattr {}),
            // The kernel would try again for ever.
            Message::Rwrite(Rwrite { count: 0 }) if job.count > 0 => return self.fail(j, Errno::EIO, cache),
            Message::Rwrite(Rwrite { count }) => {
                let n = self.tree.node(job.node);
                if n.own & set::SIZE != 0 {
                    n.attr.size = n.attr.size.max(job.offset.saturating_add((*count).min(job.count).into()));
                }
                self.to_kernel.message(tag, &Rwrite { count: (*count).min(job.count) });
            }
            Message::Rsetattr(_) => self.to_kernel.message(tag, &Rsetattr {}),
            Message::Rfsync(_) => self.to_kernel.message(tag, &Rfsync {}),
            Message::Rmkdir(_) => {
                self.job(j).kind = JobKind::Made;
                return self.run(j, cache);
            }
            Message::Rsymlink(Rsymlink { qid }) => self.to_kernel.message(tag, &Rsymlink { qid: *qid }),
            Message::Rmknod(Rmknod { qid }) => self.to_kernel.message(tag, &Rmknod { qid: *qid }),
            Message::Rlink(_) => self.to_kernel.message(tag, &Rlink {}),
            Message::Runlinkat(_) => {
                let moment = self.next_moment();
                self.learn_absent(job.node, job.hashes[0], moment, cache);
                self.to_kernel.message(tag, &Runlinkat {});
            }
            Message::Rrenameat(_) => {
                self.renamed(j, cache);
                self.to_kernel.message(tag, &Rrenameat {});
            }
            _ => {}
        }
        self.finish(j, cache);
    }

    /// A change of attributes that the owner of a file may make, and the superuser.
    fn is_not_his(&mut self, job: &Job, errno: Errno) -> bool {
        let owners = set::MODE | set::ATIME_SET | set::MTIME_SET;
        let owner = self.tree.node(job.node).attr.uid;
        matches!(errno, Errno::EACCES | Errno::EIO)
            && (job.flags & (set::UID | set::GID) != 0 || (job.flags & owners != 0 && owner != self.owner.uid))
    }

    fn renamed(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { node, other, hashes: [old, new], .. } = *self.job(j);
        if node == other && old == new {
            return;
        }
        let child = self.tree.find(node, old).filter(|&id| !self.tree.nodes[id as usize].absent);
        let replaced = self.tree.find(other, new);
        if let Some((child, replaced)) = child.zip(replaced) {
            let (moved, other) = (self.tree.view(child), self.tree.view(replaced));
            if !other.absent && moved.qid.path == other.qid.path && moved.device == other.device {
                // Two names of one file: rename(2) leaves both, and the stock server takes the one for the other now, and
                // the other for gone.
                self.let_go_of(child);
                self.let_go_of(replaced);
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
            // the far fid stands for the old name.
            self.let_go_of(child);
            return;
        }
        let moment = self.next_moment();
        self.learn_absent(node, old, moment, cache);
    }
}
