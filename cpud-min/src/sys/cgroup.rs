//! The control group (cgroups(7), version 2) that a session's processes are in: all of them end with it, and share its
//! limits.

use core::ffi::CStr;
use core::fmt::Display;
use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::{Errno, Result};

use crate::cpath;
use crate::sys::cpath::CPath;
use crate::sys::fs;
use crate::sys::process::{self, Pid};

/// The group that holds the sessions' groups.
const PARENT: &CStr = c"/sys/fs/cgroup/cpud";

/// The controllers that sessions are limited by. Of the processor each session that is busy has an equal share
/// (`cpu.weight`, 100 by default), and each process of cpud's as much as all sessions together.
const CONTROLLERS: &[u8] = b"+cpu +memory +pids";

/// How deep below a session's group its own groups are removed.
const DEPTH: u32 = 8;

/// Makes the parent group, once. False where version 2 is not mounted or not writable, and before Linux 5.14, which
/// cannot kill a group: then only a session's process group ends with it.
pub fn prepare() -> bool {
    let there = |path| fs::access(path, fs::Access::EXISTS).is_ok();
    there(c"/sys/fs/cgroup/cgroup.controllers")
        && fs::make_dir(PARENT).is_ok()
        && there(c"/sys/fs/cgroup/cpud/cgroup.kill")
}

/// Limits what all sessions together use, and makes it possible to limit each.
pub fn limit_all(memory: usize, processes: usize) -> Result<()> {
    fs::write_file(c"/sys/fs/cgroup/cgroup.subtree_control", CONTROLLERS)?;
    fs::write_file(c"/sys/fs/cgroup/cpud/cgroup.subtree_control", CONTROLLERS)?;
    let parent = fs::open(PARENT, OFlags::RDONLY | OFlags::DIRECTORY)?;
    set(&parent, c"memory.max", &memory)?;
    set(&parent, c"pids.max", &processes)
}

/// Enters a name space in which this process's group is the root of all groups, so that groups which its programs make
/// are below it.
pub fn private_namespace() -> Result<()> {
    // SAFETY: a control group name space concerns no descriptor and no memory of this process.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWCGROUP) }
}

/// One session's group.
#[derive(Clone)]
pub struct Cgroup {
    directory: CPath,
    processes: CPath,
    kill: CPath,
}

impl Cgroup {
    /// A new group, named after the guard and its count of sessions.
    pub fn create(guard: Pid, number: u32) -> Option<Self> {
        let (parent, guard) = (PARENT.to_str().ok()?, guard.as_raw_nonzero());
        let group = Self {
            directory: cpath!("{parent}/{guard}.{number}")?,
            processes: cpath!("{parent}/{guard}.{number}/cgroup.procs")?,
            kill: cpath!("{parent}/{guard}.{number}/cgroup.kill")?,
        };
        fs::make_dir(group.directory.as_c_str()).ok()?;
        Some(group)
    }

    /// Bounds what its processes use together. When memory runs out, all of them end and not one of them.
    pub fn limit(&self, memory: usize, processes: usize) -> Result<()> {
        let group = self.open()?;
        set(&group, c"memory.max", &memory)?;
        set(&group, c"memory.oom.group", &1)?;
        set(&group, c"pids.max", &processes)
    }

    /// Whether the kernel has ended it because its memory ran out.
    pub fn ran_out_of_memory(&self) -> bool {
        let mut room = [0; 256];
        let read = |group: OwnedFd| {
            let file = rustix::fs::openat(group, c"memory.events", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            rustix::io::read(file, &mut room)
        };
        let n = self.open().and_then(read).unwrap_or(0);
        let count = room[..n].split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"oom_group_kill "));
        count.is_some_and(|count| count != b"0")
    }

    /// Moves this process into the group, and so its later children.
    pub fn join(&self) -> Result<()> {
        fs::write_file(self.processes.as_c_str(), b"0")
    }

    /// Sends a signal to its processes, as many as one page lists: they may be changing anyway.
    pub fn signal(&self, signal: u32) {
        let mut room = [0; 4096];
        let list = fs::read_start(self.processes.as_c_str(), &mut room).unwrap_or_default();
        for line in list.split_inclusive(|&b| b == b'\n').filter_map(|line| line.strip_suffix(b"\n")) {
            if let Some(pid) =
                core::str::from_utf8(line).ok().and_then(|line| line.parse().ok()).and_then(Pid::from_raw)
            {
                process::kill(pid, signal);
            }
        }
    }

    /// Kills every process in the group.
    pub fn kill(&self) {
        let _ = fs::write_file(self.kill.as_c_str(), b"1");
    }

    /// Removes the group, and those that its processes have made in it. False while something in it has not quite
    /// ended.
    pub fn remove(&self) -> bool {
        let removed = fs::rmdir(self.directory.as_c_str());
        if removed != Err(Errno::BUSY) {
            return true;
        }
        self.open().is_ok_and(|group| remove_below(group.as_fd(), DEPTH))
            && fs::rmdir(self.directory.as_c_str()).is_ok()
    }

    fn open(&self) -> Result<OwnedFd> {
        fs::open(self.directory.as_c_str(), OFlags::RDONLY | OFlags::DIRECTORY)
    }
}

fn set(group: &OwnedFd, file: &CStr, value: &dyn Display) -> Result<()> {
    let mut text = heapless::String::<20>::new();
    let _ = core::fmt::write(&mut text, format_args!("{value}"));
    let file = rustix::fs::openat(group, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(file, text.as_bytes()).map(drop)
}

/// Removes the groups in a group. False when one is left.
fn remove_below(group: BorrowedFd<'_>, depth: u32) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(group, &mut buffer);
    let mut empty = true;
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name();
        if entry.file_type() != FileType::Directory || matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let below = rustix::fs::openat(group, name, flags, Mode::empty());
        let removed = below.is_ok_and(|below| remove_below(below.as_fd(), depth))
            && rustix::fs::unlinkat(group, name, AtFlags::REMOVEDIR).is_ok();
        empty &= removed;
    }
    empty
}
