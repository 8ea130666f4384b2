//! Tests that cannot run here say so where nobody captures it; scripts/test.sh lists all lines that begin with `SKIP:`.

use std::io::{Write, stderr};
use std::net::TcpListener;
use std::{env, path::PathBuf, thread};

/// Why a test does not run, as the end of the sentence "skipped: ...".
pub type Reason = String;

/// Prints a `SKIP:` line for the running test. Not by `eprintln!`, which libtest would swallow.
pub fn announce(reason: &str) {
    let this = thread::current();
    let _ = writeln!(stderr(), "\nSKIP: {}: skipped: {reason}", this.name().unwrap_or("a test"));
}

/// The value, or a return from the test after saying why.
#[macro_export]
macro_rules! or_skip {
    ($thing:expr) => {
        match $thing {
            Ok(thing) => thing,
            Err(reason) => return $crate::skip::announce(&reason),
        }
    };
}

/// Where `program` is on PATH.
pub fn on_path(program: &str) -> Result<PathBuf, Reason> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file());
    found.ok_or_else(|| format!("`{program}` is not on PATH"))
}

/// Whether this machine has IPv6's own address.
pub fn ipv6() -> Result<(), Reason> {
    TcpListener::bind("[::1]:0").map(drop).map_err(|e| format!("no [::1] here: {e}"))
}
