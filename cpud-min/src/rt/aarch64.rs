//! The entry point and the memory functions for aarch64 (AAPCS64).
//!
//! In assembly, since a compiler turns a copying loop in Rust into a call of `memcpy`.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use cpud_min::sys::args::Args;

core::arch::global_asm!(
    ".section .text._start,\"ax\",@progbits",
    ".globl _start",
    ".type _start,@function",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "bl {start}",
    "brk #1",
    start = sym super::start
);

core::arch::global_asm!(
    // void *memcpy(void *x0, const void *x1, size_t x2); also right where the destination is the lower one.
    ".section .text.memcpy,\"ax\",@progbits",
    ".globl memcpy",
    ".type memcpy,@function",
    "memcpy:",
    "add x4, x1, x2",
    "add x5, x0, x2",
    "cmp x2, #16",
    "b.lo 8f",
    "mov x3, x0",
    "ldr q1, [x4, #-16]",
    "sub x5, x5, #16",
    "1: ldr q0, [x1], #16",
    "str q0, [x3], #16",
    "cmp x3, x5",
    "b.lo 1b",
    "str q1, [x5]",
    "ret",
    // Fewer than 16 bytes, overlapping or not: all is loaded before anything is stored.
    "8: cmp x2, #8",
    "b.lo 4f",
    "ldr x6, [x1]",
    "ldr x7, [x4, #-8]",
    "str x6, [x0]",
    "str x7, [x5, #-8]",
    "ret",
    "4: cmp x2, #4",
    "b.lo 2f",
    "ldr w6, [x1]",
    "ldr w7, [x4, #-4]",
    "str w6, [x0]",
    "str w7, [x5, #-4]",
    "ret",
    "2: cmp x2, #2",
    "b.lo 3f",
    "ldrh w6, [x1]",
    "ldrh w7, [x4, #-2]",
    "strh w6, [x0]",
    "strh w7, [x5, #-2]",
    "ret",
    "3: cbz x2, 5f",
    "ldrb w6, [x1]",
    "strb w6, [x0]",
    "5: ret",
    // void *memmove(void *x0, const void *x1, size_t x2)
    ".section .text.memmove,\"ax\",@progbits",
    ".globl memmove",
    ".type memmove,@function",
    "memmove:",
    "sub x3, x0, x1",
    "cmp x3, x2",
    "b.hs memcpy",
    "cmp x2, #16",
    "b.lo memcpy",
    "add x4, x1, x2",
    "add x5, x0, x2",
    "ldr q1, [x1]",
    "1: ldr q0, [x4, #-16]!",
    "str q0, [x5, #-16]!",
    "sub x2, x2, #16",
    "cmp x2, #16",
    "b.hi 1b",
    "str q1, [x0]",
    "ret",
    // void *memset(void *x0, int w1, size_t x2)
    ".section .text.memset,\"ax\",@progbits",
    ".globl memset",
    ".type memset,@function",
    "memset:",
    "mov x3, x0",
    "cmp x2, #16",
    "b.lo 2f",
    "dup v0.16b, w1",
    "add x4, x0, x2",
    "sub x4, x4, #16",
    "1: str q0, [x3], #16",
    "cmp x3, x4",
    "b.lo 1b",
    "str q0, [x4]",
    "ret",
    "2: cbz x2, 4f",
    "3: strb w1, [x3], #1",
    "subs x2, x2, #1",
    "b.ne 3b",
    "4: ret",
    // int memcmp(const void *x0, const void *x1, size_t x2), and bcmp
    ".section .text.memcmp,\"ax\",@progbits",
    ".globl memcmp",
    ".globl bcmp",
    ".type memcmp,@function",
    ".type bcmp,@function",
    "memcmp:",
    "bcmp:",
    "1: cmp x2, #8",
    "b.lo 2f",
    "ldr x3, [x0]",
    "ldr x4, [x1]",
    "cmp x3, x4",
    "b.ne 2f",
    "add x0, x0, #8",
    "add x1, x1, #8",
    "sub x2, x2, #8",
    "b 1b",
    "2: mov w3, wzr",
    "3: cbz x2, 4f",
    "ldrb w3, [x0], #1",
    "ldrb w4, [x1], #1",
    "sub x2, x2, #1",
    "subs w3, w3, w4",
    "b.eq 3b",
    "4: mov w0, w3",
    "ret",
    // size_t strlen(const char *x0)
    ".section .text.strlen,\"ax\",@progbits",
    ".globl strlen",
    ".type strlen,@function",
    "strlen:",
    "add x1, x0, #1",
    "1: ldrb w2, [x0], #1",
    "cbnz w2, 1b",
    "sub x0, x0, x1",
    "ret",
);

/// The stack that the program was started with.
static STACK: AtomicPtr<usize> = AtomicPtr::new(null_mut());

/// Keeps what [`getauxval`] reads.
pub fn remember(stack: *const usize) {
    STACK.store(stack.cast_mut(), Ordering::Relaxed);
}

/// getauxval(3), by which the ciphers' crates ask for the processor's instructions.
#[unsafe(no_mangle)]
extern "C" fn getauxval(kind: usize) -> usize {
    let stack = STACK.load(Ordering::Relaxed).cast_const();
    if stack.is_null() {
        return 0;
    }
    // SAFETY: `start` was given this stack by the kernel.
    unsafe { Args::new(stack) }.auxiliary(kind).unwrap_or(0)
}
