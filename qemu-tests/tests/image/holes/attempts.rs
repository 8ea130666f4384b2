//! What somebody tries who has taken over wire or a relay.

use std::ops::Range;

use qemu_tests::hole::{AT, Call};

/// What it is for, the system call, its arguments, and what these point at.
pub type Attempt = (&'static str, Call, &'static [u64], &'static [u8]);

/// The whole filter: all others end the process (`sys/sandbox.rs`).
pub const ALLOWED: [Call; 16] = [
    Call::READ,
    Call::WRITE,
    Call::SENDMSG,
    Call::RECVMSG,
    Call::PPOLL,
    Call(3, 57),    // close
    Call(15, 139),  // rt_sigreturn
    IOCTL,          // TIOCSWINSZ alone
    Call(18, 68),   // pwrite64
    Call(28, 233),  // madvise
    Call(48, 210),  // shutdown
    Call(60, 93),   // exit
    Call(219, 128), // restart_syscall
    Call(228, 113), // clock_gettime
    Call(231, 94),  // exit_group
    Call(318, 278), // getrandom
];

/// The numbers of Linux 6.12 on both architectures, the last of which is mseal's 462. Between the two ranges are only those
/// of the kernel's own probes, and this kernel has none.
pub const NUMBERS: [Range<u32>; 2] = [0..335, 424..470];

const IOCTL: Call = Call(16, 29);
const TIOCSWINSZ: u64 = 0x5414;

const OPENAT: Call = Call(257, 56);
const SOCKET: Call = Call(41, 198);
const KILL: Call = Call(62, 129);
const CLONE: Call = Call(56, 220);
const MMAP: Call = Call(9, 222);
const PRCTL: Call = Call(157, 167);

const HERE: u64 = -100_i64 as u64; // AT_FDCWD
const NOWHERE: u64 = -1_i64 as u64;

/// Each ends the process, and is not done.
pub const FATAL: &[Attempt] = &[
    ("the host key", OPENAT, &[HERE, AT, 0], b"/etc/cpud/host_key\0"),
    ("the keys, to write", OPENAT, &[HERE, AT, 0o2001], b"/etc/cpud/authorized_keys\0"),
    ("the memory of PID 1", OPENAT, &[HERE, AT, 2], b"/proc/1/mem\0"),
    ("all memory", OPENAT, &[HERE, AT, 2], b"/dev/mem\0"),
    ("its own memory", OPENAT, &[HERE, AT, 2], b"/proc/self/mem\0"),
    ("a file by openat2", Call(437, 437), &[HERE, AT, AT + 8, 24], b"/init\0\0\0"),
    ("a file by its handle", Call(304, 265), &[HERE, AT, 0], b"\x08\0\0\0\x01\0\0\0"),
    ("a list of files", Call(217, 61), &[0, AT, 512], b""),
    ("another's descriptor", Call(438, 438), &[3, 3, 0], b""),
    ("a file of no name", Call(319, 279), &[AT, 0], b"x\0"),
    ("a socket", SOCKET, &[2, 1, 0], b""),
    ("a packet socket", SOCKET, &[17, 3, 0x300], b""),
    ("a netlink socket", SOCKET, &[16, 3, 0], b""),
    ("a connection", Call(42, 203), &[3, AT, 16], b"\x02\0\0\x16\x7f\0\0\x01"),
    ("a name for a socket", Call(49, 200), &[3, AT, 16], b"\x02\0\0\x16\0\0\0\0"),
    ("a datagram", Call(44, 206), &[3, AT, 1, 0, AT, 16], b"\x02\0\0\x16\x7f\0\0\x01"),
    ("a connection of init's", Call(288, 242), &[3, 0, 0, 0], b""),
    ("larger buffers", Call(54, 208), &[3, 1, 7, AT, 4], b"\0\0\0\x01"),
    ("PID 1's end", KILL, &[1, 9], b""),
    ("everybody's end", KILL, &[NOWHERE, 9], b""),
    ("a thread's end", Call(234, 131), &[1, 1, 9], b""),
    ("a queued signal", Call(129, 138), &[1, 9, AT], b""),
    ("a handle of PID 1", Call(434, 434), &[1, 0], b""),
    ("a signal by it", Call(424, 424), &[3, 9, 0, 0], b""),
    ("tracing PID 1", Call(101, 117), &[16, 1, 0, 0], b""),
    ("reading another's memory", Call(310, 270), &[1, AT, 1, AT, 1, 0], b""),
    ("writing another's memory", Call(311, 271), &[1, AT, 1, AT, 1, 0], b""),
    ("a process", CLONE, &[17, 0, 0, 0, 0], b""),
    ("a user name space", CLONE, &[0x1000_0011, 0, 0, 0, 0], b""),
    ("a process by clone3", Call(435, 435), &[AT, 64], b""),
    ("a program", Call(59, 221), &[AT, 0, 0], b"/init\0"),
    ("a program of a descriptor", Call(322, 281), &[0, AT, 0, 0, 0x1000], b"\0"),
    ("being root", Call(105, 146), &[0], b""),
    ("being root for files", Call(117, 147), &[0, 0, 0], b""),
    ("capabilities", Call(126, 91), &[AT, AT], b""),
    ("a name space of its own", Call(272, 97), &[0x1000_0000], b""),
    ("another's name space", Call(308, 268), &[3, 0], b""),
    ("a mount", Call(165, 40), &[AT, AT, AT, 0, 0], b"proc\0"),
    ("another root", Call(161, 51), &[AT], b"/proc\0"),
    ("removing a file", Call(263, 35), &[HERE, AT, 0], b"/init\0"),
    ("input of a terminal", IOCTL, &[0, 0x5412, AT], b"x"),
    ("a terminal of its own", IOCTL, &[0, 0x540e, 1], b""),
    ("interfaces of the network", IOCTL, &[3, 0x8912, AT], b""),
    ("being traced", PRCTL, &[4, 1, 0, 0, 0], b""),
    ("another name", PRCTL, &[15, AT, 0, 0, 0], b"init\0"),
    ("another filter", Call(317, 277), &[0, 0, 0], b""),
    ("pages to execute", MMAP, &[0, 4096, 7, 0x22, NOWHERE, 0], b""),
    ("pages", MMAP, &[0, 4096, 3, 0x22, NOWHERE, 0], b""),
    ("its stack to execute", Call(10, 226), &[AT, 4096, 7], b""),
    ("an io_uring", Call(425, 425), &[8, AT], b""),
    ("a program of the kernel's", Call(321, 280), &[0, AT, 128], b"\x02"),
    ("counters of the kernel", Call(298, 241), &[AT, NOWHERE, NOWHERE, NOWHERE, 0], b"\x01"),
    ("a key of the kernel's", Call(250, 219), &[0, 1, 1], b""),
    ("page faults of its own", Call(323, 282), &[0], b""),
    ("a copy of a descriptor", Call(292, 24), &[3, 50, 0], b""),
    ("what the kernel has said", Call(103, 116), &[3, AT, 512], b""),
    ("a restart", Call(169, 142), &[0xfee1_dead, 672_274_793, 0x0123_4567, 0], b""),
    ("the host's name", Call(170, 161), &[AT, 4], b"mine"),
    ("x32's openat", Call(0x4000_0101, 0x4000_0101), &[HERE, AT, 0], b"/etc/cpud/host_key\0"),
];

/// Each returns this error number, with a descriptor that is not [`qemu_tests::hole::Hole::peer`] in place of [`OTHER`].
pub const REFUSED: &[(Attempt, i64)] = &[
    (("a descriptor that it has not", Call::READ, &[99, AT, 1], b""), EBADF),
    (("memory of the kernel, to write", Call::WRITE, &[OTHER, NOWHERE << 12, 1], b""), EFAULT),
    (("a terminal's size, of what is none", IOCTL, &[OTHER, TIOCSWINSZ, AT], b""), ENOTTY),
    (("a file in place of a socket", Call::SENDMSG, &[0, AT, 0], b""), ENOTSOCK),
];

/// In place of a descriptor.
pub const OTHER: u64 = 1 << 59;

// asm-generic/errno-base.h and errno.h
const EBADF: i64 = 9;
const EFAULT: i64 = 14;
const ENOTTY: i64 = 25;
const ENOTSOCK: i64 = 88;
pub const EISCONN: i64 = 106;
