//! The command line, as the kernel lays them on the first stack (System V ABI).

use core::ffi::CStr;

/// The arguments that the program was started with; they live as long as it does.
#[derive(Clone, Copy)]
pub struct Args {
    stack: *const usize,
}

impl Args {
    /// # Safety
    ///
    /// `stack` is the stack pointer at the program's entry.
    pub const unsafe fn new(stack: *const usize) -> Self {
        Self { stack }
    }

    /// The arguments, the program's name first.
    pub fn iter(self) -> impl Iterator<Item = &'static CStr> + Clone {
        // SAFETY: the stack holds argc, then argc pointers to strings.
        (1..=unsafe { *self.stack }).map(move |i| unsafe { CStr::from_ptr((*self.stack.add(i)) as *const _) })
    }
}
