//! One key of each kind, made once and kept below the target folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::artifacts::scratch;

/// Kinds of key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Ed25519,
    Rsa2048,
    Rsa3072,
    Rsa4096,
    EcdsaP256,
    /// Which OpenSSH knows and `cpud` does not.
    EcdsaP384,
}

impl Kind {
    /// Those that `cpud` lets in.
    pub const ALL: [Self; 5] = [Self::Ed25519, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::EcdsaP256];

    /// The arguments of `ssh-keygen`.
    fn made_by(self) -> [&'static str; 4] {
        match self {
            Self::Ed25519 => ["-t", "ed25519", "-b", "256"],
            Self::Rsa2048 => ["-t", "rsa", "-b", "2048"],
            Self::Rsa3072 => ["-t", "rsa", "-b", "3072"],
            Self::Rsa4096 => ["-t", "rsa", "-b", "4096"],
            Self::EcdsaP256 => ["-t", "ecdsa", "-b", "256"],
            Self::EcdsaP384 => ["-t", "ecdsa", "-b", "384"],
        }
    }
}

/// A key pair in OpenSSH's files.
#[derive(Clone)]
pub struct Key {
    pub private: PathBuf,
    pub public: PathBuf,
}

/// Two tests may ask for the same key at once.
static MAKING: Mutex<()> = Mutex::new(());

impl Key {
    /// The user's key of this kind, which every server under test lets in.
    pub fn user(kind: Kind) -> Self {
        Self::named(&format!("user-{kind:?}"), kind)
    }

    /// A key that no server knows.
    pub fn stranger(kind: Kind) -> Self {
        Self::named(&format!("stranger-{kind:?}"), kind)
    }

    /// The key of every server under test.
    pub fn host() -> Self {
        Self::named("host", Kind::Ed25519)
    }

    fn named(name: &str, kind: Kind) -> Self {
        let private = scratch("keys").join(name);
        let public = private.with_extension("pub");
        let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if !public.exists() {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-N", "", "-C", name, "-f"])
                .arg(&private)
                .args(kind.made_by())
                .status();
            assert!(made.is_ok_and(|status| status.success()), "ssh-keygen (openssh-client) makes no {kind:?} key");
        }
        Self { private, public }
    }

    /// The line for authorized_keys and known_hosts: type, base64, comment.
    pub fn line(&self) -> String {
        let text = fs::read_to_string(&self.public).unwrap_or_else(|e| panic!("{}: {e}", self.public.display()));
        text.trim_end().to_owned()
    }

    /// `SHA256:...`, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        let listed = Command::new("ssh-keygen").arg("-lf").arg(&self.public).output().expect("ssh-keygen runs");
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        text.split_whitespace().nth(1).expect("size, fingerprint, comment").to_owned()
    }
}

/// Writes the authorized_keys of every server under test to `path`: one key of each kind, and what OpenSSH's files
/// have besides.
pub fn authorize(path: &Path) {
    let mut file = String::from("# the keys of the tests\n\n");
    for kind in Kind::ALL {
        file += &Key::user(kind).line();
        file += "\n";
    }
    // In one step: the daemon of another test may be reading the one that is there.
    let part = path.with_extension(format!("{:?}", std::thread::current().id()));
    write_public(&part, &file);
    fs::rename(&part, path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// Writes a file of keys that others may not write, whatever the umask is: cpud takes no other.
pub fn write_public(path: &Path, text: &str) {
    let written = fs::write(path, text).and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o644)));
    written.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
