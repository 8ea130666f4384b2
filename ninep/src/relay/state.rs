//! The state of one session's relay, and the memory that it lives in.

use super::data::cache::{Cache, ContentRef};
use super::data::habit::Habit;
use super::data::input::Input;
use super::data::job::Job;
use super::data::mounts::{Devices, Mount};
use super::data::node::{Fid, Moment, Node, NodeId, Open, OpenId};
use super::data::out::Out;
use super::data::owner::Owner;
use super::data::request::Request;
use super::data::tree::{Clunks, Tree};
use crate::limits::NOFID;

/// What is decided once for a session.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> {
    /// The freshness bound: how old what is known may be, in milliseconds. 0: nothing is answered from memory.
    pub freshness_ms: u64,
    /// A directory of the user's, absolute: its owner is the upstream user, who is user 0 in the session, where the
    /// client's /proc does not say who that is. Empty: then users are shown as they are.
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
    /// Twice as many as there may be mounts on the client's machine. With more mounts, the last ones have no entry of
    /// their own, and a guess takes its place.
    pub mounts: &'m mut [Mount],
    /// Requests of the kernel that are worked on at a time.
    pub jobs: &'m mut [Job],
    /// At least three times as many as jobs, and 16.
    pub requests: &'m mut [Request],
    /// One message from the kernel: this is the greatest msize.
    pub from_kernel: &'m mut [u8],
    /// At least as long as `from_kernel`, and 256 bytes a job.
    pub to_kernel: &'m mut [u8],
    /// One small message from the upstream server: 8 KiB.
    pub from_upstream: &'m mut [u8],
    /// At least as long as `from_kernel`, and 1 KiB for each job and two more.
    pub to_upstream: &'m mut [u8],
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Requests of the kernel.
    pub asked: u64,
    /// Those of them that waited for the upstream server.
    pub waited: u64,
    /// Requests to the upstream server.
    pub sent: u64,
    /// Bytes of files that came from the upstream server.
    pub read: u64,
    /// Bytes of files that went there.
    pub written: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// The kernel has not spoken.
    Silent,
    /// The version is being agreed on; with Google's extension or without.
    Version {
        google: bool,
    },
    Open,
    /// The upstream server is gone.
    Gone,
}

/// What is still to be fetched of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    pub open: OpenId,
    pub content: ContentRef,
    pub next: u64,
    pub size: u64,
}

/// Between a kernel and an upstream file server.
#[derive(Debug)]
pub struct Relay<'m> {
    pub(super) freshness_ms: u64,
    pub(super) home: heapless::Vec<u8, 256>,
    pub(super) names: heapless::Vec<u8, 256>,
    pub(super) owner: Owner,
    pub(super) devices: Devices<'m>,
    pub(super) tree: Tree<'m>,
    pub(super) jobs: &'m mut [Job],
    pub(super) requests: &'m mut [Request],
    pub(super) busy_requests: usize,
    pub(super) next_tag: usize,
    pub(super) from_kernel: &'m mut [u8],
    pub(super) from_kernel_end: usize,
    pub(super) msize_limit: u32,
    pub(super) to_kernel: Out<'m>,
    pub(super) input: Input<'m>,
    pub(super) to_upstream: Out<'m>,
    pub(super) state: State,
    /// What was agreed with the kernel, and with the upstream server.
    pub(super) msize: u32,
    pub(super) upstream_msize: u32,
    pub(super) google: bool,
    pub(super) root: NodeId,
    pub(super) now_ms: u64,
    pub(super) seq: u64,
    /// The last change to a file with several names.
    pub(super) linked: u64,
    pub(super) next_ffid: u64,
    /// Upstream fids to be clunked.
    pub(super) clunks: Clunks,
    /// Bytes under way to the cache.
    pub(super) fetching: u64,
    /// Requests to open after which something is to be read.
    pub(super) followed: usize,
    pub(super) habit: Habit,
    /// Files that are fetched as a whole, and how many bytes of one may be under way for that.
    pub(super) rests: heapless::Vec<Rest, 4>,
    pub(super) at_a_time: u64,
    pub counters: Counters,
}

/// Longest message to and from the upstream server. They are streamed.
pub(super) const UPSTREAM_MSIZE: u32 = 1024 * 1024;

/// What is read of a file follows its Tlopen after so many milliseconds, since the stock server works on requests side
/// by side, and refuses to read what is not open yet. An answer that is here by then is waited for.
pub(super) const OPENING_MS: u64 = 3;

/// The most that one job may still have to ask: two requests with a name each.
pub(super) const JOB_UPSTREAM: usize = 1024;

/// The most that a job answers, apart from data, for which it waits until there is room.
pub(super) const JOB_KERNEL: usize = 192;

impl<'m> Relay<'m> {
    /// A session that the kernel has not spoken in yet.
    ///
    /// # Panics
    ///
    /// When `heads` is shorter than `nodes`, or `requests` than [`Memory`] says.
    pub fn new(config: &Config<'_>, memory: Memory<'m>) -> Self {
        let Memory { jobs, requests, from_kernel, .. } = memory;
        assert!(memory.heads.len() >= memory.nodes.len() && requests.len() >= 3 * jobs.len() + 16);
        Self {
            freshness_ms: config.freshness_ms,
            home: heapless::Vec::from_slice(config.home).unwrap_or_default(),
            names: heapless::Vec::from_slice(config.names).unwrap_or_default(),
            owner: Owner::default(),
            devices: Devices::new(memory.mounts),
            tree: Tree::new(memory.nodes, memory.heads, memory.fids, memory.opens),
            jobs,
            requests,
            busy_requests: 0,
            next_tag: 0,
            msize_limit: from_kernel.len() as u32,
            from_kernel,
            from_kernel_end: 0,
            to_kernel: Out::new(memory.to_kernel),
            input: Input::new(memory.from_upstream),
            to_upstream: Out::new(memory.to_upstream),
            state: State::Silent,
            msize: 0,
            upstream_msize: 0,
            google: false,
            root: 0,
            now_ms: 0,
            seq: 0,
            linked: 0,
            next_ffid: 1,
            clunks: Clunks::new(),
            fetching: 0,
            followed: 0,
            habit: Habit::default(),
            rests: heapless::Vec::new(),
            at_a_time: 0,
            counters: Counters::default(),
        }
    }

    /// Gives the memory back, not cleared.
    pub(super) fn free(self, cache: &mut Cache<'_>) -> Memory<'m> {
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
            from_upstream: self.input.into_memory(),
            to_upstream: self.to_upstream.into_memory(),
        }
    }

    /// A call, which takes fewer bytes of code than an index that is checked.
    #[inline(never)]
    pub(super) fn job(&mut self, j: usize) -> &mut Job {
        &mut self.jobs[j]
    }

    /// The place of what happens now among all requests.
    pub(super) const fn next_moment(&mut self) -> Moment {
        self.seq += 1;
        Moment { seq: self.seq, ms: self.now_ms }
    }

    /// A number for an upstream fid. After four billion of them those that are in use are left out.
    pub(super) fn new_ffid(&mut self) -> u32 {
        const NUMBERS: u64 = NOFID as u64 - 1;
        loop {
            self.next_ffid += 1;
            let ffid = (self.next_ffid % NUMBERS) as u32 + 1;
            let is_used = |this: &Self| {
                this.tree.nodes.iter().any(|n| n.ffid == ffid)
                    || this.tree.opens.iter().any(|o| o.ffid == ffid)
                    || this.requests.iter().any(|r| r.ffid == ffid)
                    || this.jobs.iter().any(|j| j.ffid() == ffid)
                    || this.devices.ffid == ffid
            };
            if self.next_ffid < NUMBERS || !is_used(self) {
                return ffid;
            }
        }
    }

    /// There is room for `bytes` to the upstream server beside what the jobs may still have to ask.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let spare = self.requests.len() - 1 - self.busy_requests;
        spare > 2 * self.jobs.len() && self.to_upstream.room() > bytes + self.jobs.len() * JOB_UPSTREAM
    }

    /// The tag of the first request that is like this.
    pub(super) fn pending(&self, is_it: impl Fn(&Request) -> bool) -> Option<u16> {
        self.requests.iter().position(is_it).map(|tag| tag as u16)
    }
}
