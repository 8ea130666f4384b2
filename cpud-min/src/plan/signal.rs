//! Signals by name (RFC 4254 sections 6.9 and 6.10).

use linux_raw_sys::general::{
    SIGABRT, SIGALRM, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGSEGV, SIGTERM, SIGUSR1, SIGUSR2,
};

/// Every signal that RFC 4254 section 6.10 names, without `SIG`.
const NAMES: [(&str, u32); 13] = [
    ("ABRT", SIGABRT),
    ("ALRM", SIGALRM),
    ("FPE", SIGFPE),
    ("HUP", SIGHUP),
    ("ILL", SIGILL),
    ("INT", SIGINT),
    ("KILL", SIGKILL),
    ("PIPE", SIGPIPE),
    ("QUIT", SIGQUIT),
    ("SEGV", SIGSEGV),
    ("TERM", SIGTERM),
    ("USR1", SIGUSR1),
    ("USR2", SIGUSR2),
];

/// Linux's number of the signal that a `signal` request names.
pub fn number(name: &str) -> Option<u32> {
    NAMES.iter().find(|row| row.0 == name).map(|row| row.1)
}

/// The name for an `exit-signal`. A signal without one is sent as the `exit-status` that a shell gives it: 128 and its
/// number.
pub fn name(number: u32) -> Option<&'static str> {
    NAMES.iter().find(|row| row.1 == number).map(|row| row.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_go_both_ways() {
        for (signal, expected) in [("HUP", 1), ("INT", 2), ("KILL", 9), ("USR1", 10), ("SEGV", 11), ("TERM", 15)] {
            assert_eq!(number(signal), Some(expected));
            assert_eq!(name(expected), Some(signal));
        }
    }

    #[test]
    fn what_the_rfc_does_not_name_has_no_name() {
        const SIGBUS: u32 = 7;
        assert_eq!(name(SIGBUS), None);
        for unknown in ["SIGINT", "int", "BUS", ""] {
            assert_eq!(number(unknown), None, "{unknown}");
        }
    }
}
