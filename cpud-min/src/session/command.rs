//! The last step of a session: it becomes the command.

use core::ffi::CStr;

use rustix::io::Errno;

use super::failed::Failed;
use super::parameters::{SH, shell};
use super::words;
use crate::config::Config;
use crate::plan::environ::Environ;
use crate::plan::path::{self, Search};
use crate::plan::program::{self, Machine};
use crate::plan::quoted::Quoted;
use crate::plan::strings::Strings;
use crate::say;
use crate::sys::errno::Sentence;
use crate::sys::process::{self, Pointers};
use crate::sys::{fs, memory};

/// Runs the command, or the user's shell when there is none. Returns only on failure.
pub fn run(config: &Config, command: &Strings<'_>, environ: &Environ<'_>) -> Failed {
    let shell = shell(environ).unwrap_or(SH);
    let word = command.iter().next().unwrap_or(shell);
    let size = size_of::<usize>();
    let rooms = memory::pages((command.len() + 3) * size)
        .and_then(|argv| Ok((argv, memory::pages((environ.len() + 2) * size)?)));
    let (argv, envp) = match rooms {
        Ok(rooms) => rooms,
        Err(error) => {
            say!("cpud: the arguments: {}", Sentence(error));
            return Failed(path::CANNOT_EXECUTE as u8);
        }
    };
    let mut envp = Pointers::new(envp);
    for variable in environ.iter() {
        // There is room: for one more than there are variables, and the NULL.
        let _ = envp.push(variable);
    }

    let mut room = [0; path::ROOM];
    let mut search = Search::new(word, environ.get(b"PATH"));
    let mut no_loader = false;
    while let Some(file) = search.next(&mut room) {
        let arguments = core::iter::once(word).chain(command.iter().skip(1));
        let error = exec(file, arguments.clone(), argv, &envp);
        if error == Errno::NOEXEC {
            if [file, SH].into_iter().any(report_foreign) {
                return Failed(path::CANNOT_EXECUTE as u8);
            }
            let _ = exec(SH, [SH, file].into_iter().chain(arguments.skip(1)), argv, &envp);
        }
        // execve(2) says ENOENT for a missing loader or interpreter, too.
        no_loader |= error == Errno::NOENT && fs::stat(file).is_ok();
        if !search.failed(error.raw_os_error().unsigned_abs()) {
            break;
        }
    }
    let status = search.exit_status() as u8;
    let error = Errno::from_raw_os_error(search.why().cast_signed());
    // No program has this name: on the appliance it may be one of cpud's own words.
    if config.appliance
        && status == path::NOT_FOUND as u8
        && let Some(answered) = words::answer(command)
    {
        return Failed(u8::from(!answered));
    }
    report(command.is_empty(), word, status == path::NOT_FOUND as u8, no_loader, error);
    Failed(status)
}

/// Says why the command, or the shell in place of one, could not be executed.
fn report(is_shell: bool, word: &CStr, not_found: bool, no_loader: bool, error: Errno) {
    let word = Quoted(word.to_bytes());
    match (is_shell, not_found) {
        (true, _) => say!("cpud: there is no shell {word} here: {}. Try the command `help`", Sentence(error)),
        (false, true) if no_loader => {
            say!("cpud: {word}: the loader or interpreter that it names is not in the name space; see -namespace");
        }
        (false, true) => say!("cpud: {word}: no such command"),
        (false, false) => say!("cpud: {word}: {}", Sentence(error)),
    }
}

/// Reports it when `file`, or the interpreter of the script that it is, is for another machine.
#[inline(never)] // twice in the caller otherwise
fn report_foreign(file: &CStr) -> bool {
    let mut rooms = [[0; program::HEAD]; 2];
    let mut file = file;
    for room in &mut rooms {
        let Ok(head) = fs::read_start(file, room) else { return false };
        if let Some(machine) = Machine::of(head) {
            let (name, theirs, ours) = (Quoted(file.to_bytes()), machine.name(), Machine::OURS.name());
            if machine != Machine::OURS {
                say!("cpud: {name} is {theirs}, this box is {ours}; use -namespace, see docs/cpu-compat.md");
            }
            return machine != Machine::OURS;
        }
        let Some(interpreter) = program::interpreter(head) else { return false };
        file = interpreter;
    }
    false
}

fn exec<'w>(file: &CStr, arguments: impl Iterator<Item = &'w CStr>, memory: &mut [u8], envp: &Pointers<'_>) -> Errno {
    let mut argv = Pointers::new(memory);
    for argument in arguments {
        if argv.push(argument).is_none() {
            return Errno::TOOBIG;
        }
    }
    process::exec(file, &argv, envp)
}
