//! The command line, the environment and the auxiliary vector, as the kernel lays them on the first stack (System V ABI).

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

    /// The value of an environment variable; `name` ends with `=`.
    pub fn environment(self, name: &[u8]) -> Option<&'static [u8]> {
        // SAFETY: after argv's NULL stand pointers to strings, and a NULL.
        let string = |i| unsafe {
            let pointer = *self.stack.add(2 + *self.stack + i);
            (pointer != 0).then(|| CStr::from_ptr(pointer as *const _).to_bytes())
        };
        (0..).map_while(string).find_map(|string| string.strip_prefix(name))
    }

    /// The entry of type `kind` (`AT_*`, getauxval(3)) in the auxiliary vector.
    pub fn auxiliary(self, kind: usize) -> Option<usize> {
        // SAFETY: after argv's NULL stand the environment's pointers, a NULL, and pairs of type and value up to type 0.
        unsafe {
            let mut at = self.stack.add(2 + *self.stack);
            while *at != 0 {
                at = at.add(1);
            }
            at = at.add(1);
            while *at != kind && *at != 0 {
                at = at.add(2);
            }
            (*at != 0).then(|| *at.add(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> Args {
        let words: &[&CStr] = &[c"cpud", c"--help", c"HOME=/root"];
        let pointer = |i: usize| words[i].as_ptr() as usize;
        let stack = [2, pointer(0), pointer(1), 0, pointer(2), 0, 16, 0x8b, 6, 4096, 0, 0];
        // SAFETY: laid out as the kernel does, and never freed.
        unsafe { Args::new(std::boxed::Box::leak(std::boxed::Box::new(stack)).as_ptr()) }
    }

    #[test]
    fn arguments_environment_and_auxiliary_vector_are_told_apart() {
        assert!(args().iter().eq([c"cpud", c"--help"]));
        assert_eq!((args().environment(b"HOME="), args().environment(b"HOM=")), (Some(&b"/root"[..]), None));
        assert_eq!((args().auxiliary(16), args().auxiliary(6), args().auxiliary(17)), (Some(0x8b), Some(4096), None));
    }
}
