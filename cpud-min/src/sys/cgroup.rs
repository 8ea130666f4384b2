//! The control group (cgroups(7), version 2) that a session's processes are in, so that all of them end with it.

use crate::cpath;
use crate::sys::cpath::CPath;
use crate::sys::fs;
use crate::sys::process::Pid;

/// The group that holds the sessions' groups.
const PARENT: &core::ffi::CStr = c"/sys/fs/cgroup/cpud";

/// Makes the parent group, once. False where version 2 is not mounted or not writable, and before Linux 5.14, which
/// cannot kill a group: then only a session's process group ends with it.
pub fn prepare() -> bool {
    let there = |path| fs::access(path, fs::Access::EXISTS).is_ok();
    there(c"/sys/fs/cgroup/cgroup.controllers")
        && fs::make_dir(PARENT).is_ok()
        && there(c"/sys/fs/cgroup/cpud/cgroup.kill")
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

    /// Moves this process into the group, and so its later children.
    pub fn join(&self) -> rustix::io::Result<()> {
        fs::write_file(self.processes.as_c_str(), b"0")
    }

    /// Kills every process in the group.
    pub fn kill(&self) {
        let _ = fs::write_file(self.kill.as_c_str(), b"1");
    }

    /// Removes the group. False while something in it has not quite ended.
    pub fn remove(&self) -> bool {
        !matches!(fs::rmdir(self.directory.as_c_str()), Err(rustix::io::Errno::BUSY))
    }
}
