//! The process between a command's pipes and wire.
//!
//! write(2) to a pipe holds the pipe's lock while it copies from the writer's memory, and so does read(2) into the
//! reader's. When that memory is a page of a file of the client's that is not here yet, the lock is held until wire has
//! fetched it; a wire that waits for the same lock never would. So wire has sockets, which copy before they lock, and
//! somebody else waits at the pipes.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::pipe::{SpliceFlags, splice};

use crate::sys::{fdpass, fs, process};

/// Bytes that are moved at a time: a pipe's worth (pipe(7), capacity).
const CHUNK: usize = 64 * 1024;

/// Bytes from one descriptor to the other, until either is closed.
struct Flow {
    from: OwnedFd,
    to: OwnedFd,
    /// There is something to move, and no room for it.
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

    /// Moves what can be moved now. False when it is over.
    fn advance(&mut self) -> bool {
        match splice(&self.from, None, &self.to, None, CHUNK, SpliceFlags::MOVE | SpliceFlags::NONBLOCK) {
            Ok(0) => false,
            Ok(_) => {
                self.full = false;
                true
            }
            // One of the two is not ready: after one that was, it is the other.
            Err(Errno::AGAIN) => {
                self.full = !self.full;
                true
            }
            Err(error) => error == Errno::INTR,
        }
    }
}

/// Starts the pump of a command whose standard streams have these far ends. What comes back is for wire, in the same
/// order: input, output, error.
///
/// It is guard's child and no member of the session's groups, so that it outlives the command until all that the command
/// wrote is on its way.
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
