//! The answers to changes that jobs asked for.

use crate::errno::Errno;
use crate::msg::{Message, Rmknod, Rsymlink, Rwrite, Twrite};
use crate::relay::data::cache::Cache;
use crate::relay::data::job::{Change, Job, Outcome, Reply, Task, Unanswered};
use crate::relay::data::node::Open;
use crate::relay::data::request::Request;
use crate::relay::state::Relay;
use crate::types::setattr as set;
use crate::wire::Data;

impl Relay<'_> {
    /// The upstream server has answered what was forwarded to it.
    pub(in crate::relay) fn forwarded(
        &mut self,
        request: &Request,
        message: &Message<'_>,
        code: u32,
        cache: &mut Cache<'_>,
    ) {
        let j = request.job as usize;
        let job = *self.job(j);
        let Task::Forward(change) = &job.task else { return };
        match change {
            Change::Write { .. } | Change::Setattr { .. } => self.change_ends(job.node, cache),
            Change::Fsync => {}
            _ => self.names_change(j, cache),
        }
        if request.node != 0 {
            // The file that has got another name.
            self.stale(request.node);
            self.release_node(request.node, cache);
        }
        self.job(j).wait = [0; 2];
        let outcome = if code == 0 {
            self.change_made(j, &job, change, message, cache)
        } else {
            Err(self.change_refused(j, &job, change, Errno(code), cache))
        };
        self.conclude(j, outcome, cache);
    }

    fn change_refused(
        &mut self,
        j: usize,
        job: &Job,
        change: &Change,
        errno: Errno,
        cache: &mut Cache<'_>,
    ) -> Unanswered {
        if let Some(tag) = self.grow_by_writing(j, job, errno, cache) {
            return Unanswered::wait(tag);
        }
        Unanswered::Fail(self.shown_error(job, change, errno))
    }

    /// The error that the kernel is shown. Go has one error for several numbers, and the stock server says EIO when a
    /// chmod(2) fails.
    fn shown_error(&mut self, job: &Job, change: &Change, errno: Errno) -> Errno {
        match (change, errno) {
            (Change::Mknod(_), Errno::ENOSYS) => Errno::EPERM,
            (&Change::Setattr { valid, .. }, errno) if self.is_not_his(job, valid, errno) => Errno::EPERM,
            (Change::Unlink(_) | Change::Rename { .. }, Errno::EEXIST) => Errno::ENOTEMPTY,
            (_, errno) => errno,
        }
    }

    /// Whether only the owner of the file, or the superuser, may make this change.
    fn is_not_his(&mut self, job: &Job, valid: u32, errno: Errno) -> bool {
        let owners = set::MODE | set::ATIME_SET | set::MTIME_SET;
        let owner = self.tree.node(job.node).attr.uid;
        matches!(errno, Errno::EACCES | Errno::EIO)
            && (valid & (set::UID | set::GID) != 0 || (valid & owners != 0 && owner != self.owner.uid))
    }

    fn change_made(
        &mut self,
        j: usize,
        job: &Job,
        change: &Change,
        message: &Message<'_>,
        cache: &mut Cache<'_>,
    ) -> Outcome {
        Ok(match (change, message) {
            // The kernel would try again for ever.
            (Change::Write { count: 1.., .. } | Change::Setattr { .. }, Message::Rwrite(Rwrite { count: 0 })) => {
                return Err(Errno::EIO.into());
            }
            (&Change::Write { offset, count: asked }, &Message::Rwrite(Rwrite { count })) => {
                let count = count.min(asked);
                let n = self.tree.node(job.node);
                if n.own & set::SIZE != 0 {
                    n.attr.size = n.attr.size.max(offset.saturating_add(count.into()));
                }
                Reply::Write(count)
            }
            (Change::Setattr { .. }, _) => Reply::Setattr,
            (Change::Fsync, _) => Reply::Fsync,
            (Change::Mkdir(new), _) => {
                self.job(j).task = Task::Made(*new);
                return Err(Unanswered::Again);
            }
            (Change::Symlink(_), &Message::Rsymlink(Rsymlink { qid })) => Reply::Symlink(qid),
            (Change::Mknod(_), &Message::Rmknod(Rmknod { qid })) => Reply::Mknod(qid),
            (Change::Link(_), _) => Reply::Link,
            (&Change::Unlink(name), _) => {
                let moment = self.next_moment();
                self.learn_absent(job.node, name, moment, cache);
                Reply::Unlink
            }
            (&Change::Rename { old, other, new }, _) => {
                self.renamed((job.node, old), (other, new), cache);
                Reply::Rename
            }
            // The type of a reply is that of its request.
            _ => return Err(Errno::EIO.into()),
        })
    }

    /// Whatever is wrong with a change of size, the stock server says EIO (`fmt.Errorf` of no error). If the size may
    /// be too large for the file system, the last byte is written instead: that works, or fails with the true reason.
    /// None: not in this case.
    fn grow_by_writing(&mut self, j: usize, job: &Job, errno: Errno, cache: &mut Cache<'_>) -> Option<u16> {
        /// The least size that some file system's files cannot have (vfat's, 2 to the 32).
        const LARGE: u64 = 1 << 32;
        let &Job { node, open, task: Task::Forward(Change::Setattr { valid, size, by_writing }), .. } = job else {
            return None;
        };
        let Open { ffid: fid, access, .. } = *self.tree.open(open);
        let grows = size >= LARGE && size > self.tree.node(node).attr.size;
        let truncates = valid & set::SIZE != 0 && !by_writing;
        if errno != Errno::EIO || !truncates || !grows || access == 0 || fid == 0 {
            return None;
        }
        self.job(j).task = Task::Forward(Change::Setattr { valid, size, by_writing: true });
        self.change_begins(node, cache);
        Some(self.send_for(j, 0, &Twrite { fid, offset: size - 1, data: Data(&[0]) }))
    }
}
