//! What a C library would do: the entry point, the functions that compilers call by name, the end after a panic. It is
//! part of the program and not of the library, whose tests link the real C library.
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use core::fmt::Write as _;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cpud_min::sys;

/// The beginning of the stack, for [`panic()`].
static STACK: AtomicUsize = AtomicUsize::new(0);

/// The entry points of the architectures call this.
///
/// # Safety
///
/// `stack` is the stack pointer that the kernel started the program with.
unsafe extern "C" fn start(stack: *const usize) -> ! {
    STACK.store(stack.expose_provenance(), Relaxed);
    // SAFETY: the caller's promise.
    let args = unsafe { sys::args::Args::new(stack) };
    sys::process::exit(crate::main(args))
}

/// A panic is a bug: it prints where, and ends this process. Only PID 1's end would end the appliance.
///
/// "Where" is what the stack says: words that point into the program, the callers among them, for `addr2line -e
/// cpud.debug`. File names and lines would be a tenth of the program.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    const SHOWN: usize = 24;
    unsafe extern "C" {
        static __executable_start: u8;
        static etext: u8;
    }
    let program = (&raw const __executable_start).addr()..(&raw const etext).addr();
    let here = core::ptr::from_ref(&program).cast::<usize>();
    let words = STACK.load(Relaxed).saturating_sub(here.addr()) / size_of::<usize>();
    let mut line = sys::console::Line::new();
    let _ = write!(line, "cpud: panic at");
    // SAFETY: the words from here to the beginning of the stack are mapped.
    let stack = (0..words).map(|i| unsafe { here.add(i).read_volatile() });
    for word in stack.filter(|word| program.contains(word) && *word != program.start).take(SHOWN) {
        let _ = write!(line, " {word:x}");
    }
    sys::console::write_line(line.as_bytes());
    sys::process::exit(101)
}

/// The precompiled `core` names it; nothing unwinds, so nothing calls it.
#[cfg(debug_assertions)]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    sys::process::exit(101)
}
