//! The configuration that every role reads.

use core::ffi::CStr;

use ssh_lite::Ciphers;

/// init fills it from the command line and the machine, before the first connection.
#[derive(Clone)]
pub struct Config {
    pub authorized_keys: &'static CStr,
    pub host_key: &'static CStr,
    /// Ciphers that this CPU accelerates.
    pub ciphers: Ciphers,
    /// Sessions may mount their clients' files.
    pub ninep: bool,
    /// Each session has a control group.
    pub cgroups: bool,
    /// cpud runs as root.
    pub root: bool,
    /// cpud is PID 1, and there is no other user land.
    pub appliance: bool,
    /// What each session may use; None: whatever there is.
    pub limits: Option<Limits>,
    /// Bytes of memory of each relay; None: a share of the machine's.
    pub relay: Option<usize>,
}

/// What processes may use together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes, what they have on a tmpfs included.
    pub memory: usize,
    /// Processes and threads.
    pub processes: usize,
}

/// The version and the commit that `cpud` was built from, as `--version`, the word `version` and the console show them.
/// The ssh identification, which strangers read, has the version alone.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("CPUD_COMMIT"), ")");

/// When that commit was made, in seconds since 1970. A clock that shows an earlier time is wrong.
pub const COMMIT_TIME: u64 = match u64::from_str_radix(env!("CPUD_COMMIT_TIME"), 10) {
    Ok(seconds) => seconds,
    Err(_) => panic!("CPUD_COMMIT_TIME is no number"),
};
