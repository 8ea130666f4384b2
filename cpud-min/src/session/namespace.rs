//! Builds the session's name space: private mounts, the client's files on /tmp/cpu, and the binds of its fstab.

use core::ffi::CStr;
use core::fmt::Display;

use linux_raw_sys::general::MS_REMOUNT;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::{Errno, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount_remount};
use ssh_lite::auth::Authenticated;

use super::devices;
use super::failed::{Failed, NOT_STARTED};
use super::nfs::Nfs;
use crate::config::Config;
use crate::cpath;
use crate::limits::{MSIZE, RECORDS};
use crate::plan::environ::{self, Environ};
use crate::plan::exec_line::{Generation, Ninep};
use crate::plan::fstab;
use crate::plan::namespace::{self, Action, CLIENT, CLIENT_FLAGS, Namespace, Step};
use crate::protocol::session::FromSession;
use crate::say;
use crate::sys::errno::{Failure, Sentence};
use crate::sys::{cgroup, fdpass, fs, mount};

/// Where the relay writes its counters for the session, about once a second while it is busy. Empty at first.
const COUNTERS: &CStr = c"/tmp/cpu-stats";

/// Where the session will find its control group.
const GROUPS: &CStr = c"/tmp/sys/fs/cgroup";

const TMPFS: MountFlags = MountFlags::NOSUID;
const TREE: MountFlags = MountFlags::BIND.union(MountFlags::REC);

/// A session's root on the appliance, assembled at /tmp: each row is a bind, or a tmpfs with these options. Only what
/// is bound outlives the session and is seen by others.
const ROOT: [(&CStr, &CStr, MountFlags, &CStr); 11] = [
    (c"tmpfs", c"/tmp", TMPFS, c"mode=755"),
    // A misspelt `of=/dev/...` writes here, and must not fill the machine's memory.
    (c"dev", c"/tmp/dev", TMPFS, c"mode=755,size=4m"),
    (c"/dev/pts", c"/tmp/dev/pts", MountFlags::BIND, c""),
    (c"tmpfs", c"/tmp/dev/shm", TMPFS.union(MountFlags::NODEV), c"mode=1777"),
    (c"/proc", c"/tmp/proc", TREE, c""),
    (c"/sys", c"/tmp/sys", TREE, c""),
    (c"tmpfs", c"/tmp/run", TMPFS, c"mode=755"),
    // For the word `sessions`.
    (RECORDS, c"/tmp/run/cpud", MountFlags::BIND, c""),
    (c"tmpfs", c"/tmp/tmp", TMPFS, c"mode=1777"),
    (c"/", c"/tmp/tmp/local", MountFlags::BIND, c""),
    // It has the devices that are plugged in later.
    (c"/dev", c"/tmp/tmp/local/dev", MountFlags::BIND, c""),
];

/// Directories that clients of every generation expect, under the private /tmp.
const UNDER_TMP: [&CStr; 4] = [CLIENT, c"/tmp/local", c"/tmp/merge", c"/tmp/root"];

/// Builds the name space that the client asks for. A session without files and without mounts keeps the machine's.
pub fn build(
    config: &Config,
    ninep: Option<Ninep>,
    nfs: Option<Nfs>,
    environ: &Environ<'_>,
    user: &Authenticated,
    socket: &OwnedFd,
) -> core::result::Result<(), Failed> {
    let table = environ.get(environ::CPU_FSTAB).map_or(&[][..], CStr::to_bytes);
    let no_name_space = |error| fail(&Failure("cannot make a name space", error));
    let mut wanted = heapless::Vec::new();
    if let Some(ninep) = ninep {
        if !config.ninep {
            return fail(&"this cpud was started with --no-9p, so it mounts no files of a client");
        }
        let nonce = match ninep.generation {
            Generation::V2 => c"",
            Generation::V3 => match environ.get(environ::CPUNONCE) {
                Some(nonce) if nonce.count_bytes() == 32 => nonce,
                _ => return fail(&"the client sent no CPUNONCE of 32 bytes for its files"),
            },
        };
        private_root(config).or_else(no_name_space)?;
        let cache = environ::freshness(environ.get(environ::CPU_CACHE).map_or(b"", CStr::to_bytes));
        let home = environ.get(b"HOME").map_or(&b""[..], CStr::to_bytes);
        let ninep_message = FromSession::Ninep {
            port: ninep.port.into(),
            nonce: nonce.to_bytes(),
            freshness_ms: cache,
            home: if home.len() <= 255 { home } else { b"" },
            names: names(config, ninep.generation, table, &mut wanted),
        };
        mount_client(&ninep_message, cache, user, socket)
            .or_else(|error| fail(&Failure("the client's files cannot be mounted", error)))?;
    } else if nfs.is_some() || mentions_mounts(table) {
        // On an ordinary machine such mounts are among its own files.
        let private = if nfs.is_some() || config.appliance { private_root(config) } else { mount::private_namespace() };
        private.or_else(no_name_space)?;
    }
    mount_table(ninep, nfs.as_ref(), table)?;
    if config.appliance && (!wanted.is_empty() || nfs.is_some()) {
        link_sbin(ninep.map(|n| n.generation), table);
    }
    match nfs {
        Some(nfs) => nfs.leave().or_else(|error| fail(&Failure("cannot go back to the machine's network", error))),
        None => Ok(()),
    }
}

/// The names that the name space will look up in the client's root, separated by slashes, as far as there is room.
fn names<'n>(config: &Config, generation: Generation, table: &[u8], names: &'n mut heapless::Vec<u8, 256>) -> &'n [u8] {
    let mut room = [0; fstab::ROOM];
    let mut steps = Namespace::new(Some(generation), table);
    while let Some(step) = steps.next(&mut room) {
        if let Ok(Step { action: Action::Bind { source, .. }, .. }) = step
            && let Some(path) = source.to_bytes().strip_prefix(CLIENT.to_bytes())
            && let Some(name) = path.split(|&b| b == b'/').nth(1)
        {
            // A name that does not fit is asked for when it is needed.
            let _ = names.extend_from_slice(name).and_then(|()| names.extend_from_slice(b"/"));
        }
    }
    if config.appliance && !names.is_empty() && !names.split(|&b| b == b'/').any(|name| name == b"sbin") {
        let _ = names.extend_from_slice(b"sbin");
    }
    names
}

/// Makes /sbin the same link as at the client, if that leads into a directory that is bound at its own place: programs
/// look there, and no stock client binds it. Only /sbin, since each further name would cost a question.
fn link_sbin(ninep: Option<Generation>, table: &[u8]) {
    let mut room = [0; 256];
    // If /sbin is there, a line has bound it; if the client's is a directory or missing, read_link fails.
    if fs::access(c"/sbin", fs::Access::EXISTS).is_err()
        && let Ok(target) = fs::read_link(c"/tmp/cpu/sbin", &mut room)
        && namespace::shows(ninep, table, target.to_bytes())
    {
        let _ = fs::symlink(target, c"/sbin");
    }
}

/// Whether the table has more than the default name space of a client without files.
fn mentions_mounts(table: &[u8]) -> bool {
    let mut room = [0; fstab::ROOM];
    let mut steps = Namespace::new(None, table);
    while let Some(step) = steps.next(&mut room) {
        if step.is_ok_and(|s| s.action != Action::LeaveOut) {
            return true;
        }
    }
    false
}

fn fail(why: &dyn Display) -> core::result::Result<(), Failed> {
    say!("cpud: {why}");
    Err(Failed(NOT_STARTED))
}

/// Makes a mount name space with a private /tmp. On the appliance the root is private too, so that mount points and
/// files of a session are gone with it and no other session sees them; the machine's root is at /tmp/local.
fn private_root(config: &Config) -> Result<()> {
    mount::private_namespace()?;
    if config.appliance {
        for (source, target, flags, options) in &ROOT {
            fs::make_dir(target)?;
            mount::mount(*source, *target, c"tmpfs", *flags, *options)?;
        }
        if config.cgroups {
            // Groups that programs make are below the session's, and end with it.
            cgroup::private_namespace()?;
            mount::unmount(GROUPS, UnmountFlags::DETACH)?;
            mount::mount(c"cgroup2", GROUPS, c"cgroup2", TMPFS, c"")?;
        }
        // Read-only: nothing can be left there, but devices can be written to.
        mount_remount(c"/tmp/tmp/local/dev", MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID, c"")?;
        devices::make(c"/tmp/dev")?;
        mount::switch_root(c"/tmp")?;
    } else {
        mount::mount(c"tmpfs", c"/tmp", c"tmpfs", TMPFS, c"mode=1777")?;
        fs::make_dir(c"/tmp/local")?;
        mount::mount_bind(c"/", c"/tmp/local")?;
    }
    UNDER_TMP.into_iter().chain([c"/home"]).try_for_each(fs::make_dir)
}

/// Mounts the client's files. The kernel gets one end of a socketpair, the user's relay the other, and a stream to
/// wire; there is no port for anybody else to connect to.
fn mount_client(files: &FromSession<'_>, freshness_ms: u32, user: &Authenticated, socket: &OwnedFd) -> Result<()> {
    let (kernel, answering) = fdpass::stream_pair()?;
    let (relay, wire) = fdpass::stream_pair()?;
    [&answering, &relay, &wire].into_iter().try_for_each(fs::set_nonblocking)?;
    fs::make_file(COUNTERS)?;
    let counters = fs::open(COUNTERS, OFlags::WRONLY)?;
    files.send(socket, &[answering.as_fd(), relay.as_fd(), wire.as_fd(), counters.as_fd()])?;
    // From here on only the relay holds its end: when it closes that, whatever waits for a file fails.
    drop((answering, relay, wire));
    let fd = kernel.as_raw_fd();
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    let uname = if user.user().bytes().all(plain) { user.user() } else { "cpu" };
    // The last three options are of kernel-config/patches; an ordinary kernel ignores them. The relay's answers may be
    // as old as the freshness bound, so the kernel may reuse them for a part of it only.
    let revalidate = freshness_ms / 4;
    let options = cpath!(
        "trans=fd,rfdno={fd},wfdno={fd},version=9p2000.L,uname={uname},access=user,cache=mmap,directio,noxattr,\
         msize={MSIZE},revalidate={revalidate},append,devices"
    );
    let options = options.ok_or(Errno::NAMETOOLONG)?;
    mount::mount(c"cpu", CLIENT, c"9p", MountFlags::from_bits_retain(CLIENT_FLAGS), options.as_c_str())?;
    FromSession::Mounted.send(socket, &[])
}

/// Makes the mounts of the table. Reports each line that fails; one that the session needs ends it.
fn mount_table(ninep: Option<Ninep>, nfs: Option<&Nfs>, table: &[u8]) -> core::result::Result<(), Failed> {
    let mut room = [0; fstab::ROOM];
    let mut steps = Namespace::new(ninep.map(|n| n.generation), table);
    while let Some(step) = steps.next(&mut room) {
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                say!("cpud: {error}");
                continue;
            }
        };
        if let Err(error) = perform(&step, nfs) {
            say!("cpud: {step}: {}", Sentence(error));
            if matches!(step.action, Action::Mount(entry) if entry.is_nfs()) && error == Errno::NODEV {
                say!(
                    "cpud: this kernel has no NFS client: scripts/build-image.sh and run-qemu.sh put it in with --nfs"
                );
            }
            let vital = match step.action {
                // A client without, say, /lib32 is normal. After any other error the machine's own files would stand
                // in.
                Action::Bind { vital, .. } => vital && error != Errno::NOENT,
                Action::Mount(entry) => entry.target == CLIENT,
                Action::LeaveOut => false,
            };
            if vital {
                return Err(Failed(NOT_STARTED));
            }
        }
    }
    Ok(())
}

fn perform(step: &Step<'_>, nfs: Option<&Nfs>) -> Result<()> {
    match step.action {
        Action::LeaveOut => {
            say!("cpud: {step}");
            Ok(())
        }
        Action::Bind { source, target, flags, remount, .. } => {
            // The source is opened before its mount point is made; not by stat(2), which waits until the client has
            // listed its mounts.
            match fs::open(source, OFlags::PATH | OFlags::DIRECTORY) {
                Ok(_) => fs::make_dirs(target)?,
                Err(Errno::NOTDIR) => fs::make_file(target)?,
                Err(error) => return Err(error),
            }
            mount::mount(source, target, c"", MountFlags::from_bits_retain(flags), None)?;
            match remount {
                0 => Ok(()),
                flags => {
                    let flags = MountFlags::BIND | MountFlags::from_bits_retain(flags);
                    mount_remount(target, flags | mount::kept_flags(target), c"")
                }
            }
        }
        Action::Mount(entry) => {
            fs::make_dirs(entry.target)?;
            let flags = MountFlags::from_bits_retain(entry.flags);
            // mount(2) takes MS_REMOUNT as one of the flags.
            let anew = entry.flags & MS_REMOUNT != 0;
            let flags = if anew { flags | mount::kept_flags(entry.target) } else { flags };
            mount::mount(entry.source, entry.target, entry.fstype, flags, entry.data)?;
            nfs.filter(|_| entry.is_nfs()).map_or(Ok(()), |nfs| nfs.mounted(entry.target))
        }
    }
}
