//! The relays: a process for each authorized key that has logged in, which outlives its connections, so that the user's
//! next command finds what the last one fetched.

use rustix::fd::{AsFd, OwnedFd};

use super::Config;
use crate::relay;
use crate::say;
use crate::sys::process::{self, Fork, Pid, Status};
use crate::sys::{fdpass, fs, memory};

/// Keys that have a relay at a time. Of more, the one that was not used for longest loses what it knows, and its
/// sessions their files.
const MAX: usize = 8;

/// A fingerprint as OpenSSH writes it.
type Key = heapless::Vec<u8, 64>;

struct Relay {
    key: Key,
    pid: Pid,
    /// By which it gets connections; it ends when this is closed.
    control: OwnedFd,
}

/// In the order of their last use.
pub struct Relays(heapless::Vec<Relay, MAX>);

impl Relays {
    pub const fn new() -> Self {
        Self(heapless::Vec::new())
    }

    /// Hands a connection to its user's relay. When that cannot be, it closes, and the connection has no files.
    pub fn connect(&mut self, config: &Config, key: &[u8], connection: &OwnedFd) {
        let Ok(key) = Key::from_slice(key) else { return };
        let known = self.0.iter().position(|r| r.key == key);
        let relay = match known {
            Some(at) => Some(self.0.remove(at)),
            None => self.start(config, key),
        };
        let Some(relay) = relay else { return };
        if let Err(error) = fdpass::send(&relay.control, &[1], &[connection.as_fd()]) {
            say!("cpud: a relay takes no connection: {}", crate::sys::errno::Sentence(error));
        }
        let _ = self.0.push(relay);
    }

    fn start(&mut self, config: &Config, key: Key) -> Option<Relay> {
        if self.0.is_full() {
            self.0.remove(0);
        }
        let (control, theirs) = fdpass::pair().ok()?;
        // A relay that does not listen must not hold up everybody.
        fs::set_nonblocking(&control).ok()?;
        // An eighth of the machine for all: three quarters of that for the first, of the rest for the next, and so on.
        let part = ((memory::total() / 32 * 3) >> (2 * self.0.len())).clamp(relay::LEAST, relay::MOST);
        let arena = config.relay.unwrap_or(part);
        match process::fork() {
            Ok(Fork::Child) => {
                // It goes before init does.
                let _ = fs::write_file(c"/proc/self/oom_score_adj", b"0");
                relay::run(config, theirs, arena)
            }
            Ok(Fork::Parent(pid)) => Some(Relay { key, pid, control }),
            Err(_) => None,
        }
    }

    /// Takes note of the end of a child, if it was a relay.
    pub fn ended(&mut self, pid: Pid, status: Status) {
        if let Some(at) = self.0.iter().position(|r| r.pid == pid) {
            self.0.remove(at);
            say!("cpud: a relay {status}");
        }
    }
}
