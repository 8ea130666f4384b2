//! Drops what a role does not need: privileges, and system calls (seccomp(2)).

use core::mem::{offset_of, size_of};

use linux_raw_sys::general as g;
use linux_raw_sys::ioctl::TIOCSWINSZ;
use linux_raw_sys::prctl::PR_SET_SECCOMP;
use rustix::fs::{Gid, Uid};
use rustix::io::Result;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::call::syscall;

// linux/seccomp.h, linux/audit.h, linux/filter.h, linux/bpf_common.h
const SECCOMP_MODE_FILTER: usize = 2;
const SECCOMP_RET_KILL_PROCESS: u32 = 0x8000_0000;
const SECCOMP_RET_ALLOW: u32 = 0x7fff_0000;
#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;
const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// `struct sock_filter`: an operation, the jumps when it is true and false, a constant.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Op(pub u16, pub u8, pub u8, pub u32);

/// `struct sock_fprog`, as long as the operations are there.
#[repr(C)]
pub(super) struct Program {
    length: u16,
    ops: *const Op,
}

impl Program {
    pub fn of(ops: &[Op]) -> Self {
        Self { length: ops.len() as u16, ops: ops.as_ptr() }
    }
}

/// `struct seccomp_data`
#[repr(C)]
struct Data {
    number: u32,
    arch: u32,
    instruction: u64,
    args: [u64; 6],
}

/// The system calls of wire and of relays: move bytes on descriptors they were given, receive more of them, wait, read
/// the clock, exit.
const WIRE: [u32; 15] = [
    g::__NR_read,
    g::__NR_write,
    g::__NR_pwrite64,
    g::__NR_ppoll,
    g::__NR_recvmsg,
    g::__NR_sendmsg,
    g::__NR_close,
    g::__NR_clock_gettime,
    g::__NR_getrandom,
    g::__NR_madvise,
    g::__NR_exit_group,
    g::__NR_exit,
    g::__NR_restart_syscall,
    g::__NR_rt_sigreturn,
    // To half-close the socket before closing it, so that the last message is not lost (tcp(7), linger).
    g::__NR_shutdown,
];

/// What net may do: wait, know the time, move packets on the sockets that it has, talk to init, end.
const NET: [u32; 13] = [
    g::__NR_read,
    g::__NR_write,
    g::__NR_ppoll,
    g::__NR_recvfrom,
    g::__NR_sendto,
    g::__NR_sendmsg,
    g::__NR_clock_gettime,
    g::__NR_getrandom,
    g::__NR_madvise,
    g::__NR_exit_group,
    g::__NR_exit,
    g::__NR_restart_syscall,
    g::__NR_rt_sigreturn,
];

const fn offset_of_low_word(offset: usize) -> u32 {
    // The low half of a 64-bit argument comes first on the little-endian machines that cpud runs on.
    offset as u32
}

const ALLOW: Op = Op(RETURN, 0, 0, SECCOMP_RET_ALLOW);
const KILL: Op = Op(RETURN, 0, 0, SECCOMP_RET_KILL_PROCESS);

const fn load(offset: usize) -> Op {
    Op(LOAD_WORD, 0, 0, offset_of_low_word(offset))
}

/// Drops privileges, then enters the filter: any system call that `WIRE` does not list kills the process. The one ioctl
/// is TIOCSWINSZ, a terminal's size. There is no way back.
///
/// `root`: the process may change its user.
pub fn enter_wire(root: bool) -> Result<()> {
    if root {
        become_nobody()?;
    }
    let resize = [
        Op(JUMP_EQUAL, 0, 3, g::__NR_ioctl),
        load(offset_of!(Data, args) + size_of::<u64>()),
        Op(JUMP_EQUAL, 0, 1, TIOCSWINSZ),
        ALLOW,
        KILL,
    ];
    enter(&WIRE, &resize)
}

/// The same for net, which keeps the privileges to change the network and to send packets of its own making.
pub fn enter_net() -> Result<()> {
    rustix::thread::set_keep_capabilities(true)?;
    become_nobody()?;
    let kept = CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: none })?;
    enter(&NET, &[KILL])
}

fn become_nobody() -> Result<()> {
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    // This empties the capability sets too (capabilities(7)), unless they are to be kept.
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

/// From here on only `allowed` calls do not end the process, and what `end`, the last operations, lets pass.
fn enter(allowed: &[u32], end: &[Op]) -> Result<()> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    rustix::thread::set_no_new_privs(true)?;
    let mut ops = heapless::Vec::<Op, { 4 + 2 * WIRE.len() + 5 }>::new();
    let start = [load(offset_of!(Data, arch)), Op(JUMP_EQUAL, 1, 0, AUDIT_ARCH), KILL, load(offset_of!(Data, number))];
    let _ = ops.extend_from_slice(&start);
    for &number in allowed {
        let _ = ops.extend_from_slice(&[Op(JUMP_EQUAL, 0, 1, number), ALLOW]);
    }
    if ops.extend_from_slice(end).is_err() {
        return Err(rustix::io::Errno::NOMEM);
    }
    let program = Program::of(&ops);
    // SAFETY: reads the program, which is on this stack frame.
    unsafe { syscall(g::__NR_prctl, [PR_SET_SECCOMP as usize, SECCOMP_MODE_FILTER, &raw const program as usize, 0, 0]) }
        .map(drop)
}

/// The user and group `nobody` of every Linux (the kernel's overflow id).
const NOBODY: u32 = 65534;
