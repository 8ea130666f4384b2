//! Attaching, walking, attributes, targets of links, and opening.

use heapless::Vec;

use crate::errno::Errno;
use crate::limits::NOFID;
use crate::msg::Tattach;
use crate::relay::data::cache::Cache;
use crate::relay::data::hash::Hash;
use crate::relay::data::job::{Bytes, Job, Outcome, Reply, Unanswered};
use crate::relay::data::listing::is_absent;
use crate::relay::data::node::{Node, NodeId, Open, OpenId};
use crate::relay::data::request::{Request, RequestKind};
use crate::relay::facts::Known;
use crate::relay::state::Relay;
use crate::types::{Attr, mode, open, qt};
use crate::wire::Wire;

impl Relay<'_> {
    pub(super) fn run_attach(&mut self, job: &Job, fid: u32, cache: &mut Cache<'_>) -> Outcome {
        if self.root == 0 {
            let pending = self.pending(|r| matches!(r.kind, RequestKind::Attach));
            return Err(Unanswered::wait(pending.unwrap_or_else(|| self.send_attach())));
        }
        self.bind(fid, self.root, 0, cache);
        self.tree.fids[fid as usize].uid = job.uid;
        Ok(Reply::Attach(self.qid_of(self.root)))
    }

    fn send_attach(&mut self) -> u16 {
        let fid = self.new_ffid();
        let attach = Tattach { fid, afid: NOFID, uname: b"", aname: b"", n_uname: 0 };
        self.send(&attach, Request { ffid: fid, ..Request::new(RequestKind::Attach) })
    }

    pub(super) fn run_walk(&mut self, job: &Job, newfid: u32, names: &Bytes, cache: &mut Cache<'_>) -> Outcome {
        let mut node = job.node;
        let mut wqid = Vec::new();
        let mut names = names.names();
        while !names.is_empty() {
            let name = <&[u8]>::read(&mut names);
            match self.look_up(node, name, job.seq, cache)? {
                Known::Child(child) => {
                    self.note_habit(node, name, child);
                    node = child;
                    let _ = wqid.push(self.qid_of(child));
                }
                Known::Absent => return Err(Errno::ENOENT.into()),
                Known::Unknown => return Err(self.ask_name_of_walk(node, name, job.seq, cache)),
            }
        }
        self.bind(newfid, node, 0, cache);
        self.tree.fids[newfid as usize].uid = job.uid;
        Ok(Reply::Walk(wqid))
    }

    fn note_habit(&mut self, directory: NodeId, name: &[u8], child: NodeId) {
        let Node { parent: above, name: called, .. } = self.tree.view(directory);
        let found = self.tree.node(child);
        if found.qid.kind & qt::DIR == 0 {
            self.habit.note(directory, above, called, name);
        } else {
            let new = (found.children == 0).then_some(child);
            self.habit.enter(directory, name, new);
        }
    }

    fn ask_name_of_walk(&mut self, parent: NodeId, name: &[u8], seq: u64, cache: &mut Cache<'_>) -> Unanswered {
        let directory = self.tree.view(parent);
        if let Some(child) = self.tree.find(parent, Hash::of(name))
            && self.fresh(child, seq)
            && let Some(opening) = self.wait_for_opening(child)
        {
            return opening;
        }
        // A directory that is as it was answers for all the names that were not in it.
        if self.freshness_ms > 0 && is_absent(cache, directory.key, name) {
            return self.ask_attributes(parent, 0);
        }
        self.ask_name(parent, name, cache).map_or_else(Unanswered::Fail, Unanswered::wait)
    }

    pub(super) fn run_getattr(&mut self, job: &Job, is_stat: bool) -> Outcome {
        let &Job { node, open, seq, .. } = job;
        let n = self.tree.view(node);
        // The mount asks about the root, and does not need to know.
        let is_mount = node == self.root && n.key == Hash::default() && !is_stat;
        if !self.is_fresh(&n, seq) && !is_mount {
            return Err(self.ask_attributes(node, open));
        }
        let owned = !self.owner.known && (n.attr.uid != 0 || n.attr.gid != 0);
        if let Some(asking) = self.asking_devices().filter(|_| is_stat || owned) {
            return Err(Unanswered::wait(asking));
        }
        if self.is_ageing(&n)
            && let Some(fid) = self.any_fid(node, open)
        {
            self.send_getattr(node, fid);
        }
        self.tree.node(node).wanted = true;
        let attr = Attr { gen_number: self.device(node).into(), ..self.owner.shown(&n.attr) };
        Ok(Reply::Getattr(self.qid_of(node), attr))
    }

    pub(super) fn run_readlink(&mut self, j: usize, job: &Job, cache: &mut Cache<'_>) -> Outcome {
        if self.tree.node(job.node).qid.kind & qt::SYMLINK == 0 {
            return Err(Errno::EINVAL.into());
        }
        let n = self.fresh_node(job, 0)?;
        let target = cache.find(n.key).filter(|_| self.freshness_ms > 0);
        if let Some(target) = target.and_then(|at| cache.get(at)).and_then(|c| c.link()) {
            self.reply_link(job.tag, target);
            return Ok(Reply::Sent);
        }
        let fid = self.any_fid(job.node, 0).ok_or(Errno::ESTALE)?;
        let sent = self.reading(job.node).unwrap_or_else(|| self.send_readlink(j, job.node, fid));
        Err(Unanswered::wait(sent))
    }

    pub(super) fn run_open(&mut self, job: &Job, fid: u32, flags: u32, cache: &mut Cache<'_>) -> Outcome {
        let node = job.node;
        let n = self.fresh_node(job, 0)?;
        let access = flags & 3;
        let opened = if n.qid.kind & qt::DIR != 0 {
            if access != open::RDONLY {
                return Err(Errno::EISDIR.into());
            }
            if !n.dir_open && cache.listing(n.key).is_none() {
                return Err(self.open_directory(node, cache));
            }
            self.new_open(node, access)
        } else if n.attr.mode & mode::FORMAT == mode::REGULAR {
            let usable = |o: &Open| o.ffid != 0 && o.opening == 0 && o.is_for(flags);
            let shared = self.tree.opens_of(n.opens).find(|&o| usable(&self.tree.opens[o as usize]));
            let whole = access == open::RDONLY && self.is_whole(&n, cache);
            match shared {
                Some(shared) => Some(shared),
                None if whole => self.new_open(node, access),
                None => return Err(self.open_file(node, flags)),
            }
        } else {
            // The kernel opens a FIFO or a device itself; the upstream server would wait in it, and hold up everybody.
            return Err(Errno::ENXIO.into());
        };
        let opened: OpenId = opened.ok_or(Errno::ENFILE)?;
        self.tree.touch_open(opened);
        self.tree.open(opened).appends |= access != open::RDONLY && flags & open::APPEND != 0;
        self.bind(fid, node, opened, cache);
        Ok(Reply::Open(self.qid_of(node)))
    }

    /// Opens a file on the upstream server with the node's own fid, or with a clone of another.
    fn open_file(&mut self, node: NodeId, flags: u32) -> Unanswered {
        let opens = self.tree.opens_of(self.tree.nodes[node as usize].opens);
        let pending = opens.map(|o| &self.tree.opens[o as usize]).find(|o| o.opening != 0 && o.is_for(flags));
        if let Some(tag) = pending.map(|o| o.opening) {
            return Unanswered::wait(tag);
        }
        let ffid = match self.take_fid(node) {
            Ok(ffid) => ffid,
            Err(unanswered) => return unanswered,
        };
        let Some(opened) = self.new_open(node, flags & 3) else {
            self.tree.node(node).ffid = ffid;
            return Unanswered::Fail(Errno::ENFILE);
        };
        Unanswered::wait(self.send_open(opened, ffid, flags))
    }
}
