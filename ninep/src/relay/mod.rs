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
    pub fn upstream_output(&self) -> &[u8] {
        self.to_upstream.ready()
    }

    /// The first `n` bytes of [`upstream_output`](Self::upstream_output) have been written.
    pub fn upstream_consume(&mut self, n: usize) {
        self.to_upstream.consume(n);
    }

    /// Takes bytes from the far side, and says how many: not all when the kernel has to take replies first.
    ///
    /// # Errors
    /// A frame that must not be; the session is over then.
    pub fn upstream_input(&mut self, bytes: &[u8], now_ms: u64, cache: &mut Cache<'_>) -> Result<usize, FrameError> {
        self.now_ms = now_ms.max(1);
        self.take_input(bytes, cache)
    }

    /// Works on what the kernel has sent and on what had to wait. To be called after any of the others.
    ///
    /// # Errors
    /// A frame that must not be; the session is over then.
    pub fn poll(&mut self, now_ms: u64, cache: &mut Cache<'_>) -> Result<(), FrameError> {
        self.now_ms = now_ms.max(1);
        self.run_stalled(cache);
        self.process_kernel_frames(cache)?;
        self.follow(cache);
        self.go_on_fetching(cache);
        self.send_clunks();
        Ok(())
    }

    /// After so many milliseconds there is something to do, even if neither side says anything.
    pub fn due(&self) -> Option<u64> {
        (self.followed > 0).then_some(OPENING_MS)
    }

    /// The upstream server is gone: all that the kernel asked and will ask is answered EIO.
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

    /// Ends the relay: it lets go of what it holds in a cache that others share, and gives its memory back, not cleared.
    pub fn into_memory(mut self, cache: &mut Cache<'_>) -> Memory<'m> {
        self.upstream_closed(cache);
        self.free(cache)
    }
}
