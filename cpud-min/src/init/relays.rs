//! The relays: a process for each authorized key that has logged in, which outlives its connections, so that the user's
//! next command finds what the last one fetched.

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use super::Config;
use super::connections::Connections;
use crate::relay;
use crate::say;
use crate::sys::errno::Sentence;
use crate::sys::process::{self, Fork, Pid, Status};
use crate::sys::{fdpass, fs, memory};

/// Keys that have a relay at a time. Of more, the one without a connection that was not used for longest loses what it
/// knows; when all have one, the one whose user's last login is the longest ago, and its sessions their files.
const MAX: usize = 8;

/// A fingerprint as OpenSSH writes it.
type Key = heapless::Vec<u8, 64>;

struct Relay {
    key: Key,
    pid: Pid,
    /// By which it gets connections; it ends when this is closed.
    control: OwnedFd,
}

impl Relay {
    fn hand(&self, connection: &OwnedFd) -> rustix::io::Result<()> {
        fdpass::send(&self.control, &[1], &[connection.as_fd()])
    }
}

/// In the order of their users' last logins.
pub struct Relays(heapless::Vec<Relay, MAX>);

impl Relays {
    pub const fn new() -> Self {
        Self(heapless::Vec::new())
    }

    /// Hands a connection to its user's relay. When that cannot be, it closes, and the connection has no files.
    pub fn connect(
        &mut self,
        config: &Config,
        key: &[u8],
        connection: &OwnedFd,
        connections: &Connections,
    ) -> Option<Pid> {
        let key = Key::from_slice(key).ok()?;
        if let Some(at) = self.0.iter().position(|r| r.key == key) {
            let mut relay = self.0.remove(at);
            match relay.hand(connection) {
                Err(Errno::PIPE | Errno::CONNRESET) => {
                    // It has ended, which is told when it is reaped; its user begins anew.
                    relay.key.clear();
                    let _ = self.0.insert(0, relay);
                }
                sent => {
                    if let Err(error) = sent {
                        say!("cpud: a relay takes no connection: {}", Sentence(error));
                    }
                    let pid = relay.pid;
                    let _ = self.0.push(relay);
                    return Some(pid);
                }
            }
        }
        let relay = self.start(config, key, connections)?;
        let pid = relay.pid;
        let _ = relay.hand(connection);
        let _ = self.0.push(relay);
        Some(pid)
    }

    fn start(&mut self, config: &Config, key: Key, connections: &Connections) -> Option<Relay> {
        if self.0.is_full() {
            self.0.remove(self.0.iter().position(|r| !connections.use_relay(r.pid)).unwrap_or(0));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::cmdline;
    use ssh_lite::Ciphers;

    fn config() -> Config {
        let cmdline::Config { authorized_keys, host_key, .. } = cmdline::Config::APPLIANCE;
        let relay = Some(relay::LEAST);
        let (ninep, cgroups, root, appliance) = (true, false, false, false);
        Config { authorized_keys, host_key, ciphers: Ciphers::PORTABLE, ninep, cgroups, root, appliance, relay }
    }

    /// A relay that is there as far as init knows; what comes back is its end.
    fn add(relays: &mut Relays, key: &[u8], pid: i32) -> OwnedFd {
        let (control, theirs) = fdpass::pair().unwrap();
        let (key, pid) = (Key::from_slice(key).unwrap(), Pid::from_raw(pid).unwrap());
        let _ = relays.0.push(Relay { key, pid, control });
        theirs
    }

    /// Whether it does; how is another matter, since an emulator of programs has no filter of system calls for it.
    fn ends(pid: Pid) -> bool {
        matches!(process::wait(pid), Ok(Status::Exited(_)))
    }

    #[test]
    fn who_logs_in_when_his_relay_has_ended_gets_another() {
        let mut relays = Relays::new();
        drop(add(&mut relays, b"SHA256:x", 1));
        let (connection, _wire) = fdpass::pair().unwrap();
        let pid = relays.connect(&config(), b"SHA256:x", &connection, &Connections::new()).unwrap();
        relays.ended(Pid::from_raw(1).unwrap(), Status::Exited(0));
        assert!(relays.0.iter().map(|relay| relay.pid).eq([pid]));
        drop(relays);
        assert!(ends(pid));
    }

    #[test]
    fn a_relay_that_a_connection_uses_does_not_go_before_one_that_none_does() {
        let mut relays = Relays::new();
        let theirs: std::vec::Vec<_> = (1..=8).map(|pid| add(&mut relays, &[pid as u8], pid)).collect();
        let (connection, _wire) = fdpass::pair().unwrap();
        let used = Connections::of_relay(Pid::from_raw(1).unwrap());
        let pid = relays.connect(&config(), b"SHA256:x", &connection, &used).unwrap();
        let left: std::vec::Vec<_> = relays.0.iter().map(|relay| relay.pid.as_raw_nonzero().get()).collect();
        assert_eq!(left, [1, 3, 4, 5, 6, 7, 8, pid.as_raw_nonzero().get()]);
        drop((relays, theirs));
        assert!(ends(pid));
    }
}
