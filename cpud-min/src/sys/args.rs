//! The command line and the environment, as the kernel lays them on the first stack (System V ABI).

use core::ffi::CStr;

/// The arguments and environment that the program was started with; they live as long as it does.
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

    /// The value of `name` in the environment.
    pub fn env(self, name: &str) -> Option<&'static CStr> {
        // SAFETY: after argv's NULL stand the environment's pointers, and a NULL.
        let mut at = unsafe { self.stack.add(2 + *self.stack) };
        // SAFETY: as above; each is a string.
        while let Some(entry) = unsafe { (*at != 0).then(|| CStr::from_ptr(*at as *const _)) } {
            let value = entry.to_bytes_with_nul().strip_prefix(name.as_bytes()).and_then(|v| v.strip_prefix(b"="));
            if let Some(value) = value.and_then(|v| CStr::from_bytes_with_nul(v).ok()) {
                return Some(value);
            }
            // SAFETY: not the NULL yet.
            at = unsafe { at.add(1) };
        }
        None
    }
}
