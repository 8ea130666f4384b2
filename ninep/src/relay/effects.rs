//! What goes out: requests to the upstream server, and replies to the kernel, but for the data that streams from one to
//! the other (`upstream/data.rs`). A job's [`Outcome`] is carried out here.

use super::data::cache::{Cache, ContentRef};
use super::data::job::{Outcome, Reply, Task, Unanswered};
use super::data::node::{End, NodeId};
use super::data::out::{DATA_HEAD, data_head};
use super::data::request::{Request, RequestKind};
use super::state::Relay;
use crate::errno::Errno;
use crate::limits::NOTAG;
use crate::msg::{
    Body, Rattach, Rclunk, Rflush, Rfsync, Rgetattr, Rgetlock, Rlcreate, Rlerror, Rlink, Rlock, Rlopen, Rmkdir, Rmknod,
    Rreadlink, Rrenameat, Rsetattr, Rsymlink, Runlinkat, Rversion, Rwalk, Rwrite, Tclunk, Tgetlock, Type, VERSION,
};
use crate::types::{Qid, getattr};

/// Of Tlock and Rgetlock (F_UNLCK).
pub(super) const UNLOCKED: u8 = 2;

impl Relay<'_> {
    /// Sends a request and returns its tag. The caller makes sure that there is room.
    pub(super) fn send<'a, M: Body<'a>>(&mut self, message: &M, request: Request) -> u16 {
        let tag = self.claim(M::TYPE as u8, &request);
        self.to_upstream.message(tag, message);
        tag
    }

    /// Sends what a job asks the upstream server to do, and returns its tag. `node` is another file that it concerns;
    /// 0: none.
    pub(super) fn send_for<'a, M: Body<'a>>(&mut self, j: usize, node: NodeId, message: &M) -> u16 {
        let tag = self.claim_for(j, node, M::TYPE as u8);
        self.to_upstream.message(tag, message);
        tag
    }

    #[inline(never)]
    fn claim_for(&mut self, j: usize, node: NodeId, message: u8) -> u16 {
        self.claim(message, &Request { job: j as u32, ..Request::on(node, RequestKind::Forward) })
    }

    #[inline(never)]
    fn claim(&mut self, message: u8, request: &Request) -> u16 {
        let n = self.requests.len();
        let mut tags = (1..=n).map(|i| (self.next_tag + i) % n);
        let Some(tag) = tags.find(|&tag| tag != 0 && self.requests[tag].is_free()) else {
            unreachable!("requests are kept free for every job")
        };
        self.next_tag = tag;
        self.requests[tag] = Request { message, moment: self.next_moment(), ..*request };
        self.busy_requests += 1;
        self.followed += usize::from(request.is_followed());
        self.counters.sent += 1;
        if matches!(request.kind, RequestKind::Version) { NOTAG } else { tag as u16 }
    }

    /// Frees the tag of a request that has been answered.
    pub(super) fn take_request(&mut self, tag: usize) -> Request {
        self.busy_requests -= 1;
        let request = core::mem::take(&mut self.requests[tag]);
        self.followed -= usize::from(request.is_followed());
        request
    }

    pub(super) fn send_clunks(&mut self) {
        while self.has_room(64)
            && let Some(fid) = self.clunks.pop()
        {
            self.send(&Tclunk { fid }, Request::new(RequestKind::Clunk));
        }
    }

    /// Carries out what a job needs next.
    pub(super) fn carry_out(&mut self, j: usize, outcome: Outcome, cache: &mut Cache<'_>) {
        match outcome {
            Ok(reply) => {
                let tag = self.job(j).tag;
                self.reply(tag, reply);
                self.finish(j, cache);
            }
            Err(Unanswered::Fail(errno)) => self.fail(j, errno, cache),
            Err(Unanswered::Wait { on, ignore_error }) => {
                self.job(j).ignore_wait_error |= ignore_error;
                on.into_iter().filter(|&tag| tag != 0).for_each(|tag| self.wait_for(j, tag));
            }
            Err(Unanswered::Stall | Unanswered::Again) => self.job(j).stalled = true,
        }
    }

    pub(super) fn wait_for(&mut self, j: usize, tag: u16) {
        let job = self.job(j);
        let free = usize::from(job.wait[0] != 0);
        job.wait[free] = tag;
        let first = !core::mem::replace(&mut job.waited, true);
        self.counters.waited += u64::from(first);
    }

    pub(super) fn reply(&mut self, tag: u16, reply: Reply) {
        let out = &mut self.to_kernel;
        match reply {
            Reply::Version(msize) => out.message(tag, &Rversion { msize, version: VERSION }),
            Reply::Attach(qid) => out.message(tag, &Rattach { qid }),
            Reply::Walk(wqid) => out.message(tag, &Rwalk { wqid }),
            Reply::Getattr(qid, attr) => {
                out.message(tag, &Rgetattr { valid: getattr::BASIC | getattr::GEN, qid, attr });
            }
            Reply::Open(qid) => out.message(tag, &Rlopen { qid, iounit: 0 }),
            Reply::Create(qid) => out.message(tag, &Rlcreate { qid, iounit: 0 }),
            Reply::Write(count) => out.message(tag, &Rwrite { count }),
            Reply::Setattr => out.message(tag, &Rsetattr {}),
            Reply::Fsync => out.message(tag, &Rfsync {}),
            Reply::Mkdir => out.message(tag, &Rmkdir { qid: Qid::default() }),
            Reply::Symlink(qid) => out.message(tag, &Rsymlink { qid }),
            Reply::Mknod(qid) => out.message(tag, &Rmknod { qid }),
            Reply::Link => out.message(tag, &Rlink {}),
            Reply::Unlink => out.message(tag, &Runlinkat {}),
            Reply::Rename => out.message(tag, &Rrenameat {}),
            Reply::Statfs(statfs) => out.message(tag, &statfs),
            Reply::Lock => out.message(tag, &Rlock { status: 0 }),
            Reply::Flush => out.message(tag, &Rflush {}),
            Reply::Clunk => out.message(tag, &Rclunk {}),
            Reply::Sent => {}
        }
    }

    #[inline(never)]
    pub(super) fn error(&mut self, tag: u16, Errno(ecode): Errno) {
        self.to_kernel.message(tag, &Rlerror { ecode });
    }

    /// Replies with bytes of the cache. False: they are not there any more, and nothing was sent.
    pub(super) fn reply_data(
        &mut self,
        kind: Type,
        tag: u16,
        (content, offset): (ContentRef, u64),
        count: u64,
        cache: &mut Cache<'_>,
    ) -> bool {
        self.to_kernel.with(DATA_HEAD + count as usize, |out| {
            let (head, data) = out.split_at_mut(DATA_HEAD);
            head.copy_from_slice(&data_head(kind, tag, count as u32));
            cache.copy(content, offset, data)
        })
    }

    pub(super) fn reply_unlocked(&mut self, tag: u16, asked: &Tgetlock<'_>) {
        let &Tgetlock { start, length, proc_id, client_id, .. } = asked;
        self.to_kernel.message(tag, &Rgetlock { kind: UNLOCKED, start, length, proc_id, client_id });
    }

    pub(super) fn reply_link(&mut self, tag: u16, target: &[u8]) {
        self.to_kernel.message(tag, &Rreadlink { target });
    }

    fn fail(&mut self, j: usize, errno: Errno, cache: &mut Cache<'_>) {
        let job = self.job(j);
        let (tag, ffid) = (job.tag, job.ffid());
        if ffid != 0 {
            let _ = self.clunks.push(ffid);
        }
        self.error(tag, errno);
        self.finish(j, cache);
    }

    /// Ends a job that has been answered, or that nobody waits for.
    pub(super) fn finish(&mut self, j: usize, cache: &mut Cache<'_>) {
        let job = core::mem::take(self.job(j));
        if matches!(job.task, Task::Append(_)) {
            // Who appends next asks anew.
            self.tree.open(job.open).end = End::Unknown;
        }
        for request in self.requests.iter_mut().filter(|r| r.job == j as u32) {
            request.job = 0;
        }
        if job.flush != 0 {
            self.to_kernel.message((job.flush - 1) as u16, &Rflush {});
        }
        if job.other() != 0 {
            self.release_node(job.other(), cache);
        }
        if job.node != 0 {
            self.tree.node(job.node).pins -= 1;
            self.release(job.node, job.open, cache);
        }
    }
}
