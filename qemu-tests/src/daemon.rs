//! `cpud` as an ordinary daemon on this host.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::artifacts::{Artifact, scratch};
use crate::console::{Console, Mark};
use crate::keys::{Key, authorize};
use crate::run::spawn;

/// A running daemon; killed on drop, and its output printed when the test failed.
pub struct Daemon {
    process: Child,
    pub console: Console,
    pub port: u16,
}

impl Daemon {
    /// Starts one on a free port of 127.0.0.1 that lets in the user's key of each kind.
    pub fn start() -> Self {
        let file = scratch("daemon").join("authorized_keys");
        authorize(&file);
        Self::with("127.0.0.1", &file, &["--no-9p"])
    }

    /// Starts one at `host` with this authorized_keys and these options.
    pub fn with(host: &str, authorized_keys: &Path, options: &[&str]) -> Self {
        Self::under(Command::new(Artifact::Cpud.path("qemu-q35")), host, authorized_keys, options)
    }

    /// The same of a program, whose arguments so far come first, that becomes the daemon.
    pub fn under(mut program: Command, host: &str, authorized_keys: &Path, options: &[&str]) -> Self {
        let port = free_port();
        let mut process = spawn(
            program
                .args(["--listen", &format!("{host}:{port}")])
                .args(options)
                .arg("--authorized-keys")
                .arg(authorized_keys)
                .arg("--host-key")
                .arg(Key::host().private)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        );
        let console = Console::default();
        console.follow(process.stdout.take().expect("piped"));
        console.follow(process.stderr.take().expect("piped"));
        let daemon = Self { process, console, port };
        daemon.console.expect(Mark::default(), &["ready"], Duration::from_secs(10));
        daemon
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A known_hosts file with this daemon in it.
    pub fn known_hosts(&self) -> PathBuf {
        known_hosts(self.port)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- the daemon said:\n{}\n---", self.console.since(Mark::default()));
        }
    }
}

/// A port of 127.0.0.1 that nobody has.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// A known_hosts file that holds the tests' host key for the server at `port`.
pub fn known_hosts(port: u16) -> PathBuf {
    let path = scratch("known-hosts").join(port.to_string());
    let line = format!("[127.0.0.1]:{port} {}\n", Key::host().line());
    // In one step: the client of another test may be reading the one that is there.
    let part = path.with_extension(format!("{:?}", std::thread::current().id()));
    let written = fs::write(&part, line).and_then(|()| fs::rename(&part, &path));
    written.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    path
}
