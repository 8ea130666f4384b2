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
    /// The way of the parameters, until the command runs.
    pub control: Option<OwnedFd>,
    /// The client waits for an answer that the session owes.
    pub asked: bool,
    /// To the command. What it has not taken yet waits in `input`.
    pub stdin: Option<OwnedFd>,
    pub input: Ring<'static>,
    pub input_ended: bool,
    /// From the command; a terminal has no stderr of its own.
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    /// The forwarded port of its NFS, and who accepts the kernel's connections to it.
    pub listener: Option<(u32, OwnedFd)>,
    /// The end of its 9P mount, when nobody serves that: it waits until the session is ended.
    pub unserved: Option<OwnedFd>,
    /// How the command ended, as guard says.
    pub status: Option<Status>,
    /// The status has been sent, and CLOSE is waited for.
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

    /// The command's streams: input, output and error, or a terminal's master for both ways.
    pub fn set_streams(&mut self, fds: Fds) {
        let mut fds = fds.into_iter();
        (self.stdin, self.stdout, self.stderr) = (fds.next(), fds.next(), fds.next());
    }

    /// The way of the parameters while the session takes them: after its answer to exec it hears nothing any more.
    pub fn parameters(&self) -> Option<&OwnedFd> {
        self.control.as_ref().filter(|_| self.stdout.is_none())
    }

    /// Takes all of `data` for the command; how much of the window is free again at once.
    pub fn input(&mut self, data: &[u8]) -> usize {
        let mut start = 0;
        if self.input.is_empty() {
            start = self.write_input(data);
        }
        // The window is no larger than the queue, so this takes the rest.
        self.input.push(&data[start..]);
        start
    }

    /// Goes on with input that waits; how much of the window that frees.
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

    /// Nobody reads input that comes before the command (it waits) or after it has closed its end (it is dropped).
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

    /// All that the command wrote is on its way, and it has ended.
    pub const fn is_finished(&self) -> bool {
        self.status.is_some() && self.stdout.is_none() && self.stderr.is_none() && self.control.is_none()
    }

    /// Lets go of the command's streams.
    pub fn hang_up(&mut self) {
        (self.control, self.stdin, self.stdout, self.stderr) = (None, None, None, None);
        self.listener = None;
        self.input.clear();
    }

    /// The queue's memory, for the next session.
    pub fn into_memory(self) -> &'static mut [u8] {
        self.input.into_memory()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("status", &self.status).finish_non_exhaustive()
    }
}
