//! Reports from the roles to init: a line for the console, which init prints at a bounded rate; that a user has logged
//! in, whose connection needs a relay; that a killed process of a session is still there, perhaps because its relay
//! hangs.

use core::fmt;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use crate::say;
use crate::sys::console::{self, Line};
use crate::sys::process::Pid;
use crate::sys::{fdpass, now};

/// The longest message: a process id and a line.
pub const MESSAGE_MAX: usize = 4 + 400;

/// A role's end of the socket to init.
pub struct Reporter(pub OwnedFd);

impl Reporter {
    /// Sends a line for the console. When init is behind with its reading the line is lost; the caller never waits.
    pub fn line(&self, text: fmt::Arguments<'_>) {
        self.send(0, text, None);
    }

    /// Reports that this guard's user has logged in with a key of this fingerprint. `relay` is the connection's socket
    /// to the user's relay. Waits for init.
    pub fn logged_in(&self, guard: Pid, key: &dyn fmt::Display, relay: Option<&OwnedFd>) {
        self.send(guard.as_raw_nonzero().get(), format_args!("{key}"), relay);
    }

    /// Reports that something which this guard has killed is still there. Waits for init.
    pub fn lingers(&self, guard: Pid) {
        self.send(guard.as_raw_nonzero().get(), format_args!(""), None);
    }

    fn send(&self, guard: i32, text: fmt::Arguments<'_>, fd: Option<&OwnedFd>) {
        let mut line = Line::new();
        let _ = fmt::write(&mut line, text);
        let mut message = heapless::Vec::<u8, MESSAGE_MAX>::new();
        let _ = message.extend_from_slice(&guard.to_ne_bytes());
        let _ = message.extend_from_slice(line.as_bytes());
        while fdpass::send(&self.0, &message, fd.map(AsFd::as_fd).as_slice()) == Err(Errno::AGAIN) && guard != 0 {
            let _ = poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None);
        }
    }
}

/// A decoded report.
#[derive(Debug, PartialEq)]
pub enum Report<'a> {
    Line(&'a [u8]),
    LoggedIn { guard: Pid, key: &'a [u8] },
    Lingers { guard: Pid },
}

pub fn decode(message: &[u8]) -> Option<Report<'_>> {
    let (guard, text) = message.split_first_chunk()?;
    let guard = Pid::from_raw(i32::from_ne_bytes(*guard));
    Some(match guard {
        None => Report::Line(text),
        Some(guard) if text.is_empty() => Report::Lingers { guard },
        Some(guard) => Report::LoggedIn { guard, key: text },
    })
}

/// Bounds the lines on a slow serial console, and those for who is turned away: a burst of 40, then 4 a second.
pub struct RateLimit {
    tokens: u64,
    refilled: u64,
    left_out: u32,
}

const BURST: u64 = 40;
const REFILL_MS: u64 = 250;

impl RateLimit {
    pub const fn new() -> Self {
        Self { tokens: BURST, refilled: 0, left_out: 0 }
    }

    /// Prints a role's line, or leaves it out and says so before the next one that it prints.
    pub fn print(&mut self, line: &[u8]) {
        if self.allow() {
            match core::mem::take(&mut self.left_out) {
                0 => {}
                left_out => say!("cpud: {left_out} lines left out"),
            }
            console::write_line(line);
        }
    }

    /// Whether a line may be printed now. Lines that may not are counted in `left_out`.
    pub fn allow(&mut self) -> bool {
        self.allow_at(now().0)
    }

    fn allow_at(&mut self, now: u64) -> bool {
        let refill = now.saturating_sub(self.refilled) / REFILL_MS;
        self.tokens = BURST.min(self.tokens + refill);
        self.refilled += refill * REFILL_MS;
        let allowed = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        self.left_out += u32::from(!allowed);
        allowed
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut_to_a_burst_and_then_four_a_second() {
        let mut limit = RateLimit::new();
        assert_eq!((0..1000).filter(|_| limit.allow_at(0)).count(), 40);
        assert_eq!(limit.left_out, 960);
        assert_eq!((0..2000).filter(|&ms| limit.allow_at(ms)).count(), 7);
        assert!(limit.allow_at(60_000));
    }

    #[test]
    fn messages_say_which_guard_or_hold_a_line() {
        assert_eq!(decode(&7_i32.to_ne_bytes()), Pid::from_raw(7).map(|guard| Report::Lingers { guard }));
        assert_eq!(decode(b"\0\0\0\0hello"), Some(Report::Line(b"hello")));
        let logged_in = [7_i32.to_ne_bytes().as_slice(), b"SHA256:x"].concat();
        assert_eq!(decode(&logged_in), Pid::from_raw(7).map(|guard| Report::LoggedIn { guard, key: b"SHA256:x" }));
        assert_eq!(decode(b"\0\0"), None);
    }
}
