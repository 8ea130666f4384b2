//! What sessions run: this machine's own programs, or for a board of another architecture those of Debian packages,
//! unpacked by the script that users call.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::artifacts::{Artifact, scratch};
use crate::board;
use crate::skip::Reason;
use crate::vm::{program, script, succeeded};

/// All that the tests of the image run in sessions.
const PACKAGES: [&str; 7] = ["bash", "busybox-static", "coreutils", "findutils", "grep", "python3-minimal", "sed"];

/// The packages, and the name space that is made of them.
struct Foreign {
    root: PathBuf,
    namespace: String,
}

/// None when the board under test runs this machine's programs.
fn foreign() -> Option<&'static Foreign> {
    static FOREIGN: OnceLock<Option<Foreign>> = OnceLock::new();
    let unpack = || {
        let arch = board::under_test().get("arch");
        (arch != std::env::consts::ARCH).then(|| {
            let root = scratch("programs").join(arch);
            let made = script("foreign-root.sh").args(["--arch", arch, "--out"]).arg(&root).args(PACKAGES).output();
            let namespace = String::from_utf8(succeeded(made).stdout).expect("a line of folders").trim().to_owned();
            Foreign { root, namespace }
        })
    };
    FOREIGN.get_or_init(unpack).as_ref()
}

/// Whether the board has another architecture than this machine.
pub fn are_foreign() -> bool {
    foreign().is_some()
}

/// The value of a cpu client's `-namespace`, as its users type it.
pub fn namespace() -> &'static str {
    foreign().map_or("/lib:/lib64:/usr:/bin:/etc:/home", |foreign| &foreign.namespace)
}

/// The lines of an fstab that a client makes of it.
pub fn binds() -> String {
    let bind = |entry: &str| {
        let (target, source) = entry.split_once('=').unwrap_or((entry, entry));
        format!("/tmp/cpu{source} {target} none defaults,bind 0 0\n")
    };
    namespace().split(':').map(bind).collect()
}

/// Where this machine has the file that a session sees at `path`.
pub fn at_home(path: &str) -> PathBuf {
    foreign().map_or_else(|| path.into(), |foreign| foreign.root.join(path.trim_start_matches('/')))
}

/// Python, where sessions find it.
pub fn python() -> Result<&'static str, Reason> {
    let python = "/usr/bin/python3";
    let home = at_home(python);
    fs::metadata(&home).map(|_| python).map_err(|e| format!("{}: {e}", home.display()))
}

/// The same with ctypes and mmap, the same at home and in a session.
pub fn python_with_all_modules() -> Result<&'static str, Reason> {
    if are_foreign() {
        return Err("the python3-minimal of the board's programs has no mmap and no ctypes".into());
    }
    python()
}

/// The C library's loader, and the folders with libraries.
pub fn loader() -> (PathBuf, [PathBuf; 2]) {
    let (loader, triplet) = match board::under_test().get("arch") {
        "aarch64" => ("/lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu"),
        _ => ("/lib64/ld-linux-x86-64.so.2", "x86_64-linux-gnu"),
    };
    // The loader's usual name is a link.
    let loader = at_home(loader);
    let loader = loader.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", loader.display()));
    (loader, ["/lib", "/usr/lib"].map(|folder| at_home(folder).join(triplet)))
}

/// The program `look` of this crate.
pub fn look() -> PathBuf {
    if are_foreign() { Artifact::Look.path(&board::under_test().name) } else { program("look") }
}
