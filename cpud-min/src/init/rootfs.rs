//! The appliance's own file system: what init makes of the empty root that the kernel unpacked.

use core::ffi::CStr;

use rustix::mount::MountFlags;

use crate::limits::RECORDS;
use crate::plan::quoted::Quoted;
use crate::say;
use crate::sys::errno::Sentence;
use crate::sys::{fs, mount};

struct Mount {
    kind: &'static CStr,
    target: &'static CStr,
    flags: MountFlags,
    options: &'static CStr,
}

const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// Mounted in this order.
const MOUNTS: [Mount; 7] = [
    // Processes, for `sessions`, for programs that ask about themselves, and for kernel settings.
    Mount { kind: c"proc", target: c"/proc", flags: QUIET, options: c"" },
    // Devices and their drivers.
    Mount { kind: c"sysfs", target: c"/sys", flags: QUIET, options: c"" },
    // Every device that the kernel knows. Mounted by hand, since the kernel does not do it over an initramfs.
    Mount { kind: c"devtmpfs", target: c"/dev", flags: MountFlags::NOSUID, options: c"mode=755" },
    // Pseudo terminals.
    Mount { kind: c"devpts", target: c"/dev/pts", flags: NO_PROGRAMS, options: c"mode=620,ptmxmode=666" },
    // The last messages of a kernel that panicked.
    Mount { kind: c"pstore", target: c"/sys/fs/pstore", flags: QUIET, options: c"" },
    // Who is logged in.
    Mount { kind: c"tmpfs", target: c"/run", flags: QUIET, options: c"mode=755" },
    // One control group for each session, which does not set its own limits by accident.
    Mount { kind: c"cgroup2", target: c"/sys/fs/cgroup", flags: QUIET, options: c"nsdelegate" },
];

const NO_PROGRAMS: MountFlags = MountFlags::NOSUID.union(MountFlags::NOEXEC);

/// Mount points of the sessions' own name spaces, and the directory for their records.
const DIRECTORIES: [&CStr; 3] = [c"/tmp", c"/home", RECORDS];

/// Mounts all rows and makes all directories. Reports one that fails, and goes on.
pub fn build() {
    for Mount { kind, target, flags, options } in MOUNTS {
        let made = fs::make_dir(target).and_then(|()| mount::mount(kind, target, kind, flags, options));
        if let Err(error) = made {
            say!("cpud: cannot mount {}: {}", Quoted(target.to_bytes()), Sentence(error));
        }
    }
    for directory in DIRECTORIES {
        if let Err(error) = fs::make_dir(directory) {
            say!("cpud: cannot make {}: {}", Quoted(directory.to_bytes()), Sentence(error));
        }
    }
}
