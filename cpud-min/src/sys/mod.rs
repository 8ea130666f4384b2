//! System calls: one file per chapter, over rustix where it has them. Together with `rt/`, the only place of unsafe
//! code.
#![allow(unsafe_code)]

pub mod args;
mod call;
pub mod cgroup;
pub mod console;
pub mod cpath;
pub mod errno;
pub mod fdpass;
pub mod fs;
#[cfg(feature = "test-hole")]
pub mod hole;
pub mod memory;
pub mod mount;
pub mod net;
pub mod packet;
pub mod process;
pub mod sandbox;
pub mod signal;
pub mod systemd;
pub mod tty;
pub mod watchdog;

use linux_raw_sys::general;
use rustix::event::Timespec;
pub use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
pub use rustix::io::Errno;

/// Milliseconds of the monotonic clock, which Linux starts at boot.
pub fn now() -> ssh_lite::Instant {
    ssh_lite::Instant(nanoseconds() / 1_000_000)
}

/// A time for poll(2).
pub const fn timespec(ms: u64) -> Timespec {
    Timespec { tv_sec: (ms / 1000) as i64, tv_nsec: (ms % 1000 * 1_000_000) as i64 }
}

/// Nanoseconds of the same clock.
pub fn nanoseconds() -> u64 {
    let t = clock(general::CLOCK_MONOTONIC);
    t.tv_sec.unsigned_abs() * 1_000_000_000 + t.tv_nsec.unsigned_abs()
}

/// The time of day, as the machine's clock has it.
pub fn seconds_since_1970() -> u64 {
    clock(general::CLOCK_REALTIME).tv_sec.unsigned_abs()
}

/// Sets the time of day (clock_settime(2)).
pub fn set_seconds_since_1970(seconds: u64) -> rustix::io::Result<()> {
    let t = general::timespec { tv_sec: seconds as i64, tv_nsec: 0 };
    let args = [general::CLOCK_REALTIME as usize, &raw const t as usize, 0, 0, 0];
    // SAFETY: clock_settime(2) reads one timespec.
    unsafe { call::syscall(general::__NR_clock_settime, args) }.map(drop)
}

/// By a system call: rustix's way around it costs 2 kB, and cpud asks once a round.
fn clock(which: u32) -> general::timespec {
    let mut t = general::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime(2) writes one timespec.
    let _ = unsafe { call::syscall(general::__NR_clock_gettime, [which as usize, &raw mut t as usize, 0, 0, 0]) };
    t
}

/// Whether the kernel's random number generator is seeded, so that [`random`] does not wait.
pub fn is_random() -> bool {
    rustix::rand::getrandom(&mut [0; 1], rustix::rand::GetRandomFlags::NONBLOCK).is_ok()
}

/// Fills `out` from the kernel's random number generator; waits until that is seeded, at boot.
pub fn random(out: &mut [u8]) {
    let mut start = 0;
    while start < out.len() {
        match rustix::rand::getrandom(&mut out[start..], rustix::rand::GetRandomFlags::empty()) {
            Ok(n) => start += n,
            Err(Errno::INTR) => {}
            // The documented errors are bad arguments only; without randomness there is no ssh.
            Err(_) => process::exit(101),
        }
    }
}

/// A number that need not be a secret, without waiting for a seed.
pub fn random_number() -> u32 {
    let mut out = [0; 4];
    let _ = rustix::rand::getrandom(&mut out, rustix::rand::GetRandomFlags::INSECURE);
    u32::from_ne_bytes(out)
}
