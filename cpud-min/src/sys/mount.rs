//! Mounts in this process's mount name space, and its network name space.

use core::ffi::CStr;

use rustix::fd::AsFd;
use rustix::io::Result;
pub use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_move, unmount};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// Enters a mount name space of its own, from which no mount propagates.
pub fn private_namespace() -> Result<()> {
    // SAFETY: a mount name space concerns no descriptor and no memory of this process.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
    mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
}

/// Enters a network name space of its own, with nothing but a loopback interface that is down.
pub fn private_network() -> Result<()> {
    // SAFETY: a network name space concerns no descriptor and no memory of this process.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
}

/// Enters the network name space that an opened `/proc/PID/ns/net` stands for.
pub fn enter_network(name_space: impl AsFd) -> Result<()> {
    rustix::thread::move_into_link_name_space(name_space.as_fd(), Some(LinkNameSpaceType::Network))
}

/// The flags that a mount must keep when a remount replaces all flags (mount(2), MS_REMOUNT): no set-user-ID bits, no
/// device nodes. Both, when the kernel does not say.
pub fn kept_flags(target: &CStr) -> MountFlags {
    let kept = MountFlags::NOSUID | MountFlags::NODEV;
    // statfs(2) uses the same numbers as mount(2).
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
