//! The error numbers of Rlerror: Linux's own, the same on every machine that Linux's generic
//! numbering covers.

use core::fmt;

/// An error number as Rlerror carries it.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Errno(pub u32);

macro_rules! errnos {
    ($($name:ident $number:literal)*) => {
        impl Errno {
            $(pub const $name: Self = Self($number);)*

            /// Its name in errno(3), when it is one that file operations give.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        #[cfg(test)]
        #[test]
        fn the_numbers_are_those_of_linux() {
            $(assert_eq!(Errno::$name.0, linux_raw_sys::errno::$name, stringify!($name));)*
        }
    };
}

errnos! {
    EPERM 1 ENOENT 2 EINTR 4 EIO 5 ENXIO 6 EBADF 9 EAGAIN 11 ENOMEM 12 EACCES 13 EFAULT 14
    EBUSY 16 EEXIST 17 EXDEV 18 ENODEV 19 ENOTDIR 20 EISDIR 21 EINVAL 22 ENFILE 23 EMFILE 24
    ENOTTY 25 ETXTBSY 26 EFBIG 27 ENOSPC 28 ESPIPE 29 EROFS 30 EMLINK 31 EPIPE 32 ERANGE 34
    EDEADLK 35 ENAMETOOLONG 36 ENOLCK 37 ENOSYS 38 ENOTEMPTY 39 ELOOP 40 ENODATA 61 EPROTO 71
    EOVERFLOW 75 EOPNOTSUPP 95 ESTALE 116 EDQUOT 122
}

impl Errno {
    /// The greatest number of errno(3) on Linux, EHWPOISON.
    pub const MAX: u32 = 133;

    /// What an upstream server's Rlerror says. Linux keeps other numbers for itself, and a caller may take them for
    /// what they mean there.
    pub const fn of_upstream(ecode: u32) -> Self {
        if 0 < ecode && ecode <= Self::MAX { Self(ecode) } else { Self::EIO }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
