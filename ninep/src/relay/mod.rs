//! The relay ends the kernel's 9P session and holds one of its own with the *upstream server*, the client's file
//! server. Most of what the kernel asks is answered here, and what the upstream server gets wrong is put right.
//!
//! ```text
//!          frames            run                 outcome
//! kernel ──────────▶ Job ──────────▶ decision ────────────▶ reply, error ──▶ kernel
//!                     ▲                  │
//!                     │ wake             └────────────────▶ Request ───────▶ upstream server
//!                     │      learn                                            │
//!                     └──── Tree, Cache ◀───────── reply, data ◀──────────────┘
//! ```
//!
//! A request of the kernel becomes a [`Job`]. Running a job looks at what is known, in the tree of names and the
//! [`Cache`]. It ends with a reply, or with the question whose answer is missing. The answer changes what is known, and
//! the job runs again from its start. So a job is a function of what is known. Jobs that need the same answer wait for
//! the same [`Request`], and a request that reads ahead is one that no job waits for.
//!
//! Each file calls and imports only what is below it:
//!
//! | file | what it does |
//! |---|---|
//! | `upstream`, `kernel` | take the frames of either side |
//! | `run` | says what a job needs next |
//! | `learn` | changes what is known |
//! | `ahead` | asks before the kernel does |
//! | `ask` | asks the upstream server |
//! | `effects` | carries out what a job needs: replies, errors, waiting; sends requests |
//! | `holds` | counts who holds nodes and fids, and clunks |
//! | `modes`, `facts` | read what is known |
//! | `state` | the [`Relay`] itself |
//! | `data` | nodes, fids, opens, jobs, requests, the cache, queues |
//!
//! - **Freshness.** An answer counts for a job if it was asked for after the job came, or is younger than the freshness
//!   bound ([`Config::freshness_ms`]). What the session changes is forgotten twice: when the change is sent, and when
//!   it is answered.
//! - **Cache.** The bytes of files, listings and links are kept under a key made of inode, size, mtime and ctime. They
//!   count only while attributes that came over this connection agree with them. While a file is being changed, reads
//!   pass through. So do reads of files whose size says nothing, as in /proc and /sys.
//! - **Upstream fids.** A number is not given out again while it stands for a file. All readers share a file that is
//!   open upstream, and it stays open after the last of them. A fid is clunked when its place is needed or its file is
//!   gone.
//! - **Appending** goes by an upstream fid of its own, opened with O_APPEND, since only the client's kernel knows where
//!   a file ends. A chmod(2) that the upstream server would not carry out in full is refused.
//! - **Bounds.** Every queue and table is memory that was handed in ([`Memory`]). A request of the kernel is taken in
//!   only while there is room for all that the jobs at hand may still say, so no job waits for itself. Reading ahead
//!   and clunks, which are optional, need more room than that.
//! - **Asked ahead**, while there is room:
//!   - with the attach, the names of the root that a session begins with;
//!   - data, shortly after the Tlopen and before its answer; more of it for a sequential reader, all of a small file,
//!   and
//!     all of a larger one that is read here and there;
//!   - the next names for whoever goes through a directory in order, and its listing for whoever asks for names that
//!   are
//!     not there;
//!   - a link's target, and the file that habitually follows another (`data/habit.rs`);
//!   - attributes that are about to expire, and with attributes that have expired those that were asked for next the
//!   last
//!     time.
//! - **Devices and owners.** The client's mounts tell which device a file is on, and whose process the upstream server
//!   is (`learn/devices.rs`). The attach that a fid comes from tells who makes a file (`run/owners.rs`).
//! - A frame that breaks the protocol ends the session, with its name ([`FrameError`]).
//!
#![doc = include_str!("requests.md")]
//!
//! Sources: see the crate's. v9fs's habits are those of Linux 6.12, the upstream server's those of hugelgupf/p9 0.3.

mod ahead;
mod ask;
mod data;
mod effects;
mod facts;
mod holds;
mod kernel;
mod learn;
mod modes;
mod run;
mod state;
mod upstream;

#[cfg(test)]
mod model;
#[cfg(test)]
mod random;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;

pub use data::cache::{BLOCK, Block, Cache, Content};
pub use data::job::Job;
pub use data::mounts::Mount;
pub use data::node::{Fid, Node, Open};
pub use data::request::Request;
pub use state::{Config, Counters, Memory, Relay};

use crate::errno::Errno;
use crate::frame::FrameError;
use data::request::RequestKind;
use state::{OPENING_MS, State};

impl<'m> Relay<'m> {
    /// Room for the next bytes from the kernel. None when the kernel has to wait.
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

    /// Bytes for the upstream server.
    pub fn upstream_output(&self) -> &[u8] {
        self.to_upstream.ready()
    }

    /// The first `n` bytes of [`upstream_output`](Self::upstream_output) have been written.
    pub fn upstream_consume(&mut self, n: usize) {
        self.to_upstream.consume(n);
    }

    /// Takes bytes from the upstream server, and says how many. Some are left when the kernel has to take replies
    /// first.
    ///
    /// # Errors
    /// A frame breaks the protocol. The session is over then.
    pub fn upstream_input(&mut self, bytes: &[u8], now_ms: u64, cache: &mut Cache<'_>) -> Result<usize, FrameError> {
        self.now_ms = now_ms.max(1);
        self.take_input(bytes, cache)
    }

    /// Works on what the kernel has sent and on what had to wait. Call it after any of the others.
    ///
    /// # Errors
    /// A frame breaks the protocol. The session is over then.
    pub fn poll(&mut self, now_ms: u64, cache: &mut Cache<'_>) -> Result<(), FrameError> {
        self.now_ms = now_ms.max(1);
        self.run_stalled(cache);
        self.process_kernel_frames(cache)?;
        self.follow(cache);
        self.go_on_fetching(cache);
        self.send_clunks();
        Ok(())
    }

    /// After so many milliseconds [`poll`](Self::poll) has something to do, even if neither side says anything.
    pub fn due(&self) -> Option<u64> {
        (self.followed > 0).then_some(OPENING_MS)
    }

    /// The upstream server is gone. Whatever the kernel has asked or will ask is answered with EIO.
    pub fn upstream_closed(&mut self, cache: &mut Cache<'_>) {
        (self.state, self.followed) = (State::Gone, 0);
        for request in self.requests.iter_mut().filter(|r| !r.is_free()) {
            if let RequestKind::Listing(transfer) = request.kind {
                cache.unpin(transfer.content);
            }
            *request = Request::default();
        }
        for j in 1..self.jobs.len() {
            let job = self.job(j);
            if !job.is_free() {
                (job.wait, job.error) = ([0; 2], Errno::EIO.0);
                self.run(j, cache);
            }
        }
    }

    /// Ends the relay. It releases what it holds in the shared cache, and gives its memory back, not cleared.
    pub fn into_memory(mut self, cache: &mut Cache<'_>) -> Memory<'m> {
        self.upstream_closed(cache);
        self.free(cache)
    }
}
