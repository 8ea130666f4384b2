//! The machine's watchdog (the kernel's watchdog/watchdog-api.rst): it restarts a machine that does not feed it in time.

use linux_raw_sys::general::__NR_ioctl;
use linux_raw_sys::ioctl::{WDIOC_GETBOOTSTATUS, WDIOC_GETTIMEOUT, WDIOC_SETTIMEOUT};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Result;

use super::call::syscall;
use super::fs;

/// An armed watchdog. When it is dropped it stays armed.
pub struct Watchdog(OwnedFd);

impl Watchdog {
    /// Arms the first one. One that the firmware has armed is taken over: the kernel feeds it until then.
    pub fn arm() -> Result<Self> {
        fs::open(c"/dev/watchdog0", OFlags::WRONLY).map(Self)
    }

    /// Whether it was this watchdog that ended the last boot. Drivers keep that until the machine's next start.
    pub fn ended_last_boot(&self) -> bool {
        /// WDIOF_CARDRESET of <linux/watchdog.h>.
        const RESET: i32 = 0x20;
        let mut status = 0;
        self.ioctl(WDIOC_GETBOOTSTATUS, &mut status).is_ok() && status & RESET != 0
    }

    /// Sets how many seconds it waits; how many it really does, since a driver has its own limits.
    pub fn set_patience(&self, mut seconds: i32) -> Result<i32> {
        match self.ioctl(WDIOC_SETTIMEOUT, &mut seconds) {
            Ok(()) => Ok(seconds),
            Err(_) => self.ioctl(WDIOC_GETTIMEOUT, &mut seconds).map(|()| seconds),
        }
    }

    /// Starts its time anew.
    pub fn feed(&self) {
        let _ = rustix::io::write(&self.0, b"\0");
    }

    /// Stops it: a close after this letter disarms.
    pub fn disarm(self) {
        let _ = rustix::io::write(&self.0, b"V");
    }

    fn ioctl(&self, request: u32, value: &mut i32) -> Result<()> {
        let args = [self.0.as_raw_fd() as usize, request as usize, &raw mut *value as usize, 0, 0];
        // SAFETY: each of the three requests reads or writes one int.
        unsafe { syscall(__NR_ioctl, args) }.map(drop)
    }
}
