//! The session's own /dev, with what udev adds to the kernel's. What programs leave there is gone with the session, and
//! nobody else sees it. Each device is made anew; one that is plugged in later is in the machine's /dev only.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, mkdirat, mknodat, openat, statat, symlinkat};
use rustix::io::Result;

use crate::sys::fs;

/// The links that udevd makes (systemd, src/shared/dev-setup.c).
const LINKS: [(&CStr, &CStr); 4] = [
    (c"/proc/self/fd", c"fd"),
    (c"/proc/self/fd/0", c"stdin"),
    (c"/proc/self/fd/1", c"stdout"),
    (c"/proc/self/fd/2", c"stderr"),
];

/// Fills the directory `own`.
pub fn make(own: &CStr) -> Result<()> {
    let (machine, own) = (fs::open(c"/dev", OFlags::DIRECTORY)?, fs::open(own, OFlags::DIRECTORY)?);
    // Everybody may write to some of them.
    let umask = rustix::process::umask(Mode::empty());
    copy(&machine, &own)?;
    rustix::process::umask(umask);
    LINKS.into_iter().try_for_each(|(to, name)| symlinkat(to, &own, name))
}

/// Copies devices and directories; skips a device that is unplugged meanwhile.
fn copy(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(from, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        let Ok(stat) = statat(from, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let mode = Mode::from_raw_mode(stat.st_mode);
        match FileType::from_raw_mode(stat.st_mode) {
            // Terminals are in a file system of their own.
            FileType::Directory if ![c".", c"..", c"pts"].contains(&name) => {
                let open = |at| openat(at, name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
                let Ok(below) = open(from) else { continue };
                mkdirat(to, name, mode)?;
                copy(&below, &open(to)?)?;
            }
            kind @ (FileType::CharacterDevice | FileType::BlockDevice) => mknodat(to, name, kind, mode, stat.st_rdev)?,
            _ => {}
        }
    }
    Ok(())
}
