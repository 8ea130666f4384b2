//! Requests that ask for something, or are answered at once.

use super::begin::Begun;
use crate::errno::Errno;
use crate::frame::Fault;
use crate::limits::NONUNAME;
use crate::msg::{Message, Rstatfs, Tattach, Tgetlock, Tlcreate, Tlock, Tlopen, Tread, Treaddir, Twalk};
use crate::relay::data::cache::Cache;
use crate::relay::data::job::{Bytes, Create, NewFile, Part, Reply, Task};
use crate::relay::data::node::{Fid, Node};
use crate::relay::data::request::Request;
use crate::relay::effects::UNLOCKED;
use crate::relay::state::Relay;
use crate::types::getattr;

impl Relay<'_> {
    /// Turns a request into a job, or answers it at once.
    pub(super) fn request(
        &mut self,
        j: usize,
        tag: u16,
        message: &Message<'_>,
        cache: &mut Cache<'_>,
    ) -> Result<Result<Begun, Errno>, Fault> {
        Ok(match message {
            Message::Tflush(flush) => Ok(self.flush(tag, flush.oldtag, cache)),
            Message::Tclunk(clunk) => {
                let known = self.fid(clunk.fid);
                self.unbind(clunk.fid, cache);
                known.map(|_| Begun::Reply(Reply::Clunk))
            }
            Message::Tstatfs(statfs) => self.fid(statfs.fid).map(|fid| self.statfs(fid)),
            Message::Tlock(lock) => self.lock(lock),
            Message::Tgetlock(lock) => self.getlock(tag, lock),
            Message::Twrite(_)
            | Message::Tfsync(_)
            | Message::Tsetattr(_)
            | Message::Tmkdir(_)
            | Message::Tsymlink(_)
            | Message::Tmknod(_)
            | Message::Tlink(_)
            | Message::Tunlinkat(_)
            | Message::Trenameat(_) => self.change(j, tag, message, cache),
            // Linux goes another way after these (v9fs_vfs_rename, v9fs_remove), or is told not to ask (noxattr).
            Message::Trename(_) | Message::Txattrwalk(_) | Message::Txattrcreate(_) | Message::Tauth(_) => {
                Err(Errno::EOPNOTSUPP)
            }
            Message::Tremove(remove) => {
                self.unbind(remove.fid, cache);
                Err(Errno::EOPNOTSUPP)
            }
            _ => match self.question(message) {
                Some(asked) => asked.map(|(on, task)| self.begin_and_run(j, tag, on, &task, cache)),
                None => return Err(Fault::WrongWay),
            },
        })
    }

    /// The task of a request that asks for something, and what it is about.
    fn question(&self, message: &Message<'_>) -> Option<Result<(Fid, Task), Errno>> {
        Some(match message {
            Message::Tattach(attach) => self.attach(attach),
            Message::Twalk(walk) => self.walk(walk),
            Message::Tgetattr(asked) => {
                let is_stat = asked.request_mask & getattr::DATA_VERSION != 0;
                self.fid(asked.fid).map(|on| (on, Task::Getattr { is_stat }))
            }
            Message::Treadlink(readlink) => self.fid(readlink.fid).map(|on| (on, Task::Readlink)),
            &Message::Tlopen(Tlopen { fid, flags }) => self.fid(fid).and_then(|on| match on.open {
                0 => Ok((on, Task::Open { fid, flags })),
                _ => Err(Errno::EINVAL),
            }),
            &Message::Tread(Tread { fid, offset, count }) => {
                self.open_fid(fid).map(|on| (on, Task::Read(Part { offset, count, tries: 0 })))
            }
            &Message::Treaddir(Treaddir { fid, offset, count }) => {
                self.open_fid(fid).map(|on| (on, Task::Readdir(Part { offset, count, tries: 0 })))
            }
            Message::Tlcreate(create) => self.create(create),
            _ => return None,
        })
    }

    /// Whether a number can become a fid.
    fn free_fid(&self, fid: u32) -> Result<(), Errno> {
        match self.tree.fids.get(fid as usize) {
            None => Err(Errno::ENFILE),
            Some(fid) if fid.node != 0 => Err(Errno::EINVAL),
            Some(_) => Ok(()),
        }
    }

    fn attach(&self, attach: &Tattach<'_>) -> Result<(Fid, Task), Errno> {
        self.free_fid(attach.fid)?;
        let uid = if attach.n_uname == NONUNAME { 0 } else { attach.n_uname };
        Ok((Fid { uid, ..Fid::default() }, Task::Attach { fid: attach.fid }))
    }

    fn walk(&self, &Twalk { fid, newfid, ref wname }: &Twalk<'_>) -> Result<(Fid, Task), Errno> {
        let from = self.fid(fid)?;
        if newfid != fid {
            self.free_fid(newfid)?;
        } else if from.open != 0 {
            return Err(Errno::EBUSY);
        }
        Ok((Fid { open: 0, ..from }, Task::Walk { newfid, names: Bytes::of_names(wname)? }))
    }

    fn create(&self, create: &Tlcreate<'_>) -> Result<(Fid, Task), Errno> {
        let &Tlcreate { fid, name, flags, mode, gid } = create;
        let on = self.fid(fid)?;
        let new = NewFile::new(Bytes::of_names(&[name])?, mode, gid);
        match on.open {
            _ if self.drops(mode) => Err(Errno::EPERM),
            0 => Ok((on, Task::Create(Create { new, fid, flags, ffid: 0, path: 0, is_done: false }))),
            _ => Err(Errno::EINVAL),
        }
    }

    /// flush(5): a job that only asks is forgotten. One that changes something is answered first.
    fn flush(&mut self, tag: u16, oldtag: u16, cache: &mut Cache<'_>) -> Begun {
        if let Some(old) = (1..self.jobs.len()).find(|&j| !self.jobs[j].is_free() && self.jobs[j].tag == oldtag) {
            let job = self.job(old);
            if job.is_change() {
                if job.flush != 0 {
                    return Begun::Later;
                }
                job.flush = u32::from(tag) + 1;
                return Begun::Job;
            }
            self.finish(old, cache);
        }
        Begun::Reply(Reply::Flush)
    }

    fn statfs(&self, fid: Fid) -> Begun {
        if self.asking_devices().is_some() {
            return Begun::Later;
        }
        Begun::Reply(Reply::Statfs(statfs(self.device(fid.node))))
    }

    /// The kernel has settled a conflict between its own processes before it asks.
    fn lock(&mut self, lock: &Tlock<'_>) -> Result<Begun, Errno> {
        let fid = self.fid(lock.fid)?;
        // Whoever locks a file wants to see it as it is now.
        if lock.kind != UNLOCKED {
            let n = self.tree.node(fid.node);
            n.asked.ms = 0;
            // Answers that are under way are too old for that.
            let Node { asking, parent, name, .. } = *n;
            self.requests[usize::from(asking)].moment.ms = 0;
            let walks = |r: &&mut Request| r.node == parent && r.name() == Some(name);
            self.requests.iter_mut().filter(walks).for_each(|r| r.moment.ms = 0);
        }
        Ok(Begun::Reply(Reply::Lock))
    }

    fn getlock(&mut self, tag: u16, lock: &Tgetlock<'_>) -> Result<Begun, Errno> {
        self.fid(lock.fid)?;
        self.reply_unlocked(tag, lock);
        Ok(Begun::Reply(Reply::Sent))
    }
}

/// What df shows. The stock server cannot tell, and programs that look for free space are to find some.
fn statfs(device: u32) -> Rstatfs {
    /// tail and others know that files of this type are remote: what the client changes raises no event here.
    const FUSE_SUPER_MAGIC: u32 = 0x6573_5546;
    const MANY: u64 = 1 << 28;
    Rstatfs {
        kind: FUSE_SUPER_MAGIC,
        bsize: 4096,
        blocks: MANY,
        bfree: MANY / 2,
        bavail: MANY / 2,
        files: MANY,
        ffree: MANY / 2,
        fsid: device.into(),
        namelen: 255,
    }
}
