//! session: reads what the client asks for, builds the name space, becomes the command.
//!
//! One process per `session` channel; guard forks it when the channel is opened. Until the command runs it reads wire's
//! messages ([`crate::protocol::session`]). Once the command's streams exist, whatever goes wrong is a line on its
//! standard error.

mod command;
mod devices;
mod failed;
mod namespace;
#[cfg_attr(not(feature = "nfs"), path = "no_nfs.rs")]
mod nfs;
mod parameters;
mod pump;
mod streams;
mod words;

use core::ffi::CStr;
use core::net::SocketAddr;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::Mode;
use rustix::io::Errno;
use ssh_lite::auth::Authenticated;

use crate::config::Config;
use crate::cpath;
use crate::limits::RECORDS;
use crate::plan::directory::{Directory, directory};
use crate::plan::environ;
use crate::plan::exec_line::Generation;
use crate::plan::path;
use crate::plan::quoted::Quoted;
use crate::say;
use crate::sys::cgroup::Cgroup;
use crate::sys::errno::Sentence;
use crate::sys::{fs, process, signal};
use failed::{Failed, NOT_STARTED};
use nfs::Nfs;
use parameters::{Parameters, SH};

/// Becomes what the user asks for on `socket`, or reports why not.
pub fn run(config: &Config, peer: SocketAddr, user: &Authenticated, cgroup: Option<&Cgroup>, socket: OwnedFd) -> ! {
    process::set_name(c"cpud session");
    // guard's standard streams are /dev/null.
    process::close_all_but(3, &[socket.as_fd()]);
    let _ = process::die_with_parent();
    let _ = rustix::process::setsid();
    // A user who wants other modes sets a umask himself; the relay makes sure that it holds.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    // What a user runs may be killed when memory is short, cpud itself not (init sees to that).
    let _ = fs::write_file(c"/proc/self/oom_score_adj", b"0");
    let Failed(status) = start(config, peer, user, &socket, cgroup);
    process::exit(status.into())
}

/// Returns only when the command did not start.
fn start(config: &Config, peer: SocketAddr, user: &Authenticated, socket: &OwnedFd, cgroup: Option<&Cgroup>) -> Failed {
    // Without parameters, or without the client, there is nobody to tell anything.
    let Ok(mut parameters) = Parameters::receive(socket) else { return Failed(NOT_STARTED) };
    if parameters.open_streams(socket).is_err() {
        return Failed(NOT_STARTED);
    }
    if !parameters.print_notices() {
        return Failed(NOT_STARTED);
    }
    let nfs = match Nfs::begin(parameters.environ.get(environ::CPU_FSTAB).map_or(b"", CStr::to_bytes), socket) {
        Ok(nfs) => nfs,
        Err(failed) => return failed,
    };
    // Only here: the pump and the listener must outlive the group.
    if cgroup.is_some_and(|cgroup| cgroup.join().is_err()) {
        say!("cpud: this session cannot join its control group");
        return Failed(NOT_STARTED);
    }
    // Whether there is a shell to read the line is not known before the name space is built.
    let line = parameters.exec_line();
    let (ninep, first) = match &line {
        Ok(line) => (line.ninep, line.words.iter().next().unwrap_or(c"")),
        Err(_) => (None, c""),
    };
    let environ = &mut parameters.environ;
    if let Err(failed) = record(config, peer, user, first) {
        return failed;
    }
    let serves = ninep.map(|n| n.generation).or(nfs.as_ref().map(|_| Generation::V3));
    if let Err(failed) = namespace::build(config, ninep, nfs, environ, user, socket) {
        return failed;
    }
    if let Err(failed) = enter_directory(serves, environ) {
        return failed;
    }
    let line = match parameters.shell_line(config.appliance) {
        Some(line) => line,
        None if parameters.needs_shell() => {
            let shell = Quoted(SH.to_bytes());
            say!("cpud: this line needs a shell, and there is no {shell} here; a cpu client brings one");
            return Failed(path::NOT_FOUND as u8);
        }
        None => line,
    };
    let line = match line {
        Ok(line) => line,
        Err(error) => {
            say!("cpud: {error}");
            return Failed(NOT_STARTED);
        }
    };
    let environ = &mut parameters.environ;
    environ::OF_THE_SESSION.iter().for_each(|name| environ.remove(name));
    // The command inherits nothing of the session: the socket closes as it starts.
    signal::as_at_a_start();
    command::run(config, &line.words, environ)
}

/// Enters `$PWD`. `serves`: how the client serves its files, if it does.
fn enter_directory(serves: Option<Generation>, environ: &environ::Environ<'_>) -> Result<(), Failed> {
    let wanted = directory(serves, environ.get(b"PWD"));
    let entered = match wanted {
        Directory::Required(path) | Directory::Wished(path) => rustix::process::chdir(path),
        Directory::Root => Ok(()),
    };
    match (wanted, entered) {
        (Directory::Required(path), Err(error)) => {
            let path = Quoted(path.to_bytes());
            say!("cpud: your $PWD {path} is not in the remote name space: {}", Sentence(error));
            Err(Failed(NOT_STARTED))
        }
        (Directory::Wished(path), Err(_)) => {
            say!("cpud: {} is not here, so this starts in /", Quoted(path.to_bytes()));
            let _ = rustix::process::chdir(c"/");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The file by which `sessions` shows this session; guard removes it at the session's end.
pub fn record_path(session: process::Pid) -> Option<crate::sys::cpath::CPath> {
    cpath!("{}/{}", RECORDS.to_str().ok()?, session.as_raw_nonzero())
}

/// On the appliance, records who runs what, and since when.
fn record(config: &Config, peer: SocketAddr, user: &Authenticated, command: &CStr) -> Result<(), Failed> {
    if !config.appliance {
        return Ok(());
    }
    let mut line = crate::sys::console::Line::new();
    let since = crate::sys::now().0 / 1000;
    let text = format_args!("{peer} {} {} {}", user.user(), since, Quoted(command.to_bytes()));
    let _ = core::fmt::write(&mut line, text);
    let path = record_path(process::own_pid()).ok_or(Errno::NAMETOOLONG);
    path.and_then(|path| fs::create_file(path.as_c_str(), line.as_bytes(), 0o600)).map_err(|error| {
        say!("cpud: cannot record this session: {}", Sentence(error));
        Failed(NOT_STARTED)
    })
}
