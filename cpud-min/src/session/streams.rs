//! The command's standard streams: three pipes, or a terminal.

use heapless::String;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, Result};
use ssh_lite::connection::TerminalModes;

use super::pump;
use crate::plan::terminal;
use crate::protocol::session::FromSession;
use crate::sys::{fs, tty};

/// The pseudo terminal of a pty request.
pub struct Terminal {
    pub term: String<64>,
    master: OwnedFd,
    terminal: OwnedFd,
}

impl Terminal {
    /// Opens a terminal with the size and modes of a pty request (RFC 4254 sections 6.2 and 8).
    pub fn open(term: &str, [columns, rows, width, height]: [u32; 4], modes: &[u8]) -> Result<Self> {
        let term = String::try_from(term).map_err(|_| Errno::NAMETOOLONG)?;
        let (master, terminal) = tty::open()?;
        let mut settings = tty::settings(&terminal)?;
        for (opcode, value) in TerminalModes::new(modes) {
            terminal::apply(&mut settings, opcode, value);
        }
        tty::set_settings(&terminal, &settings)?;
        tty::resize(&terminal, columns, rows, width, height)?;
        Ok(Self { term, master, terminal })
    }

    /// Makes it echo what is typed, whatever the client has asked for.
    pub fn echo(&self) -> Result<()> {
        let mut settings = tty::settings(&self.terminal)?;
        terminal::echo(&mut settings);
        tty::set_settings(&self.terminal, &settings)
    }

    pub fn become_stdio(self, socket: &OwnedFd) -> Result<()> {
        tty::control(&self.terminal)?;
        fs::become_stdio(&self.terminal)?;
        let master = self.master.as_fd();
        FromSession::Answer { ok: true }.send(socket, &[master, master])
    }
}

/// Makes three pipes for the command and three sockets for wire, with the pump between them. wire's ends do not block,
/// the command's do.
pub fn pipes(socket: &OwnedFd) -> Result<()> {
    let (stdin, to_stdin) = fs::pipe()?;
    let (from_stdout, stdout) = fs::pipe()?;
    let (from_stderr, stderr) = fs::pipe()?;
    let ours = pump::start(to_stdin, from_stdout, from_stderr)?;
    fs::set_stdio(stdin, stdout, stderr)?;
    FromSession::Answer { ok: true }.send(socket, &ours.each_ref().map(AsFd::as_fd))
}
