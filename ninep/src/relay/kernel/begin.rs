//! How a job begins.

use crate::errno::Errno;
use crate::relay::data::cache::Cache;
use crate::relay::data::job::{Job, Reply, Task};
use crate::relay::data::node::Fid;
use crate::relay::state::Relay;

/// What becomes of a request that is not refused at once.
#[expect(clippy::large_enum_variant, reason = "it is used at once")]
pub(super) enum Begun {
    /// It is a job.
    Job,
    Reply(Reply),
    /// Something must be known or there must be room first. The frame stays where it is.
    Later,
}

impl Relay<'_> {
    /// Makes a job.
    #[inline(never)]
    pub(super) fn begin(&mut self, j: usize, tag: u16, Fid { node, open, uid }: Fid, task: &Task) {
        let seq = self.next_moment().seq;
        let job = self.job(j);
        *job = Job { task: *task, tag, seq, node, open, uid, ..Job::default() };
        for node in [node, job.other()] {
            if node != 0 {
                self.tree.node(node).pins += 1;
            }
        }
        if open != 0 {
            self.tree.open(open).refs += 1;
        }
    }

    pub(super) fn begin_and_run(&mut self, j: usize, tag: u16, on: Fid, task: &Task, cache: &mut Cache<'_>) -> Begun {
        self.begin(j, tag, on, task);
        self.run(j, cache);
        Begun::Job
    }

    /// What one of the kernel's fids stands for, which has to be open.
    pub(super) fn open_fid(&self, fid: u32) -> Result<Fid, Errno> {
        self.fid(fid).and_then(|on| if on.open == 0 { Err(Errno::EBADF) } else { Ok(on) })
    }
}
