//! One session: the kernel on one side, wire on the other.

use ninep::frame::FrameError;
use ninep::relay::{Cache, Config, Memory, Relay};
use rustix::event::PollFlags;
use rustix::fd::OwnedFd;

use super::protocol::Begin;
use crate::sys::fs::{self, Io};
use crate::sys::now;

pub struct Session {
    /// The connection's place, and the session's number there.
    pub connection: usize,
    pub number: u32,
    pub kernel: OwnedFd,
    pub far: OwnedFd,
    relay: Relay<'static>,
    /// From the far side, when the kernel has to take replies first.
    held: heapless::Vec<u8, HELD>,
}

/// Bytes that are read from the far side at once.
const HELD: usize = 32 * 1024;

/// Why a session ends.
pub enum Over {
    /// One of the sides is gone.
    Gone,
    Malformed(FrameError),
}

impl From<FrameError> for Over {
    fn from(error: FrameError) -> Self {
        Self::Malformed(error)
    }
}

impl Session {
    pub fn new(connection: usize, begin: &Begin<'_>, kernel: OwnedFd, far: OwnedFd, memory: Memory<'static>) -> Self {
        let config = Config { freshness_ms: begin.freshness_ms.into(), home: begin.home };
        Self {
            connection,
            number: begin.session,
            kernel,
            far,
            relay: Relay::new(&config, memory),
            held: heapless::Vec::new(),
        }
    }

    /// What the kernel's and the far side's descriptors are to be watched for.
    pub fn wants(&mut self) -> (PollFlags, PollFlags) {
        let (mut kernel, mut far) = (PollFlags::empty(), PollFlags::empty());
        kernel.set(PollFlags::IN, !self.relay.kernel_space().is_empty());
        kernel.set(PollFlags::OUT, !self.relay.kernel_output().is_empty());
        far.set(PollFlags::IN, self.held.is_empty());
        far.set(PollFlags::OUT, !self.relay.far_output().is_empty());
        (kernel, far)
    }

    pub fn serve_kernel(&mut self, flags: PollFlags, cache: &mut Cache<'_>) -> Result<(), Over> {
        if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            let space = self.relay.kernel_space();
            if !space.is_empty() {
                match fs::read(&self.kernel, space) {
                    Io::Moved(n) => self.relay.kernel_commit(n),
                    Io::Wait => {}
                    Io::Ended => return Err(Over::Gone),
                }
            }
        }
        self.go_on(cache)
    }

    pub fn serve_far(&mut self, flags: PollFlags, cache: &mut Cache<'_>) -> Result<(), Over> {
        if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) && self.held.is_empty() {
            self.held.resize_default(HELD).unwrap_or_default();
            match fs::read(&self.far, &mut self.held) {
                Io::Moved(n) => self.held.truncate(n),
                Io::Wait => self.held.clear(),
                Io::Ended => {
                    self.held.clear();
                    self.relay.far_closed(cache);
                    self.write()?;
                    return Err(Over::Gone);
                }
            }
        }
        self.go_on(cache)
    }

    fn go_on(&mut self, cache: &mut Cache<'_>) -> Result<(), Over> {
        loop {
            let taken = self.relay.far_input(&self.held, now().0, cache)?;
            let rest = self.held.len() - taken;
            self.held.copy_within(taken.., 0);
            self.held.truncate(rest);
            self.relay.poll(now().0, cache)?;
            if !self.write()? {
                return Ok(());
            }
        }
    }

    /// Whether anything was written.
    fn write(&mut self) -> Result<bool, Over> {
        let mut moved = false;
        while !self.relay.kernel_output().is_empty() {
            match fs::write(&self.kernel, self.relay.kernel_output()) {
                Io::Moved(n) => self.relay.kernel_consume(n),
                Io::Wait => break,
                Io::Ended => return Err(Over::Gone),
            }
            moved = true;
        }
        while !self.relay.far_output().is_empty() {
            match fs::write(&self.far, self.relay.far_output()) {
                Io::Moved(n) => self.relay.far_consume(n),
                Io::Wait => break,
                Io::Ended => return Err(Over::Gone),
            }
            moved = true;
        }
        Ok(moved)
    }

    pub fn close(self, cache: &mut Cache<'_>) -> Memory<'static> {
        self.relay.into_memory(cache)
    }
}
