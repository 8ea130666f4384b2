//! What the console shows before the first connection. A child process looks at the keys and times the ciphers, so that
//! init never holds a key and needs no memory for the timing.

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use ssh_lite::Ciphers;
use ssh_lite::keys::{ed25519_blob, fingerprint};

use super::last_boot;
use crate::config::{COMMIT_TIME, Config, VERSION};
use crate::plan::quoted::Quoted;
use crate::sys::errno::{Failure, Sentence};
use crate::sys::process::{self, Fork, Status};
use crate::sys::{fs, is_random, nanoseconds, net, seconds_since_1970, set_seconds_since_1970};
use crate::{keys, say};

pub fn show_versions() {
    let kernel = rustix::system::uname();
    say!("cpud {VERSION} on Linux {}", kernel.release().to_str().unwrap_or("?"));
    if seconds_since_1970() < COMMIT_TIME {
        match set_seconds_since_1970(COMMIT_TIME) {
            Ok(()) => say!("cpud: the clock is not set, and begins at the time of cpud's commit"),
            Err(error) => say!("cpud: the clock is not set: {}", Sentence(error)),
        }
    }
}

// The child's exit status is a sum of these.
const NO_HOST_KEY: u8 = 1;
const AES_IS_FAST: u8 = 2;

/// Shows the host key's fingerprint, reports what is wrong with the authorized keys, and finds the ciphers that are
/// fast here. Err: a daemon has no host key. The appliance goes on without one, so that its console stays up.
pub fn check(config: &Config) -> Result<Ciphers, Failure> {
    match process::fork() {
        Ok(Fork::Child) => {
            if config.appliance {
                last_boot::show();
            }
            // The file may change while cpud runs: it is read again for each connection.
            if keys::look_at_authorized_keys(config.authorized_keys, usize::MAX).is_some_and(|found| found.usable == 0)
            {
                keys::say_that_none_is_usable(config.authorized_keys);
            }
            if config.appliance {
                show_randomness();
            }
            let mut status = if show_host_key(config) { 0 } else { NO_HOST_KEY };
            if Ciphers::measure(nanoseconds) == Ciphers::ALL {
                status |= AES_IS_FAST;
            }
            process::exit(status.into())
        }
        Ok(Fork::Parent(pid)) => match process::wait(pid) {
            Ok(Status::Exited(status)) if status & NO_HOST_KEY == 0 || config.appliance => {
                Ok(if status & AES_IS_FAST == 0 { Ciphers::SLOW_AES } else { Ciphers::ALL })
            }
            _ => Err(Failure("no usable host key", Errno::NOKEY)),
        },
        Err(error) => Err(Failure("fork(2)", error)),
    }
}

/// What feeds the kernel's random numbers, beside the processor. PID 1 never waits for them. A login does, until the
/// kernel has gathered enough from the jitter of its timers, which takes it a second (drivers/char/random.c,
/// try_to_generate_entropy).
fn show_randomness() {
    let mut room = [0; 64];
    let device = fs::read_file(c"/sys/class/misc/hw_random/rng_current", &mut room).unwrap_or_default().trim_ascii();
    let device = if device.is_empty() { b"no device" } else { device };
    let wait = if is_random() { "" } else { ", and not enough yet: logins wait for them" };
    say!("cpud: random numbers of the kernel's, fed by {}{wait}", Quoted(device));
}

fn show_host_key(config: &Config) -> bool {
    let host_key = keys::host_key_or_say(config.host_key);
    if let Some(key) = &host_key {
        say!("cpud: host key {}", fingerprint(&ed25519_blob(&key.public())));
    }
    host_key.is_some()
}

/// The addresses that clients can connect to, except those of the appliance's cards: net shows these, as they come and
/// go.
pub fn show_addresses(config: &Config, listeners: &[OwnedFd]) {
    for listener in listeners {
        let Ok(address) = net::local_address(listener) else { continue };
        if !config.appliance || !address.ip().is_unspecified() {
            say!("cpud: listening on {address}");
        } else if fs::access(c"/sys/class/net/eth0", fs::Access::EXISTS).is_err() {
            say!("cpud: nobody can connect: this machine has no network card that its kernel has a driver for");
        }
    }
}
