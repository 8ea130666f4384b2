//! Signals. Every role but a session blocks them all; init and guard read the ones they need from a descriptor.

use core::mem::size_of;

use linux_raw_sys::general as g;
use rustix::fd::{AsFd, FromRawFd, OwnedFd};
use rustix::io::Result;

use super::call::syscall;

const fn set_of(signals: &[u32]) -> u64 {
    let (mut set, mut i) = (0, 0);
    while i < signals.len() {
        set |= 1 << (signals[i] - 1);
        i += 1;
    }
    set
}

fn set_mask(mask: u64) {
    let how = g::SIG_SETMASK as usize;
    // SAFETY: reads 8 bytes at `mask`.
    let _ = unsafe { syscall(g::__NR_rt_sigprocmask, [how, &raw const mask as usize, 0, size_of::<u64>(), 0]) };
}

/// Blocks every signal that can be blocked.
pub fn block_all() {
    set_mask(u64::MAX);
}

/// Unblocks all signals and ignores none, as a program expects at its start. cpud ignores none, but whoever started it
/// may have, as nohup(1) does.
pub fn as_at_a_start() {
    /// SIG_DFL, no flags, no restorer, an empty mask.
    const DEFAULT: [u64; 4] = [0; 4];
    // SIGKILL and SIGSTOP cannot be set, and need not be.
    for signal in 1..=64 {
        let args = [signal, DEFAULT.as_ptr() as usize, 0, size_of::<u64>(), 0];
        // SAFETY: reads a `struct sigaction` of the kernel's, 32 bytes or less.
        let _ = unsafe { syscall(g::__NR_rt_sigaction, args) };
    }
    set_mask(0);
}

/// The size of a `struct signalfd_siginfo` (signalfd(2)).
const SIGINFO: usize = 128;

/// signalfd(2), not blocking, for blocked `signals`.
pub fn descriptor(signals: &[u32]) -> Result<OwnedFd> {
    let set = set_of(signals);
    // SFD_CLOEXEC and SFD_NONBLOCK are these (signalfd(2)).
    let flags = (g::O_CLOEXEC | g::O_NONBLOCK) as usize;
    let new = -1_isize as usize;
    // SAFETY: reads 8 bytes at `set`; the descriptor that comes back is nobody else's.
    unsafe {
        let fd = syscall(g::__NR_signalfd4, [new, &raw const set as usize, size_of::<u64>(), flags, 0])?;
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}

/// The number of the next signal, if one is pending.
pub fn next(descriptor: impl AsFd) -> Option<u32> {
    let mut info = [0; SIGINFO];
    let n = rustix::io::read(descriptor, &mut info).ok()?;
    // ssi_signo is the first field.
    (n == info.len()).then(|| u32::from_ne_bytes([info[0], info[1], info[2], info[3]]))
}

pub use linux_raw_sys::general::{SIGCHLD, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
