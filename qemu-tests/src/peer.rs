//! Other people's ssh clients. Each is started so that it behaves like `ssh`: stdin, stdout, stderr and the exit code
//! are the remote command's.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::artifacts::{root, scratch};
use crate::client::v3;
use crate::daemon::known_hosts;
use crate::keys::Key;
use crate::run::sha256;
use crate::skip::{Reason, on_path};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    OpenSsh,
    /// Dropbear's client.
    Dbclient,
    /// PuTTY's command line.
    Plink,
    Paramiko,
    Asyncssh,
    /// golang.org/x/crypto/ssh, by the tests' V3 client without 9P.
    Go,
}

/// How many bytes go by between two key exchanges, for peers that can be told.
const REKEY_BYTES: &str = "8388608";

/// Where to log in, and as whom.
pub struct Login<'a> {
    pub port: u16,
    pub key: &'a Key,
    /// Ask for new keys every 8 MiB.
    pub rekey: bool,
}

impl Peer {
    /// Whether it is on this machine.
    pub fn here(self) -> Result<Self, Reason> {
        match self {
            Self::OpenSsh => on_path("ssh").map(drop)?,
            Self::Dbclient => on_path("dbclient").and(on_path("dropbearconvert")).map(drop)?,
            Self::Plink => on_path("plink").and(on_path("puttygen")).map(drop)?,
            Self::Paramiko | Self::Asyncssh => python().map(drop)?,
            Self::Go => on_path("go").map(drop)?,
        }
        Ok(self)
    }

    /// Whether it can be told to ask for new keys.
    pub fn rekeys(self) -> bool {
        self != Self::Dbclient
    }

    /// Runs the script `remote` at the server.
    pub fn exec(self, login: &Login<'_>, remote: &str) -> Command {
        let port = login.port.to_string();
        let script = remote;
        let remote = &shell(remote);
        match self {
            Self::OpenSsh => {
                let mut ssh = openssh(login);
                ssh.args(["root@127.0.0.1", remote]);
                ssh
            }
            Self::Dbclient => {
                let mut dbclient = Command::new("dbclient");
                // Twice -y: its known_hosts has no ports, so the host key is not checked.
                dbclient.args(["-y", "-y", "-T", "-p", &port, "-i"]).arg(converted(login.key, "dropbear"));
                dbclient.args(["root@127.0.0.1", remote]).env("HOME", scratch("home"));
                dbclient
            }
            Self::Plink => {
                let home = scratch("home");
                if login.rekey {
                    let session = home.join(".putty/sessions");
                    fs::create_dir_all(&session).expect("a folder for PuTTY's sessions");
                    fs::write(session.join("rekey"), format!("RekeyBytes={REKEY_BYTES}\n")).expect("a session file");
                }
                let mut plink = Command::new("plink");
                plink.args(if login.rekey { &["-load", "rekey"][..] } else { &[] });
                plink.args(["-ssh", "-batch", "-T", "-noagent", "-P", &port, "-l", "root", "-i"]);
                plink.arg(converted(login.key, "putty")).args(["-hostkey", &Key::host().fingerprint()]);
                plink.args(["127.0.0.1", remote]).env("HOME", home);
                plink
            }
            Self::Paramiko => by_python("with_paramiko.py", login, remote),
            Self::Asyncssh => by_python("with_asyncssh.py", login, remote),
            Self::Go => {
                let mut go = Command::new(v3().unwrap_or_else(|e| panic!("{e}")));
                go.args(["-port", &port, "-key"]).arg(&login.key.private);
                go.arg("-host-key").arg(Key::host().public);
                go.args(if login.rekey { &["-rekey", REKEY_BYTES][..] } else { &[] });
                go.args(["-9p=false", "-inherit=false", "-pwd", "/", "-namespace="]);
                go.args(["-env", "PATH=/usr/bin:/bin"]);
                go.args(["/bin/sh", "-c", script]);
                go
            }
        }
    }
}

/// The line by which `cpud`, which is no shell, runs a script.
pub fn shell(script: &str) -> String {
    format!("/bin/sh -c '{}'", script.replace('\'', r"'\''"))
}

/// `ssh` with nothing of the user's configuration, up to the host.
pub fn openssh(login: &Login<'_>) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-p", &login.port.to_string(), "-i"]).arg(&login.key.private);
    ssh.args(["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]);
    ssh.args(["-o", "StrictHostKeyChecking=yes", "-o"]);
    ssh.arg(format!("UserKnownHostsFile={}", known_hosts(login.port).display()));
    ssh.args(if login.rekey { &["-o", "RekeyLimit=8M"][..] } else { &[] });
    ssh
}

const PYTHON: &str = "/usr/bin/python3";

/// Debian's interpreter, whatever else is on PATH, with the modules of `peers/requirements.txt`, installed once.
pub fn python() -> Result<Command, Reason> {
    static INSTALLED: OnceLock<Result<PathBuf, Reason>> = OnceLock::new();
    let modules = INSTALLED.get_or_init(install_modules).as_ref().map_err(Clone::clone)?;
    let mut python = Command::new(PYTHON);
    python.args(["-W", "ignore"]).env("PYTHONPATH", modules);
    Ok(python)
}

fn install_modules() -> Result<PathBuf, Reason> {
    let list = root().join("qemu-tests/peers/requirements.txt");
    let wanted = fs::read(&list).unwrap_or_else(|e| panic!("{}: {e}", list.display()));
    let modules = scratch("python").join(&sha256(&wanted)[..16]);
    if !modules.exists() {
        let mut pip = Command::new(PYTHON);
        pip.args(["-m", "pip", "install", "--quiet", "--target"]).arg(&modules).arg("-r").arg(list);
        let installed = pip.output().map_err(|e| format!("{PYTHON}: {e}"))?;
        if !installed.status.success() {
            return Err(format!("python3-pip: {}", String::from_utf8_lossy(&installed.stderr).trim()));
        }
    }
    Ok(modules)
}

/// A script of `peers/` at the server, once [`python`] is there.
pub fn by_python(script: &str, login: &Login<'_>, remote: &str) -> Command {
    let mut python = python().unwrap_or_else(|e| panic!("{e}"));
    python.arg(root().join("qemu-tests/peers").join(script));
    python.arg(login.port.to_string()).arg(&login.key.private).arg(known_hosts(login.port));
    python.args([if login.rekey { REKEY_BYTES } else { "0" }, remote]);
    python
}

/// The private key in a peer's own form, made once.
fn converted(key: &Key, form: &str) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let target = key.private.with_extension(form);
    if !target.exists() {
        let mut convert = match form {
            "putty" => Command::new("puttygen"),
            _ => Command::new("dropbearconvert"),
        };
        match form {
            "putty" => convert.arg(&key.private).arg("-o").arg(&target),
            _ => convert.args(["openssh", "dropbear"]).arg(&key.private).arg(&target),
        };
        let made = convert.output().expect("the converter runs");
        assert!(made.status.success(), "{convert:?}: {}", String::from_utf8_lossy(&made.stderr));
    }
    target
}
