//! Becoming a process without a C library: the entry point, the functions that compilers call by name, the end after
//! a panic. It is part of the program and not of the library, whose tests link the real C library.
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use core::fmt::Write as _;

use cpud_min::sys;

/// What the processor's own entry point calls.
///
/// # Safety
///
/// `stack` is the stack pointer that the kernel started the program with.
unsafe extern "C" fn start(stack: *const usize) -> ! {
    #[cfg(target_arch = "aarch64")]
    aarch64::remember(stack);
    // SAFETY: the caller's promise.
    let args = unsafe { sys::args::Args::new(stack) };
    sys::process::exit(crate::main(args))
}

/// A panic is a bug: it says where, and ends this process. Only PID 1's end would end the appliance.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let mut line = sys::console::Line::new();
    let _ = match info.location() {
        Some(at) => write!(line, "cpud: panic at {}:{}", at.file(), at.line()),
        None => write!(line, "cpud: panic"),
    };
    sys::console::print(&line);
    sys::process::exit(101)
}

/// The precompiled `core` names it; nothing unwinds, so nothing calls it.
#[cfg(debug_assertions)]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    sys::process::exit(101)
}
