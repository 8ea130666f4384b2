//! A network of a test's own in a name space of this host's (ip-netns(8)): a tap that QEMU's guest is on, and Debian's
//! dnsmasq. All of it goes when it is dropped.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::artifacts::scratch;
use crate::console::Console;
use crate::run::spawn;
use crate::skip::{Reason, on_path};

pub struct Netns {
    pub name: String,
    server: Option<Child>,
    /// What the server says.
    pub log: Console,
    leases: PathBuf,
}

impl Netns {
    /// With `address`, which has its prefix length, on this host's end of the cable.
    pub fn new(address: &str) -> Result<Self, Reason> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let programs = ["/usr/sbin/ip", "/usr/sbin/dnsmasq"];
        if let Some(missing) = programs.iter().find(|program| !PathBuf::from(program).exists()) {
            return Err(format!("no {missing} here"));
        }
        std::fs::metadata("/dev/net/tun").map_err(|e| format!("/dev/net/tun: {e}"))?;
        let name = format!("cpud-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let leases = scratch("leases").join(&name);
        let made = Self { name, server: None, log: Console::default(), leases };
        made.ip(&["netns", "add", &made.name])?;
        for words in [
            ["link", "set", "lo", "up"].as_slice(),
            &["tuntap", "add", "tap0", "mode", "tap"],
            &["address", "add", address, "dev", "tap0"],
            &["link", "set", "tap0", "up"],
        ] {
            made.ip(&[&["-n", &made.name], words].concat())?;
        }
        Ok(made)
    }

    fn ip(&self, words: &[&str]) -> Result<(), Reason> {
        let output = Command::new("ip").args(words).output().expect("it is there");
        let why = String::from_utf8_lossy(&output.stderr);
        output.status.success().then_some(()).ok_or_else(|| format!("ip {}: {}", words.join(" "), why.trim()))
    }

    /// A command that runs in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(on_path(program).unwrap_or_else(|_| program.into()));
        command
    }

    /// QEMU's option for the guest's end.
    pub fn netdev(&self) -> String {
        "tap,id=net,ifname=tap0,script=no,downscript=no".into()
    }

    /// A server that knows of no lease, with these options besides, in place of the one before.
    pub fn serve(&mut self, options: &[&str]) {
        self.stop();
        let _ = std::fs::remove_file(&self.leases);
        let mut server = self.command("/usr/sbin/dnsmasq");
        server.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=tap0", "--user=root"]);
        server.args(["--log-facility=-", "--log-dhcp", "--pid-file="]);
        server.arg(format!("--dhcp-leasefile={}", self.leases.display())).args(options);
        let mut server = spawn(server.stdin(Stdio::null()).stderr(Stdio::piped()));
        self.log.follow(server.stderr.take().expect("piped"));
        self.server = Some(server);
    }

    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        self.stop();
        let _ = self.ip(&["netns", "delete", &self.name]);
        let _ = std::fs::remove_file(&self.leases);
    }
}
