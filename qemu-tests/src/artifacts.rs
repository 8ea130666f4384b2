//! What the build scripts made, and where tests may write.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::board::Board;
use crate::run::feed;

/// A file that a script leaves in `out/BOARD/`.
#[derive(Clone, Copy)]
pub enum Artifact {
    /// The static `cpud`.
    Cpud,
    Kernel,
    /// `cpio`, compressed, with `cpud` as `/init`.
    Initramfs,
    /// The program `look` for a board of another architecture.
    Look,
}

impl Artifact {
    fn name_and_script(self, board: &str) -> (&'static str, &'static str) {
        match self {
            Self::Cpud => ("cpud", "scripts/build-cpud.sh"),
            Self::Kernel => (
                if Board::read(board).get("arch") == "aarch64" { "Image" } else { "bzImage" },
                "scripts/build-kernel.sh",
            ),
            Self::Initramfs => ("initramfs.cpio.xz", "scripts/build-initramfs.sh"),
            Self::Look => ("look", "scripts/test.sh"),
        }
    }

    /// Its path for `board`. Panics when it is not there: a suite without the product is no suite.
    pub fn path(self, board: &str) -> PathBuf {
        let (name, script) = self.name_and_script(board);
        let path = root().join("out").join(board).join(name);
        assert!(path.exists(), "{} is missing: {script} makes it", path.display());
        path
    }
}

/// The workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// A folder below cargo's target folder, made when it is not there. It outlives the run: what is made once is found
/// there again.
pub fn scratch(name: &str) -> PathBuf {
    let this = env::current_exe().expect("a test knows its own path");
    let target = this.ancestors().find(|dir| dir.join(".rustc_info.json").exists());
    let path = target.unwrap_or(Path::new("target")).join("tmp").join(name);
    fs::create_dir_all(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    path
}

/// Installs the program of a published crate once, below the target folder.
pub fn cargo_install(name: &str, version: &str) -> PathBuf {
    let folder = scratch(name);
    let program = folder.join("bin").join(name);
    if !program.exists() {
        let mut cargo = Command::new("cargo");
        cargo.args(["install", "--quiet", "--locked", "--version", version, name, "--root"]).arg(&folder);
        let installed = cargo.output().expect("cargo runs");
        assert!(installed.status.success(), "{name}: {}", String::from_utf8_lossy(&installed.stderr));
    }
    program
}

/// SHA-256 of bytes, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    let sum = feed(&mut Command::new("sha256sum"), bytes.to_vec(), Duration::from_secs(60)).ok();
    sum.split(' ').next().expect("a line begins with it").to_owned()
}

/// The content of the file `fallback/payload` in a ROM's CBFS (coreboot's commonlib/bsd/cbfs_serialized.h).
pub fn payload(rom: &[u8]) -> &[u8] {
    let is_payload = |file: &&[u8]| file.starts_with(b"LARCHIVE") && file[24..].starts_with(b"fallback/payload\0");
    let file = rom.chunks(64).position(|file| is_payload(&file)).map(|n| &rom[64 * n..]).expect("a ROM has a payload");
    let word = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
    &file[word(20)..word(20) + word(8)]
}
