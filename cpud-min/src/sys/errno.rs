//! Errors of system calls as sentences.

use core::fmt::{self, Display, Formatter};

use rustix::io::Errno;

/// A step that failed, and why.
pub struct Failure(pub &'static str, pub Errno);

impl Failure {
    /// For `map_err`: names the step that failed.
    pub fn of(step: &'static str) -> impl Fn(Errno) -> Self {
        move |error| Self(step, error)
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, Sentence(self.1))
    }
}

/// Displays the words of errno(3) for the errors that are to be expected, else the number.
pub struct Sentence(pub Errno);

impl Display for Sentence {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let words = match self.0 {
            Errno::PERM => "operation not permitted",
            Errno::NOENT => "no such file or directory",
            Errno::IO => "input/output error",
            Errno::TOOBIG => "the arguments and the environment are too long together",
            Errno::NOEXEC => "not a program that this kernel runs",
            Errno::AGAIN => "resource temporarily unavailable",
            Errno::NOMEM => "out of memory",
            Errno::ACCESS => "permission denied",
            Errno::BUSY => "device or resource busy",
            Errno::NODEV => "no such file system type",
            Errno::NOTDIR => "not a directory",
            Errno::ISDIR => "is a directory",
            Errno::INVAL => "invalid argument",
            Errno::NAMETOOLONG => "file name too long",
            Errno::ADDRINUSE => "the address is in use",
            Errno::ADDRNOTAVAIL => "this machine has no such address",
            Errno::FBIG => "too large",
            Errno::LOOP => "too many levels of symbolic links",
            Errno::PIPE | Errno::CONNRESET => "the client has closed its file server",
            Errno::PROTO => "protocol error",
            Errno::LIBBAD => "its library is corrupted",
            Errno::NOKEY => "required key not available",
            // Also what fs::read_guarded_file returns for a mode.
            Errno::KEYREJECTED => {
                "its mode leaves it open to others (chmod go-w for authorized keys, go-rwx for a host key)"
            }
            other => return write!(f, "error {}", other.raw_os_error()),
        };
        f.write_str(words)
    }
}
