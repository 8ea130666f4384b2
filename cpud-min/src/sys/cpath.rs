//! Paths that are formatted at run time.

use core::ffi::CStr;
use core::fmt;

/// A path of at most 255 bytes, NUL-terminated as system calls want it.
#[derive(Clone)]
pub struct CPath([u8; 256]);

impl CPath {
    /// None when the text has a NUL or is too long.
    pub fn new(text: fmt::Arguments<'_>) -> Option<Self> {
        let mut cursor = Cursor { bytes: [0; 256], end: 0 };
        fmt::write(&mut cursor, text).ok()?;
        Some(Self(cursor.bytes))
    }

    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}

struct Cursor {
    bytes: [u8; 256],
    end: usize,
}

impl fmt::Write for Cursor {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let end = self.end + s.len();
        // The last byte stays NUL.
        if end >= self.bytes.len() || s.contains('\0') {
            return Err(fmt::Error);
        }
        self.bytes[self.end..end].copy_from_slice(s.as_bytes());
        self.end = end;
        Ok(())
    }
}

/// A [`CPath`] from a format string.
#[macro_export]
macro_rules! cpath {
    ($($arg:tt)*) => { $crate::sys::cpath::CPath::new(format_args!($($arg)*)) };
}
