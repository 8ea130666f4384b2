//! pump: the process between a command's pipes and wire.
//!
//! write(2) to a pipe holds the pipe's lock while it copies from the writer's memory; so does read(2) while it copies
//! to the reader's. When that memory is a page of a client's file that is not here yet, the lock is held until wire has
//! fetched it: a wire that waited for the same lock would never do so. So wire has sockets, which copy before they
//! lock, and the pump waits at the pipes.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::pipe::{SpliceFlags, splice};

use crate::sys::{fdpass, fs, process};

/// Bytes moved at a time: a pipe's worth (pipe(7), capacity).
const CHUNK: usize = 64 * 1024;

/// A flow of bytes from one descriptor to another, until either is closed.
struct Flow {
    from: OwnedFd,
    to: OwnedFd,
    /// There are bytes to move, and no room for them.
    full: bool,
}

impl Flow {
    /// The flow, and wire's end of it.
    fn to_pipe(to: OwnedFd) -> Result<(Self, OwnedFd)> {
        let (wire, from) = fdpass::stream_pair()?;
        Self::between(from, to, wire)
    }

    fn from_pipe(from: OwnedFd) -> Result<(Self, OwnedFd)> {
        let (wire, to) = fdpass::stream_pair()?;
        Self::between(from, to, wire)
    }

    fn between(from: OwnedFd, to: OwnedFd, wire: OwnedFd) -> Result<(Self, OwnedFd)> {
        [&from, &to, &wire].into_iter().try_for_each(fs::set_nonblocking)?;
        Ok((Self { from, to, full: false }, wire))
    }

    fn waits_for(&self) -> PollFd<'_> {
        if self.full { PollFd::new(&self.to, PollFlags::OUT) } else { PollFd::new(&self.from, PollFlags::IN) }
    }

    /// Moves what can be moved now. False when the flow is over.
    fn advance(&mut self) -> bool {
        match splice(&self.from, None, &self.to, None, CHUNK, SpliceFlags::MOVE | SpliceFlags::NONBLOCK) {
            Ok(0) => false,
            Ok(_) => {
                self.full = false;
                true
            }
            // EAGAIN does not say which end was not ready: try the other than last time.
            Err(Errno::AGAIN) => {
                self.full = !self.full;
                true
            }
            Err(error) => error == Errno::INTR,
        }
    }
}

/// Starts the pump of a command, given the far ends of its standard streams. Returns wire's ends in the same order:
/// input, output, error.
///
/// The pump is guard's child and in none of the session's groups, so it outlives the command until everything that the
/// command wrote is under way.
pub fn start(input: OwnedFd, output: OwnedFd, error: OwnedFd) -> Result<[OwnedFd; 3]> {
    let (input, to_input) = Flow::to_pipe(input)?;
    let (output, from_output) = Flow::from_pipe(output)?;
    let (error, from_error) = Flow::from_pipe(error)?;
    if process::fork_apart()? {
        run([input, output, error]);
    }
    Ok([to_input, from_output, from_error])
}

fn run(flows: [Flow; 3]) -> ! {
    process::set_name(c"cpud pump");
    let [i, o, e] = &flows;
    process::close_all_but(0, &[&i.from, &i.to, &o.from, &o.to, &e.from, &e.to].map(AsFd::as_fd));
    let mut flows: heapless::Vec<Flow, 3> = flows.into_iter().collect();
    while !flows.is_empty() {
        let ready: heapless::Vec<bool, 3> = {
            let mut fds: heapless::Vec<_, 3> = flows.iter().map(Flow::waits_for).collect();
            // An error is EINTR at most, after which nothing is ready.
            let _ = poll(&mut fds, None);
            fds.iter().map(|fd| !fd.revents().is_empty()).collect()
        };
        let mut ready = ready.into_iter();
        flows.retain_mut(|flow| !ready.next().unwrap_or(false) || flow.advance());
    }
    process::exit(0)
}
