//! Pseudo terminals (pty(7)).

use linux_raw_sys::general::{__NR_ioctl, termios};
use linux_raw_sys::ioctl::{TCGETS, TCSETS};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::Result;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::call::syscall;

/// Opens a pseudo terminal: the master, not blocking, and the terminal.
pub fn open() -> Result<(OwnedFd, OwnedFd)> {
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    rustix::pty::unlockpt(&master)?;
    let terminal =
        rustix::pty::ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    super::fs::set_nonblocking(&master)?;
    Ok((master, terminal))
}

/// Makes it the controlling terminal of this session (setsid(2) has been called).
pub fn control(terminal: impl AsFd) -> Result<()> {
    rustix::process::ioctl_tiocsctty(terminal)
}

pub fn resize(terminal: impl AsFd, columns: u32, rows: u32, width: u32, height: u32) -> Result<()> {
    let cut = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    let size = Winsize { ws_row: cut(rows), ws_col: cut(columns), ws_xpixel: cut(width), ws_ypixel: cut(height) };
    rustix::termios::tcsetwinsize(terminal, size)
}

/// The terminal's settings (TCGETS of tty_ioctl(4)).
pub fn settings(terminal: impl AsFd) -> Result<termios> {
    // SAFETY: a structure of integers; zeroes are valid.
    let mut settings: termios = unsafe { core::mem::zeroed() };
    let fd = terminal.as_fd().as_raw_fd() as usize;
    // SAFETY: TCGETS writes one termios.
    unsafe { syscall(__NR_ioctl, [fd, TCGETS as usize, &raw mut settings as usize, 0, 0]) }?;
    Ok(settings)
}

/// Sets them at once (TCSETS).
pub fn set_settings(terminal: impl AsFd, settings: &termios) -> Result<()> {
    let fd = terminal.as_fd().as_raw_fd() as usize;
    // SAFETY: TCSETS reads one termios.
    unsafe { syscall(__NR_ioctl, [fd, TCSETS as usize, &raw const *settings as usize, 0, 0]) }.map(drop)
}
