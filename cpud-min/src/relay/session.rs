//! One session of a relay: the kernel on one side, wire, and behind it the client's server, on the other.

use core::fmt::Write;

use ninep::frame::FrameError;
use ninep::relay::{Cache, Config, Counters, Relay};
use rustix::event::PollFlags;
use rustix::fd::OwnedFd;

use super::memory::Room;
use crate::protocol::relay::Begin;
use crate::sys::fs::{self, Io};
use crate::sys::now;

pub struct Session {
    /// The connection's number, and the session's number there.
    pub connection: u32,
    pub number: u32,
    pub kernel: OwnedFd,
    pub upstream: OwnedFd,
    counters: OwnedFd,
    relay: Relay<'static>,
    /// Bytes from the client's server. Some are left when the kernel has to take replies first.
    held: &'static mut [u8],
    held_end: usize,
}

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
    pub fn new(connection: u32, begin: &Begin<'_>, [kernel, upstream, counters]: [OwnedFd; 3], room: Room) -> Self {
        let (memory, held) = room.open();
        let config = Config { freshness_ms: begin.freshness_ms.into(), home: begin.home, names: begin.names };
        let relay = Relay::new(&config, memory);
        Self { connection, number: begin.session, kernel, upstream, counters, relay, held, held_end: 0 }
    }

    /// The poll flags for the kernel's descriptor and for the stream to the client's server.
    pub fn wants(&mut self) -> (PollFlags, PollFlags) {
        let (mut kernel, mut upstream) = (PollFlags::empty(), PollFlags::empty());
        kernel.set(PollFlags::IN, !self.relay.kernel_space().is_empty());
        kernel.set(PollFlags::OUT, !self.relay.kernel_output().is_empty());
        upstream.set(PollFlags::IN, self.held_end == 0);
        upstream.set(PollFlags::OUT, !self.relay.upstream_output().is_empty());
        (kernel, upstream)
    }

    pub fn serve_kernel(&mut self, flags: PollFlags, cache: &mut Cache<'_>) -> Result<(), Over> {
        if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            // Reading nothing, when there is no room, still tells its end.
            match fs::read(&self.kernel, self.relay.kernel_space()) {
                Io::Moved(n) => self.relay.kernel_commit(n),
                Io::Wait => {}
                Io::Ended => return Err(Over::Gone),
            }
        }
        self.go_on(cache)
    }

    pub fn serve_upstream(&mut self, flags: PollFlags, cache: &mut Cache<'_>) -> Result<(), Over> {
        if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) && self.held_end == 0 {
            match fs::read(&self.upstream, &mut *self.held) {
                Io::Moved(n) => {
                    #[cfg(feature = "test-hole")]
                    crate::sys::hole::look(&self.held[..n], &self.upstream);
                    self.held_end = n;
                }
                Io::Wait => {}
                Io::Ended => {
                    self.relay.upstream_closed(cache);
                    self.write()?;
                    return Err(Over::Gone);
                }
            }
        }
        self.go_on(cache)
    }

    pub fn go_on(&mut self, cache: &mut Cache<'_>) -> Result<(), Over> {
        let now = now().0;
        loop {
            let taken = self.relay.upstream_input(&self.held[..self.held_end], now, cache)?;
            self.held.copy_within(taken..self.held_end, 0);
            self.held_end -= taken;
            self.relay.poll(now, cache)?;
            if !self.write()? {
                return Ok(());
            }
        }
    }

    /// In how many milliseconds the session has work to do, whatever its descriptors say.
    pub fn due(&self) -> Option<u64> {
        self.relay.due()
    }

    /// Writes what can be written; whether anything was.
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
        while !self.relay.upstream_output().is_empty() {
            match fs::write(&self.upstream, self.relay.upstream_output()) {
                Io::Moved(n) => self.relay.upstream_consume(n),
                Io::Wait => break,
                Io::Ended => return Err(Over::Gone),
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Writes the counters for the user, in lines of the same length whatever the numbers are.
    pub fn show_counters(&self, cache: &Cache<'_>) {
        let Counters { asked, waited, sent, read, written } = self.relay.counters;
        let lines = [
            (asked, "requests of the kernel"),
            (asked - waited, "of them answered here"),
            (sent, "requests sent"),
            (read, "bytes of files fetched"),
            (written, "bytes of files written"),
            (cache.capacity() as u64, "bytes of cache, for all sessions"),
            (cache.used() as u64, "bytes of cache in use"),
            (cache.evictions, "blocks of cache evicted"),
        ];
        let mut text = heapless::String::<400>::new();
        for (number, what) in lines {
            let _ = writeln!(text, "{number:20} {what}");
        }
        fs::write_start(&self.counters, text.as_bytes());
    }

    /// Ends the session and returns its memory.
    pub fn close(self, cache: &mut Cache<'_>) -> Room {
        Room::close(self.relay.into_memory(cache), self.held)
    }
}
