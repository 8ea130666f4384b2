//! New files and directories.

use heapless::Vec;

use crate::errno::Errno;
use crate::msg::{Tlcreate, Tsetattr, Twalk};
use crate::relay::data::cache::Cache;
use crate::relay::data::job::{Create, Job, NewFile, Outcome, Reply, Unanswered};
use crate::relay::data::node::{EMPTY, NodeId, SYNC};
use crate::relay::data::request::{Request, RequestKind};
use crate::relay::facts::Known;
use crate::relay::state::Relay;
use crate::types::{mode, open, qt, setattr as set};

impl Relay<'_> {
    pub(super) fn run_create(&mut self, j: usize, job: &Job, create: &mut Create, cache: &mut Cache<'_>) -> Outcome {
        if create.is_done {
            return self.created(job, create, cache);
        }
        let parent = self.tree.view(job.node);
        if parent.qid.kind & qt::DIR == 0 {
            return Err(Errno::ENOTDIR.into());
        }
        if parent.gone {
            return Err(Errno::ENOENT.into());
        }
        let (name, hash) = (create.new.name.name(), create.new.hash());
        let mut on = [0; 2];
        // The upstream server would open what somebody else has made meanwhile.
        let known = self.tree.find(job.node, hash).filter(|&id| self.tree.node(id).asked.seq >= job.seq);
        match known.map(|id| self.tree.node(id).absent) {
            Some(true) => {}
            Some(false) if create.flags & open::EXCL != 0 => return Err(Errno::EEXIST.into()),
            // The kernel looks again, and opens it.
            Some(false) => return Err(Errno::ESTALE.into()),
            None => on[0] = self.ask_name(job.node, name, cache)?,
        }
        if create.ffid == 0 {
            let newfid = self.new_ffid();
            let fid = self.any_fid(job.node, 0).ok_or(Errno::ESTALE)?;
            let request = Request { job: j as u32, ..Request::new(RequestKind::Create { name: None }) };
            on[1] = self.send(&Twalk { fid, newfid, wname: Vec::new() }, request);
            create.ffid = newfid;
        }
        if on != [0; 2] {
            return Err(Unanswered::Wait { on, ignore_error: false });
        }
        let gid = self.owner.upstream_gid(create.new.gid, !0).unwrap_or(create.new.gid);
        let flags = create.flags & (3 | SYNC | open::EXCL);
        let message = Tlcreate { fid: create.ffid, name, flags, mode: create.new.mode, gid };
        let kind = RequestKind::Create { name: Some(hash) };
        let tag = self.send(&message, Request { job: j as u32, ..Request::on(job.node, kind) });
        self.stale(job.node);
        Err(Unanswered::wait(tag))
    }

    /// The upstream server has created the file, and its attributes are known.
    fn created(&mut self, job: &Job, create: &mut Create, cache: &mut Cache<'_>) -> Outcome {
        let node = self.tree.find(job.node, create.new.hash()).filter(|&id| !self.tree.node(id).absent);
        let node = node.ok_or(Errno::ENFILE)?;
        self.give(job, &mut create.new, node, cache)?;
        self.restore_mode(&mut create.new, node, create.ffid, cache)?;
        let opened = self.new_open(node, create.flags & 3).ok_or(Errno::ENFILE)?;
        let o = self.tree.open(opened);
        (o.ffid, o.appends) = (create.ffid, create.flags & 3 != open::RDONLY && create.flags & open::APPEND != 0);
        create.ffid = 0;
        self.bind(create.fid, node, opened, cache);
        Ok(Reply::Create(self.qid_of(node)))
    }

    pub(super) fn run_made(&mut self, job: &Job, new: &mut NewFile, cache: &mut Cache<'_>) -> Outcome {
        match self.look_up(job.node, new.name.name(), job.seq, cache) {
            Ok(Known::Unknown) => return Err(Unanswered::wait(self.ask_name(job.node, new.name.name(), cache)?)),
            Ok(Known::Child(made)) => {
                let node = self.tree.node(made);
                node.own |= EMPTY;
                let fid = node.ffid;
                if fid != 0 {
                    self.give(job, new, made, cache)?;
                    self.restore_mode(new, made, fid, cache)?;
                }
            }
            _ => {}
        }
        Ok(Reply::Mkdir)
    }

    /// Asks once for permissions that the client's umask has taken away. If the mode has some that a umask of 022 would
    /// take, the program has set a umask of its own, and that alone counts. Otherwise the client's holds, too, and only
    /// the sticky bit is asked for, which the stock server leaves out. A directory that has inherited setgid is left
    /// alone: it would lose it.
    fn restore_mode(
        &mut self,
        new: &mut NewFile,
        node: NodeId,
        fid: u32,
        cache: &mut Cache<'_>,
    ) -> Result<(), Unanswered> {
        let &mut NewFile { mode, is_restored, .. } = new;
        let now = self.tree.node(node).attr.mode;
        let mode = now | mode & if mode & 0o022 == 0 { 0o1000 } else { !mode::FORMAT };
        if is_restored || mode == now || self.drops(now) {
            return Ok(());
        }
        new.is_restored = true;
        let setattr = Tsetattr { fid, valid: set::MODE, mode, ..Tsetattr::default() };
        Err(self.set_of_new(node, &setattr, cache))
    }
}
