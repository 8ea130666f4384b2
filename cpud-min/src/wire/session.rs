//! One session as wire sees it: a channel on one side, the descriptors of a command on the other.

use core::fmt;

use rustix::fd::OwnedFd;
use ssh_lite::connection::ChannelId;

use super::ending::Ending;
use super::ring::Ring;
use crate::sys::fdpass::Fds;
use crate::sys::fs::{self, Io};
use crate::sys::process::Status;

/// The window of a session's channel: what a command has not read yet is kept here.
pub const WINDOW: usize = 128 * 1024;

/// A session's number is its place in wire's table and guard's.
pub struct Session {
    pub channel: ChannelId,
    /// The socket to the session, until the command runs.
    pub control: Option<OwnedFd>,
    /// The client waits for an answer that this session owes.
    pub asked: bool,
    /// To the command. What the command has not taken yet waits in `input`.
    pub stdin: Option<OwnedFd>,
    pub input: Ring<'static>,
    pub input_ended: bool,
    /// From the command; a terminal has no stderr of its own.
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    /// The forwarded port of its NFS, and the listener that accepts the kernel's connections to it.
    pub listener: Option<(u32, OwnedFd)>,
    /// The relay's end of its 9P mount when there is no relay: it stays open until the session has ended.
    pub unserved: Option<OwnedFd>,
    /// How the command ended, as guard reports.
    pub status: Option<Status>,
    /// Set once the status has been sent; then CLOSE waits.
    pub ending: Option<Ending>,
    /// CLOSE has been sent.
    pub closing: bool,
    /// The client has closed the channel.
    pub closed: bool,
}

impl Session {
    pub const fn new(channel: ChannelId, control: OwnedFd, memory: &'static mut [u8]) -> Self {
        Self {
            channel,
            control: Some(control),
            asked: false,
            stdin: None,
            input: Ring::new(memory),
            input_ended: false,
            stdout: None,
            stderr: None,
            listener: None,
            unserved: None,
            status: None,
            ending: None,
            closing: false,
            closed: false,
        }
    }

    /// Sets the command's streams: input, output and error, or a terminal's master twice.
    pub fn set_streams(&mut self, fds: Fds) {
        let mut fds = fds.into_iter();
        (self.stdin, self.stdout, self.stderr) = (fds.next(), fds.next(), fds.next());
    }

    /// The socket to the session while it takes parameters: after its answer to exec it reads no more.
    pub fn parameters(&self) -> Option<&OwnedFd> {
        self.control.as_ref().filter(|_| self.stdout.is_none())
    }

    /// Takes all of `data` for the command; returns how much of the window is free again at once.
    pub fn input(&mut self, data: &[u8]) -> usize {
        let mut start = 0;
        if self.input.is_empty() {
            start = self.write_input(data);
        }
        // The window is no larger than the queue, so this takes the rest.
        self.input.push(&data[start..]);
        start
    }

    /// Writes input that waits; returns how much of the window that frees.
    pub fn pump_input(&mut self) -> usize {
        let mut freed = 0;
        while !self.input.is_empty() {
            let front = self.input.front();
            let Some(stdin) = &self.stdin else { break };
            match fs::write(stdin, front) {
                Io::Moved(n) => {
                    self.input.pop(n);
                    freed += n;
                }
                Io::Wait => return freed,
                Io::Ended => self.stdin = None,
            }
        }
        if self.stdin.is_none() && self.control.is_none() {
            freed += self.input.clear();
        }
        if self.input_ended && self.input.is_empty() {
            self.stdin = None;
        }
        freed
    }

    /// Writes to the command. Input before the command starts waits; input after it has closed its end is dropped.
    fn write_input(&mut self, data: &[u8]) -> usize {
        match &self.stdin {
            Some(stdin) => match fs::write(stdin, data) {
                Io::Moved(n) => n,
                Io::Wait => 0,
                Io::Ended => {
                    self.stdin = None;
                    data.len()
                }
            },
            None if self.control.is_none() => data.len(),
            None => 0,
        }
    }

    /// The command has ended, and all that it wrote has been read.
    pub const fn is_finished(&self) -> bool {
        self.status.is_some() && self.stdout.is_none() && self.stderr.is_none() && self.control.is_none()
    }

    /// Closes the command's streams.
    pub fn hang_up(&mut self) {
        (self.control, self.stdin, self.stdout, self.stderr) = (None, None, None, None);
        self.listener = None;
        self.input.clear();
    }

    /// Returns the queue's memory for the next session.
    pub fn into_memory(self) -> &'static mut [u8] {
        self.input.into_memory()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("status", &self.status).finish_non_exhaustive()
    }
}
