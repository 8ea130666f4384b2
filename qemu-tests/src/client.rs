//! Clients that bring their files along.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::artifacts::{cargo_install, root, scratch};
use crate::keys::{Key, Kind};
use crate::programs;
use crate::skip::{Reason, on_path};

/// A command line of a cpu client, up to the command.
pub struct Client {
    command: Command,
}

impl Client {
    /// The tests' own client of the third generation, at the server on `port`.
    pub fn v3(port: u16) -> Result<Self, Reason> {
        let mut command = Command::new(v3()?);
        // The key that a reference image in bench has, too.
        command.args(["-port", &port.to_string(), "-key"]).arg(Key::user(Kind::Rsa2048).private);
        command.args(["-namespace", programs::namespace()]);
        Ok(Self::at_home(command))
    }

    /// Today's stock client, with a key as its users have it.
    pub fn stock(port: u16) -> Result<Self, Reason> {
        let mut command = Command::new(on_path("cpu")?);
        command.args(["-sp", &port.to_string(), "-key"]).arg(Key::user(Kind::Rsa2048).private);
        // Its own limit is 100 ms, and one emulated processor may have fifty sessions to open.
        command.args(["-timeout9p", "60s"]);
        if programs::are_foreign() {
            command.args(["-namespace", programs::namespace()]);
        }
        let mut client = Self::at_home(command);
        client.command.env("HOME", scratch("home"));
        Ok(client)
    }

    /// A directory that every machine has and every session is given, and the locale that every C library has built in.
    fn at_home(mut command: Command) -> Self {
        command.current_dir("/usr").env("PWD", "/usr").env("USER", "root").env("LC_ALL", "C");
        Self { command }
    }

    /// Adds options of the client's own.
    pub fn with(mut self, options: &[&str]) -> Self {
        self.command.args(options);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// The whole line. The stock client wants the host between its options and the command.
    pub fn command(&mut self, words: &[&str]) -> &mut Command {
        if self.command.get_program() == on_path("cpu").unwrap_or_default() {
            self.command.arg("127.0.0.1");
        }
        self.command.args(words)
    }

    /// The same, to be run later.
    pub fn into_command(mut self, words: &[&str]) -> Command {
        self.command(words);
        self.command
    }
}

/// Builds `clients/v3` once.
pub fn v3() -> Result<&'static Path, Reason> {
    static BUILT: OnceLock<Result<PathBuf, Reason>> = OnceLock::new();
    BUILT.get_or_init(|| go_build("v3", ".")).as_deref().map_err(Clone::clone)
}

/// The published client of the second generation, and the folder with the 9P server that it calls.
pub fn v2() -> Result<(&'static Path, &'static Path), Reason> {
    static BUILT: OnceLock<Result<(PathBuf, PathBuf), Reason>> = OnceLock::new();
    let built = BUILT.get_or_init(|| Ok((go_build("v2", "github.com/u-root/u-root/cmds/exp/cpu")?, unpfs()?)));
    built.as_ref().map(|(client, server)| (client.as_path(), server.as_path())).map_err(Clone::clone)
}

/// Builds `package` of the module `clients/MODULE`. A machine without Go is a reason to skip, a module that does not
/// build is a failure.
fn go_build(module: &str, package: &str) -> Result<PathBuf, Reason> {
    let go = on_path("go")?;
    let program = scratch("clients").join(module);
    let folder = root().join("qemu-tests/clients").join(module);
    let built = Command::new(go).args(["build", "-o"]).arg(&program).arg(package).current_dir(folder).output();
    let built = built.expect("go runs");
    let said = String::from_utf8_lossy(&built.stderr).into_owned();
    if said.contains("requires go >=") {
        return Err(format!("`go` is too old: {}", said.trim()));
    }
    assert!(built.status.success(), "clients/{module} does not build:\n{said}");
    Ok(program)
}

/// Installs the crate `unpfs` once, in the version whose command line the V2 client knows. The folder that comes back
/// has an `unpfs` that says its first word when it listens: the client dials at that word, and the crate's own says it
/// before.
fn unpfs() -> Result<PathBuf, Reason> {
    let program = cargo_install("unpfs", "0.13.0");
    let folder = scratch("unpfs").join("punctual");
    // Port 5641 in state LISTEN (proc_pid_net(5), /proc/net/tcp).
    let script = format!(
        "#!/bin/sh\n\
         while kill -0 $$ && ! grep -q ':1609 [0-9A-F:]* 0A ' /proc/net/tcp /proc/net/tcp6; do :; done && echo ready &\n\
         exec {} \"$@\" >/dev/null 2>&1\n",
        program.display()
    );
    fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("unpfs"), script)).expect("a file of our own");
    fs::set_permissions(folder.join("unpfs"), Permissions::from_mode(0o755)).expect("a file of our own");
    Ok(folder)
}
