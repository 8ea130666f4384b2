//! What the console says before the first connection. Keys are looked at in a child process, so that init never holds
//! one; ciphers are timed there too, so that it needs no memory for them.

use core::net::SocketAddr;

use ssh_lite::Ciphers;
use ssh_lite::keys::{authorized_keys, ed25519_blob, fingerprint};

use super::{Config, Listeners};
use crate::guard;
use crate::plan::quoted::Quoted;
use crate::sys::errno::Sentence;
use crate::sys::process::{self, Fork, Status};
use crate::sys::{fs, memory, nanoseconds, net};
use crate::{VERSION, say};

pub fn show_versions() {
    let kernel = rustix::system::uname();
    say!("cpud {VERSION} on Linux {}", kernel.release().to_str().unwrap_or("?"));
}

// The child's exit status is a sum of these.
const NO_HOST_KEY: u8 = 1;
const AES_IS_FAST: u8 = 2;

/// Shows the host key's fingerprint and what is wrong with the authorized keys, and finds the ciphers that are fast here.
/// Err: there is no host key, so a daemon has nothing to offer; the appliance goes on all the same, for its console.
pub fn check(config: &Config) -> Result<Ciphers, &'static str> {
    match process::fork() {
        Ok(Fork::Child) => {
            show_authorized_keys(config);
            let mut status = if show_host_key(config) { 0 } else { NO_HOST_KEY };
            if Ciphers::measure(nanoseconds) == Ciphers::ALL {
                status |= AES_IS_FAST;
            }
            process::exit(status.into())
        }
        Ok(Fork::Parent(pid)) => match process::wait(pid) {
            Ok(Status::Exited(status)) if status & NO_HOST_KEY == 0 || config.appliance => {
                Ok(if status & AES_IS_FAST == 0 { Ciphers::PORTABLE } else { Ciphers::ALL })
            }
            _ => Err("no usable host key"),
        },
        Err(_) => Err("out of memory"),
    }
}

fn show_host_key(config: &Config) -> bool {
    let host_key = guard::read_host_key(config);
    match &host_key {
        Ok(key) => say!("cpud: host key {}", fingerprint(&ed25519_blob(&key.public()))),
        Err(guard::HostKeyError::Unreadable(error)) => {
            let (file, why) = (Quoted(config.host_key.to_bytes()), Sentence(*error));
            say!("cpud: nobody can connect: the host key {file} cannot be read: {why}");
        }
        Err(guard::HostKeyError::Unusable(error)) => {
            say!("cpud: nobody can connect: the host key {}: {error}", Quoted(config.host_key.to_bytes()));
        }
    }
    host_key.is_ok()
}

/// The file may change while cpud runs: it is read again for each connection.
fn show_authorized_keys(config: &Config) {
    let name = Quoted(config.authorized_keys.to_bytes());
    let read = memory::pages(guard::AUTHORIZED_KEYS_MAX).and_then(|room| fs::read_file(config.authorized_keys, room));
    let file = match read {
        Ok(file) => file,
        Err(error) => {
            say!("cpud: nobody can log in: {name} cannot be read: {}", Sentence(error));
            return;
        }
    };
    let mut usable = 0;
    for entry in authorized_keys::parse(file) {
        match entry {
            Ok(_) => usable += 1,
            Err(problem) => say!("cpud: {name}: {problem}"),
        }
    }
    if usable == 0 {
        say!("cpud: nobody can log in: there is no usable key in {name}");
    }
}

/// The addresses that clients can connect to.
pub fn show_addresses(config: &Config, listeners: &Listeners) {
    for listener in listeners {
        let Ok(address) = net::local_address(listener) else { continue };
        if config.appliance && address.ip().is_unspecified() {
            show_interfaces(address.port());
        } else {
            say!("cpud: listening on {address}");
        }
    }
}

fn show_interfaces(port: u16) {
    let mut shown = 0;
    for (name, address) in net::ipv4_addresses().unwrap_or_default() {
        let name = name.split(|&b| b == 0).next().unwrap_or_default();
        if name != b"lo" {
            shown += 1;
            let address = SocketAddr::from((address, port));
            say!("cpud: listening on {address} ({})", core::str::from_utf8(name).unwrap_or("?"));
        }
    }
    if shown == 0 {
        say!("cpud: listening on port {port}; no interface has an IPv4 address yet");
    }
}
