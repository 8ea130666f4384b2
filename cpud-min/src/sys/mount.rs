//! Mounts, in the mount name space of this process.

use core::ffi::CStr;

use rustix::io::Result;
pub use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_move};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;

/// A mount name space of our own, of which nothing gets out.
pub fn private_namespace() -> Result<()> {
    // SAFETY: a mount name space concerns no descriptor and no memory of this process.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
    mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
}

/// Makes the tree at `root` this process's root directory.
///
/// By MS_MOVE and chroot(2): pivot_root(2) refuses an initramfs (its manual page says so).
pub fn switch_root(root: &CStr) -> Result<()> {
    rustix::process::chdir(root)?;
    mount_move(c".", c"/")?;
    rustix::process::chroot(c".")?;
    rustix::process::chdir(c"/")
}
