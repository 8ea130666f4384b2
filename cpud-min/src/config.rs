//! What every role knows.

use core::ffi::CStr;

use ssh_lite::Ciphers;

/// Of the command line and the machine, gathered by init before the first connection.
#[derive(Clone)]
pub struct Config {
    pub authorized_keys: &'static CStr,
    pub host_key: &'static CStr,
    /// What this machine is fast at.
    pub ciphers: Ciphers,
    /// Clients may have their files mounted.
    pub ninep: bool,
    /// Sessions have control groups.
    pub cgroups: bool,
    /// This process may do everything.
    pub root: bool,
    /// This machine is ours: PID 1, and no other user land.
    pub appliance: bool,
    /// Bytes of memory of every relay; None: a part of the machine's.
    pub relay: Option<usize>,
}

/// `cpud`'s version and the commit that it was built from, as `--version`, the word `version` and the console show them.
/// Strangers are told the first alone, in the ssh identification.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("CPUD_COMMIT"), ")");
