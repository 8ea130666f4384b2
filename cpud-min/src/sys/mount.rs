//! Mounts, in the mount name space of this process, and its network name space.

use core::ffi::CStr;

use rustix::fd::AsFd;
use rustix::io::Result;
pub use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_move, unmount};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// A mount name space of our own, of which nothing gets out.
pub fn private_namespace() -> Result<()> {
    // SAFETY: a mount name space concerns no descriptor and no memory of this process.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
    mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
}

/// A network name space of our own, with nothing but a loopback interface that is down.
pub fn private_network() -> Result<()> {
    // SAFETY: a network name space concerns no descriptor and no memory of this process.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
}

/// Into the network name space that `/proc/PID/ns/net` was opened of.
pub fn enter_network(name_space: impl AsFd) -> Result<()> {
    rustix::thread::move_into_link_name_space(name_space.as_fd(), Some(LinkNameSpaceType::Network))
}

/// Those of a mount's flags that it keeps when it is mounted anew with others, which replaces all (mount(2), MS_REMOUNT):
/// that no set-user-ID bit and no device node means anything there. Both, when the kernel does not say.
pub fn kept_flags(target: &CStr) -> MountFlags {
    let kept = MountFlags::NOSUID | MountFlags::NODEV;
    // The flags of statfs(2) have the numbers of mount(2)'s.
    rustix::fs::statfs(target).map_or(kept, |status| MountFlags::from_bits_retain(status.f_flags as u32) & kept)
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
