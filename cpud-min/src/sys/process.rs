//! Processes: fork, exec, wait, kill.

use core::ffi::CStr;

use linux_raw_sys::general as g;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::{Errno, Result};
pub use rustix::process::Pid;
use rustix::process::{Signal, WaitOptions};

use super::call::syscall;

/// exit_group(2).
pub fn exit(code: i32) -> ! {
    loop {
        // SAFETY: ends the process.
        let _ = unsafe { syscall(g::__NR_exit_group, [code as usize, 0, 0, 0, 0]) };
    }
}

/// Which side of a [`fork`] this is.
pub enum Fork {
    Child,
    Parent(Pid),
}

/// fork(2). The child has a copy of everything: its first step is to close what is not its own.
pub fn fork() -> Result<Fork> {
    // SAFETY: cpud has one thread per process, so the copy is a whole program.
    let pid = unsafe { syscall(g::__NR_clone, [g::SIGCHLD as usize, 0, 0, 0, 0]) }?;
    Ok(Pid::from_raw(pid as i32).map_or(Fork::Child, Fork::Parent))
}

/// Forks a process that is in none of this one's groups, and is not its child but its subreaper's. True in that
/// process.
pub fn fork_apart() -> Result<bool> {
    match fork()? {
        Fork::Child => {
            let _ = rustix::process::setsid();
            match fork() {
                Ok(Fork::Child) => Ok(true),
                Ok(Fork::Parent(_)) => exit(0),
                Err(_) => exit(1),
            }
        }
        Fork::Parent(child) => match wait(child)? {
            Status::Exited(0) => Ok(false),
            _ => Err(Errno::NOMEM),
        },
    }
}

/// execve(2): returns only when it failed.
pub fn exec(path: &CStr, argv: &Pointers<'_>, envp: &Pointers<'_>) -> Errno {
    let args = [path.as_ptr() as usize, argv.as_ptr(), envp.as_ptr(), 0, 0];
    // SAFETY: a C string, and two NULL-terminated arrays of C strings (Pointers).
    match unsafe { syscall(g::__NR_execve, args) } {
        Err(e) => e,
        Ok(_) => Errno::NOEXEC,
    }
}

/// A NULL-terminated array of pointers to C strings, for [`exec`].
pub struct Pointers<'a> {
    slots: &'a mut [usize],
    end: usize,
}

impl<'a> Pointers<'a> {
    /// An empty array in `memory`: 8 bytes for each pointer, and the NULL.
    pub fn new(memory: &'a mut [u8]) -> Self {
        // SAFETY: any bytes make valid integers; the parts that are not aligned are left out.
        let (_, slots, _) = unsafe { memory.align_to_mut() };
        Self { slots, end: 0 }
    }

    /// Appends `string`. None when the memory is full.
    pub fn push(&mut self, string: &'a CStr) -> Option<()> {
        *self.slots.get_mut(self.end + 1)? = 0;
        self.slots[self.end] = string.as_ptr() as usize;
        self.end += 1;
        Some(())
    }

    fn as_ptr(&self) -> usize {
        self.slots.as_ptr() as usize
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    Exited(u8),
    Killed { signal: u8, core_dumped: bool },
}

impl core::fmt::Display for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "ended with status {code}"),
            Self::Killed { signal, .. } => write!(f, "was ended by signal {signal}"),
        }
    }
}

/// The next child that has ended, if one has; never waits.
pub fn reap() -> Option<(Pid, Status)> {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => return Some((pid, decode(status.as_raw()))),
            Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}

/// Waits for the end of child `pid`.
pub fn wait(pid: Pid) -> Result<Status> {
    loop {
        match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(decode(status.as_raw())),
            Ok(None) | Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// wait(2)'s status word: the signal in bits 0 to 6, 0x80 for a core dump, the exit code above.
const fn decode(status: i32) -> Status {
    match status & 0x7f {
        0 => Status::Exited((status >> 8) as u8),
        signal => Status::Killed { signal: signal as u8, core_dumped: status & 0x80 != 0 },
    }
}

/// kill(2) of one process. A process that is gone is no error.
pub fn kill(pid: Pid, signal: u32) {
    send(pid.as_raw_nonzero().get(), signal);
}

/// kill(2) of the process group that `leader` leads.
pub fn kill_group(leader: Pid, signal: u32) {
    send(-leader.as_raw_nonzero().get(), signal);
}

/// kill(2) of every other process; from PID 1 that is everything.
pub fn kill_all(signal: u32) {
    send(-1, signal);
}

fn send(pid: i32, signal: u32) {
    // SAFETY: touches no memory.
    let _ = unsafe { syscall(g::__NR_kill, [pid as usize, signal as usize, 0, 0, 0]) };
}

/// The next child that has ended and is not waited for: until then its number is not reused.
pub fn ended() -> Option<Pid> {
    // SAFETY: a structure of integers and pointers; zeroes are valid.
    let mut info: g::siginfo_t = unsafe { core::mem::zeroed() };
    let options = g::WEXITED | g::WNOHANG | g::WNOWAIT;
    let args = [g::P_ALL as usize, 0, &raw mut info as usize, options as usize, 0];
    // SAFETY: waitid(2) writes one siginfo_t.
    unsafe { syscall(g::__NR_waitid, args) }.ok()?;
    // SAFETY: waitid(2) fills this member of the union, or leaves it zero when no child has ended.
    Pid::from_raw(unsafe { info.__bindgen_anon_1.__bindgen_anon_1._sifields._sigchld._pid })
}

/// Closes every descriptor from `first` on except `keep`, whatever its flags: the first step of a role after its fork.
pub fn close_all_but(mut first: u32, keep: &[BorrowedFd<'_>]) {
    // In rising order without sorting: each round closes up to the lowest one that is left to keep.
    while let Some(next) = keep.iter().map(|fd| fd.as_raw_fd().cast_unsigned()).filter(|&fd| fd >= first).min() {
        if next > first {
            let _ = close_range(first, next - 1);
        }
        first = next + 1;
    }
    let _ = close_range(first, u32::MAX);
}

/// Whether [`close_all_but`] works here.
pub fn can_close_all() -> Result<()> {
    close_range(u32::MAX, u32::MAX)
}

fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: the owners of these descriptors are in stack frames of the parent that never run here.
    unsafe { syscall(g::__NR_close_range, [first as usize, last as usize, 0, 0, 0]) }.map(drop)
}

/// The signal that the kernel sends when the parent dies.
pub fn die_with_parent() -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
}

/// The name that ps shows, at most 15 bytes.
pub fn set_name(name: &CStr) {
    let _ = rustix::thread::set_name(name);
}

/// The kernel's messages (syslog(2), SYSLOG_ACTION_READ_ALL); the number of bytes that were written to `out`.
pub fn kernel_log(out: &mut [u8]) -> Result<usize> {
    const SYSLOG_ACTION_READ_ALL: usize = 3;
    // SAFETY: writes at most out.len() bytes at `out`.
    unsafe { syscall(g::__NR_syslog, [SYSLOG_ACTION_READ_ALL, out.as_mut_ptr() as usize, out.len(), 0, 0]) }
}

/// How little of the processor this process asks for beside others, from 0 to 19 (setpriority(2)).
pub fn set_niceness(niceness: i32) {
    let _ = rustix::process::setpriority_process(None, niceness);
}

pub fn own_pid() -> Pid {
    rustix::process::getpid()
}
