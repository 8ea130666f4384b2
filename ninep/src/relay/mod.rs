//! The relay: it ends the kernel's 9P session and holds one of its own with the far file server, so that most of what
//! the kernel asks is answered here, and what the far side gets wrong is put right.
//!
//! ```text
//! kernel ──space, commit──▶ frame ─▶ Job ──────────────▶ reply ──output, consume──▶ kernel
//!                                     │  ▲ run again
//!                                     ▼  │
//!                 Tree, Cache ◀── Request, reply  ◀──input── far side ◀──output, consume──
//! ```
//!
//! A request of the kernel becomes a [`Job`]. Running a job looks at what is known ([`tree`], [`cache`]) and either
//! answers, or sends the one question whose answer is missing and waits for it. The answer changes what is known, and
//! the job runs again from its start. So every job is a function of what is known, jobs that need the same answer wait
//! for the same request, and requests that no job waits for (reading ahead) are the same thing.
//!
//! - What is known has an age: an answer counts for a job if it was asked for after the job came, or is younger than the
//!   freshness bound. What the session changes itself is forgotten as the change is sent and again as it is answered.
//! - The bytes of files, listings and links are kept under a key of inode, size, mtime and ctime ([`cache`]), so they
//!   count only while attributes that came over this connection agree with them. A content shared with a change under
//!   way is not used: such reads pass through, and so do files whose size says nothing (those of /proc and /sys).
//! - A far fid is never used for another file: its number is not given out again while it stands for one. A file that is
//!   open on the far side is shared by all readers and kept after the last; a fid is clunked when its place is needed or
//!   its file is gone.
//! - What is appended goes by a far fid of its own, which is opened with O_APPEND: only the client's kernel knows where a
//!   file ends ([`append`]). A mode that the far side would make less of is refused ([`modes`]).
//! - Every queue and table is memory that was handed in ([`Memory`]). Requests of the kernel are taken in only while
//!   there is room for all that the jobs at hand may still say, so nothing waits for itself; what is optional (reading
//!   ahead, clunks) happens only when there is more room than that.
//! - Asked ahead, as far as there is room: the names of the root with the attach; what is read, a moment after its
//!   Tlopen and before the answer; more of what is read in order, all of a small file, and of a larger one that is read
//!   here and there; a directory's names for who goes through them in order, and its listing for who asks for names that
//!   are not there; a link's target; the file that goes with another ([`habit`]); attributes that are about to be too
//!   old, and with those that are, the ones that were asked for after them the last time.
//! - The client's mounts tell which device a file is on and whose process the far side is ([`devices`]), the fid's attach
//!   who makes a file ([`owners`]).
//! - A frame that must not be ends the session with its name ([`FrameError`]).
//!
#![doc = include_str!("requests.md")]
//!
//! Sources: see the crate's. v9fs's habits are those of Linux 6.12, the far side's those of hugelgupf/p9 0.3.

mod ahead;
mod append;
mod cache;
mod change;
mod devices;
mod entries;
mod far;
mod habit;
mod hash;
mod kernel;
mod learn;
mod listing;
mod modes;
mod out;
mod owner;
mod owners;
mod read;
mod run;
mod tree;

#[cfg(test)]
mod model;
#[cfg(test)]
mod random;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;

pub use cache::{BLOCK, Block, Cache, Content};
pub use devices::Mount;
pub use far::Request;
pub use run::Job;
pub use tree::{Fid, Node, Open};

use crate::errno::Errno;
use crate::frame::FrameError;
use crate::limits::{NOFID, NOTAG};
use crate::msg::{Body, Rlerror, Tclunk};
use devices::Devices;
use far::{FarInput, RequestKind};
use habit::Habit;
use out::Out;
use owner::Owner;
use read::Rest;
use run::JobKind;
use tree::{Clunks, Moment, NodeId, Tree};

/// What is decided once for a session.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> {
    /// How old what is known may be, in milliseconds. 0: nothing is answered from memory.
    pub freshness_ms: u64,
    /// A directory of the user's, absolute: its owner is the far user, who is user 0 in the session, where the client's
    /// /proc does not say who that is. Empty: then users are shown as they are.
    pub home: &'a [u8],
    /// Names in the root that are about to be asked for, with a slash between two. They are asked for at once.
    pub names: &'a [u8],
}

/// The memory of one session's relay: tables of default values, and buffers.
#[derive(Debug)]
pub struct Memory<'m> {
    pub nodes: &'m mut [Node],
    /// As long as `nodes`, or longer.
    pub heads: &'m mut [u32],
    /// As many fids as the kernel may hold: v9fs hands out the lowest number.
    pub fids: &'m mut [Fid],
    pub opens: &'m mut [Open],
    /// Twice as many as there may be mounts on the client's machine; with more, those that come last are told as without
    /// any ([`devices`]).
    pub mounts: &'m mut [Mount],
    /// Requests of the kernel that are worked on at a time.
    pub jobs: &'m mut [Job],
    /// At least three times as many as jobs, and 16.
    pub requests: &'m mut [Request],
    /// One message from the kernel: this is the greatest msize.
    pub from_kernel: &'m mut [u8],
    /// At least as long as `from_kernel`, and 256 bytes a job.
    pub to_kernel: &'m mut [u8],
    /// One small message from the far side: 8 KiB.
    pub from_far: &'m mut [u8],
    /// At least as long as `from_kernel`, and 1 KiB for each job and two more.
    pub to_far: &'m mut [u8],
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Requests of the kernel.
    pub asked: u64,
    /// Those of them that waited for the far side.
    pub waited: u64,
    /// Requests to the far side.
    pub sent: u64,
    /// Bytes of files that came from the far side.
    pub read: u64,
    /// Bytes of files that went there.
    pub written: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The kernel has not spoken.
    Silent,
    /// The version is being agreed on; with Google's extension or without.
    Version {
        google: bool,
    },
    Open,
    /// The far side is gone.
    Gone,
}

/// Between a kernel and a far file server.
#[derive(Debug)]
pub struct Relay<'m> {
    freshness_ms: u64,
    home: heapless::Vec<u8, 256>,
    names: heapless::Vec<u8, 256>,
    owner: Owner,
    devices: Devices<'m>,
    tree: Tree<'m>,
    jobs: &'m mut [Job],
    requests: &'m mut [Request],
    busy_requests: usize,
    next_tag: usize,
    from_kernel: &'m mut [u8],
    from_kernel_end: usize,
    msize_limit: u32,
    to_kernel: Out<'m>,
    far_input: FarInput<'m>,
    to_far: Out<'m>,
    state: State,
    /// What was agreed with the kernel and with the far side.
    msize: u32,
    far_msize: u32,
    google: bool,
    root: NodeId,
    now_ms: u64,
    seq: u64,
    /// The last change to a file with several names.
    linked: u64,
    next_ffid: u64,
    /// Far fids to be clunked.
    clunks: Clunks,
    /// Bytes asked for that are to be kept.
    ahead: u64,
    /// Requests to open after which something is to be read.
    followed: usize,
    habit: Habit,
    /// Files that are fetched as a whole, and how many bytes of one may be under way for that.
    rests: heapless::Vec<Rest, 4>,
    at_a_time: u64,
    pub counters: Counters,
}

/// Longest message to and from the far side, which are streamed.
const FAR_MSIZE: u32 = 1024 * 1024;

/// What is read of a file follows its Tlopen after so many milliseconds, since the stock server works on requests side by
/// side, and refuses to read what is not open yet. An answer that is here by then is waited for.
const OPENING_MS: u64 = 3;

/// The most that one job may still have to say to the far side: two requests with a name each.
const JOB_FAR: usize = 1024;

/// The most that a job answers, apart from data, for which it waits until there is room.
const JOB_KERNEL: usize = 192;

impl<'m> Relay<'m> {
    /// A session that the kernel has not spoken in yet.
    ///
    /// # Panics
    ///
    /// When `heads` is shorter than `nodes`, or `requests` than [`Memory`] says.
    pub fn new(config: &Config<'_>, memory: Memory<'m>) -> Self {
        let Memory { nodes, heads, fids, opens, mounts, jobs, requests, from_kernel, to_kernel, from_far, to_far } =
            memory;
        assert!(heads.len() >= nodes.len() && requests.len() >= 3 * jobs.len() + 16);
        Self {
            freshness_ms: config.freshness_ms,
            home: heapless::Vec::from_slice(config.home).unwrap_or_default(),
            names: heapless::Vec::from_slice(config.names).unwrap_or_default(),
            owner: Owner::default(),
            devices: Devices::new(mounts),
            tree: Tree::new(nodes, heads, fids, opens),
            jobs,
            requests,
            busy_requests: 0,
            next_tag: 0,
            msize_limit: from_kernel.len() as u32,
            from_kernel,
            from_kernel_end: 0,
            to_kernel: Out::new(to_kernel),
            far_input: FarInput::new(from_far),
            to_far: Out::new(to_far),
            state: State::Silent,
            msize: 0,
            far_msize: 0,
            google: false,
            root: 0,
            now_ms: 0,
            seq: 0,
            linked: 0,
            next_ffid: 1,
            clunks: Clunks::new(),
            ahead: 0,
            followed: 0,
            habit: Habit::default(),
            rests: heapless::Vec::new(),
            at_a_time: 0,
            counters: Counters::default(),
        }
    }

    /// Room for the next bytes from the kernel; none when it must wait.
    pub fn kernel_space(&mut self) -> &mut [u8] {
        &mut self.from_kernel[self.from_kernel_end..]
    }

    /// So many bytes have been put into [`kernel_space`](Self::kernel_space).
    pub fn kernel_commit(&mut self, n: usize) {
        self.from_kernel_end += n;
    }

    /// Bytes for the kernel.
    pub fn kernel_output(&self) -> &[u8] {
        self.to_kernel.ready()
    }

    /// The first `n` bytes of [`kernel_output`](Self::kernel_output) have been written.
    pub fn kernel_consume(&mut self, n: usize) {
        self.to_kernel.consume(n);
    }

    /// Bytes for the far side.
    pub fn far_output(&self) -> &[u8] {
        self.to_far.ready()
    }

    /// The first `n` bytes of [`far_output`](Self::far_output) have been written.
    pub fn far_consume(&mut self, n: usize) {
        self.to_far.consume(n);
    }

    /// Takes bytes from the far side, and says how many: not all when the kernel has to take replies first.
    ///
    /// # Errors
    /// A frame that must not be; the session is over then.
    pub fn far_input(&mut self, bytes: &[u8], now_ms: u64, cache: &mut Cache<'_>) -> Result<usize, FrameError> {
        self.now_ms = now_ms.max(1);
        self.take_far(bytes, cache)
    }

    /// Works on what the kernel has sent and on what had to wait. To be called after any of the others.
    ///
    /// # Errors
    /// A frame that must not be; the session is over then.
    pub fn poll(&mut self, now_ms: u64, cache: &mut Cache<'_>) -> Result<(), FrameError> {
        self.now_ms = now_ms.max(1);
        self.run_stalled(cache);
        self.take_kernel(cache)?;
        self.follow(cache);
        self.go_on_fetching(cache);
        self.send_clunks();
        Ok(())
    }

    /// After so many milliseconds there is something to do, even if neither side says anything.
    pub fn due(&self) -> Option<u64> {
        (self.followed > 0).then_some(OPENING_MS)
    }

    /// The far side is gone: all that the kernel asked and will ask is answered EIO.
    pub fn far_closed(&mut self, cache: &mut Cache<'_>) {
        (self.state, self.followed) = (State::Gone, 0);
        for request in self.requests.iter_mut().filter(|r| r.kind != RequestKind::None) {
            if request.kind == RequestKind::Listing {
                cache.unpin(request.content);
            }
            *request = Request::default();
        }
        for job in 1..self.jobs.len() {
            if self.jobs[job].kind != JobKind::None {
                let failed = self.job(job);
                (failed.wait, failed.error) = ([0; 2], Errno::EIO.0);
                self.run(job, cache);
            }
        }
    }

    /// Ends the relay: it lets go of what it holds in a cache that others share, and gives its memory back, not cleared.
    pub fn into_memory(mut self, cache: &mut Cache<'_>) -> Memory<'m> {
        self.far_closed(cache);
        for open in self.tree.opens.iter().filter(|o| o.node != 0) {
            cache.unpin(open.listing);
        }
        let Tree { nodes, heads, fids, opens, .. } = self.tree;
        Memory {
            nodes,
            heads,
            fids,
            opens,
            mounts: self.devices.into_memory(),
            jobs: self.jobs,
            requests: self.requests,
            from_kernel: self.from_kernel,
            to_kernel: self.to_kernel.into_memory(),
            from_far: self.far_input.into_memory(),
            to_far: self.to_far.into_memory(),
        }
    }

    /// A call, which takes fewer bytes of code than an index that is checked.
    #[inline(never)]
    fn job(&mut self, j: usize) -> &mut Job {
        &mut self.jobs[j]
    }

    #[inline(never)]
    fn error(&mut self, tag: u16, Errno(ecode): Errno) {
        self.to_kernel.message(tag, &Rlerror { ecode });
    }

    /// The place of what happens now among all requests.
    const fn next_moment(&mut self) -> Moment {
        self.seq += 1;
        Moment { seq: self.seq, ms: self.now_ms }
    }

    /// A number for a far fid. After four billion of them those that are in use are left out.
    fn new_ffid(&mut self) -> u32 {
        const NUMBERS: u64 = NOFID as u64 - 1;
        loop {
            self.next_ffid += 1;
            let ffid = (self.next_ffid % NUMBERS) as u32 + 1;
            let is_used = |this: &Self| {
                this.tree.nodes.iter().any(|n| n.ffid == ffid)
                    || this.tree.opens.iter().any(|o| o.ffid == ffid)
                    || this.requests.iter().any(|r| r.ffid == ffid)
                    || this.jobs.iter().any(|j| j.ffid == ffid)
                    || this.devices.ffid == ffid
            };
            if self.next_ffid < NUMBERS || !is_used(self) {
                return ffid;
            }
        }
    }

    /// Sends a request that there is room for; its tag.
    fn send<'a, M: Body<'a>>(&mut self, kind: RequestKind, message: &M, more: Request) -> u16 {
        let tag = self.claim(kind, M::TYPE as u8, &more);
        self.to_far.message(tag, message);
        tag
    }

    /// Sends what a job asks the far side to do, with a further node that it concerns; its tag.
    fn send_for<'a, M: Body<'a>>(&mut self, j: usize, node: NodeId, message: &M) -> u16 {
        let tag = self.claim_for(j, node, M::TYPE as u8);
        self.to_far.message(tag, message);
        tag
    }

    #[inline(never)]
    fn claim_for(&mut self, j: usize, node: NodeId, message: u8) -> u16 {
        self.claim(RequestKind::Forward, message, &Request { job: j as u32, node, ..Request::default() })
    }

    #[inline(never)]
    fn claim(&mut self, kind: RequestKind, message: u8, more: &Request) -> u16 {
        let n = self.requests.len();
        let mut tags = (1..=n).map(|i| (self.next_tag + i) % n);
        let tag = tags.find(|&tag| tag != 0 && self.requests[tag].kind == RequestKind::None);
        let Some(tag) = tag else { unreachable!("requests are kept free for every job") };
        self.next_tag = tag;
        self.requests[tag] = Request { kind, message, moment: self.next_moment(), ..*more };
        self.busy_requests += 1;
        self.followed += usize::from(more.followed);
        self.counters.sent += 1;
        if kind == RequestKind::Version { NOTAG } else { tag as u16 }
    }

    /// There is room for `bytes` to the far side beside what the jobs may still have to say.
    fn has_far_room(&self, bytes: usize) -> bool {
        let spare = self.requests.len() - 1 - self.busy_requests;
        spare > 2 * self.jobs.len() && self.to_far.room() > bytes + self.jobs.len() * JOB_FAR
    }

    fn send_clunks(&mut self) {
        while self.has_far_room(64)
            && let Some(fid) = self.clunks.pop()
        {
            self.send(RequestKind::Clunk, &Tclunk { fid }, Request::default());
        }
    }
}
