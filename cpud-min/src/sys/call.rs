//! System calls that rustix lacks, or has in an unstable module only.

use rustix::io::{Errno, Result};

#[cfg(target_arch = "x86_64")]
pub unsafe fn raw(number: u32, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the x86-64 Linux calling convention; what the call does to memory is the caller's promise.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number as usize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

#[cfg(target_arch = "aarch64")]
pub unsafe fn raw(number: u32, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the aarch64 Linux calling convention; what the call does to memory is the caller's promise.
    unsafe {
        core::arch::asm!("svc #0", in("x8") number as usize, inlateout("x0") a[0] => result,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    result
}

/// System call `number` with up to five arguments, its error decoded.
///
/// # Safety
///
/// What the system call asks for: pointers among the arguments are valid for what it does with them.
pub unsafe fn syscall(number: u32, args: [usize; 5]) -> Result<usize> {
    // SAFETY: the caller's promise.
    let result = unsafe { raw(number, [args[0], args[1], args[2], args[3], args[4], 0]) };
    usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-(result as i32)))
}
