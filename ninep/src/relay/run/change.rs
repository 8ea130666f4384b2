//! What changes a file, and needs to know more than the kernel says.

use crate::errno::Errno;
use crate::msg::{Tfsync, Tsetattr, Twrite};
use crate::relay::data::cache::Cache;
use crate::relay::data::job::{Bytes, Change, Job, Outcome, Reply, Task, Unanswered};
use crate::relay::data::node::NodeId;
use crate::relay::state::Relay;
use crate::types::{mode, qt, setattr as set};
use crate::wire::Data;

impl Relay<'_> {
    pub(super) fn run_own(
        &mut self,
        job: &Job,
        (valid, mode, size): (u32, u32, u64),
        cache: &mut Cache<'_>,
    ) -> Outcome {
        let &Job { node, open, .. } = job;
        self.fresh_node(job, open)?;
        let n = self.tree.node(node);
        if valid & set::SIZE != 0 {
            n.own |= set::SIZE;
            if size > n.attr.size {
                return Err(Unanswered::wait(self.zeroes(node, open, size)?));
            }
            if size < n.attr.size {
                (n.cut, n.attr.size) = (n.cut.max(n.attr.size), size);
            }
        }
        if valid & set::MODE != 0 {
            n.own |= set::MODE;
            n.attr.mode = n.attr.mode & mode::FORMAT | mode & !mode::FORMAT;
        }
        self.forget_content(node, cache);
        self.stale(node);
        Ok(Reply::Setattr)
    }

    pub(super) fn run_chmod(
        &mut self,
        j: usize,
        job: &mut Job,
        valid: u32,
        mode: u32,
        cache: &mut Cache<'_>,
    ) -> Outcome {
        let &mut Job { node, open, .. } = job;
        let now = self.fresh_node(job, open)?.attr.mode & !mode::FORMAT;
        let mode = mode & !mode::FORMAT;
        if mode == now {
            return Ok(Reply::Setattr);
        }
        if self.drops(mode | now) {
            return Err(Errno::EPERM.into());
        }
        let fid = self.any_fid(node, open).ok_or(Errno::ESTALE)?;
        job.task = Task::Forward(Change::Setattr { valid, size: 0, by_writing: false });
        self.change_begins(node, cache);
        let setattr = Tsetattr { fid, valid, mode, ..Tsetattr::default() };
        Err(Unanswered::wait(self.send_for(j, 0, &setattr)))
    }

    pub(super) fn run_sync(&mut self, j: usize, job: &mut Job, cache: &mut Cache<'_>) -> Outcome {
        let &mut Job { node, open, .. } = job;
        let Task::Sync { datasync, opened } = &mut job.task else { return Ok(Reply::Fsync) };
        let n = self.tree.view(node);
        let is_directory = n.qid.kind & qt::DIR != 0;
        let fid = if n.dir_open { n.ffid } else { self.tree.open(open).ffid };
        if fid == 0
            && is_directory
            && n.changed != 0
            && !*opened
            && let Some(opening) = self.ask_listing(node, cache)
        {
            // Names were changed by way of a fid that is not open. They are not read.
            self.followed -= usize::from(self.requests[usize::from(opening)].stop_following());
            *opened = true;
            return Err(Unanswered::Wait { on: [opening, 0], ignore_error: true });
        }
        if fid == 0 && !is_directory && !n.gone {
            // All of it was in the cache when it was opened; what others have written to it is meant, too.
            self.opened_fid(open)?;
        }
        if fid == 0 {
            // No name was changed, or what has none cannot be opened any more.
            return Ok(Reply::Fsync);
        }
        let fsync = Tfsync { fid, datasync: *datasync };
        job.task = Task::Forward(Change::Fsync);
        Err(Unanswered::wait(self.send_for(j, 0, &fsync)))
    }

    /// Appends what was kept, once it is known how.
    pub(super) fn run_append(&mut self, j: usize, job: &mut Job, data: &Bytes, cache: &mut Cache<'_>) -> Outcome {
        let &mut Job { node, open, .. } = job;
        let (fid, offset) = self.end_of(node, open)?.ok_or(Unanswered::Stall)?;
        job.task = Task::Forward(Change::Write { offset, count: data.data().len() as u32 });
        Err(Unanswered::wait(self.send_write(j, node, (fid, offset), data.data(), cache)))
    }

    /// Writes for a job; the tag of the request.
    pub(in crate::relay) fn send_write(
        &mut self,
        j: usize,
        node: NodeId,
        (fid, offset): (u32, u64),
        data: &[u8],
        cache: &mut Cache<'_>,
    ) -> u16 {
        self.change_begins(node, cache);
        self.counters.written += data.len() as u64;
        self.send_for(j, 0, &Twrite { fid, offset, data: Data(data) })
    }
}
