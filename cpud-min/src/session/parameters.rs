//! What the client sends before the command: environment, terminal, command line.

use core::ffi::CStr;
use core::fmt;

use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::failed::NOT_STARTED;
use super::streams::{self, Terminal};
use super::words;
use crate::plan::environ::{Environ, OF_THE_SESSION};
use crate::plan::exec_line::{ExecLine, ExecLineError, is_typed, is_v2, needs_shell};
use crate::plan::quoted::Quoted;
use crate::plan::strings::MAX_ARG_STRLEN;
use crate::plan::terminal;
use crate::protocol::session::{COMMAND_MAX, FromSession, MESSAGE_MAX, ToSession};
use crate::sys::console::{self, Text};
use crate::sys::errno::Sentence;
use crate::sys::fs::{self, Access};
use crate::sys::{fdpass, memory, process};

/// The shell for a script whose first line names none, and for a login on a machine that has it.
pub const SH: &CStr = c"/bin/sh";

/// Room for all environment variables. Linux takes a quarter of the stack's limit, 2 MiB, with the arguments.
const ENVIRON_ROOM: usize = 1536 * 1024;

/// Room for all words of the command line: no more than the message has bytes, and a NUL each.
const WORDS_ROOM: usize = MESSAGE_MAX + 4096;

pub struct Parameters {
    pub environ: Environ<'static>,
    /// Lines about what was refused, kept until there is a standard error to write them to.
    notices: Text<2048>,
    terminal: Option<Terminal>,
    /// The command was refused, or a variable that shapes the name space: without it another command than meant could
    /// run.
    vital_refused: bool,
    /// The message with the command line.
    command: &'static [u8],
}

impl Parameters {
    /// Reads wire's messages until one asks for a command or a shell.
    pub fn receive(socket: &OwnedFd) -> Result<Self, Errno> {
        let buffer = memory::pages(MESSAGE_MAX)?;
        let mut parameters = Self {
            environ: Environ::new(memory::pages(ENVIRON_ROOM)?),
            notices: Text::new(),
            terminal: None,
            vital_refused: false,
            command: &[],
        };
        loop {
            let (n, _) = fdpass::receive(socket, buffer, true)?;
            let message = ToSession::decode(&buffer[..n]).map_err(|_| Errno::PROTO)?;
            let ok = match message {
                ToSession::Exec { command } => {
                    let command = buffer.len().min(n) - command.len()..n;
                    parameters.command = &buffer[command];
                    break;
                }
                ToSession::Shell => break,
                ToSession::Env { name, value } => match parameters.environ.set(name, value) {
                    Ok(()) => true,
                    Err(error) => {
                        parameters.vital_refused |= OF_THE_SESSION.contains(&name);
                        parameters.refuse(format_args!("{error}"))
                    }
                },
                ToSession::TooLong { what, length } => {
                    parameters.vital_refused |= OF_THE_SESSION.contains(&what);
                    let most = MAX_ARG_STRLEN - 1;
                    parameters.refuse(format_args!("{} has {length} bytes, the most is {most}", Quoted(what)))
                }
                ToSession::CommandTooLong { length } => {
                    let why = format_args!("the command line has {length} bytes, the most is {COMMAND_MAX}");
                    parameters.vital_refused = !parameters.refuse(why);
                    break;
                }
                ToSession::Pty { term, size, modes } => match Terminal::open(term, size, modes) {
                    Ok(terminal) => {
                        parameters.terminal = Some(terminal);
                        true
                    }
                    Err(error) => parameters.refuse(format_args!("no terminal: {}", Sentence(error))),
                },
            };
            FromSession::Answer { ok }.send(socket, &[])?;
        }
        if let Some(terminal) = &parameters.terminal {
            let term = terminal::term(terminal.term.as_bytes(), parameters.environ.get(b"TERM"));
            let mut value = heapless::Vec::<u8, 256>::new();
            if value.extend_from_slice(term).is_ok() && parameters.environ.set(b"TERM", &value).is_err() {
                parameters.refuse(format_args!("no room for TERM"));
            }
        }
        Ok(parameters)
    }

    fn refuse(&mut self, why: fmt::Arguments<'_>) -> bool {
        let _ = fmt::write(&mut self.notices, format_args!("cpud: refused: {why}"));
        self.notices.end_line();
        false
    }

    /// Makes the command's streams this process's standard ones, and gives wire the other ends with the answer that it
    /// waits for.
    pub fn open_streams(&mut self, socket: &OwnedFd) -> Result<(), Errno> {
        match self.terminal.take() {
            Some(terminal) => {
                // V2's client asks for no echo, and its server echoes all the same.
                if is_v2(self.command) {
                    terminal.echo()?;
                }
                terminal.become_stdio(socket)
            }
            None => streams::pipes(socket),
        }
    }

    /// Tells the user what was refused. False when the command must not run without it.
    pub fn print_notices(&self) -> bool {
        for line in self.notices.as_bytes().split(|&b| b == b'\n').filter(|l| !l.is_empty()) {
            console::write_line(line);
        }
        !self.vital_refused
    }

    /// The words of the command; none stand for the user's shell.
    pub fn exec_line(&self) -> Result<ExecLine<'static>, ExecLineError<'static>> {
        ExecLine::parse(self.command, words_room())
    }

    /// The words that make the name space's shell read a line as people type it. None when nobody typed the line, there
    /// is no shell, or the line is one of cpud's own words.
    pub fn shell_line(&self, appliance: bool) -> Option<Result<ExecLine<'static>, ExecLineError<'static>>> {
        let own = || appliance && !needs_shell(self.command) && words::is_own(self.command);
        let shell = is_typed(self.command) && fs::access(SH, Access::EXEC_OK).is_ok() && !own();
        shell.then(|| ExecLine::by_shell(SH, self.command, words_room()))
    }

    /// Whether only a shell could run the line.
    pub fn needs_shell(&self) -> bool {
        is_typed(self.command) && needs_shell(self.command)
    }
}

fn words_room() -> &'static mut [u8] {
    // Without memory for a command line there is none for a command.
    memory::pages(WORDS_ROOM).unwrap_or_else(|_| process::exit(NOT_STARTED.into()))
}

/// The client's `$SHELL`.
pub fn shell<'e>(environ: &'e Environ<'_>) -> Option<&'e CStr> {
    environ.get(b"SHELL").filter(|s| !s.is_empty())
}
